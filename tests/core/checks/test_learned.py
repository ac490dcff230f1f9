"""Limits that nobody sets: what is usual is learned, an odd day is ordinary life and a second one is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pipeline.core.checks.learned.families import limits
from pipeline.core.checks.learned.feed import feed_measures
from pipeline.core.checks.learned.measures import BY_ROWS, BY_UNITS, MOST_IN_SLICES, ROWS
from pipeline.core.checks.learned.question import check_usual, sentence
from pipeline.core.checks.learned.surprise import NEEDED, Surprise, surprises
from pipeline.core.facts import Columns
from pipeline.core.tables import Column, Feed
from pipeline.core.verdict import Outcome

FIRST = date(2023, 1, 2)
FEED = Feed(
    name="sales",
    path="sales/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("row", "integer"),
        Column("at", "timestamp"),
        Column("branch", "string"),
        Column("net", "number"),
        Column("gross", "number"),
        Column("coupon", "string", empty=True),
        Column("paid_after", "number", empty=True, outcome=True),
    ),
    key=("day", "row"),
    day="day",
    time="at",
)

Day = dict[str, Any]


def sales(day: date, rng: np.random.Generator) -> Day:
    """Three hundred sales and more towards the weekend; a mild season in what is spent."""
    n = 300 + 40 * (day.weekday() > 3) + int(rng.normal(0, 8))
    net = np.round(rng.gamma(2, 20 + 4 * np.sin(day.toordinal() / 30), n), 2)
    paid = np.round(rng.gamma(2, 3, n), 1)
    paid[rng.random(n) < 0.05] = np.nan
    hours = rng.integers(8, 20, n)
    return {
        "day": np.full(n, np.datetime64(day)),
        "row": np.arange(n, dtype=float),
        "at": np.datetime64(day).astype("datetime64[us]") + hours.astype("m8[h]"),
        "branch": rng.choice(["bath", "hull", "york", "leeds"], n, p=[0.4, 0.3, 0.2, 0.1]).astype(object),
        "net": net,
        "gross": np.round(net * 1.2, 2),
        "coupon": np.where(rng.random(n) < 0.3, "ten", None).astype(object),
        "paid_after": paid,
    }


class Shop:
    """Judges day after day as validation does."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.day = FIRST
        self.past: dict[date, Any] = {}
        self.surprise: list[Any] = []
        self.odd: dict[str, int] = {}
        self.provisional: dict[str, int] = {}

    def sell(self, plant: Callable[[Day], None] | None = None) -> set[str]:
        """The next day, with a fault or without; the families that refuse it."""
        tables = sales(self.day, self.rng)
        if plant:
            plant(tables)
        measures = feed_measures(FEED, tables)
        checked = check_usual("sales", self.day, measures, self.past, self.surprise, self.odd, self.provisional)
        rung = {f.name.removeprefix("sales: ") for f in checked.findings if f.outcome is Outcome.FAIL}
        self.odd = dict(checked.odd)
        if not rung:
            self.past[self.day] = measures
            self.past = dict(list(self.past.items())[-42:])
            self.surprise = [*self.surprise, checked.surprise][-42:]
            self.provisional = dict(checked.odd)
        self.day += timedelta(1)
        return rung

    def run(self, days: int) -> int:
        """So many sound days; how many of them were refused."""
        return sum(bool(self.sell()) for _ in range(days))


@pytest.mark.parametrize("seed", range(6))
def test_sound_days_are_not_refused_from_the_first_day_on(seed: int) -> None:
    assert Shop(seed).run(120) <= 1


def test_before_enough_days_are_known_nothing_is_asked_and_it_is_said() -> None:
    checked = check_usual("sales", FIRST, feed_measures(FEED, sales(FIRST, np.random.default_rng(0))), {}, [], {})
    (finding,) = checked.findings
    assert finding.outcome is Outcome.UNKNOWN
    assert not finding.required
    assert f"needs {NEEDED} accepted days" in finding.text


def only(which: Callable[[Day], Any]) -> Callable[[Day], None]:
    def plant(tables: Day) -> None:
        kept = which(tables)
        for name in tables:
            tables[name] = tables[name][kept]

    return plant


