"""Sums: what two contestants lost on a day is compared only where both sat the same units in the same blocks."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np

from pipeline.core.evidence.paired_days import AGES
from pipeline.core.ports import World
from pipeline.steps.tables.block_losses import BlockLosses, _Losses
from tests import small

DAY, BEFORE = date(2020, 1, 9), date(2020, 1, 8)


def sat(blocks: str, losses: float = 1.0, units: int = 3) -> _Losses:
    n = len(blocks)
    return _Losses("model", "now", np.array(list(blocks)), np.full(n, units), np.full(n, losses))


def test_a_day_on_which_two_sat_other_blocks_or_units_is_no_evidence() -> None:
    for other in (sat("ac"), sat("abc"), sat("ab", units=2)):
        sums = BlockLosses(
            {("champion", 0): {BEFORE: sat("ab"), DAY: sat("ab")}, ("fresh", 0): {BEFORE: other, DAY: sat("ab")}}, DAY
        )
        track = sums.head_to_head("model", "fresh", "now", date(2020, 1, 1))
        assert track.days.tolist() == [DAY]


def test_fits_of_several_ages_that_sat_other_blocks_are_not_added_up() -> None:
    ages = {("one", age): {DAY: sat("ab")} for age in AGES} | {("other", age): {DAY: sat("ab")} for age in AGES}
    assert len(BlockLosses(ages, DAY).recipes_head_to_head(("one", "now"), ("other", "now"), BEFORE)) == 1
    odd = ages | {("other", AGES[-1]): {DAY: sat("abc")}}
    assert len(BlockLosses(odd, DAY).recipes_head_to_head(("one", "now"), ("other", "now"), BEFORE)) == 0


def test_a_recipe_run_again_alone_after_the_block_was_declared_anew_stops_no_later_day(
    world: World,
) -> None:
    for day in small.days(7)[2:]:
        small.run_day(small.SMALL, day, world)
    changed = dataclasses.replace(small.SMALL, block=("visit",))
    small.run_day(changed, small.days(7)[-1], world, ("forest",))
    assert small.run_day(changed, small.days(8)[-1], world).outcome in ("held", "promoted")
