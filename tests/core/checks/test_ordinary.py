"""Ordinary life that looks like a fault: a new price list, a branch that closes, a newcomer with prices of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from pipeline.core.checks.day import check_day
from pipeline.core.checks.learned.ordinary import Ordinary, newcomers
from pipeline.core.checks.learned.prices import new_prices
from pipeline.core.checks.learned.question import check_usual
from pipeline.core.checks.learned.revised import revised
from pipeline.core.checks.profiles import PROFILE_DAYS, KeyHistory, KeyUse, Profile
from pipeline.core.checks.references import cleared_up
from pipeline.core.facts import Columns
from pipeline.core.gates import Sound
from pipeline.core.kinds import Regression
from pipeline.core.tables import Column, Feed, Reference
from pipeline.core.usecase import Recipe, Usecase
from pipeline.core.verdict import Bound, Outcome

FIRST = date(2023, 1, 2)
RIDES = Feed(
    name="rides",
    path="rides/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("ride", "integer"),
        Column("at", "timestamp"),
        Column("plan", "string"),
        Column("van", "string"),
        Column("fare", "number"),
        Column("degrees", "number"),
        Column("minutes", "number", outcome=True),
    ),
    key=("day", "ride"),
    day="day",
    time="at",
)
VANS = Reference(
    name="vans",
    path="vans/{day}.csv",
    columns=(
        Column("van", "string"),
        Column("depot", "string"),
        Column("rate", "number"),
        Column("refreshed", "date"),
    ),
    key=("van",),
    refreshed="refreshed",
    max_age=2,
    max_unchanged=None,
    joined_by=("rides", ("van",)),
    matched=Bound(0.6, 1.0),
)
USECASE = Usecase(
    name="rides",
    question="How long does it take?",
    kind=Regression("minutes", acts_at=50, tolerance=5),
    unit=("ride",),
    feeds=(RIDES,),
    references=(VANS,),
    features=lambda tables: tables["rides"],
    inputs=("fare",),
    history=2,
    recipes=(Recipe("mean", lambda seed: None, window=10, at_least=2),),
    baseline=Recipe("rule", lambda seed: None, window=10, at_least=2),
    block=("van",),
    slices=("van",),
    gates=(Sound(),),
    evidence=5,
)
PRICES = {"single": 1.2, "return": 2.1, "day": 4.6, "child": 0.7}
VAN_NAMES = [f"v{n:02d}" for n in range(40)]
ROWS = 400

Tables = dict[str, dict[str, Any]]


def tables_of(day: date) -> Tables:
    """Four hundred rides in forty vans of four depots; what a ride costs is its plan's price."""
    rng = np.random.default_rng(day.toordinal())
    plan = rng.choice(list(PRICES), ROWS, p=[0.4, 0.3, 0.2, 0.1]).astype(object)
    rides = {
        "day": np.full(ROWS, np.datetime64(day)),
        "ride": np.arange(ROWS, dtype=float),
        "at": np.datetime64(day).astype("datetime64[us]") + rng.integers(21_600, 79_200, ROWS).astype("m8[s]"),
        "plan": plan,
        "van": rng.choice(VAN_NAMES, ROWS).astype(object),
        "fare": np.array([PRICES[one] for one in plan]),
        "degrees": np.round(rng.normal(4.5, 0.2, ROWS), 1),
        "minutes": np.round(rng.gamma(3, 6, ROWS), 1),
    }
    vans = {
        "van": np.array(VAN_NAMES, dtype=object),
        "depot": np.array([("north", "south", "east", "west")[n % 4] for n in range(40)], dtype=object),
        "rate": np.round(0.0081 + 0.0003 * np.arange(40), 4),
        "refreshed": np.full(40, np.datetime64(day)),
    }
    return {"rides": rides, "vans": vans}


