"""What a refused day says: which table, which column and whose rows, since when, and what to ask about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.checks.gone import check_gone
from pipeline.core.checks.learned.families import FAMILIES
from pipeline.core.checks.learned.sayings import Names
from pipeline.core.checks.wording import _ASK, TableFindings, asked_of
from pipeline.core.facts import OF_COLUMNS, OF_ONE_COLUMN
from pipeline.core.headlines import LONGEST_HEADLINE, day_headline
from pipeline.core.verdict import Finding, Outcome
from tests.core.checks import test_checks as planted
from tests.core.checks import test_learned as learned
from tests.core.checks.test_checks import SECOND_DAY
from tests.core.checks.visits import ROWS, USECASE, Past, day_of, shop_rows

#: Of these the day itself is the subject.
OF_WHOLE_ROWS = ("sent before", "frozen hours")
TABLES = {table.name: {column.name for column in table.columns} for table in USECASE.tables}


@pytest.fixture(scope="module")
def month() -> Past:
    return Past().run(35)


def refusing(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.required and finding.outcome is not Outcome.PASS]


def faults_of(finding: Finding, columns: set[str]) -> Iterator[str]:
    """What its sentence leaves a reader without."""
    table, _, question = finding.name.partition(": ")
    if not finding.sentence.endswith(asked_of(table, question)):
        yield "does not end with what to ask"
    if f"'{table}'" not in finding.sentence:
        yield "does not name the table"
    named = {word for quoted in re.findall(r"'([^']+)'", finding.text) for word in re.split(r"[^\w]+", quoted)}
    if not named & columns and question not in OF_WHOLE_ROWS and not re.search(r"\d rows, where", finding.text):
        yield "names no column"
    if re.search(r"\d[eE]-?\d|chance|\bp\b|distance", finding.text):
        yield "has a number that nobody can read"
    for part in finding.parts:
        words = [word for word in (part.column, *part.value.split("=")) if word]
        if part.column in ("number of rows", "hours"):
            continue
        if not all(word in part.text for name in words for word in name.split(" and ")):
            yield f"has a part that does not say its {words}"


@pytest.mark.parametrize("fault", planted.FAULTS)
def test_a_finding_names_its_table_its_column_and_what_to_ask(month: Past, fault: str) -> None:
    question, plant = planted.FAULTS[fault]
    past = month.copy()
    found: list[Finding] = []
    for _ in range(2 if question in SECOND_DAY else 1):
        tables = day_of(past.day)
        plant(tables, past)
        found = refusing(past.refuse(tables))
    assert any(finding.name == question for finding in found)
    for finding in found:
        assert not list(faults_of(finding, TABLES[finding.about])), finding.sentence
        headline = day_headline("refused", finding.sentence, findings=[finding])
        assert len(headline) <= LONGEST_HEADLINE
        assert finding.about in headline


@pytest.mark.parametrize(
    ("place", "fault"), [("shop", f) for f in learned.FAULTS] + [("slip", f) for f in learned.SLIPS]
)
def test_a_learned_limit_names_its_column_and_whose_rows(
    place: str, fault: str, monkeypatch: pytest.MonkeyPatch, grown: dict[str, Any]
) -> None:
    found: list[Finding] = []
    check = learned.check_usual

    def listening(*given: Any, **more: Any) -> Any:
        checked = check(*given, **more, names=Names.of(learned.FEED))
        found.extend(finding for finding in checked.findings if finding.outcome is Outcome.FAIL)
        return checked

    monkeypatch.setattr(learned, "check_usual", listening)
    shop = (learned.copy_of if place == "shop" else learned.fork)(grown[place])
    plant = (learned.FAULTS if place == "shop" else learned.SLIPS)[fault][1]
    before = shop.day - timedelta(1)
    for _ in range(2):
        shop.sell(plant)
    columns = {column.name for column in learned.FEED.columns} | {"outcome", "hour", "time"}
    columns |= {name for one in vars(learned).values() if isinstance(one, learned.Feed) for name in names_of(one)}
    assert found
    for finding in found:
        assert not list(faults_of(finding, columns)), finding.sentence
        assert (
            f"accepted days to {before}" in finding.text
            or f"accepted days to {shop.day - timedelta(2)}" in finding.text
        )


def names_of(feed: Any) -> list[str]:
    return [column.name for column in feed.columns]


@pytest.fixture(scope="module")
def grown() -> dict[str, Any]:
    shop, slip = learned.Shop(3), learned.Warehouse(5)
    shop.run(60)
    slip.run(60)
    return {"shop": shop, "slip": slip}


def test_the_law_can_fail(month: Past) -> None:
    tables = day_of(month.day)
    planted.FAULTS["a town missing"][1](tables, month)
    (finding,) = [one for one in refusing(month.judge(tables)) if one.name == "visits: values gone"]
    for worse in (
        replace(finding, change=""),
        replace(finding, text="values gone: distance 1035"),
        replace(finding, text="so few by chance: 8e-05"),
        replace(finding, parts=(replace(finding.parts[0], text="one is gone"),)),
    ):
        assert list(faults_of(worse, TABLES["visits"]))


def test_a_copy_says_of_which_day(month: Past) -> None:
    tables = day_of(month.day)
    planted.sent_again(tables, month)
    texts = {finding.name: finding.text for finding in refusing(month.judge(tables))}
    assert str(month.day - timedelta(3)) in texts["visits: sent before"]


def test_numbers_under_other_names_say_of_which_day(month: Past) -> None:
    past = month.copy()
    tables, old = day_of(past.day), day_of(past.day - timedelta(4))["visits"]
    numbers = [column.name for column in USECASE.feeds[0].columns if column.type == "number"]
    tables["visits"].update({name: old[name] for name in numbers})
    texts = {finding.name: finding.text for finding in refusing(past.judge(tables))}
    assert f"rows of {past.day - timedelta(4)} " in texts["visits: said before"]


def test_a_table_that_stopped_growing_says_since_when_and_how_many_of_how_many(month: Past) -> None:
    past = month.copy()
    frozen = shop_rows(100 + 6 * (past.day - past.profiles[0].day).days)
    for n in range(4):
        tables = day_of(past.day)
        tables["shops"] = {
            **frozen,
            "area": frozen["area"].copy(),
            "refreshed": tables["shops"]["refreshed"][:1].repeat(len(frozen["shop"])),
        }
        tables["shops"]["area"][n] += 0.5
        found = {finding.name: finding for finding in refusing(past.accept(tables))}
        if "shops: new keys" in found:
            break
    text = found["shops: new keys"].text
    assert re.search(r"of the \d+ keys by 'shop' of visits that were first used since 2020-\d\d-\d\d \d+ are in", text)
    wanted = found["shops: new keys"].wanted
    assert wanted is not None
    assert (found["shops: new keys"].value or 0.0) < wanted.low


def test_a_number_that_is_gone_says_whose_rows_those_were() -> None:
    past = Past().run(14)
    profiles = [profile.feeds["visits"] for profile in past.profiles]
    fares = [{"1035": one.values["town"]["hull"], "90": one.rows // 2} for one in profiles]
    told = [replace(one, values={**one.values, "fare": fare}) for one, fare in zip(profiles, fares, strict=True)]
    now = replace(told[-1], values={**told[-1].values, "fare": {"90": ROWS}})
    days = [profile.day for profile in past.profiles]
    finding = check_gone(TableFindings("visits"), past.day, now, dict(zip(days, told, strict=True)))
    assert finding.text.startswith("no row has 'fare' 1035 (the rows whose 'town' is hull), which at least")


def test_what_is_asked_is_a_sentence_of_its_own_for_every_question() -> None:
    assert set(FAMILIES) <= set(_ASK)
    assert set(FAMILIES) <= set(OF_COLUMNS)
    assert set(OF_ONE_COLUMN) <= set(OF_COLUMNS) <= set(_ASK)
