"""An excuse covers one column or value: whatever else the same question finds stops the day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from pipeline.core.checks.day import excuse_line
from pipeline.core.facts import MOST_WHOLE, Excuse
from pipeline.core.verdict import Finding, Outcome
from tests.core.checks.test_checks import keep, visits
from tests.core.checks.visits import USECASE, Past, Tables, day_of, refused, with_excuse

GONE = "visits: values gone"


@pytest.fixture(scope="module")
def month() -> Past:
    return Past().run(35)


def without_hull(past: Past) -> Tables:
    tables = day_of(past.day)
    keep("visits", lambda t: t["town"] != "hull")(tables, past)
    return tables


def named(findings: tuple[Finding, ...], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def of_hull(past: Past) -> Excuse:
    return Excuse(GONE, past.day, past.day + timedelta(300), "Hull has closed", column="town", value="hull")


def test_a_value_is_excused_and_the_next_column_stops_the_day(month: Past) -> None:
    past = month.copy(with_excuse(of_hull(month)))
    tables = without_hull(past)
    finding = named(past.judge(tables), GONE)
    assert not finding.required
    assert "Hull has closed" in finding.text
    visits(spent=lambda v: v * np.nan)(tables, past)
    finding = named(past.judge(tables), GONE)
    assert finding.required
    assert finding.text.startswith("'spent' is blank")
    assert "no row has 'town' hull" not in finding.text
    assert "excused besides: Hull has closed" in finding.text
    assert finding.value == 1.0


def test_another_value_of_the_same_column_stops_the_day(month: Past) -> None:
    past = month.copy(with_excuse(of_hull(month)))
    tables = without_hull(past)
    keep("visits", lambda t: t["town"] != "york")(tables, past)
    assert GONE in refused(past.judge(tables))
    whole_column = replace(of_hull(month), value="")
    assert GONE not in refused(month.copy(with_excuse(whole_column)).judge(tables))


def test_what_is_excused_of_a_learned_limit_leaves_the_other_columns_asked(month: Past) -> None:
    def dearer(past: Past, *names: str) -> Tables:
        tables = day_of(past.day)
        for name in names:
            tables["visits"][name] = tables["visits"][name] * 100
        return tables

    excuse = Excuse("visits: levels", month.day, month.day + timedelta(99), "measured in grains", column="weight")
    past = month.copy(with_excuse(excuse))
    assert "visits: levels" in refused(month.judge(dearer(month, "weight")))
    for _ in range(10):
        assert "visits: levels" not in refused(past.accept(dearer(past, "weight")))
    finding = named(past.judge(dearer(past, "weight", "warmth")), "visits: levels")
    assert finding.required
    assert "'warmth'" in finding.text


def test_what_is_excused_widens_no_limit(month: Past) -> None:
    excuse = Excuse("visits: levels", month.day, month.day + timedelta(99), "in grains", column="weight")
    past = month.copy(with_excuse(excuse))
    tables = day_of(past.day)
    tables["visits"]["weight"] = tables["visits"]["weight"] * 100
    past.accept(tables)
    before, with_it = (month.profiles[-1].surprise, past.profiles[-1].surprise)
    assert with_it["visits"]["levels"] < 4 + 2 * before["visits"]["levels"]


def test_the_line_that_a_refused_day_tells_is_an_excuse_for_just_that(month: Past) -> None:
    past = month.copy()
    tables = without_hull(past)
    line = excuse_line(named(past.judge(tables), GONE), past.day)
    excuse = eval(line, {"Excuse": Excuse, "date": date})
    assert excuse == Excuse(GONE, past.day, past.day + timedelta(30), "what happened", "town", "hull")
    assert GONE not in refused(month.copy(with_excuse(excuse)).judge(tables))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"column": "", "value": "hull"}, "names the value 'hull' and not of which column"),
        (
            {"last": date(2020, 1, 1) + timedelta(MOST_WHOLE)},
            "may last 31 days and this one lasts 32: name the column",
        ),
        ({"why": ""}, "needs first <= last and a reason why"),
    ],
)
def test_an_excuse_that_covers_too_much_is_refused_in_a_sentence(more: dict[str, object], why: str) -> None:
    given = {"finding": GONE, "first": date(2020, 1, 1), "last": date(2020, 1, 31), "why": "closed", **more}
    with pytest.raises(ValueError, match=why):
        Excuse(**given)  # type: ignore[arg-type]
    Excuse(**{**given, "column": "town", "why": "closed", "value": ""})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("finding", "column", "why"),
    [
        ("visit: values gone", "town", "which is of none of its tables: visits, shops"),
        (GONE, "towm", "of a column that 'visits' lacks: 'towm'"),
    ],
)
def test_an_excuse_that_would_cover_nothing_is_refused(finding: str, column: str, why: str) -> None:
    excuse = Excuse(finding, date(2020, 1, 1), date(2020, 1, 2), "a slip", column=column)
    with pytest.raises(ValueError, match=why):
        replace(USECASE, excuses=(excuse,))


def test_a_finding_is_kept_with_its_parts() -> None:
    finding = Finding(GONE, Outcome.FAIL, "x", parts=())
    assert "parts" not in finding.to_dict()
    past = Past().run(20)
    finding = named(past.judge(without_hull(past)), GONE)
    assert Finding.from_dict(finding.to_dict()) == finding
    assert finding.to_dict()["parts"][0]["value"] == "hull"