def put(name: str, how: Callable[[Day], Any]) -> Callable[[Day], None]:
    def plant(tables: Day) -> None:
        tables[name] = how(tables)

    return plant


def in_branch(word: str, tables: Day) -> Any:
    return tables["branch"] == word


FAULTS: dict[str, tuple[str, Callable[[Day], None]]] = {
    "a branch is half missing": ("volume", only(lambda t: ~in_branch("bath", t) | (np.arange(len(t["net"])) % 2 == 0))),
    "an afternoon is missing": ("volume", only(lambda t: t["at"].astype("datetime64[h]").astype(int) % 24 < 16)),
    "slow payers are still open": (
        "outcomes",
        put("paid_after", lambda t: np.where(t["paid_after"] > 8, np.nan, t["paid_after"])),
    ),
    "coupons are blank in one branch": (
        "blanks",
        put("coupon", lambda t: np.where(in_branch("bath", t), None, t["coupon"])),
    ),
    "what is long is capped": ("single values", put("paid_after", lambda t: np.minimum(t["paid_after"], 9.0))),
    "what is short is zero": (
        "single values",
        put("paid_after", lambda t: np.where(t["paid_after"] < 3, 0.0, t["paid_after"])),
    ),
    "amounts are in pence": ("levels", put("net", lambda t: t["net"] * 100)),
    "one branch has another currency": (
        "slices",
        put("net", lambda t: np.where(in_branch("hull", t), t["net"] * 5, t["net"])),
    ),
    "gross is another row's": ("relations", put("gross", lambda t: np.roll(t["gross"], 1))),
    "gross has no tax any more": ("relations", put("gross", lambda t: t["net"] * 1.07)),
}


@pytest.fixture(scope="module")
def sixty() -> Shop:
    shop = Shop(3)
    shop.run(60)
    return shop


def copy_of(shop: Shop) -> Shop:
    other = Shop()
    other.rng = np.random.default_rng(17)
    other.day, other.past, other.surprise = shop.day, dict(shop.past), list(shop.surprise)
    other.odd, other.provisional = dict(shop.odd), dict(shop.provisional)
    return other


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_within_two_days_and_stays_found(sixty: Shop, fault: str) -> None:
    family, plant = FAULTS[fault]
    shop = copy_of(sixty)
    rung = [shop.sell(plant) for _ in range(12)]
    assert any(family in names for names in rung[:2]), rung
    assert all(rung[1:]), "an alarm that falls silent by turns is believed by nobody"
    assert not any(shop.sell() for _ in range(3)), "once it is mended the next days are accepted"


def test_one_odd_day_is_ordinary_life_and_a_second_one_is_none(sixty: Shop) -> None:
    quiet = only(lambda t: np.arange(len(t["net"])) % 3 > 0)
    shop = copy_of(sixty)
    assert not shop.sell(quiet)
    assert not shop.sell()
    shop = copy_of(sixty)
    assert not shop.sell(quiet)
    assert shop.sell(quiet) == {"volume"}


def test_a_branch_that_opens_and_business_that_grows_are_no_fault(sixty: Shop) -> None:
    shop = copy_of(sixty)

    def opened(tables: Day) -> None:
        tables["branch"][tables["row"] % 9 == 0] = "ripon"

    assert not any(shop.sell(opened) for _ in range(30))


def test_clocks_that_are_put_forward_move_no_hour() -> None:
    """Hours kept by the clock of the country, told in UTC: from late March on all come an hour earlier."""
    shop = Shop(5)

    def local(tables: Day) -> None:
        if tables["day"][0] >= np.datetime64("2023-03-26"):
            tables["at"] = tables["at"] - np.timedelta64(1, "h")

    refused = [shop.day for _ in range(110) if shop.sell(local)]
    assert not refused
    assert [shop.sell(lambda t: t.update(at=t["at"] - np.timedelta64(2, "h"))) for _ in range(2)][1] == {"volume"}