class Past:
    """Twenty-five accepted days, and what a further one is refused for."""

    def __init__(self, days: int = 25) -> None:
        self.profiles: list[Profile] = []
        self.books: Mapping[str, KeyHistory] = {}
        self.previous: Mapping[str, Columns] = {}
        self.contents: dict[date, str] = {}
        self.day = FIRST
        for _ in range(days):
            refused = self.refused(tables_of(self.day), accept=True)
            assert not refused, refused

    def refused(self, tables: Tables, accept: bool = False) -> dict[str, str]:
        """Question to what it says, of those that refuse the day."""
        contents = {
            "vans": {**self.contents, self.day: str(sorted((k, v.tolist()) for k, v in tables["vans"].items()))}
        }
        args = (USECASE, self.day, tables, self.previous, contents, self.profiles[-PROFILE_DAYS:], self.books)
        checked = check_day(*args, self.profiles[-1].odd if self.profiles else {})
        if accept:
            self.profiles.append(Profile.from_dict(checked.profile.bounded().to_dict()))
            self.books, self.previous = checked.key_histories, {"vans": tables["vans"]}
            self.contents, self.day = contents["vans"], self.day + timedelta(1)
        self.told = {finding.name: finding.text for finding in checked.findings}
        return {f.name: f.text for f in checked.findings if f.required and f.outcome is Outcome.FAIL}


@pytest.fixture(scope="module")
def past() -> Past:
    return Past()


def test_a_new_price_list_is_no_fault_and_is_told(past: Past) -> None:
    new = {"single": 1.35, "return": 2.35, "day": 4.95, "child": 0.75}
    tables = tables_of(past.day)
    tables["rides"]["fare"] = np.array([new[plan] for plan in tables["rides"]["plan"]])
    assert past.refused(tables) == {}
    assert "on a new price list" in past.told["rides: levels"]
    assert "1.35 where 1.2 was" in past.told["rides: levels"]


def test_nor_is_it_on_the_days_after() -> None:
    past = Past()
    new = {"single": 1.35, "return": 2.35, "day": 4.95, "child": 0.75}
    for _ in range(16):
        tables = tables_of(past.day)
        tables["rides"]["fare"] = np.array([new[plan] for plan in tables["rides"]["plan"]])
        assert past.refused(tables, accept=True) == {}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda fare: np.round(fare / 1.2, 2), id="net instead of gross"),
        pytest.param(lambda fare: np.round(fare * 1.6, 2), id="in another currency"),
        pytest.param(lambda fare: np.round(fare * 1.05, 2), id="with a tax of 5 %"),
        pytest.param(np.round, id="rounded"),
        pytest.param(lambda fare: np.where(fare == 4.6, 0.7, fare), id="a default in place of one"),
        pytest.param(lambda fare: np.full(len(fare), 1.3), id="one price for all"),
    ],
)
def test_a_fault_is_no_new_price_list(past: Past, fault: Any) -> None:
    tables = tables_of(past.day)
    tables["rides"]["fare"] = fault(tables["rides"]["fare"])
    assert past.refused(tables)


def _list(day: date = FIRST, **columns: Any) -> dict[str, Any]:
    return {**tables_of(day)["vans"], **columns}


def test_a_list_whose_rates_all_rise_a_little_is_revised(past: Past) -> None:
    now = _list(rate=np.round(tables_of(FIRST)["vans"]["rate"] + 0.0004, 4))
    assert "price list" in revised(VANS, now, _list())["rate"]
    tables = tables_of(past.day)
    tables["vans"]["rate"] = now["rate"]
    assert past.refused(tables) == {}
    assert "price list" in past.told["vans: rewritten content"]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda rate: rate * 1.1, id="by one factor"),
        pytest.param(lambda rate: np.roll(rate, 1), id="those of the neighbours"),
        pytest.param(lambda rate: np.round(rate, 3), id="rounded"),
        pytest.param(lambda rate: rate[::-1], id="dealt out anew"),
    ],
)
def test_a_list_that_is_wrong_is_not(past: Past, fault: Any) -> None:
    rates = fault(tables_of(FIRST)["vans"]["rate"])
    assert revised(VANS, _list(rate=rates), _list()) == {}
    tables = tables_of(past.day)
    tables["vans"]["rate"] = rates
    assert "vans: rewritten content" in past.refused(tables)


