"""A history and the evidence from it: shortcuts that change no number, no decision, and no order of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from benchmarks.replay import drawn_history
from pipeline.core.gates import BeatsBaseline, EverySlice, Floor, SimplerPreferred, Sound, run_gates
from pipeline.core.gates.better import Better
from pipeline.core.kinds import Binary
from pipeline.core.replay import player as replaying
from pipeline.core.replay.evidence import DayScores, HistoryScores
from pipeline.core.replay.history import FitKey, History, Stretch
from pipeline.core.replay.player import Replayer, Serving, Timeline
from pipeline.core.replay.policy import Policy, reference_policies, with_changes
from pipeline.core.stats import Clusters
from pipeline.core.verdict import Finding, Outcome, joint
from pipeline.core.waivers import Waiver

RECIPES = ("short", "long", "trees", "deep")
GATES = (Sound(), Better(price=0.02, switch_price=0.1), BeatsBaseline(), EverySlice(0.1), SimplerPreferred(0.005))


@pytest.fixture(scope="module")
def history() -> History:
    """Ten weeks, of which one day has no label at all, and one hardly any."""
    drawn = drawn_history(days=70, units=80, blocks=9)
    stretch = drawn.stretch
    labels = stretch.labels.copy()
    labels[stretch.day == 20] = np.nan
    labels[np.flatnonzero(stretch.day == 30)[3:]] = np.nan
    without = Stretch(stretch.days, stretch.day, labels, stretch.blocks, stretch.slices)
    return History(drawn.kind, without, drawn.recipes, drawn._predict)


@pytest.mark.parametrize(
    "text", ["", "ship=scored", "recipes=deep+short,every=2", "lag=3,price=0.2", "price=0.5,switch_price=1"]
)
def test_who_is_stopped_early_would_not_have_been_promoted(
    history: History, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every gate asked of every candidate on every day decides the same, whatever is left out on the way."""
    declared = Policy("declared", "gates", RECIPES, GATES)
    policy = with_changes(declared, text) if text else declared
    quick = Replayer("drawn", history, FitKey("usual", 0), 0, "usual").run(policy)
    asked = []

    def whole(
        self: Replayer,
        policy: Policy,
        serving: Serving,
        recipe: str,
        holdout: int,
        found: Mapping[str, tuple[Finding, ...]],
    ) -> tuple[Finding, ...]:
        contest = self._contest(policy, serving)
        scores = DayScores(self.scores, serving.champion, serving.since, serving.recipe_since, holdout)
        passed = [one for one in found if joint(found[one]) is Outcome.PASS]
        evidence = contest.with_units(contest.with_ageing(contest.decisive(recipe, scores), scores), scores, passed)
        findings = run_gates(policy.gates, evidence)
        asked.append(joint(findings))
        return findings

    monkeypatch.setattr(replaying.Replayer, "_judge", whole)
    slow = Replayer("drawn", history, FitKey("usual", 0), 0, "usual").run(policy)
    assert (quick.served, quick.changes, quick.fits) == (slow.served, slow.changes, slow.fits)
    assert slow.changes
    assert {Outcome.PASS, Outcome.UNKNOWN} <= set(asked)


