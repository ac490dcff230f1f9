"""Things that come again, each against its own past: what no distribution of a column shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from pipeline.core.checks.learned.question import check_usual
from pipeline.core.checks.learned.things import levels_of, own_past
from pipeline.core.facts import Columns
from pipeline.core.tables import Column, Feed
from pipeline.core.verdict import Finding, Outcome

FIRST = date(2023, 1, 2)
FEED = Feed(
    name="lifts",
    path="lifts/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("lift", "string"),
        Column("lorry", "string"),
        Column("weight", "number"),
    ),
    key=("lift",),
    day="day",
)
LORRIES = np.array([f"l{n:02d}" for n in range(20)], dtype=object)
#: What a lorry's bins weigh, in the middle: each has its own round.
USUAL = np.linspace(20, 60, 20)
NUMBERS = [FEED.columns[3]]


def lifts(day: date, factor: float = 1.0) -> dict[str, Any]:
    """Sixteen lifts of each of twenty lorries."""
    rng = np.random.default_rng(day.toordinal())
    lorry = np.repeat(LORRIES, 16)
    return {
        "day": np.full(320, np.datetime64(day)),
        "lift": np.array([f"{day}-{n}" for n in range(320)], dtype=object),
        "lorry": lorry,
        "weight": np.round(np.repeat(USUAL, 16) * factor * np.exp(rng.normal(0, 0.3, 320)), 1),
    }


def judged(change: Callable[[Columns], Columns], days: int = 25) -> list[Finding]:
    """What the question on things says of two days that were changed, after so many that were not."""
    levels: dict[date, Any] = {}
    measures: dict[date, Any] = {}
    surprise: list[Any] = []
    odd: Any = {}
    found = []
    for n in range(days + 2):
        day = FIRST + timedelta(n)
        columns = lifts(day)
        columns = columns if n < days else dict(change(columns))
        now = levels_of(FEED, columns, NUMBERS)
        asked = {"rows|all": (float(len(columns["day"])), len(columns["day"])), **dict(own_past(day, now, levels))}
        learned = check_usual("lifts", day, asked, measures, surprise, odd, odd)
        levels[day], measures[day], odd = now, asked, learned.odd
        surprise.append(learned.surprise)
        found += [finding for finding in learned.findings if finding.name == "lifts: own past"]
    return found[-2:]


def _where(columns: Columns, rows: Any, values: Any) -> Columns:
    return {**columns, "weight": np.where(rows, values, columns["weight"])}


def test_a_usual_day_is_as_usual() -> None:
    assert [finding.outcome for finding in judged(lambda columns: columns)] == [Outcome.PASS] * 2


def test_heavier_bins_everywhere_are_nobodys_own() -> None:
    heavier = judged(lambda columns: {**columns, "weight": columns["weight"] * 1.3})
    assert [finding.outcome for finding in heavier] == [Outcome.PASS] * 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(
            lambda c: _where(c, np.isin(c["lorry"], LORRIES[3:6]), c["weight"] * 2.2),
            "of the 'lorry' are far from where they were in 'weight'",
            id="unit",
        ),
        pytest.param(lambda c: {**c, "weight": np.roll(c["weight"], 16 * 7)}, "of the 'lorry' are far", id="slipped"),
        pytest.param(
            lambda c: {
                **c,
                "lorry": np.select(
                    [c["lorry"] == name for name in ("l00", "l19", "l02", "l17")],
                    ["l19", "l00", "l17", "l02"],
                    c["lorry"],
                ),
            },
            "of the 'lorry' are far from where they were in 'weight'",
            id="two pairs exchanged",
        ),
        pytest.param(
            lambda c: {name: values[~np.isin(c["lorry"], LORRIES[:5])] for name, values in c.items()},
            "75.0% of the 'lorry' that come daily came",
            id="a shard is missing",
        ),
    ],
)
def test_a_fault_in_some_things_is_found_within_two_days(fault: Callable[[Columns], Columns], said: str) -> None:
    first, second = judged(fault)
    refused = next(finding for finding in (first, second) if finding.outcome is Outcome.FAIL)
    assert said in refused.text


def test_one_of_twenty_that_moved_house_is_no_fault() -> None:
    moved = judged(lambda c: _where(c, c["lorry"] == "l07", c["weight"] * 2.2))
    assert [finding.outcome for finding in moved] == [Outcome.PASS] * 2


def test_few_things_and_short_pasts_are_not_asked() -> None:
    levels = {FIRST + timedelta(n): levels_of(FEED, lifts(FIRST + timedelta(n)), NUMBERS) for n in range(4)}
    day = FIRST + timedelta(4)
    assert {name for name, _ in own_past(day, levels_of(FEED, lifts(day), NUMBERS), levels)} == {
        "came|lorry|daily",
        "own|weight|lorry",
        "astray|weight|lorry",
    }
    assert dict(own_past(day, levels_of(FEED, lifts(day), NUMBERS), dict(list(levels.items())[:2]))) == {}
    few = {name: values[np.isin(lifts(day)["lorry"], LORRIES[:9])] for name, values in lifts(day).items()}
    assert levels_of(FEED, few, NUMBERS) == {}


def test_of_many_things_the_same_ones_are_kept_every_day() -> None:
    """A meter that the hash leaves out is not known to be away."""
    meters = np.array([f"m{n}" for n in range(4000)], dtype=object)
    feed_columns = {
        "day": np.full(4000, np.datetime64(FIRST)),
        "lift": np.arange(4000).astype(str).astype(object),
        "lorry": meters,
        "weight": np.ones(4000),
    }
    now = levels_of(FEED, feed_columns, NUMBERS)
    some = np.random.default_rng(1).random(4000) < 0.9
    later = levels_of(FEED, {name: values[some] for name, values in feed_columns.items()}, NUMBERS)
    assert len(now["|lorry"]) == len(later["|lorry"]) == 64
    past = {FIRST + timedelta(n): now for n in range(4)}
    share, things = dict(own_past(FIRST + timedelta(4), later, past))["came|lorry|daily"]
    assert things > 50
    assert 0.8 < share < 0.97