def test_a_value_that_was_odd_yesterday_is_no_past_yet(sixty: Shop) -> None:
    last = max(sixty.past)
    names = list(sixty.past[last])
    past = {**sixty.past, last: {**sixty.past[last], ROWS: (30.0, 30)}}
    now = feed_measures(FEED, sales(sixty.day, np.random.default_rng(2)))
    now[ROWS] = (30.0, 30)
    (counted,) = (s for s in surprises(sixty.day, now, past) if s.measure == ROWS)
    (apart,) = (s for s in surprises(sixty.day, now, past, [ROWS]) if s.measure == ROWS)
    assert abs(counted.size) < 4 < 20 < abs(apart.size)
    assert ROWS in names


def test_the_limit_is_the_prediction_limit_of_a_normal_logarithm() -> None:
    rng = np.random.default_rng(0)
    beyond = []
    for _ in range(4000):
        *known, new = np.exp(rng.normal(1.5, 0.5, 22))
        beyond.append(new > limits(known)[0])
    # One in two hundred is promised; where the least limit binds there are fewer.
    assert stats.binomtest(sum(beyond), len(beyond), 5e-3).pvalue > 1e-3 or np.mean(beyond) < 5e-3


def test_a_day_without_rows_has_no_measure_but_that() -> None:
    empty: Columns = {name: values[:0] for name, values in sales(FIRST, np.random.default_rng(0)).items()}
    assert feed_measures(FEED, empty) == {ROWS: (0.0, 0)}


def test_a_table_that_never_moves_is_as_usual_and_not_too_young() -> None:
    quiet = {ROWS: (50.0, 50), f"filled|area|{BY_ROWS}": (1.0, 50)}
    past = {FIRST + timedelta(n): quiet for n in range(30)}
    checked = check_usual("shops", FIRST + timedelta(30), quiet, past, [], {})
    assert {finding.outcome for finding in checked.findings} == {Outcome.PASS}
    assert checked.surprise == {"volume": 0.0, "blanks": 0.0}


@pytest.mark.parametrize("name", ["rows", "units", "local hour", "a|b", "a=b"])
def test_a_column_may_be_called_as_it_likes(name: str) -> None:
    for measure in (f"filled|{name}", f"order|net|{name}", f"level|{name}|median", f"single|{name}|zero|{name}=x"):
        assert name.split("|", maxsplit=1)[0] in sentence(Surprise(measure, 0.5, 0.1, 9.0, 30))
    assert "units that look it up" in sentence(Surprise(f"filled|{name}|{BY_UNITS}", 0.5, 0.1, 9.0, 30))


def test_a_moment_that_no_calendar_reaches_is_left_to_the_question_on_dates() -> None:
    tables = sales(FIRST, np.random.default_rng(0))
    tables["at"][:2] = [np.datetime64("0001-01-01"), np.datetime64("20000-01-01")]
    assert feed_measures(FEED, tables, "America/New_York")[ROWS][0] == len(tables["net"])


def test_a_table_of_hundreds_of_columns_is_measured_in_slices_by_the_first_of_them() -> None:
    tables = sales(FIRST, np.random.default_rng(0))
    wide = replace(FEED, columns=(*FEED.columns, *(Column(f"c{n}", "number") for n in range(100))))
    found = feed_measures(wide, {**tables, **{f"c{n}": tables["net"] + n for n in range(100)}})
    against = {name.split("|")[1] for name in found if name.startswith("against|")}
    assert len(against) == MOST_IN_SLICES
    assert {"level|c0|median", "level|c99|median"} <= set(found)


def test_a_list_that_says_something_else_at_once_stays_refused_however_much_of_it_changes_by_and_by() -> None:
    """A hundredth of the list changes every day: after a fortnight that would be all that is asked, if it added up."""

    def measured(changed: float) -> dict[str, tuple[float, int]]:
        return {ROWS: (1000.0, 1000), f"changed|area|{BY_ROWS}": (changed, 1000)}

    rng = np.random.default_rng(0)
    past = {FIRST + timedelta(n): measured(float(rng.uniform(0.008, 0.012))) for n in range(30)}
    odd: dict[str, int] = {}
    for n in range(30, 60):
        checked = check_usual(
            "shops", FIRST + timedelta(n), measured(0.9), past, [{"rewritten content": 1.0}] * 20, odd
        )
        odd = dict(checked.odd)
        assert [f.name for f in checked.findings if f.outcome is Outcome.FAIL] == ["shops: rewritten content"], n