def test_a_decision_is_about_the_data_day_and_not_about_the_holdout_day(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where labels take days, the day that is judged lies before the data day: each must be named by its own."""
    asked: list[np.datetime64] = []
    choose = replaying.decisions.choose

    def noted(usecase: str, day: date, *arguments: Any, **more: Any) -> Any:
        asked.append(np.datetime64(day))
        return choose(usecase, day, *arguments, **more)

    monkeypatch.setattr(replaying.decisions, "choose", noted)
    policy = Policy("declared", "gates", RECIPES, GATES)
    made = Replayer("drawn", history, FitKey("usual", 0), 4, "usual", delay=3).run(policy)
    decided = {history.stretch.days[change.decided] + 3 for change in made.changes}
    assert decided
    assert decided <= set(asked)


def test_what_policies_share_changes_none_of_them(history: History) -> None:
    """What a gate found is kept for the next policy: each does what it would do as the only one."""
    declared = Policy("declared", "gates", RECIPES, GATES)
    texts = ["price=0.2", "recipes=deep", "recipes=deep+short,every=2", "price=0.5,switch_price=1"]
    policies = [declared, *(with_changes(declared, text) for text in texts)]
    shared = Replayer("drawn", history, FitKey("usual", 0), 0, "usual")
    together = [shared.run(policy) for policy in policies]
    assert any(made.changes for made in together)
    for policy, made in zip(policies, together, strict=True):
        alone = Replayer("drawn", history, FitKey("usual", 0), 0, "usual").run(policy)
        assert (made.served, made.changes) == (alone.served, alone.changes)


def test_blocks_are_numbered_as_from_their_names(history: History) -> None:
    scenes = HistoryScores(history, 0, "usual", 14)
    for holdout in (5, 20, 25, 33):
        paired = scenes.paired(FitKey("usual", 0), "deep", -1, holdout)
        assert paired is not None
        named, ours = Clusters.of(paired.days, paired.blocks), paired.clusters
        assert np.array_equal(named.day, ours.day)
        assert np.array_equal(named.block, ours.block)
        assert (named.days, named.blocks) == (ours.days, ours.blocks)


def test_what_is_asked_late_is_what_was_asked_at_once(history: History) -> None:
    asked: list[tuple[int, int]] = []

    def predict(fit: FitKey, first: int, end: int) -> object:
        asked.append((first, end))
        return np.concatenate(
            [np.full(int(history.start[n + 1] - history.start[n]), 0.01 * n) for n in range(first, end)]
        )

    mine = History(history.kind, history.stretch, ["one"], predict, horizon=5)  # type: ignore[arg-type]
    for day in (69, 3, 30, 12, 4, 69):
        said = mine.predicted(FitKey("one", 2), day)
        assert said is not None
        assert np.allclose(said, 0.01 * day)
    assert sorted(asked) == [(2, 7), (7, 22), (22, 67), (67, 70)]


def test_a_fit_that_could_not_be_made_has_no_loss_and_wins_nothing(history: History) -> None:
    def predict(fit: FitKey, first: int, end: int) -> object:
        return None if fit.recipe == "deep" else history._predict(fit, first, end)

    mine = History(history.kind, history.stretch, history.recipes, predict)  # type: ignore[arg-type]
    assert mine.losses(FitKey("deep", 3), 5) is None
    assert np.isnan(mine.loss(FitKey("deep", 3), 5))
    made = Replayer("drawn", mine, FitKey("usual", 0), 0, "usual").run(Policy("declared", "gates", RECIPES, GATES))
    assert made.changes
    assert all(change.winner.recipe != "deep" for change in made.changes)


def test_a_waiver_counts_on_the_days_it_covers_as_in_the_daily_run(history: History) -> None:
    policy = Policy("declared", "gates", RECIPES, (GATES[0], GATES[1], Floor(limit=0.0)))

    def changes(*waivers: Waiver) -> list[int]:
        made = Replayer("drawn", history, FitKey("usual", 0), 0, "usual", waivers=waivers).run(policy)
        return [change.decided for change in made.changes]

    def until(day: int) -> Waiver:
        last = history.stretch.days[day].astype(object)
        return Waiver("loss floor", "ada", "what there is will do for now", last)

    assert changes() == []
    free = changes(until(len(history) - 1))
    assert len(free) >= 2
    assert changes(until(free[0])) == free[:1]
    assert changes(until(free[0] - 1)) == []


def test_labels_from_the_day_after_a_promotion_on_change_nothing_that_came_before(history: History) -> None:
    """At every promotion anew: who looks ahead by a day is seen, for the days ahead are turned around."""
    policies = [
        Policy("declared", "gates", RECIPES, GATES),
        Policy("scored", "gates", RECIPES, (Better(price=0.02, switch_price=0.1),), ship="scored"),
        *reference_policies(RECIPES, "refit")[-1:],
    ]
    looked = 0
    for policy in policies:
        whole = Replayer("drawn", history, FitKey("usual", 0), 0, "usual").run(policy)
        for change in whole.changes[:6]:
            cut = change.decided + 1
            stretch = history.stretch
            turned = np.where(stretch.day >= cut, 1 - stretch.labels, stretch.labels)
            other = History(
                history.kind,
                Stretch(stretch.days, stretch.day, turned, stretch.blocks, stretch.slices),
                history.recipes,
                history._predict,
            )
            again = Replayer("drawn", other, FitKey("usual", 0), 0, "usual").run(policy)
            assert again.served[: cut + 1] == whole.served[: cut + 1], (policy.name, cut)
            assert [c for c in again.changes if c.decided < cut] == [c for c in whole.changes if c.decided < cut]
            looked += 1
    assert looked >= 5


def learning(cut: int | None = None, days: int = 60, units: int = 120) -> History:
    """A history whose fits do learn, from the days before theirs; from day ``cut`` on the world is another one."""
    rng = np.random.default_rng(1)
    day, cue = np.repeat(np.arange(days), units), rng.normal(size=days * units)
    slope = 1.5 * np.sin(np.arange(days) / 6)[day] + 0.3
    labels = (rng.random(len(day)) < 1 / (1 + np.exp(-slope * cue))).astype(np.float64)
    blocks = np.array([f"block{n}" for n in range(9)])[rng.integers(0, 9, len(day))]
    kinds = np.array(["A", "B", "C"])[rng.integers(0, 3, len(day))]
    if cut is not None:
        later = day >= cut
        cue[later], labels[later] = 3 * rng.normal(size=int(later.sum())), 1 - labels[later]
        labels[later & (rng.random(len(day)) < 0.1)] = np.nan
        blocks[later], kinds[later] = "block1", "A"
    windows = {"short": 3, "long": 12, "usual": 20}

    def predict(fit: FitKey, first: int, end: int) -> object:
        at, learnt = (
            slice(first * units, end * units),
            slice(max(fit.day - windows[fit.recipe], 0) * units, fit.day * units),
        )
        known = np.isfinite(labels[learnt])
        if known.sum() < 100:
            return None
        said, seen = labels[learnt][known], cue[learnt][known]
        if fit.recipe == "usual":
            return np.full((end - first) * units, 0.98 * said.mean() + 0.01)
        return np.clip(1 / (1 + np.exp(-4.5 * np.cov(seen, said)[0, 1] / np.var(seen) * cue[at])), 0.02, 0.98)

    calendar = np.datetime64("2013-01-01") + np.arange(days)
    stretch = Stretch(calendar, day, labels, blocks, {"kind": kinds})
    return History(Binary("late"), stretch, [*windows], predict, horizon=10)  # type: ignore[arg-type]


@pytest.mark.parametrize(("delay", "lag"), [(0, 0), (3, 0), (0, 4), (5, 1)])
def test_whatever_the_days_bring_that_are_not_known_yet_decides_nothing(delay: int, lag: int) -> None:
    """Labels, inputs, blocks and slices of the days ahead are others; who served by then, and why, stays as it was."""
    gates = (Sound(), Better(price=0.02, switch_price=0.1), BeatsBaseline(), EverySlice(0.3), SimplerPreferred(0.005))
    policies = [
        Policy("declared", "gates", ("short", "long"), gates, lag=lag),
        Policy("scored", "gates", ("short", "long"), (Better(price=0.01, switch_price=0.05),), lag=lag, ship="scored"),
        *(replace(habit, lag=lag) for habit in reference_policies(("short", "long"), "refit")),
    ]
    first = 4 + delay + 1

    def lived(cut: int | None) -> list[Timeline]:
        history = learning(cut)
        player = Replayer("drawn", history, FitKey("usual", 4), first, "usual", delay)
        return [player.run(policy) for policy in policies]

    whole = lived(None)
    assert sum(len(timeline.changes) for timeline in whole[:2]) >= 4
    # On the morning of a day the labels of the days through ``delay + 1`` days before it are known.
    for timeline in whole:
        changes = {change.winner for change in timeline.changes}
        for day, fit in enumerate(timeline.served, first):
            assert fit not in changes or fit.day <= day - delay - lag, (timeline.policy.name, day, fit)
    for cut in (17, 30, 43):
        # On day t the holdout day of day t - delay is marked; who wins it serves from day t + 1 + lag on.
        settled = cut - 1 + delay + 1 + lag
        for one, two in zip(whole, lived(cut), strict=True):
            before, after = ([change for change in of.changes if change.decided < cut] for of in (one, two))
            assert repr(before) == repr(after), (one.policy.name, cut)
            assert one.served[: settled - first + 1] == two.served[: settled - first + 1], (one.policy.name, cut)
    assert any(one.served != two.served for one, two in zip(whole, lived(30), strict=True)), "it was to be felt"
