"""Limits that nobody sets: what is usual is learned, an odd day is ordinary life and a second one is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pipeline.core.checks.learned.associations import associations
from pipeline.core.checks.learned.families import limits, without_lone
from pipeline.core.checks.learned.feed import feed_measures
from pipeline.core.checks.learned.measures import BY_ROWS, BY_UNITS, MOST_IN_SLICES, ROWS
from pipeline.core.checks.learned.question import FamilyLimits, check_usual, sentence
from pipeline.core.checks.learned.resent import kept, remembered_of, resent_measures
from pipeline.core.checks.learned.slices import TIME_OF_DAY
from pipeline.core.checks.learned.surprise import NEEDED, Surprise, predicted, surprises
from pipeline.core.facts import Columns
from pipeline.core.tables import Column, Feed, Reference
from pipeline.core.verdict import Bound, Outcome

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
        self.odd: dict[str, Any] = {}
        self.provisional: dict[str, int] = {}

    def sell(self, plant: Callable[[Day], None] | None = None) -> set[str]:
        """The next day, with a fault or without; the families that refuse it."""
        tables = sales(self.day, self.rng)
        if plant:
            plant(tables)
        return self.judge("sales", feed_measures(FEED, tables))

    def judge(self, table: str, measures: Any) -> set[str]:
        checked = check_usual(table, self.day, measures, self.past, self.surprise, self.odd, self.provisional)
        rung = {f.name.removeprefix(f"{table}: ") for f in checked.findings if f.outcome is Outcome.FAIL}
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
    (counted,) = (s for s in surprises(predicted(sixty.day, now, past)) if s.measure == ROWS)
    (apart,) = (s for s in surprises(predicted(sixty.day, now, past, [ROWS])) if s.measure == ROWS)
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
    assert len(against - {TIME_OF_DAY}) == MOST_IN_SLICES
    assert {"level|c0|median", "level|c99|median"} <= set(found)


def test_a_list_that_says_something_else_at_once_stays_refused_however_much_of_it_changes_by_and_by() -> None:
    """A hundredth of the list changes every day: after a fortnight that would be all that is asked, if it added up."""

    def measured(changed: float) -> dict[str, tuple[float, int]]:
        return {ROWS: (1000.0, 1000), f"changed|area|{BY_ROWS}": (changed, 1000)}

    rng = np.random.default_rng(0)
    past = {FIRST + timedelta(n): measured(float(rng.uniform(0.008, 0.012))) for n in range(30)}
    odd: dict[str, Any] = {}
    for n in range(30, 60):
        checked = check_usual(
            "shops", FIRST + timedelta(n), measured(0.9), past, [{"rewritten content": 1.0}] * 20, odd
        )
        odd = dict(checked.odd)
        assert [f.name for f in checked.findings if f.outcome is Outcome.FAIL] == ["shops: rewritten content"], n


ORDERS = Feed(
    name="orders",
    path="orders/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("row", "integer"),
        Column("at", "timestamp"),
        Column("shop", "string"),
        Column("item", "string"),
        Column("weight", "number"),
        Column("paid", "number"),
        Column("stars", "integer"),
        Column("late", "number", outcome=True),
    ),
    key=("day", "row"),
    day="day",
    time="at",
)
ITEMS = Reference(
    name="items",
    path="items/{day}.csv",
    columns=(
        Column("item", "string"),
        Column("refreshed", "date"),
        Column("price", "number"),
        Column("kind", "string"),
    ),
    key=("item",),
    refreshed="refreshed",
    max_age=1,
    max_unchanged=None,
    joined_by=("orders", ("item",)),
    matched=Bound(0.9),
)


def items(day: date) -> Day:
    numbers = np.arange(60)
    return {
        "item": np.array([f"i{n}" for n in numbers], dtype=object),
        "refreshed": np.full(60, np.datetime64(day)),
        "price": 5.0 + numbers,
        "kind": np.array([f"kind {n % 5}" for n in numbers], dtype=object),
    }


def orders(day: date, rng: np.random.Generator) -> Day:
    """Heavier parcels are later, dearer items are paid more for, and two shops keep other hours."""
    n = 400 + int(rng.normal(0, 8))
    item = rng.integers(0, 60, n)
    shop = rng.choice(["north", "south", "west"], n)
    hours = np.where(shop == "west", rng.integers(14, 22, n), rng.integers(7, 15, n))
    weight = np.round(rng.gamma(2, 3, n), 2)
    minutes = rng.integers(0, 60, n).astype("m8[m]")
    return {
        "day": np.full(n, np.datetime64(day)),
        "row": np.arange(n, dtype=float),
        "at": np.datetime64(day).astype("datetime64[us]") + hours.astype("m8[h]") + minutes,
        "shop": shop.astype(object),
        "item": np.array([f"i{i}" for i in item], dtype=object),
        "weight": weight,
        "paid": np.round((5.0 + item) * rng.uniform(0.7, 1.3, n), 2),
        "stars": rng.choice([1.0, 2, 3, 4, 5], n, p=[0.1, 0.1, 0.2, 0.3, 0.3]),
        "late": np.round(4 * weight + rng.normal(0, 25, n), 1),
    }


class Warehouse(Shop):
    """Judges orders with the list of items that they look up, and remembers rows."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed)
        self.remembered: list[Any] = []

    def sell(self, plant: Callable[[Day], None] | None = None, listed: Callable[[Day], None] | None = None) -> set[str]:
        tables, known = orders(self.day, self.rng), items(self.day)
        if plant:
            plant(tables)
        if listed:
            listed(known)
        rows = remembered_of(ORDERS, tables)
        measures = feed_measures(ORDERS, tables, lists=[(ITEMS, known)])
        measures.update(resent_measures(rows, self.remembered))
        rung = self.judge("orders", measures)
        if not rung:
            self.remembered = [*self.remembered, {what: kept(digests) for what, digests in rows.items()}][-42:]
        return rung


