"""A sensor that is stuck, means in place of readings, and a column of another day: only the order or the name tells."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from pipeline.core.checks.learned.feed import feed_measures
from pipeline.core.checks.learned.question import check_usual
from pipeline.core.checks.learned.resent import kept, remembered_of, resent_measures
from pipeline.core.checks.learned.row_digests import digests_of
from pipeline.core.tables import Column, Feed
from pipeline.core.verdict import Outcome

FIRST = date(2024, 3, 4)
SENSORS, HOURS = 30, 24
READINGS = Feed(
    name="readings",
    path="readings/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("sensor", "string"),
        Column("at", "timestamp"),
        Column("warmth", "number"),
        Column("power", "number"),
    ),
    key=("day", "sensor", "at"),
    day="day",
    time="at",
)

Columns = dict[str, Any]


def readings(n: int) -> Columns:
    """A day: each sensor's warmth wanders from hour to hour about its own level; rows come in no order."""
    rng = np.random.default_rng(n)
    level = np.random.default_rng(1).normal(4, 2, SENSORS)
    wander = np.cumsum(rng.normal(0, 0.3, (SENSORS, HOURS)), axis=1)
    day = np.datetime64(FIRST + timedelta(n))
    columns = {
        "day": np.full(SENSORS * HOURS, day),
        "sensor": np.repeat([f"s{k}" for k in range(SENSORS)], HOURS).astype(object),
        "at": np.tile(day.astype("datetime64[us]") + np.arange(HOURS) * np.timedelta64(1, "h"), SENSORS),
        "warmth": np.round(level[:, None] + wander, 2).ravel(),
        "power": np.round(rng.gamma(4, 1, SENSORS * HOURS), 3),
    }
    order = rng.permutation(SENSORS * HOURS)
    return {name: values[order] for name, values in columns.items()}


def refusals(plant: Callable[[Columns], None], days: int = 25) -> dict[str, int]:
    """Family to the day, 1 or 2, on which it refuses what was planted after so many sound days."""
    past: dict[date, Any] = {}
    surprise: list[Any] = []
    told: list[Any] = []
    odd: Any = {}
    provisional: Any = {}
    found: dict[str, int] = {}
    for n in range(days + 2):
        columns = readings(n)
        if n >= days:
            plant(columns)
        said = remembered_of(READINGS, columns)
        measures = {**feed_measures(READINGS, columns), **dict(resent_measures(said, told))}
        learned = check_usual("readings", FIRST + timedelta(n), measures, past, surprise, odd, provisional)
        refused = [f.name.removeprefix("readings: ") for f in learned.findings if f.outcome is Outcome.FAIL]
        odd, provisional = learned.odd, {}
        for family in refused:
            assert n >= days, f"{family} on the sound day {n}"
            found.setdefault(family, n - days + 1)
        if not refused:
            provisional = odd
            past[FIRST + timedelta(n)] = measures
            surprise.append(learned.surprise)
            told.append({what: kept(digests) for what, digests in said.items()})
    return found


def stuck(columns: Columns) -> None:
    """Six of thirty sensors say all day what they said first."""
    for name in ("s3", "s7", "s11", "s15", "s19", "s23"):
        mine = columns["sensor"] == name
        columns["warmth"][mine] = columns["warmth"][mine][0]


def smooth(columns: Columns) -> None:
    """Means of nine hours in place of readings."""
    for k in range(SENSORS):
        mine = np.flatnonzero(columns["sensor"] == f"s{k}")
        mine = mine[np.argsort(columns["at"][mine])]
        padded = np.pad(columns["warmth"][mine], 4, mode="edge")
        columns["warmth"][mine] = np.round(np.convolve(padded, np.ones(9) / 9, "valid"), 2)


def shuffled(columns: Columns) -> None:
    """Each sensor's warmth is that of another hour of its own day."""
    rng = np.random.default_rng(5)
    for k in range(SENSORS):
        mine = columns["sensor"] == f"s{k}"
        columns["warmth"][mine] = rng.permutation(columns["warmth"][mine])


def of_another_day(columns: Columns) -> None:
    """Five sensors' power is that of a past day, under their own names and hours; all else is made anew."""
    old = readings(22)
    ago = columns["day"][0] - old["day"][0]
    at = dict(zip(zip(old["sensor"], old["at"] + ago, strict=True), old["power"], strict=True))
    for n, key in enumerate(zip(columns["sensor"], columns["at"], strict=True)):
        if key[0] in ("s1", "s2", "s4", "s5", "s6"):
            columns["power"][n] = at[key]


@pytest.mark.parametrize(
    ("plant", "family", "day"),
    [(stuck, "sequences", 1), (smooth, "sequences", 1), (shuffled, "sequences", 2), (of_another_day, "said before", 1)],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
def test_what_only_the_order_or_the_name_tells_is_found(
    plant: Callable[[Columns], None], family: str, day: int
) -> None:
    assert refusals(plant).get(family) == day


def test_nothing_rings_where_nothing_is_wrong() -> None:
    assert refusals(lambda columns: None) == {}


def test_the_order_of_the_file_means_nothing() -> None:
    columns = readings(3)
    order = np.random.default_rng(0).permutation(SENSORS * HOURS)
    other = {name: values[order] for name, values in columns.items()}
    one, another = feed_measures(READINGS, columns), feed_measures(READINGS, other)
    assert one.keys() == another.keys()
    for name, (value, n) in one.items():
        assert another[name] == (pytest.approx(value, abs=1e-12), n), name
    assert remembered_of(READINGS, columns) == remembered_of(READINGS, other)


def test_things_with_few_rows_have_no_sequence() -> None:
    columns = readings(3)
    columns["sensor"] = np.array([f"t{n // 2}" for n in range(SENSORS * HOURS)], dtype=object)
    assert not [name for name in feed_measures(READINGS, columns) if name.startswith(("still|", "step|"))]


def test_rows_without_a_name_follow_nobody() -> None:
    columns = readings(3)
    columns["sensor"][columns["sensor"] == "s3"] = None
    columns["warmth"][[name is None for name in columns["sensor"]]] = 7.0
    still = feed_measures(READINGS, columns)["still|warmth|sensor"]
    assert still[1] == (SENSORS - 1) * (HOURS - 1)
    assert still[0] < 0.1


def test_rows_of_the_same_values_have_the_same_number_and_others_another() -> None:
    values = np.array([1.5, -0.0, 0.0, np.nan, 2.0])
    words = np.array(["a", "b", "b", None, "a"], dtype=object)
    told = digests_of([values, words])
    assert told[1] == told[2]
    assert len({*told.tolist()}) == 4
    # These must not change: profiles of earlier days hold them.
    assert digests_of([np.array([1.5]), np.array(["a"], dtype=object)]).tolist() == [TOLD]
    assert digests_of([np.array(["a"], dtype=object), np.array([1.5])]).tolist() != [TOLD]


TOLD = 8536728358918613593


def test_a_price_that_often_stays_has_no_steps() -> None:
    columns = readings(3)
    for k in range(SENSORS):  # each has its own price, which changes in two hours of three
        mine = np.flatnonzero(columns["sensor"] == f"s{k}")
        mine = mine[np.argsort(columns["at"][mine])]
        columns["warmth"][mine] = np.repeat(k + 0.01 * np.arange(HOURS * 2 // 3), [2, 1] * (HOURS // 3))
    measures = feed_measures(READINGS, columns)
    assert "still|warmth|sensor" in measures
    assert "step|warmth|sensor" not in measures
    assert "step|power|sensor" in measures
