"""The search of a replay: many policies on the first part of the history, the best of them judged on the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.core.gates.better import Better
from pipeline.core.ports import World
from pipeline.core.replay.cost import Yardstick
from pipeline.core.replay.figures import PolicyFigures, loss_difference, policy_figures
from pipeline.core.replay.player import Replayer, Timeline
from pipeline.core.replay.policy import Policy, with_changes
from pipeline.core.replay.result import Proposal

#: The part of the history on which a search chooses.
CHOSEN_ON = 0.6
#: What is tried of the gate that decides; then, for the cheapest so far, what is in :func:`_second_round`.
PRICES, BY_CHANCE = (0.02, 0.05, 0.12, 0.3), (1, 12, 365)


def rank(figures: PolicyFigures) -> tuple[bool, float]:
    """Orders by served loss; what is not known comes last."""
    return not np.isfinite(figures.loss), figures.loss


def search_policy(
    player: Replayer, declared: Timeline, daily: Sequence[Timeline], price: float, world: World
) -> tuple[tuple[tuple[str, float, int], ...], Proposal]:
    """The policy with the least total cost on the first part, and what it cost on the rest.

    Args:
        player: Replays policies.
        declared: What the declared policy did.
        daily: What each recipe shipped daily did.
        price: The declared price of a promotion, which all are measured with, whatever price they decide by.
        world: For the progress.

    Returns:
        Of every policy tried its name, loss and promotions over all days; and the proposal.

    Raises:
        UsageError: One of the parts has no labelled day, or no loss to measure with.
    """
    history, first, policy = player.history, player.first, declared.policy
    split = first + int((len(history) - first) * CHOSEN_ON)
    best = min(daily, key=lambda habit: rank(policy_figures(habit, history, first, split)))
    ends = ((first, split), (split, len(history)))
    yardsticks = [Yardstick.of(best, history, price, *part) for part in ends]
    if None in yardsticks:
        raise UsageError("a search needs labelled days to choose on and others to judge on: replay more days", "EARLY")

    def figures(timeline: Timeline, part: int) -> PolicyFigures:
        return policy_figures(timeline, history, *ends[part], yardsticks[part])

    tried: list[tuple[Timeline, PolicyFigures]] = []
    rounds = (_first_round(policy), _second_round(policy))
    with world.progress("search", sum(len(texts) for texts in rounds)) as done:
        for texts in rounds:
            so_far = min(tried, key=lambda trial: trial[1].cost)[0].policy if tried else policy
            for text in texts:
                timeline = player.run(with_changes(so_far, text))
                name = text if so_far is policy else f"{so_far.name},{text}"
                timeline = replace(timeline, policy=replace(timeline.policy, name=name))
                tried.append((timeline, figures(timeline, 0)))
                done()
    timeline, chosen = min(tried, key=lambda trial: trial[1].cost)
    everything = [policy_figures(tried_timeline, history) for tried_timeline, _ in tried]
    points = [
        (tried_timeline.policy.name, its_figures.loss, its_figures.promotions)
        for (tried_timeline, _), its_figures in zip(tried, everything, strict=True)
    ]
    return tuple(points), Proposal(
        name=timeline.policy.name,
        split=split,
        chosen=chosen,
        judged=figures(timeline, 1),
        declared_chosen=figures(declared, 0),
        declared_judged=figures(declared, 1),
        daily=best.policy.name,
        daily_chosen=figures(best, 0),
        daily_judged=figures(best, 1),
        difference=loss_difference(timeline, declared, history, split),
        tried=len(tried),
    )


def _first_round(policy: Policy) -> list[str]:
    """Which recipes, what a promotion must save, and how sure that must be: one of them binds."""
    several = len(policy.recipes) > 1
    sets = ["", *(f",recipes={name}" for name in policy.recipes)] if several else [""]
    return [
        f"price={price},by_chance={by_chance}{recipes}"
        for recipes in sets
        for by_chance in BY_CHANCE
        for price in PRICES
    ]


def _second_round(policy: Policy) -> list[str]:
    """What else the cheapest of the first round may change."""
    other_ship = "scored" if policy.ship == "refit" else "refit"
    rest = [gate.name.replace(" ", "_") for gate in policy.gates if not isinstance(gate, Better)]
    alone = ["gates=better"] if rest else []
    return [f"ship={other_ship}", *alone, *(f"switch_price={price}" for price in (0.1, 0.25, 1.0))]