@pytest.fixture(scope="module")
def warehouse() -> Warehouse:
    shop = Warehouse(5)
    assert shop.run(60) == 0
    return shop


SLIPS: dict[str, tuple[str, Callable[[Day], None]]] = {
    "outcomes are the next row's": ("associations", put("late", lambda t: np.roll(t["late"], 1))),
    "items are the next row's": ("associations", put("item", lambda t: np.roll(t["item"], 1))),
    "one shop's clock is four hours slow": (
        "slices",
        put("at", lambda t: np.where(t["shop"] == "north", t["at"] - np.timedelta64(4, "h"), t["at"])),
    ),
    "bad stars are not sent": ("levels", put("stars", lambda t: np.maximum(t["stars"], 3))),
    "a few weights are in grams": (
        "tails",
        put("weight", lambda t: np.where(t["row"] % 40 == 0, 1000 * t["weight"], t["weight"])),
    ),
}


@pytest.mark.parametrize("fault", SLIPS)
def test_what_slipped_by_a_row_or_an_hour_is_found_by_what_it_had_to_do_with_the_rest(
    warehouse: Warehouse, fault: str
) -> None:
    family, plant = SLIPS[fault]
    shop = fork(warehouse)
    rung = [shop.sell(plant) for _ in range(6)]
    assert any(family in names for names in rung[:2]), rung
    assert all(rung[1:]), rung
    assert not any(shop.sell() for _ in range(3))


def test_a_list_whose_rows_were_exchanged_is_found_by_the_orders_that_look_it_up(warehouse: Warehouse) -> None:
    def sorted_alone(listed: Day) -> None:
        listed["price"] = np.random.default_rng(3).permutation(listed["price"])

    shop = fork(warehouse)
    rung = [shop.sell(listed=sorted_alone) for _ in range(2)]
    assert any("associations" in names for names in rung), rung


def test_numbers_of_an_earlier_day_are_found_under_other_names(warehouse: Warehouse) -> None:
    shop = fork(warehouse)
    first = orders(shop.day, np.random.default_rng(99))
    shop.sell(lambda t: t.update({name: values.copy() for name, values in first.items()}))
    shop.sell()
    assert "said before" in shop.sell(half_of(first))


def half_of(earlier: Day) -> Callable[[Day], None]:
    def plant(tables: Day) -> None:
        half = min(len(tables["row"]), len(earlier["row"])) // 2
        for name in ("weight", "paid", "stars", "late"):
            tables[name][:half] = earlier[name][:half]

    return plant


def fork(shop: Warehouse) -> Warehouse:
    other = Warehouse()
    other.rng = np.random.default_rng(17)
    other.day, other.past, other.surprise = shop.day, dict(shop.past), list(shop.surprise)
    other.odd, other.provisional, other.remembered = dict(shop.odd), dict(shop.provisional), list(shop.remembered)
    return other


def test_the_days_of_a_week_are_compared_with_their_like() -> None:
    """A shop that is nearly closed on Sundays: a Monday without its evening is odd, though Sundays have none."""

    def plant(tables: Day, sunday: bool) -> None:
        hours = tables["at"].astype("datetime64[h]").astype(int) % 24
        kept = hours < 12 if sunday else hours < 24
        for name in tables:
            tables[name] = tables[name][kept]

    shop = Shop(8)
    for _ in range(70):
        sunday = shop.day.weekday() == 6
        assert not shop.sell(lambda t, sunday=sunday: plant(t, sunday)), shop.day  # type: ignore[misc]
    while shop.day.weekday() not in (0, 1):
        sunday = shop.day.weekday() == 6
        assert not shop.sell(lambda t, sunday=sunday: plant(t, sunday))  # type: ignore[misc]
    assert any(shop.sell(lambda t: plant(t, sunday=True)) for _ in range(2))


