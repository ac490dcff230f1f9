"""The questions about a day against its past: each rings on its own fault, and none rings on a sound day."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pipeline.core.checks.day import check_day
from pipeline.core.checks.learned.contents import GONE
from pipeline.core.checks.learned.question import Odd
from pipeline.core.checks.profiles import KeyHistory, KeyUse, Profile, ReferenceProfile
from pipeline.core.checks.references import ReferenceCheck, beta_binomial_cdf
from pipeline.core.facts import Columns, Excuse, Fact, texts
from pipeline.core.tables import Column, Reference
from pipeline.core.verdict import Bound, Finding, Outcome
from tests.core.checks.visits import FIRST, ROWS, SHOPS, USECASE, Past, Tables, day_of, refused, shop_rows, with_excuse


@pytest.fixture(scope="module")
def month() -> Past:
    return Past().run(35)


def named(findings: tuple[Finding, ...], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_no_question_rings_on_sixty_sound_days() -> None:
    past = Past()
    for _ in range(60):
        assert not refused(past.accept())


def test_after_warm_up_every_question_is_answered(month: Past) -> None:
    unknown = {f.name for f in month.judge(day_of(month.day)) if f.outcome is Outcome.UNKNOWN}
    assert not unknown


def test_on_the_first_day_what_needs_a_past_is_unknown_stops_nothing_and_says_what_is_missing() -> None:
    findings = Past().judge(day_of(FIRST))
    unknown = [f for f in findings if f.outcome is Outcome.UNKNOWN]
    assert {"visits: as usual", "shops: as usual", "visits: scale", "shops: lost keys", "shops: new keys"} <= {
        f.name for f in unknown
    }
    assert not any(f.required for f in unknown)
    assert named(findings, "visits: scale").text == "needs 7 accepted days before it, has 0: 7 missing"


def visits(**columns: Callable[[Any], Any]) -> Callable[[Tables, Past], None]:
    def plant(tables: Tables, _: Past) -> None:
        for name, how in columns.items():
            tables["visits"][name] = how(tables["visits"][name].copy())

    return plant


def keep(table: str, which: Callable[[dict[str, Any]], Any]) -> Callable[[Tables, Past], None]:
    def plant(tables: Tables, _: Past) -> None:
        kept = which(tables[table])
        tables[table] = {name: values[kept] for name, values in tables[table].items()}

    return plant


def one_bad_cell(values: Any) -> Any:
    values[0] = 7.1
    return values


def sent_again(tables: Tables, past: Past) -> None:
    old = day_of(past.day - timedelta(3))["visits"]
    tables["visits"] = {**old, "day": tables["visits"]["day"], "at": tables["visits"]["at"]}


def frozen_hours(tables: Tables, _: Past) -> None:
    for values in tables["visits"].values():
        if values.dtype.kind != "M":
            values[150:] = values[149]
    tables["visits"]["visit"][150:] = 149


def doubled_shop(tables: Tables, _: Past) -> None:
    tables["shops"] = {n: np.concatenate([v, v[:1]]) for n, v in tables["shops"].items()}


def shuffled_areas(tables: Tables, _: Past) -> None:
    tables["shops"]["area"] = np.roll(tables["shops"]["area"], 1)


def lower_matches(tables: Tables, _: Past) -> None:
    """Shops that were never seen before, all of them unknown: the match rate falls, no key is lost."""
    tables["visits"]["shop"][50:150] = [f"x{n}" for n in range(100)]


def upper_case(tables: Tables, _: Past) -> None:
    tables["shops"]["shop"] = np.array([key.upper() for key in tables["shops"]["shop"]], dtype=object)


FAULTS: dict[str, tuple[str, Callable[[Tables, Past], None]]] = {
    "rows of another day": ("visits: dates", visits(day=lambda v: v - 1)),
    "a clock of the year before": ("visits: dates", visits(at=lambda v: v - np.timedelta64(365, "D"))),
    "a doubled row": ("visits: keys", visits(visit=lambda v: np.maximum(v, 1))),
    "one value where there are many": ("visits: varies", visits(town=lambda v: np.full_like(v, "bath"))),
    "another unit on a declared scale": ("visits: unit", visits(weight=lambda v: np.round(v * 0.4536, 2))),
    "another unit on a scale learnt from data": ("visits: scale", visits(warmth=lambda v: np.round((v - 32) / 1.8, 1))),
    "half the rows": ("visits: volume", keep("visits", lambda t: np.arange(ROWS) < 80)),
    "twice the rows": (
        "visits: volume",
        lambda t, _: t.update(visits={n: np.concatenate([v] * 3) for n, v in t["visits"].items()}),
    ),
    "a town missing": ("visits: values gone", keep("visits", lambda t: t["town"] != "hull")),
    "a column emptied": ("visits: values gone", visits(spent=lambda v: v * np.nan)),
    "an old day under a new date": ("visits: sent before", sent_again),
    "hours that repeat": ("visits: frozen hours", frozen_hours),
    "a sum that does not add up": ("visits: spent = net + tax", visits(spent=lambda v: -v)),
    "a determined number that moved": ("visits: warmth of a town", visits(tax=lambda v: v * 1.6)),
    "towns nobody knows": ("visits: warmth of a town", visits(town=lambda v: v[::1] + "x")),
    "a stale table": ("shops: age", lambda t, _: t["shops"].update(refreshed=t["shops"]["refreshed"] - 3)),
    "a table from tomorrow": ("shops: age", lambda t, _: t["shops"].update(refreshed=t["shops"]["refreshed"] + 1)),
    "a doubled key": ("shops: duplicate keys", doubled_shop),
    "a table that shrank": ("shops: shrinkage", keep("shops", lambda t: np.arange(len(t["shop"])) % 20 > 0)),
    "rows that say something else": ("shops: rewritten content", shuffled_areas),
    "fewer matches than declared": ("shops: matched", keep("shops", lambda t: t["area"] < 100)),
    "fewer matches than of late": ("shops: matched drop", lower_matches),
    "reformatted keys": ("shops: lost keys", upper_case),
}


#: What is asked about from its second day on.
SECOND_DAY = ("visits: volume",)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_by_its_question(month: Past, fault: str) -> None:
    question, plant = FAULTS[fault]
    tables = day_of(month.day)
    assert not refused(month.judge(tables))
    plant(tables, month)
    past = month.copy()
    findings = past.refuse(tables) if question in SECOND_DAY else ()
    if findings:  # one quiet day is a holiday
        assert question not in refused(findings)
        tables = day_of(past.day)
        plant(tables, past)
    findings = past.judge(tables)
    assert question in refused(findings)
    assert named(findings, question).about == question.partition(":")[0]


def test_one_broken_cell_is_no_change_of_unit(month: Past) -> None:
    tables = day_of(month.day)
    visits(weight=one_bad_cell)(tables, month)
    assert not refused(month.judge(tables))


def test_a_key_that_one_unit_loses_is_named_even_if_the_match_rate_hardly_moves(month: Past) -> None:
    tables = day_of(month.day)
    known = {key for key in tables["visits"]["shop"] if key in set(month.previous["shops"]["shop"])}
    lost = sorted(known)[:3]
    keep("shops", lambda t: ~np.isin(t["shop"].astype(str), lost))(tables, month)
    finding = named(month.judge(tables), "shops: lost keys")
    assert finding.outcome is Outcome.FAIL
    assert lost[0] in finding.text


def test_frozen_content_behind_a_moving_date_is_found_when_it_has_stood_still_too_long(month: Past) -> None:
    past = month.copy()
    frozen = day_of(past.day - timedelta(1))["shops"]
    found: list[bool] = []
    for _ in range(8):
        tables = day_of(past.day)
        tables["shops"] = {**frozen, "refreshed": tables["shops"]["refreshed"]}
        found.append("shops: unchanged" in refused(past.accept(tables)))
    assert found == [False] * 5 + [True] * 3


def test_a_table_that_stopped_growing_is_found_by_its_new_keys_while_the_match_rate_is_still_fine(month: Past) -> None:
    past = month.copy()
    frozen = shop_rows(100 + 6 * (past.day - FIRST).days)
    rings: list[set[str]] = []
    for n in range(4):
        tables = day_of(past.day)
        touched = {
            **frozen,
            "area": frozen["area"].copy(),
            "refreshed": np.full(len(frozen["shop"]), tables["shops"]["refreshed"][0]),
        }
        touched["area"][n] += 0.5  # never twice the same content
        tables["shops"] = touched
        rings.append(refused(past.accept(tables)) - {"shops: shrinkage"})
    assert set().union(*rings) == {"shops: new keys"}


def stuck_after(past: Past, value: float, days: int) -> list[Finding]:
    """What the question says of each of so many days that hold one value."""
    found = []
    for _ in range(days):
        tables = day_of(past.day)
        tables["visits"]["rain"] = np.full(ROWS, value)
        found.append(named(past.accept(tables), "visits: stuck columns"))
    return found


def test_a_dry_spell_is_said_in_the_end_and_a_stuck_gauge_refuses(month: Past) -> None:
    dry, stuck = (stuck_after(month.copy(), value, 20) for value in (0.0, 0.3))
    assert all(finding.outcome is Outcome.PASS for finding in (*dry[:9], *stuck[:9]))
    assert (dry[-1].outcome, dry[-1].required) == (Outcome.FAIL, False)
    assert (stuck[-1].outcome, stuck[-1].required) == (Outcome.FAIL, True)


def test_match_rates_look_only_at_units_that_have_a_key(month: Past) -> None:
    tables = day_of(month.day)
    tables["visits"]["shop"][20:180] = None  # a storm: most visits never got a shop
    assert not {name for name in refused(month.judge(tables)) if name.startswith("shops: ")}


def test_a_day_on_which_no_unit_has_a_key_is_unknown_and_refuses(month: Past) -> None:
    tables = day_of(month.day)
    tables["visits"]["shop"][:] = None
    finding = named(month.judge(tables), "shops: matched")
    assert finding.outcome is Outcome.UNKNOWN
    assert finding.required


def test_an_undated_reference_is_unknown_and_refuses(month: Past) -> None:
    tables = day_of(month.day)
    tables["shops"]["refreshed"] = np.full(len(tables["shops"]["shop"]), np.datetime64("NaT", "D"))
    finding = named(month.judge(tables), "shops: age")
    assert finding.outcome is Outcome.UNKNOWN
    assert finding.required


def test_a_reference_may_be_exactly_as_old_as_declared(month: Past) -> None:
    for age, good in ((2, True), (3, False)):
        tables = day_of(month.day)
        tables["shops"]["refreshed"] = tables["shops"]["refreshed"] - age
        assert ("shops: age" not in refused(month.judge(tables))) is good


def test_an_excused_finding_speaks_and_stops_nothing_within_its_days_only(month: Past) -> None:
    tables = day_of(month.day)
    keep("visits", lambda t: t["town"] != "hull")(tables, month)
    excuse = Excuse("visits: values gone", month.day, month.day, "the shop in Hull has closed")
    findings = month.copy(with_excuse(excuse)).judge(tables)
    assert "visits: values gone" not in refused(findings)
    assert "the shop in Hull has closed" in named(findings, "visits: values gone").text
    over = replace(excuse, first=month.day - timedelta(9), last=month.day - timedelta(1))
    assert "visits: values gone" in refused(month.copy(with_excuse(over)).judge(tables))


def test_a_fact_that_no_row_speaks_of_is_unknown_and_stops_nothing(month: Past) -> None:
    silent = Fact("silent", "visits", lambda c: np.zeros(0, dtype=bool), "never")
    usecase = replace(USECASE, facts=(silent,))
    finding = named(month.copy(usecase).judge(day_of(month.day)), "visits: silent")
    assert finding.outcome is Outcome.UNKNOWN
    assert not finding.required


def test_a_use_case_cannot_declare_a_fact_about_a_table_it_does_not_read() -> None:
    with pytest.raises(ValueError, match="facts about tables that it does not read: strange"):
        replace(USECASE, facts=(Fact("strange", "nowhere", lambda c: np.ones(1, dtype=bool), "never"),))


def test_what_is_remembered_survives_json_and_is_bounded(month: Past) -> None:
    profile = month.profiles[-1]
    assert Profile.from_dict(json.loads(json.dumps(profile.to_dict()))) == profile
    book = month.books["shops"]
    assert KeyHistory.from_dict(json.loads(json.dumps(book.to_dict()))) == book
    many = KeyHistory(FIRST, {f"k{n}": KeyUse(0, 0, True, True) for n in range(50_000)}).bounded()
    assert len(many.known) <= 8192
    assert many.sampled == 8


def test_a_sampled_book_of_keys_still_finds_lost_and_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.core.checks.profiles._KEYS", 100)
    past = Past().run(35)
    assert past.books["shops"].sampled > 1
    tables = day_of(past.day)
    assert not refused(past.judge(tables))
    upper_case(tables, past)
    assert "shops: lost keys" in refused(past.judge(tables))


def test_the_chance_of_so_few_matches_is_the_beta_binomial_tail() -> None:
    for hits, of, earlier_hits, earlier in ((0, 5, 800, 1000), (3, 10, 40, 50), (10, 10, 1, 9)):
        exact = stats.betabinom(of, earlier_hits + 1, earlier - earlier_hits + 1).cdf(hits)
        assert beta_binomial_cdf(hits, of, earlier_hits, earlier) == pytest.approx(exact, rel=1e-9)


def test_a_composite_key_with_an_absent_part_is_no_key() -> None:
    columns = {"a": np.array(["x", None], dtype=object), "b": np.array([1.0, 2.0])}
    assert texts(columns, ("a", "b")).tolist() == ["x|1", None]


def test_the_limits_of_a_reference_are_the_declared_ones(month: Past) -> None:
    tables = day_of(month.day)
    keep("shops", lambda t: np.arange(len(t["shop"])) % 20 > 0)(tables, month)
    wide = replace(SHOPS, shrinkage=0.2, matched_drop=0.2)
    usecase = replace(USECASE, references=(wide,))
    assert "shops: shrinkage" not in refused(month.copy(usecase).judge(tables))


def days_of_refusal(past: Past, plant: Callable[[Tables, Past], None], days: int) -> list[set[str]]:
    """The names that refuse each of these days, none of which becomes past."""
    names = []
    for _ in range(days):
        tables = day_of(past.day)
        plant(tables, past)
        names.append(refused(past.refuse(tables)))
    return names


#: Faults that last by nature, whose question compares with the past.
LASTING = {
    "another unit on a scale learnt from data",
    "half the rows",
    "a town missing",
    "a column emptied",
    "hours that repeat",
    "a determined number that moved",
    "towns nobody knows",
}


@pytest.mark.parametrize("fault", sorted(LASTING))
def test_an_alarm_does_not_end_by_lasting(month: Past, fault: str) -> None:
    """After seven days of refusal the last seven dates were empty, and the unchanged fault was accepted."""
    finding, plant = FAULTS[fault]
    past = month.copy()
    days = days_of_refusal(past, plant, 60)
    assert all(finding in names for names in days[finding in SECOND_DAY :])
    assert not refused(past.judge(day_of(past.day))), "once it is mended the next day is accepted"


def test_a_table_that_repeats_itself_by_nature_is_not_taken_for_one_sent_again(month: Past) -> None:
    """Each day says much the same in its few columns; the same day again says all of it."""
    past = Past()

    def much_the_same(day: Any) -> Tables:
        tables = day_of(day)
        first = day_of(FIRST)["visits"]
        for name in tables["visits"]:
            if tables["visits"][name].dtype.kind != "M":
                tables["visits"][name][:110] = first[name][:110]
        return tables

    for _ in range(30):
        resent = named(past.accept(much_the_same(past.day)), "visits: sent before")
        assert resent.outcome is Outcome.PASS, resent.text
    copy = much_the_same(past.day - timedelta(9))
    copy["visits"]["day"] += 9
    copy["visits"]["at"] += np.timedelta64(9, "D")
    again = named(past.judge(copy), "visits: sent before")
    assert again.outcome is Outcome.FAIL
    assert again.value == pytest.approx(1.0)


def test_a_day_of_six_weeks_ago_is_remembered(month: Past) -> None:
    past = month.copy().run(30)
    old = day_of(past.day - timedelta(41))["visits"]
    tables = day_of(past.day)
    tables["visits"] = {**old, "day": tables["visits"]["day"], "at": tables["visits"]["at"]}
    assert "visits: sent before" in refused(past.judge(tables))


TOWNS = Reference(
    name="towns",
    path="towns/{day}.csv",
    columns=(Column("town", "string"), Column("refreshed", "date")),
    key=("town",),
    refreshed="refreshed",
    max_age=1,
    max_unchanged=None,
    joined_by=("visits", ("town",)),
    matched=Bound(0.9, 1.0),
)


def refusals_after_a_town_closed(listed_on: bool) -> set[str]:
    """One visit in twelve was in Hull; from the twentieth day on there is none, and the list of towns has it or not."""
    usecase = replace(USECASE, references=(TOWNS,), facts=())
    profiles: list[Profile] = []
    keys: Mapping[str, KeyHistory] = {}
    previous: Mapping[str, Columns] = {}
    odd: Mapping[str, Odd] = {}
    names: set[str] = set()
    for n in range(24):
        day = FIRST + timedelta(n)
        columns = day_of(day)["visits"]
        columns["town"] = np.array(["bath", "york"], dtype=object)[np.arange(ROWS) % 2]
        columns["town"][::12] = "hull"
        towns = ["bath", "york", "hull"]
        if n >= 20:
            kept = columns["town"] != "hull"
            columns = {name: values[kept] for name, values in columns.items()}
            towns = towns if listed_on else towns[:2]
        list_of_towns = {"town": np.array(towns, dtype=object), "refreshed": np.full(len(towns), np.datetime64(day))}
        tables = {"visits": columns, "towns": list_of_towns}
        checked = check_day(usecase, day, tables, previous, {"towns": {day: str(towns)}}, profiles, keys, odd)
        odd = checked.odd
        names |= refused(checked.findings)
        profiles.append(checked.profile.bounded())
        keys, previous = checked.key_histories, {"towns": list_of_towns}
    return names


def test_what_leaves_the_list_on_the_day_it_leaves_the_feed_has_closed_and_is_not_missed() -> None:
    assert not refusals_after_a_town_closed(listed_on=False)
    assert {"visits: values gone", "visits: volume"} <= refusals_after_a_town_closed(listed_on=True)


def visits_checked(past: Past, plant: Callable[[Tables], None]) -> set[str]:
    """Thirty days that all have what was planted, and the day after them without it."""
    for _ in range(30):
        tables = day_of(past.day)
        plant(tables)
        past.accept(tables)
    return refused(past.judge(day_of(past.day)))


def test_one_of_many_values_may_end_and_a_quiet_day_may_lack_what_comes_seldom() -> None:
    def shops_in_town(number: int) -> Callable[[Tables], None]:
        def plant(tables: Tables) -> None:
            tables["visits"]["town"] = np.array([f"t{n % number}" for n in range(ROWS)], dtype=object)

        return plant

    gone = "visits: values gone"
    assert gone in visits_checked(Past(replace(USECASE, facts=())), shops_in_town(10))
    assert gone not in visits_checked(Past(replace(USECASE, facts=())), shops_in_town(40))
    past = Past(replace(USECASE, facts=()))
    visits_checked(past, shops_in_town(10))
    quiet = day_of(past.day)
    quiet["visits"] = {name: values[:60] for name, values in quiet["visits"].items()}
    assert gone not in refused(past.judge(quiet))


def test_a_code_that_is_new_each_month_may_end_with_the_next_month(month: Past) -> None:
    def with_code(day: date) -> Tables:
        tables = day_of(day)
        code = f"{day.year}-{day.month:02d}"
        tables["visits"]["town"][:10] = code
        return tables

    past = Past()
    ends: dict[date, bool] = {}
    for _ in range(95):
        gone = "visits: values gone" in refused(past.accept(with_code(past.day)))
        if gone:
            ends[past.day - timedelta(1)] = gone
    assert list(ends) == [date(2020, 2, 1)], "of the first end nobody could know"


def test_a_column_of_many_fractional_parts_has_no_scale(month: Past) -> None:
    past = Past(replace(USECASE, facts=()))

    def fine(tables: Tables) -> None:
        tables["visits"]["warmth"] = np.random.default_rng(past.day.toordinal()).random(ROWS) * 50

    for _ in range(30):
        tables = day_of(past.day)
        # Of more rows than a profile keeps parts.
        tables["visits"] = {name: np.concatenate([values, values]) for name, values in tables["visits"].items()}
        tables["visits"]["visit"] = np.arange(2 * ROWS, dtype=float)
        tables["visits"]["warmth"] = np.random.default_rng(past.day.toordinal()).random(2 * ROWS) * 50
        past.accept(tables)
    tables = day_of(past.day)
    fine(tables)
    assert named(past.judge(tables), "visits: scale").outcome is Outcome.PASS


@pytest.mark.parametrize(("gone", "stops"), [(5, False), (6, False), (13, True)])
def test_a_few_of_a_list_that_nobody_looks_up_may_vanish(month: Past, gone: int, stops: bool) -> None:
    tables = day_of(month.day)
    used = set(tables["visits"]["shop"].tolist())
    unused = [n for n, shop in enumerate(tables["shops"]["shop"]) if shop not in used][:gone]
    tables["shops"] = {name: np.delete(values, unused) for name, values in tables["shops"].items()}
    assert ("shops: shrinkage" in refused(month.judge(tables))) is stops


@pytest.mark.parametrize("days", [1, 30, 300])
def test_a_list_that_lost_a_third_stays_refused_however_many_leave_it_by_and_by(days: int) -> None:
    def shops(n: int) -> Columns:
        keys = np.array([f"s{k}" for k in range(n)], dtype=object)
        return {"shop": keys, "area": np.zeros(n), "refreshed": np.full(n, np.datetime64(FIRST))}

    served = [(FIRST, ReferenceProfile(300, 200, 200, {GONE: (0.01, 300)}))]
    check = ReferenceCheck(SHOPS, FIRST + timedelta(days), shops(200), {"shop": np.array(["s1"], dtype=object)})
    (shrinkage,) = check.compared_with_previous(shops(300), served)
    assert shrinkage.outcome is Outcome.FAIL