def test_a_depot_that_closes_leaves_its_vans_to_others(past: Past) -> None:
    depots = tables_of(FIRST)["vans"]["depot"]
    others = np.array([["north", "south", "east"][n % 3] if word == "west" else word for n, word in enumerate(depots)])
    now = _list(depot=others.astype(object))
    assert "no key has west" in revised(VANS, now, _list())["depot"]
    tables = tables_of(past.day)
    tables["vans"]["depot"] = now["depot"]
    assert past.refused(tables) == {}


@pytest.mark.parametrize(
    "word", [pytest.param("WEST", id="renamed"), pytest.param("unknown", id="a default that was not there")]
)
def test_one_that_is_called_otherwise_is_asked_about(past: Past, word: str) -> None:
    tables = tables_of(past.day)
    depots = tables["vans"]["depot"]
    tables["vans"]["depot"] = np.where(depots == "west", word, depots).astype(object)
    assert "vans: rewritten content" in past.refused(tables)


def test_one_that_leaves_all_its_vans_to_one_other_is_closed_if_the_rows_say_so_too() -> None:
    depots = tables_of(FIRST)["vans"]["depot"]
    now = _list(depot=np.where(depots == "west", "north", depots).astype(object))
    assert revised(VANS, now, _list()) == {}
    assert "no key has west" in revised(VANS, now, _list(), {"west"})["depot"]


def test_a_column_that_falls_back_to_one_of_its_words_is_no_closure(past: Past) -> None:
    for falls in (["west"], ["west", "south", "east"]):
        tables = tables_of(past.day)
        depots = tables["vans"]["depot"]
        tables["vans"]["depot"] = np.where(np.isin(depots, falls), "north", depots).astype(object)
        assert "vans: rewritten content" in past.refused(tables)


def test_some_of_a_depots_vans_at_another_is_asked_about(past: Past) -> None:
    tables = tables_of(past.day)
    depots = tables["vans"]["depot"]
    tables["vans"]["depot"] = np.where(np.arange(40) % 8 == 3, "north", depots).astype(object)
    assert "vans: rewritten content" in past.refused(tables)


def test_what_a_newcomer_brings_is_its_own(past: Past) -> None:
    """A fifth of the rides are a new plan's, which is free: all else is as usual."""
    tables = tables_of(past.day)
    free = np.random.default_rng(1).random(ROWS) < 0.2
    rides = tables["rides"]
    rides["plan"] = np.where(free, "school", rides["plan"]).astype(object)
    rides["fare"] = np.where(free, 0.0, rides["fare"])
    assert past.refused(tables) == {}
    assert "what is new, 'plan' school" in " ".join(past.told.values())


def test_a_newcomer_in_another_unit_is_found(past: Past) -> None:
    """Three in ten rides are a new app's, which sends seconds for minutes."""
    tables = tables_of(past.day)
    rides = tables["rides"]
    new = np.random.default_rng(1).random(ROWS) < 0.3
    rides["plan"] = np.where(new, "v2", rides["plan"]).astype(object)
    rides["minutes"] = np.where(new, rides["minutes"] * 60, rides["minutes"])
    assert past.refused(tables)


def test_what_covers_most_rows_is_no_newcomer(past: Past) -> None:
    """Of seven rides in ten the plan is called otherwise and the fare is none: too few others are left to go by."""
    tables = tables_of(past.day)
    rides = tables["rides"]
    new = np.random.default_rng(1).random(ROWS) < 0.7
    rides["plan"] = np.where(new, "v2", rides["plan"]).astype(object)
    rides["fare"] = np.where(new, 0.0, rides["fare"])
    assert "rides: slices" in past.refused(tables)
    assert "what is new" not in " ".join(past.told.values())


