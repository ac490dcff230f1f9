"""Verdicts of a kind that the pipeline would reach, made from simulated days by the real gates."""

from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.core import gates as g
from pipeline.core.evidence.candidate import Evidence, HoldoutDay, Paired
from pipeline.core.evidence.measurements import Timing
from pipeline.core.kinds import Binary, Regression
from pipeline.core.tables import Column, Feed
from pipeline.core.usecase import Recipe, Usecase
from pipeline.core.verdict import Contestant, Outcome, Verdict, joint

DAYS = [str(day.date()) for day in pd.date_range("2013-02-23", "2013-03-08")]
RECIPES = ("boosted_60", "logistic_28", "boosted_14", "logistic_90")
GATES = (
    g.Sound(),
    g.NotWorse(margin=0.005),
    g.BeatsBaseline(),
    g.EverySlice(margin=0.05),
    g.Latency(p95_ratio=1.25, always_fine_ms=0.5),
    g.Churn(limit=0.15),
    g.RightToWrong(limit=0.08),
    g.ScoreShift(limit=0.3),
    g.DecisionMix(limit=0.06),
)


def usecase(kind):
    flights = Feed(
        name="flights",
        path="flights/{day}.csv",
        columns=(Column("flight", "string"), Column("date", "date")),
        key=("flight",),
        day="date",
    )
    return Usecase(
        name="flight_delay" if isinstance(kind, Binary) else "flight_minutes",
        question="Will this flight arrive 15 minutes late or more?"
        if isinstance(kind, Binary)
        else "By how many minutes will this flight arrive late?",
        kind=kind,
        unit=("flight",),
        feeds=(flights,),
        references=(),
        features=lambda tables: tables,
        inputs=("hour",),
        history=1,
        recipes=tuple(Recipe(name, lambda seed: None, window=28) for name in RECIPES),
        baseline=Recipe("late_rate_by_carrier", lambda seed: None, window=28),
        block=("flight",),
        slices=("origin", "carrier"),
        gates=GATES,
    )


def _world(kind, rng, units):
    hour = rng.integers(6, 22, units)
    origin = rng.choice(["EWR", "JFK", "LGA"], units)
    shares = [0.17, 0.16, 0.16, 0.14, 0.1, 0.09, 0.07, 0.05, 0.055, 0.005]
    carrier = rng.choice(["UA", "B6", "EV", "DL", "AA", "MQ", "US", "WN", "9E", "HA"], units, p=shares)
    day = np.sort(rng.choice(np.array(DAYS, dtype="datetime64[D]"), units))
    storm = np.isin(day.astype(str), ["2013-03-08", "2013-02-27"]) * 0.9
    shared = rng.normal(0, 0.35, units)
    score = -2.2 + 0.13 * (hour - 6) + storm + 0.35 * (origin == "EWR") + rng.normal(0, 0.9, units)
    if isinstance(kind, Binary):
        truth = (rng.random(units) < 1 / (1 + np.exp(-score))).astype(float)

        def says(noise, bias=0.0):
            return 1 / (1 + np.exp(-(score * (1 - noise / 3) + bias + shared + rng.normal(0, noise, units))))
    else:
        truth = np.round(score * 14 + rng.gumbel(0, 16, units))

        def says(noise, bias=0.0):
            return score * 14 + bias * 10 + 8 + 14 * (shared + rng.normal(0, noise, units))

    return day, hour, origin, carrier, truth, says


def sample(kind=None, seed=7, units=14_000, candidates=RECIPES, worse=False):
    """Usecase, verdict, evidence, daily losses."""
    kind = kind or Binary(target="late")
    rng = np.random.default_rng(seed)
    day, hour, origin, carrier, truth, says = _world(kind, rng, units)
    blocks = np.char.add(np.char.add(origin, "-"), hour.astype(str))
    champion, baseline = says(0.4, 0.12), says(1.1, 0.3)
    noises = dict(zip(RECIPES, (1.1, 0.6, 0.5, 0.8) if worse else (0.18, 0.36, 0.4, 0.62), strict=True))
    last = day == day[-1]
    evidence, daily, findings, losses = {}, {}, {}, {}
    both = {"champion": champion, "late_rate_by_carrier": baseline}
    for recipe in candidates:
        mine = says(noises[recipe], 0.05)
        both[recipe] = mine
        resampled = mine + (0.05 if isinstance(kind, Binary) else 3.0) * rng.normal(0, 1, units)
        resampled = np.clip(resampled, 0.001, 0.999) if isinstance(kind, Binary) else resampled
        slow = 1.05 if "logistic" in recipe else 1.12
        pace = rng.gamma(30, 0.1, (300, 1))
        timing = Timing(
            single=1e-3 * pace * np.array([1, slow]) * rng.gamma(60, 1 / 60, (300, 2)),
            batch=8e-3 * rng.gamma(40, 1 / 40, (60, 2)) * np.array([1, slow]),
            rows=900,
        )
        paired = Paired(day, blocks, truth, champion, mine, baseline, {"origin": origin, "carrier": carrier})
        evidence[recipe] = Evidence(
            kind=kind,
            champion="version 3",
            candidate=recipe,
            paired=paired,
            plain=replace(paired, champion=baseline, slices={}),
            holdout=HoldoutDay(
                truth[last], blocks[last], champion[last], mine[last], {"origin": origin[last]}, resampled[last]
            ),
            timing=timing,
            candidates=len(candidates),
        )
        findings[recipe] = tuple(f for gate in GATES for f in gate.judge(evidence[recipe]))
    for who, said in both.items():
        loss = kind.loss(truth, said)
        daily[who] = {d: float(loss[day == np.datetime64(d)].mean()) for d in DAYS}
        losses[who] = daily[who][DAYS[-1]]
    passing = [recipe for recipe in candidates if joint(findings[recipe]) is Outcome.PASS]
    winner = min(passing, key=losses.get) if passing else None
    reason = (
        f"{winner} passes every gate and loses least of {len(passing)} that do"
        if winner
        else "no candidate passes every gate: nearest came boosted_60, which is not shown to be no worse"
    )
    verdict = Verdict(
        usecase="flight_delay" if isinstance(kind, Binary) else "flight_minutes",
        day=DAYS[-1],
        decision="promote" if winner else "hold",
        outcome=Outcome.PASS if winner else Outcome.UNKNOWN,
        reason=reason,
        champion=Contestant("c" * 64, "logistic_28", "2013-02-19", 3),
        epoch=3,
        challenger=Contestant("d" * 64, winner or "boosted_60", "2013-03-07"),
        findings=findings,
        losses=losses,
        loss_name=kind.loss_name,
        counts={"units": 871, "labelled": 812, "cancelled": 47, "diverted": 12},
        snapshot={"flights": 66, "weather": 66, "planes": 41, "airports": 12, "airlines": 3},
        evidence=131,
        fits={
            recipe: {
                "model": f"{n}a7f3" * 12,
                "window": 28,
                "seed": 1,
                "trained_first": "2013-02-08",
                "trained_through": "2013-03-07",
                "rows": 23_114 + n,
                "seconds": 0.41 * (n + 1),
            }
            for n, recipe in enumerate((*candidates, "late_rate_by_carrier"))
        }
        | {"logistic_180": {"skipped": "61 labelled days in its window of 180, at least 120 are needed"}},
    )
    return usecase(kind), verdict, evidence, daily


def regression(**more):
    return sample(Regression(target="minutes", acts_at=15, tolerance=10), **more)