def test_one_holiday_widens_no_limit_on_two_odd_days() -> None:
    calm = [2.0 + 0.1 * (n % 5) for n in range(30)]
    assert limits(without_lone([*calm, 28.0]))[0] == pytest.approx(limits(calm)[0], rel=0.05)
    assert limits([*calm, 28.0])[1] > 1.5 * limits(calm)[1]
    assert without_lone(calm[:10]) == sorted(calm[:10])


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_associations_are_what_their_papers_say(strength: float) -> None:
    rng = np.random.default_rng(4)
    n = 4000
    word = rng.integers(0, 4, n)
    other = np.where(rng.random(n) < strength, word, rng.integers(0, 4, n))
    number = strength * word + (1 - strength) * rng.normal(0, 1, n) * 1.0
    found = dict(
        associations(
            {"a": number, "b": number + (1 - strength) * rng.normal(0, 1, n)},
            [("w", word, list("abcd")), ("v", other, list("abcd"))],
        )
    )
    table = np.zeros((4, 4), dtype=int)
    np.add.at(table, (word, other), 1)
    plain = stats.contingency.association(table, method="cramer") ** 2
    assert found["hints|w|v"][0] == pytest.approx(plain, abs=0.005)
    if strength == 0:
        assert found["hints|w|v"][0] < 0.002
        assert found["hints|w|a"][0] < 0.002
    if strength == 1:
        assert found["hints|w|a"][0] > 0.99


def test_the_rank_correlation_is_spearmans_over_the_rows_that_have_both() -> None:
    rng = np.random.default_rng(6)
    one, other = rng.normal(size=500), rng.normal(size=500)
    other += one
    found = dict(associations({"a": one, "b": other}, []))
    assert found["tied|a|b"][0] == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-12)
    one[::3], other[1::3] = np.nan, np.nan
    both = np.isfinite(one) & np.isfinite(other)
    found = dict(associations({"a": one, "b": other}, []))
    assert found["tied|a|b"] == (pytest.approx(stats.spearmanr(one[both], other[both]).statistic, abs=0.02), both.sum())


def odd_one(measure: str, value: float, usual: float, size: float) -> Surprise:
    return Surprise(measure, value, usual, size, 30)


def test_a_weekday_of_which_too_few_are_known_is_refused_by_no_single_surprise() -> None:
    huge = odd_one("tied|a|b", 0.0, 0.9, 90.0)
    assert FamilyLimits("associations", [2.0] * 30, seen=2).rings(huge, 0)
    assert not FamilyLimits("associations", [2.0] * 30, seen=1).rings(huge, 0)
    assert FamilyLimits("associations", [2.0] * 30, seen=1).rings(huge, 1), "a second odd day is refused all the same"


def test_a_value_that_some_rows_have_for_the_first_time_is_odd_and_refused_if_it_lasts() -> None:
    limit = FamilyLimits("single values", [2.0] * 30, seen=4)
    some, every = (odd_one("single|cloud|zero", share, 0.0, 90.0) for share in (0.4, 0.95))
    assert not limit.rings(some, 0)
    assert limit.rings(some, 1)
    assert limit.rings(every, 0)
    assert limit.rings(odd_one("single|cloud|zero", 0.4, 0.1, 90.0), 0)


def test_more_rows_must_stray_twice_as_far_as_fewer() -> None:
    limit = FamilyLimits("volume", [2.0] * 30, seen=4)
    assert limit.rings(odd_one(ROWS, 50.0, 100.0, -1.5 * limit.narrow), -1)
    assert not limit.rings(odd_one(ROWS, 200.0, 100.0, 1.5 * limit.narrow), 1)
    assert limit.rings(odd_one(ROWS, 400.0, 100.0, 2.5 * limit.narrow), 1)


@pytest.mark.parametrize("measured", [True, False])
def test_what_a_closed_sunday_never_measures_is_not_expected_of_one(measured: bool) -> None:
    rng = np.random.default_rng(2)

    def of(day: date) -> dict[str, tuple[float, int]]:
        there = measured or day.weekday() != 6
        some = {"hints|hour|doors": (0.7 + 0.01 * float(rng.normal()), 300)} if there else {}
        return {ROWS: (300.0, 300), **some}

    days = [FIRST + timedelta(n) for n in range(41)]
    sunday = FIRST + timedelta(41)
    assert sunday.weekday() == 6
    found = surprises(
        predicted(sunday, {ROWS: (300.0, 300), "hints|hour|doors": (0.0, 300)}, {day: of(day) for day in days})
    )
    assert any(one.measure == "hints|hour|doors" for one in found) == measured


def test_a_weekday_is_compared_with_weekdays_however_unlike_they_are_to_sundays() -> None:
    rng = np.random.default_rng(2)

    def of(day: date) -> dict[str, tuple[float, int]]:
        share = (0.02 if day.weekday() > 4 else 0.1 + 0.005 * (day - FIRST).days) + 0.004 * float(rng.normal())
        return {ROWS: (2000.0, 2000), "share|hour=18": (share, 2000)}

    days = [FIRST + timedelta(n) for n in range(42)]
    monday = FIRST + timedelta(42)
    now = {ROWS: (2000.0, 2000), "share|hour=18": (0.2, 2000)}
    (one,) = [
        found for found in surprises(predicted(monday, now, {day: of(day) for day in days})) if "hour" in found.measure
    ]
    assert one.usual == pytest.approx(0.3, abs=0.03), "the days before grew from a tenth to three"
    assert one.size < -3.5, "weekends would lend it their spread"