def test_a_fault_beside_a_newcomer_is_found(past: Past) -> None:
    tables = tables_of(past.day)
    rng = np.random.default_rng(1)
    rides = tables["rides"]
    rides["plan"] = np.where(rng.random(ROWS) < 0.2, "school", rides["plan"]).astype(object)
    rides["fare"] = np.where(rng.random(ROWS) < 0.2, 0.0, rides["fare"])
    assert "rides: single values" in past.refused(tables)


def test_a_word_of_sundays_is_no_newcomer() -> None:
    days = [{"plan": {"day": 9}} for _ in range(20)]
    assert newcomers(RIDES, {"plan": {"day": 9, "new": 3}}, days) == {"plan": {"new"}}
    sunday = [*days[:14], {"plan": {"day": 9, "new": 3}}, *days[:6]]
    assert newcomers(RIDES, {"plan": {"day": 9, "new": 3}}, sunday) == {}
    assert newcomers(RIDES, {"plan": {"day": 9, "new": 3}}, days[:5]) == {}


def test_few_degrees_in_another_unit_are_found(past: Past) -> None:
    """A column of few values has ends as well: readings of some vans far beyond them all."""
    tables = tables_of(past.day)
    rides = tables["rides"]
    some = np.isin(rides["van"], VAN_NAMES[:4])
    rides["degrees"] = np.where(some, np.round(rides["degrees"] * 1.8 + 32, 1), rides["degrees"])
    refused = past.refused(tables)
    assert "rides: tails" in refused
    assert "'degrees'" in refused["rides: tails"]


@pytest.mark.parametrize(("unit", "said"), [("h", "at a full hour"), ("m", "at a full minute")])
def test_moments_that_are_cut_are_found_on_the_second_day(unit: str, said: str) -> None:
    past = Past()
    for refused in (False, True):
        tables = tables_of(past.day)
        at = tables["rides"]["at"]
        cut = np.arange(ROWS) % 4 == 0
        tables["rides"]["at"] = np.where(cut, at.astype(f"datetime64[{unit}]").astype("datetime64[us]"), at)
        told = past.refused(tables, accept=not refused)
        assert (said in told.get("rides: single values", "")) is refused


def test_prices_need_days_before_and_few_values() -> None:
    worth = {f"worth|fare={value:g}": (0.25, ROWS) for value in PRICES.values()}
    risen = {f"worth|fare={value + 0.05:g}": (0.25, ROWS) for value in PRICES.values()}
    assert new_prices(RIDES, risen, [worth] * 3) == {}
    assert new_prices(RIDES, risen, [worth] * 4)["fare"][1.25] == 1.2
    assert new_prices(RIDES, {}, [worth] * 4) == {}
    counts = replace(
        RIDES, columns=tuple(replace(one, type="integer") if one.name == "fare" else one for one in RIDES.columns)
    )
    assert new_prices(counts, risen, [worth] * 4) == {}


@pytest.mark.parametrize(("gone", "said"), [("unused", True), ("used", False)])
def test_a_list_is_cleared_of_what_nobody_uses(gone: str, said: bool) -> None:
    keys = {f"k{n}" for n in range(100)}
    used = {f"k{n}" for n in range(40)}
    before = KeyHistory(FIRST, {key: KeyUse(20, 3, True, True) for key in used}, 1, 30)
    lost = {f"k{n}" for n in (range(60, 85) if gone == "unused" else range(30, 55))}
    assert bool(cleared_up(keys, keys - lost, set(), before, FIRST + timedelta(1))) is said
    assert cleared_up(keys, keys - {"k60", "k61", "k62"}, set(), before, FIRST + timedelta(1)) == ""
    assert cleared_up(keys, keys - lost, set(), replace(before, days=5), FIRST + timedelta(1)) == ""
    assert cleared_up(keys, keys - lost, set(), None, FIRST + timedelta(1)) == ""
    # While days are refused nobody counts what is in use, and a key that is used today is in use.
    assert cleared_up(keys, keys - lost, set(), before, FIRST + timedelta(20)) == ""
    assert cleared_up(keys, keys - lost, {min(lost)}, before, FIRST + timedelta(1)) == ""


