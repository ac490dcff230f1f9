"""Made-up evidence with a known truth, for the tests of the core."""

from dataclasses import replace
from datetime import date

import numpy as np
from hypothesis import strategies as st

from pipeline.core.evidence.candidate import Evidence, HoldoutDay, Paired
from pipeline.core.evidence.measurements import Answers, Audited, Footprint, Repeated, Shared, Timing
from pipeline.core.evidence.paired_days import PairedDay, PairedDays
from pipeline.core.golden import Case, CaseWaiver
from pipeline.core.kinds import Binary, Multiclass, Regression
from pipeline.core.stats import Clusters, dense_codes
from pipeline.core.verdict import Bound

BINARY, REGRESSION = Binary("late"), Regression("minutes", acts_at=15, tolerance=10)
MULTICLASS = Multiclass("status", ("cancelled", "late", "on_time"))
KINDS = (BINARY, REGRESSION, MULTICLASS)


def world(
    seed=0, *, kind=BINARY, days=8, blocks=12, per_block=15, skill=0.0, refit=0.02, candidates=1, offset=0.0
) -> Evidence:
    """Champion, candidate and twin of one recipe; with ``skill`` above 0 the candidate is nearer the truth."""
    rng = np.random.default_rng(seed)
    n = days * blocks * per_block
    day = np.repeat(np.arange(days), blocks * per_block)
    block = rng.integers(0, blocks, n)
    shared = rng.normal(0, 1, (days, blocks))[day, block]
    latent = 0.8 * shared + rng.normal(0, 1, n)
    truth = 1 / (1 + np.exp(-latent))
    if kind is REGRESSION:
        truth = 20 * latent
        labels = truth + 10 * rng.standard_t(3, n)
    else:
        labels = (rng.random(n) < truth).astype(float)
    if kind is MULTICLASS:
        pull = np.stack([latent - 2, latent, -latent + 0.5], axis=1)
        truth = np.exp(pull) / np.exp(pull).sum(axis=1, keepdims=True)
        labels = (rng.random(n)[:, None] > truth.cumsum(axis=1)).sum(axis=1).clip(0, 2).astype(float)
    mean = truth.mean(axis=0)
    spread = truth.std()

    def fit(strength):
        if kind is MULTICLASS:
            scores = mean + strength * (truth - mean) + offset * np.array([1, 0, -1])
            scores = np.clip(scores + refit * spread * rng.normal(0, 1, (n, 3)), 0.001, None)
            return scores / scores.sum(axis=1, keepdims=True)
        scores = mean + strength * (truth - mean) + refit * spread * rng.normal(0, 1, n)
        return scores + offset if kind is REGRESSION else np.clip(scores + offset, 0.001, 0.999)

    champion, candidate, resampled = fit(0.7 - 0.5 * (skill < 0)), fit(0.7 + skill), fit(0.7 + skill)
    slices = {
        "origin": np.array(["JFK", "LGA", "EWR"])[block % 3],
        "carrier": np.array(["AA", "UA", "B6", "OO"])[rng.choice(4, n, p=[0.4, 0.4, 0.19, 0.01])],
    }
    names = np.array([f"block {number:02d}" for number in range(blocks)])[block]
    when = np.datetime64("2013-03-01") + day
    plain = np.tile(mean, (n, 1)) if kind is MULTICLASS else np.full(n, labels.mean())
    paired = Paired(when, names, labels, champion, candidate, plain, slices)
    last = day == days - 1
    holdout = HoldoutDay(
        labels[last],
        names[last],
        champion[last],
        candidate[last],
        {name: values[last] for name, values in slices.items()},
        resampled[last],
    )
    timing = Timing(rng.gamma(50, 1e-3, (300, 2)), rng.gamma(50, 1e-2, (20, 2)), 500)
    rival = replace(paired, champion=fit(0.7 + skill / 2), slices={})
    made = {"candidates": candidates, "simpler": {"linear_14": rival}, **measured(seed, n)}
    return derived(Evidence(kind, "version 3", "boosting_60", paired, holdout=holdout, timing=timing, **made))


def derived(evidence: Evidence) -> Evidence:
    """The same evidence with what follows from its paired units: the daily rivalry, and the side of the plain rule."""
    paired = evidence.paired
    if paired is None:
        return replace(evidence, head_to_head=None, plain=None)
    above, below = (evidence.loss(paired.labels, side) for side in (paired.champion, paired.candidate))
    found = []
    for day in np.unique(paired.days):
        at = (paired.days == day) & np.isfinite(paired.labels)
        place, blocks = dense_codes(paired.blocks[at])
        sums = [np.bincount(place, side[at], blocks) for side in (above, below)]
        found.append(PairedDay.of(day, *sums, np.bincount(place, minlength=blocks)))
    plain = replace(paired, champion=paired.baseline, slices={})
    return replace(evidence, head_to_head=PairedDays.of(found), plain=plain)


WAIVED = CaseWaiver(date(2013, 4, 1), "A. Nna", "until the next release")
CASES = (
    Case("an ordinary day", "flights team", "nothing is wrong", "range", Bound(0.1, 0.5)),
    Case("a late aircraft", "flights team", "it comes late", "direction", Bound(low=0.01)),
    Case("a new airline", "flights team", "nobody knows it", "invariance", Bound(-0.1, 0.1), waiver=WAIVED),
)


