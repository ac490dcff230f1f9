"""A day is red where the champion is far above its own past and above the plain rule, and only there."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest

from pipeline.core.promotion.red import NEEDED, red_day
from pipeline.core.verdict import Outcome

DAYS = [(date(2024, 1, 1) + timedelta(n)).isoformat() for n in range(40)]
TODAY = DAYS[30]


def losses(champion: float, plain: float, noise: float = 0.02, before: int = 30) -> dict[str, dict[str, float]]:
    """Thirty days of a champion at 0.4 and a plain rule at 0.6, and a last one."""
    rng = np.random.default_rng(3)
    series = {"champion": 0.4, "plain": 0.6}
    past = {who: {day: level + noise * rng.normal() for day in DAYS[30 - before : 30]} for who, level in series.items()}
    return {"champion": {**past["champion"], TODAY: champion}, "plain": {**past["plain"], TODAY: plain}}


def judged(world: dict[str, dict[str, float]]) -> Outcome | None:
    found = red_day(TODAY, world, "champion", "plain")
    return None if found is None else found.outcome


@pytest.mark.parametrize(
    ("champion", "plain", "outcome"),
    [
        (0.41, 0.60, Outcome.PASS),  # a day like any other
        (0.95, 0.60, Outcome.FAIL),  # the champion alone is off
        (0.95, 1.20, Outcome.PASS),  # a hard day for everybody
        (0.58, 0.60, Outcome.PASS),  # far above its past, and still worth having
        (0.61, 0.605, Outcome.FAIL),  # barely worse than no model, and it was never near that
    ],
)
def test_a_day_is_red_where_the_champion_alone_is_far_off(champion: float, plain: float, outcome: Outcome) -> None:
    assert judged(losses(champion, plain)) is outcome


def test_too_few_days_say_nothing() -> None:
    assert judged(losses(0.95, 0.6, before=NEEDED - 1)) is Outcome.UNKNOWN
    assert judged(losses(0.95, 0.6, before=NEEDED)) is Outcome.FAIL


def test_a_side_that_was_not_scored_is_no_day_to_judge() -> None:
    for who in ("champion", "plain"):
        world = losses(0.95, 0.6)
        world[who][TODAY] = math.nan
        assert judged(world) is None


def test_a_day_without_the_plain_rule_is_no_evidence_of_what_is_usual() -> None:
    world = losses(0.95, 0.6)
    for day in DAYS[: 30 - NEEDED + 1]:
        world["plain"][day] = math.nan
    assert judged(world) is Outcome.UNKNOWN


def test_one_earlier_red_day_raises_the_bar_to_itself_and_no_further() -> None:
    world = losses(0.95, 0.6)
    world["champion"][DAYS[20]] = 0.9
    assert judged(world) is Outcome.FAIL
    world["champion"][DAYS[20]] = 1.0
    assert judged(world) is Outcome.PASS


def test_a_champion_that_always_was_worse_than_the_plain_rule_is_not_red_for_it() -> None:
    rng = np.random.default_rng(5)
    days = [*DAYS[:30], TODAY]
    world = {"champion": {day: 0.7 + 0.02 * rng.normal() for day in days}, "plain": dict.fromkeys(days, 0.6)}
    assert judged(world) is Outcome.PASS


@pytest.mark.parametrize(
    ("noise", "distance", "outcome"),
    [
        (0.02, 0.10, Outcome.PASS),  # beyond all that was seen, and not by five spreads
        (0.02, 0.16, Outcome.FAIL),
        (0.001, 0.03, Outcome.PASS),  # many spreads, and not a tenth of what it usually loses
        (0.001, 0.07, Outcome.FAIL),
    ],
)
def test_far_is_five_spreads_and_a_tenth_of_the_usual_loss(noise: float, distance: float, outcome: Outcome) -> None:
    """A champion that is as good as the plain rule, a little better and a little worse by turns."""
    past = {day: 0.6 + noise * (-1) ** n for n, day in enumerate(DAYS[:30])}
    world = {"champion": {**past, TODAY: 0.6 + distance}, "plain": dict.fromkeys([*DAYS[:30], TODAY], 0.6)}
    assert judged(world) is outcome


@pytest.mark.parametrize("units", [30, 300])
def test_sound_days_are_seldom_red(units: int) -> None:
    """A champion no better than the plain rule, whose noise is that of so many units, heavy-tailed by day."""
    rng = np.random.default_rng(11)
    red = 0
    for _ in range(400):
        noise = rng.standard_t(4, size=(2, 31)) / math.sqrt(units)
        world = {
            who: dict(zip([*DAYS[:30], TODAY], 0.6 + noise[n], strict=True))
            for n, who in enumerate(("champion", "plain"))
        }
        red += judged(world) is Outcome.FAIL
    assert red <= 4


def test_the_sentence_names_both_losses_and_what_is_usual() -> None:
    found = red_day(TODAY, losses(0.95, 0.6, noise=0), "champion", "plain")
    assert found is not None
    assert found.text == (
        f"the champion lost 0.95 on {TODAY}, usually 0.4 (137 % more); the plain rule lost 0.6, than which it was "
        "0.35 worse, usually 0.2 better"
    )