def test_whole_prices_rise_with_the_cost_of_living_alone() -> None:
    declared = replace(VANS, columns=(VANS.columns[0], Column("fee", "integer"), VANS.columns[3]))
    fees = np.arange(300.0, 700.0, 10)

    def listed(values: Any) -> dict[str, Any]:
        return {"van": np.array(VAN_NAMES, dtype=object), "fee": np.asarray(values, dtype=float)}

    assert "fee" in revised(declared, listed(np.round(fees * 1.035)), listed(fees))
    assert revised(declared, listed(np.round(fees * 1.2)), listed(fees)) == {}
    assert revised(declared, listed(fees + 1), listed(fees)) == {}


def test_a_list_that_was_cleared_stays_as_small_as_it_was_accepted() -> None:
    """Of forty vans twelve are sold, which nobody has used for weeks: not on that day, nor on any after it, a fault."""
    past = Past(0)
    in_use = np.array(VAN_NAMES[:28], dtype=object)

    def day_of(vans: int) -> Tables:
        tables = tables_of(past.day)
        rng = np.random.default_rng(past.day.toordinal())
        tables["rides"]["van"] = rng.choice(in_use, ROWS).astype(object)
        tables["vans"] = {name: values[:vans] for name, values in tables["vans"].items()}
        tables["vans"]["rate"] = np.round(0.01 + 0.001 * np.sin(np.arange(vans)), 4)
        return tables

    for n in range(36):
        assert past.refused(day_of(40 if n < 25 else 28), accept=True) == {}, n
    assert "vans: shrinkage" in past.refused(day_of(24))


def test_what_was_refused_is_not_explained_away() -> None:
    """An explanation that comes by on a later day of an unchanged fault would end the alarm by itself."""

    class Always(Ordinary):
        def why(self, *args: Any) -> str:
            return "as it is"

    days = {FIRST + timedelta(n): {"rows|all": (400.0, 400), "filled|fare": (0.9, 400)} for n in range(20)}
    now = {"rows|all": (400.0, 400), "filled|fare": (0.4, 400)}

    def outcome(direction: float) -> Outcome:
        odd = {"filled|fare": (direction, 0.4, 0.9)}
        learned = check_usual("rides", FIRST + timedelta(20), now, days, [], odd, ordinary=Always())
        return next(one.outcome for one in learned.findings if one.name == "rides: blanks")

    assert outcome(-1.0) is Outcome.PASS
    assert outcome(-2.0) is Outcome.FAIL


def test_numbers_that_lose_their_sign_are_found() -> None:
    past = Past(0)

    def day_of(lost: bool) -> Tables:
        tables = tables_of(past.day)
        degrees = np.where(np.arange(ROWS) % 5 == 0, -1, 1) * tables["rides"]["degrees"]
        tables["rides"]["degrees"] = np.abs(degrees) if lost else degrees
        return tables

    for _ in range(25):
        assert past.refused(day_of(False), accept=True) == {}
    assert "'degrees' is negative in 0.0% of the rows" in past.refused(day_of(True))["rides: single values"]


def test_a_later_version_may_have_kept_more(past: Past) -> None:
    saved = past.profiles[-1].to_dict()
    more = {**saved, "feeds": {name: {**feed, "of a later version": 1} for name, feed in saved["feeds"].items()}}
    assert Profile.from_dict(more) == Profile.from_dict(saved)