def measured(seed, units) -> dict:
    """What is measured beside scores: mostly sound, and broken in one place or another where the seed says so."""
    rng = np.random.default_rng([seed, 2])
    bad = rng.random(8) < 0.1
    answers = ((0.9 if bad[0] else 0.2,), (0.2, 0.1 if bad[1] else 0.3), (0.2, 0.5 if bad[2] else 0.21))
    return {
        "footprint": Footprint(rng.gamma(50, 1e-3, (10, 2)), (1e5, 1.2e5), (160e6, 170e6), (1.2, 1.1)),
        "repeated": Repeated(units, int(bad[3]), 0),
        "answers": Answers(date(2013, 3, 8), CASES, answers, answers),
        "audited": Audited(
            requests=2,
            differs=("size of B6 1 is 3 alone, 4 on the day's table",) if bad[4] else (),
            lived=2,
            leaks=("features use what was not yet known: size of B6 1 is 3 instead of 4",) if bad[5] else (),
            silent="",
            alone={"size": 0.9 if bad[6] else 0.1, "carrier": -0.01},
            judged=500,
            learnt=3000,
            inputs=("size", "carrier"),
            outcomes=("arr_delay",),
            takes=("size", "carrier"),
        ),
        "shared": Shared(500, int(bad[7]), 2, 480, ((500, 3), (510, 1), (490, 2))),
    }


def copy_of_champion(evidence: Evidence) -> Evidence:
    """The same evidence, had the candidate been the champion itself; timed equal, too."""
    paired, holdout, timing, found = evidence.paired, evidence.holdout, evidence.timing, evidence.footprint
    footprint = Footprint(found.load[:, [0, 0]], *((one, one) for one, _ in (found.size, found.memory, found.training)))
    return replace(
        evidence,
        footprint=footprint,
        answers=replace(evidence.answers, candidate=evidence.answers.champion),
        paired=replace(paired, candidate=paired.champion),
        holdout=replace(holdout, candidate=holdout.champion),
        timing=replace(timing, single=timing.single[:, [0, 0]], batch=timing.batch[:, [0, 0]]),
    )


PAIRED = ("days", "blocks", "labels", "champion", "candidate", "baseline")


def shuffled(evidence: Evidence, seed: int) -> Evidence:
    """The same units in another order."""
    rng = np.random.default_rng(seed)

    def mix(part, names):
        order = rng.permutation(len(part))
        fields = {name: getattr(part, name)[order] for name in names}
        return replace(part, **fields, slices={name: values[order] for name, values in part.slices.items()})

    return replace(
        evidence,
        paired=mix(evidence.paired, PAIRED),
        holdout=mix(evidence.holdout, ("labels", "blocks", "champion", "candidate", "resampled")),
        simpler={name: mix(pair, PAIRED) for name, pair in evidence.simpler.items()},
    )


def nearer(evidence: Evidence, predictions):
    """The paired predictions moved half-way to the truth."""
    labels = evidence.paired.labels
    if evidence.kind.width:
        labels = (labels[:, None] == np.arange(evidence.kind.width)).astype(float)
    return (predictions + labels) / 2


@st.composite
def worlds(draw) -> Evidence:
    """Evidence of many shapes: few and many days, every kind, good, equal and bad candidates."""
    return world(
        draw(st.integers(0, 10**6)),
        kind=draw(st.sampled_from(KINDS)),
        days=draw(st.integers(1, 9)),
        blocks=draw(st.integers(1, 12)),
        per_block=draw(st.integers(1, 20)),
        skill=draw(st.sampled_from([-0.5, 0.0, 0.3])),
        refit=draw(st.sampled_from([0.0, 0.02, 0.3])),
        candidates=draw(st.integers(1, 4)),
    )


def losses(rng, *, days=14, per_day=300, blocks=40, day_effect=0.0, heavy=True, unequal=0.3, rho=0.5, by=0.0):
    """Losses of candidate and champion whose true relative difference is ``by``, and their clusters.

    Units of a block share half of the variance of the difference; block sizes follow a Pareto law, day sizes a
    log-normal one with spread ``unequal``; tails are Student's t with 3 degrees of freedom times a log-normal.
    """
    sizes = np.maximum(5, (per_day * np.exp(rng.normal(0, unequal, days) - unequal**2 / 2)).astype(int))
    day = np.repeat(np.arange(days), sizes)
    n = len(day)
    weights = rng.pareto(2.0, (days, blocks)) + 0.2
    weights /= weights.sum(axis=1, keepdims=True)
    block = np.concatenate([rng.choice(blocks, size, p=w) for size, w in zip(sizes, weights, strict=True)])
    shared = rng.normal(0, 1, (days, blocks))[day, block]
    level = 0.5 * rng.normal(0, 1, (days, blocks))[day, block] + 0.2 * rng.normal(0, 1, days)[day]
    champion = 5 + np.exp(0.6 * rng.normal(0, 1, n) + level)
    own = (
        rng.standard_t(3, n) / np.sqrt(3) * np.exp(0.7 * rng.normal(0, 1, n) - 0.245) if heavy else rng.normal(0, 1, n)
    )
    noise = np.sqrt(rho) * shared + np.sqrt(1 - rho) * own + day_effect * rng.normal(0, 1, days)[day]
    candidate = np.maximum(champion * (1 + by) + 0.3 * noise, 0)
    return candidate, champion, Clusters.of(day, block)
