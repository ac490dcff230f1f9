"""Do predictions mean what they say?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pipeline.core.evidence.candidate import Evidence, Paired, Stage
from pipeline.core.gates.loss import check_confidence, check_share
from pipeline.core.kinds import Bools, Floats
from pipeline.core.kinds.base import groups_of
from pipeline.core.stats import Clusters, Interval, NoInterval, mean_difference
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.words import count, percent, sureness


@dataclass(frozen=True, eq=False)
class _Group:
    """Units with like predictions: how far off the candidate is there, and beside the champion."""

    about: str
    predicted: float
    happened: float
    #: What happened less what was said: at the level that passes, and at the one that refuses.
    off: tuple[Interval, Interval]
    #: The same less the champion's, and plus it; None where there is no interval.
    minus_champion: tuple[Interval | None, Interval | None]
    plus_champion: tuple[Interval | None, Interval | None]

    def ends(self, side: int) -> tuple[float, float, float]:
        """Estimate, lower and upper end of how far off it is to one side (1: more came true than was said)."""
        passes, refuses = self.off
        if side > 0:
            return passes.estimate, refuses.low, passes.high
        return -passes.estimate, -refuses.high, -passes.low

    def as_near_as_champion(self, side: int) -> bool:
        """Shown to be no farther off to this side than the champion is to either."""
        minus_champion, plus_champion = self.minus_champion[0], self.plus_champion[0]
        if side > 0:
            return any(interval is not None and interval.high <= 0 for interval in (minus_champion, plus_champion))
        return any(interval is not None and interval.low >= 0 for interval in (minus_champion, plus_champion))

    def farther_than_champion(self, side: int) -> bool:
        """Shown to be farther off to this side than the champion is to either."""
        minus_champion, plus_champion = self.minus_champion[1], self.plus_champion[1]
        if side > 0:
            return all(interval is not None and interval.low > 0 for interval in (minus_champion, plus_champion))
        return all(interval is not None and interval.high < 0 for interval in (minus_champion, plus_champion))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Do the candidate's predictions come true as often as they say, high ones and low ones alike?

    The predictions of the days of evidence are cut into groups of like ones; in each, the share that came true is held
    against the share that was said (calibration in the large and the reliability slope of Cox, Biometrika 45, 1958, at
    once: a model that is too sure of itself says too much in the highest group and too little in the lowest). What is
    "said" is the probability itself; of several classes each against the rest, pooled; for a regression, whose loss is
    least at the median, that half of the labels lie above the prediction.

    PASS: in every group the share is *shown* to be off by at most ``limit``, **or** no farther off than the champion's
    is in its like group, for when the world moves, every model is off for a while, and a candidate that is as near as
    the one that serves must not be refused for it. FAIL: some group is shown to be beyond the limit and farther off
    than the champion. Else UNKNOWN.

    Why not the expected calibration error: noise alone raises it, days that fail together raise it more, and taking the
    bias out (Kumar, Liang & Ma, NeurIPS 2019) leaves a number without an honest interval where models are calibrated,
    which is where it matters. A mean over days has one. To pass, all groups must (so no error is split among them:
    Berger, Technometrics 24, 1982), by one of three ways (so it is split in three); to refuse, one suffices (so it is
    split among all groups and both sides).

    Attributes:
        limit: As a share; 0.1 is ten of a hundred units otherwise than said.
        groups: Of about equal size, by the prediction.
        at_least: Units below which the answer is UNKNOWN.
        confidence: Of the whole answer.
    """

    limit: float
    groups: int = 3
    at_least: int = 100
    confidence: float = 0.95
    name: ClassVar[str] = "calibration"
    stage: ClassVar[Stage] = Stage.SCORES

    def __post_init__(self) -> None:
        check_share(self.name, "limit", self.limit)
        check_confidence(self.name, self.confidence)
        if not self.limit > 0 or self.groups < 1 or self.at_least < 2:
            raise ValueError(
                f"gate '{self.name}': the limit must be above 0, groups at least 1 and at_least at least 2, got "
                f"{self.limit}, {self.groups} and {self.at_least}"
            )

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        """One finding; its value is how far off the share is in the group that decides.

        Its upper end is the one that passes, its lower end the one that refuses: each of a confidence of its own.
        """
        bound = Bound(high=self.limit)
        paired = evidence.answered("champion", "candidate")
        if isinstance(paired, str):
            return (Finding(self.name, Outcome.UNKNOWN, paired, wanted=bound),)
        if len(paired) < self.at_least:
            text = f"{count(len(paired), 'unit')} of evidence, at least {self.at_least} are needed"
            return (Finding(self.name, Outcome.UNKNOWN, text, wanted=bound),)
        groups = self._judged_groups(evidence, paired)
        if isinstance(groups, NoInterval):
            return (Finding(self.name, Outcome.UNKNOWN, groups.why, wanted=bound),)
        return (self._finding(evidence, paired, groups),)

    def _judged_groups(self, evidence: Evidence, paired: Paired) -> list[_Group] | NoInterval:
        kind = evidence.kind
        candidate, champion = (
            kind.calibration_pairs(paired.labels, predicted) for predicted in (paired.candidate, paired.champion)
        )
        per_unit, unit_clusters = candidate.per_unit, paired.clusters
        clusters = Clusters(
            np.repeat(unit_clusters.day, per_unit),
            np.repeat(unit_clusters.block, per_unit),
            unit_clusters.days,
            unit_clusters.blocks,
        )
        off, champion_off = candidate.happened - candidate.predicted, champion.happened - champion.predicted
        place, champion_place = groups_of(candidate.order, self.groups), groups_of(champion.order, self.groups)
        levels = (1 - (1 - self.confidence) / 3, 1 - (1 - self.confidence) / (2 * self.groups))
        groups = []
        for n in np.unique(place):
            in_group, champion_in_group = place == n, champion_place == n
            # A plain rule may say too few different things: its like is all that it says.
            if not champion_in_group.any():
                champion_in_group = np.ones(len(off), dtype=np.bool_)
            ends = [mean_difference(off, None, clusters, of=in_group, marks=True, confidence=level) for level in levels]
            if isinstance(ends[0], NoInterval) or isinstance(ends[1], NoInterval):
                return next(end for end in ends if isinstance(end, NoInterval))
            low, high = float(candidate.order[in_group].min()), float(candidate.order[in_group].max())
            groups.append(
                _Group(
                    f"predictions from {low:.3g} to {high:.3g}",
                    float(candidate.predicted[in_group].mean()),
                    float(candidate.happened[in_group].mean()),
                    (ends[0], ends[1]),
                    _beside(off, champion_off, clusters, in_group, champion_in_group, levels),
                    _beside(off, -champion_off, clusters, in_group, champion_in_group, levels),
                )
            )
        return groups

    def _finding(self, evidence: Evidence, paired: Paired, groups: list[_Group]) -> Finding:
        def bad(group: _Group, side: int) -> int:
            _, low, high = group.ends(side)
            if low > self.limit and group.farther_than_champion(side):
                return 2
            return int(not (high <= self.limit or group.as_near_as_champion(side)))

        every = [(bad(group, side), group.ends(side)[2], side, group) for group in groups for side in (1, -1)]
        worst, _, side, group = max(every, key=lambda each: each[:3])
        outcome = (Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL)[worst]
        estimate, low, high = group.ends(side)
        end = f"at least {percent(low)}" if outcome is Outcome.FAIL else f"at most {percent(high)}"
        surely = group.off[1 if outcome is Outcome.FAIL else 0]
        what = evidence.kind.calibration_pairs(paired.labels[:1], paired.candidate[:1]).what
        text = (
            f"{what}, {group.about}: said {percent(group.predicted)}, came true {percent(group.happened)} "
            f"({sureness(surely)}: {end} {'more' if side > 0 else 'less'}; allowed: {percent(self.limit)} either "
            "way, or as far off as the champion)"
        )
        if outcome is Outcome.PASS and high > self.limit:
            text += "; shown to be no farther off than the champion"
        text += f", {count(surely.days, 'day')}, {count(len(paired), 'unit')} in {count(surely.blocks, 'block')}"
        counts = {"days": surely.days, "units": len(paired), "blocks": surely.blocks, "groups": len(groups)}
        return Finding(self.name, outcome, text, estimate, Bound(high=self.limit), low, high, counts)


def _beside(
    off: Floats,
    champion_off: Floats,
    clusters: Clusters,
    in_group: Bools,
    champion_in_group: Bools,
    levels: tuple[float, float],
) -> tuple[Interval | None, Interval | None]:
    intervals = [
        mean_difference(off, champion_off, clusters, of=in_group, against=champion_in_group, confidence=level)
        for level in levels
    ]
    first, second = (None if isinstance(interval, NoInterval) else interval for interval in intervals)
    return first, second
