"""Rows keep their order through everything, so that what ties comes out the same of many rows and of few."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
import pytest

from pipeline.adapters.engine.frames import lazy

NUMBER = 20_000
GROUPS = np.random.default_rng(0).integers(0, 5, NUMBER)
ROWS = pl.DataFrame({"i": np.arange(NUMBER), "g": GROUPS, "word": [f"w{group}" for group in GROUPS]})
FEW = pl.DataFrame({"g": [3, 1, 4, 0, 2], "v": [0, 1, 2, 3, 4]})


def made(frame: Any) -> Any:
    return frame.collect().to_native()


@pytest.mark.parametrize("by", [["g"], ["word"], ["g", "word"]])
@pytest.mark.parametrize("descending", [False, True])
def test_a_sort_leaves_rows_that_tie_in_their_order(by: list[str], descending: bool) -> None:
    found = made(lazy(ROWS.lazy()).sort(*by, descending=descending))
    wanted = np.lexsort((np.arange(NUMBER), -GROUPS if descending else GROUPS))
    np.testing.assert_array_equal(found["i"].to_numpy(), wanted)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_first_of_those_that_tie_are_at_the_top(reverse: bool) -> None:
    found = made(lazy(ROWS.lazy()).top_k(3, by="g", reverse=reverse))
    np.testing.assert_array_equal(found["i"].to_numpy(), np.flatnonzero((0 if reverse else 4) == GROUPS)[:3])


def test_one_row_a_group_is_the_first_in_the_order_of_the_groups_first_rows() -> None:
    found = made(lazy(ROWS.lazy()).unique(subset=["g"]))
    firsts = sorted(int(np.flatnonzero(group == GROUPS)[0]) for group in range(5))
    assert found["i"].to_list() == firsts


@pytest.mark.parametrize("how", ["left", "inner"])
def test_a_join_keeps_the_order_of_the_left_rows_and_then_of_the_right(how: Any) -> None:
    many_left = made(lazy(ROWS.lazy()).join(lazy(FEW.lazy()), on="g", how=how))
    np.testing.assert_array_equal(many_left["i"].to_numpy(), np.arange(NUMBER))
    many_right = made(lazy(FEW.lazy()).join(lazy(ROWS.lazy()), on="g", how=how))
    wanted = np.concatenate([np.flatnonzero(group == GROUPS) for group in FEW["g"].to_list()])
    np.testing.assert_array_equal(many_right["i"].to_numpy(), wanted)


def test_groups_come_in_the_order_of_their_first_rows() -> None:
    found = made(lazy(ROWS.lazy()).with_columns(key=nw.col("i") * 7919 % 5003).group_by("key").agg(nw.col("i").min()))
    assert found["i"].to_list() == sorted(found["i"].to_list())
