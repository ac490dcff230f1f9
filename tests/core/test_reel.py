"""Reels and scenes: shortcuts that change no number, no decision, and no order of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.replay import drawn_reel
from pipeline.core import replay as replaying
from pipeline.core.better import Better
from pipeline.core.gates import BeatsBaseline, EverySlice, SimplerPreferred, Sound, judge
from pipeline.core.policy import Policy, changed, habits
from pipeline.core.reel import Fit, Reel, Stretch
from pipeline.core.replay import Reign, Replayer
from pipeline.core.scenes import Scenes
from pipeline.core.stats import Clusters
from pipeline.core.verdict import Finding, Outcome, joint

RECIPES = ("short", "long", "trees", "deep")
GATES = (Sound(), Better(price=0.02, switch_price=0.1), BeatsBaseline(), EverySlice(0.1), SimplerPreferred(0.005))


@pytest.fixture(scope="module")
def reel() -> Reel:
    """Ten weeks, of which one day has no label at all, and one hardly any."""
    drawn = drawn_reel(days=70, units=80, blocks=9)
    stretch = drawn.stretch
    labels = stretch.labels.copy()
    labels[stretch.day == 20] = np.nan
    labels[np.flatnonzero(stretch.day == 30)[3:]] = np.nan
    without = Stretch(stretch.days, stretch.day, labels, stretch.blocks, stretch.slices)
    return Reel(drawn.kind, without, drawn.recipes, drawn._predict)


@pytest.mark.parametrize(
    "text", ["", "ship=exam", "recipes=deep+short,every=2", "lag=3,price=0.2", "price=0.5,switch_price=1"]
)
def test_who_is_stopped_early_would_not_have_been_promoted(
    reel: Reel, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every gate asked of every candidate on every day decides the same, whatever is left out on the way."""
    declared = Policy("declared", "gates", RECIPES, GATES)
    policy = changed(declared, text) if text else declared
    quick = Replayer("drawn", reel, Fit("usual", 0), 0, "usual").run(policy)
    asked = []

    def whole(
        self: Replayer, policy: Policy, reign: Reign, recipe: str, exam: int, found: Mapping[str, tuple[Finding, ...]]
    ) -> tuple[Finding, ...]:
        evidence = self._evidence(policy, reign, recipe, exam)
        paired = self.scenes.paired(reign.champion, recipe, reign.since, exam)
        evidence = replace(
            evidence,
            ageing=self.scenes.ageing(recipe, exam) if evidence.refresh else (),
            paired=paired,
            plain=self.scenes.fresh(recipe, self.baseline, exam),
            exam=self.scenes.exam(reign.champion, recipe, exam),
            simpler=self._simpler(policy, reign, recipe, exam, paired, found),
        )
        findings = judge(policy.gates, evidence)
        asked.append(joint(findings))
        return findings

    monkeypatch.setattr(replaying.Replayer, "_judge", whole)
    slow = Replayer("drawn", reel, Fit("usual", 0), 0, "usual").run(policy)
    assert (quick.served, quick.changes, quick.fits) == (slow.served, slow.changes, slow.fits)
    assert slow.changes
    assert {Outcome.PASS, Outcome.UNKNOWN} <= set(asked)


def test_blocks_are_numbered_as_from_their_names(reel: Reel) -> None:
    scenes = Scenes(reel, 0, "usual", 14)
    for exam in (5, 20, 25, 33):
        paired = scenes.paired(Fit("usual", 0), "deep", -1, exam)
        assert paired is not None
        named, ours = Clusters.of(paired.days, paired.blocks), paired.clusters
        assert np.array_equal(named.day, ours.day)
        assert np.array_equal(named.block, ours.block)
        assert (named.days, named.blocks) == (ours.days, ours.blocks)


def test_what_is_asked_late_is_what_was_asked_at_once(reel: Reel) -> None:
    asked: list[tuple[int, int]] = []

    def predict(fit: Fit, first: int, end: int) -> object:
        asked.append((first, end))
        return np.concatenate([np.full(int(reel.start[n + 1] - reel.start[n]), 0.01 * n) for n in range(first, end)])

    mine = Reel(reel.kind, reel.stretch, ["one"], predict, horizon=5)  # type: ignore[arg-type]
    for day in (69, 3, 30, 12, 4, 69):
        said = mine.said(Fit("one", 2), day)
        assert said is not None
        assert np.allclose(said, 0.01 * day)
    assert sorted(asked) == [(2, 7), (7, 22), (22, 67), (67, 70)]


def test_a_fit_that_could_not_be_made_has_no_loss_and_wins_nothing(reel: Reel) -> None:
    def predict(fit: Fit, first: int, end: int) -> object:
        return None if fit.recipe == "deep" else reel._predict(fit, first, end)

    mine = Reel(reel.kind, reel.stretch, reel.recipes, predict)  # type: ignore[arg-type]
    assert mine.losses(Fit("deep", 3), 5) is None
    assert np.isnan(mine.loss(Fit("deep", 3), 5))
    made = Replayer("drawn", mine, Fit("usual", 0), 0, "usual").run(Policy("declared", "gates", RECIPES, GATES))
    assert made.changes
    assert all(change.winner.recipe != "deep" for change in made.changes)


def test_labels_from_the_day_after_a_promotion_on_change_nothing_that_came_before(reel: Reel) -> None:
    """At every promotion anew: who looks ahead by a day is seen, for the days ahead are turned around."""
    policies = [
        Policy("declared", "gates", RECIPES, GATES),
        Policy("exam", "gates", RECIPES, (Better(price=0.02, switch_price=0.1),), ship="exam"),
        *habits(RECIPES, "refit")[-1:],
    ]
    looked = 0
    for policy in policies:
        whole = Replayer("drawn", reel, Fit("usual", 0), 0, "usual").run(policy)
        for change in whole.changes[:6]:
            cut = change.decided + 1
            stretch = reel.stretch
            turned = np.where(stretch.day >= cut, 1 - stretch.labels, stretch.labels)
            other = Reel(
                reel.kind,
                Stretch(stretch.days, stretch.day, turned, stretch.blocks, stretch.slices),
                reel.recipes,
                reel._predict,
            )
            again = Replayer("drawn", other, Fit("usual", 0), 0, "usual").run(policy)
            assert again.served[: cut + 1] == whole.served[: cut + 1], (policy.name, cut)
            assert [c for c in again.changes if c.decided < cut] == [c for c in whole.changes if c.decided < cut]
            looked += 1
    assert looked >= 5
