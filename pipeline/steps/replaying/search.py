"""The search of a replay: many policies on the first part of the history, the best of them judged on the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.core.ports import World
from pipeline.core.replay.figures import PolicyFigures, loss_difference, policy_figures
from pipeline.core.replay.player import Replayer, Timeline
from pipeline.core.replay.policy import with_changes
from pipeline.core.replay.result import Proposal

#: The part of the history on which a search chooses.
CHOSEN_ON = 0.6
#: Of the days, the most that may promote for a policy to be proposed.
MOST = 0.1


def rank(figures: PolicyFigures) -> tuple[bool, float]:
    """Orders by served loss; what is not known comes last."""
    return not np.isfinite(figures.loss), figures.loss


def search_policy(
    player: Replayer, declared: Timeline, daily: Sequence[Timeline], world: World
) -> tuple[tuple[tuple[str, float, int], ...], Proposal]:
    """The policy with the least served loss on the first part, of those that promote on one day in ten or less.

    Returns:
        Of every policy tried its name, loss and promotions over all days; and the proposal.
    """
    history, first, policy = player.history, player.first, declared.policy
    split = first + int((len(history) - first) * CHOSEN_ON)
    if not (
        any(history.units(n) for n in range(first, split)) and any(history.units(n) for n in range(split, len(history)))
    ):
        raise UsageError("a search needs labelled days to choose on and others to judge on: replay more days", "EARLY")
    several = len(policy.recipes) > 1
    sets = ["", *(f",recipes={name}" for name in policy.recipes)] if several else [""]
    texts = [
        f"price={price},switch_price={switch},ship={ship}{recipes}"
        for recipes in sets
        for ship in ("refit", "scored")
        for switch in ((0.25, 0.5, 1.0) if several and not recipes else (0.5,))
        for price in (0.02, 0.05, 0.08, 0.12, 0.2, 0.3)
    ]
    tried: list[tuple[Timeline, PolicyFigures]] = []
    with world.progress("search", len(texts)) as done:
        for text in texts:
            timeline = player.run(with_changes(policy, text))
            tried.append((timeline, policy_figures(timeline, history, first, split)))
            done()
    calm = [trial for trial in tried if trial[1].promotions <= MOST * (split - first)] or tried
    timeline, chosen = min(calm, key=lambda trial: rank(trial[1]))
    best = min(daily, key=lambda habit: rank(policy_figures(habit, history, first, split)))
    all_day_figures = [policy_figures(tried_timeline, history) for tried_timeline, _ in tried]
    points = [
        (tried_timeline.policy.name, its_figures.loss, its_figures.promotions)
        for (tried_timeline, _), its_figures in zip(tried, all_day_figures, strict=True)
    ]
    return tuple(points), Proposal(
        name=timeline.policy.name,
        split=split,
        chosen=chosen,
        judged=policy_figures(timeline, history, split),
        declared_chosen=policy_figures(declared, history, first, split),
        declared_judged=policy_figures(declared, history, split),
        daily=best.policy.name,
        daily_chosen=policy_figures(best, history, first, split),
        daily_judged=policy_figures(best, history, split),
        difference=loss_difference(timeline, declared, history, split),
        tried=len(texts),
    )
