"""Validate: what is judged when, what is kept of it, and what downstream is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.core.errors import ConflictError, RefusedError
from pipeline.core.ports import World
from pipeline.core.records import Snapshot, Validated
from pipeline.core.verdict import Bound, Outcome
from pipeline.steps.validate import pages, read_report, validate
from tests import fakes
from tests.core.checks import visits
from tests.core.checks.visits import FIRST, SHOPS, USECASE, VISITS

#: Longest window 10, history 2, evidence 5: what downstream may look at.
REACH = 17


def rows(table: Any, columns: dict[str, Any]) -> Any:
    arrays = {c.name: pa.array(columns[c.name], from_pandas=True) for c in table.columns}
    return fakes.typed(table, pa.table(arrays))


def deliver(store: Any, day: date, change: Callable[[visits.Tables], Any] | None = None) -> None:
    tables = visits.day_of(day)
    if change is not None:
        change(tables)
    for table in (VISITS, SHOPS):
        fakes.deliver(store, table, day, rows(table, tables[table.name]))


def snapshot(day: date, store: Any) -> Snapshot:
    versions = {table.name: store.version(table.name) or 0 for table in USECASE.tables}
    return Snapshot(USECASE.name, day.isoformat(), versions)


def run(world: World, day: date, usecase: Any = USECASE) -> Validated:
    return validate(usecase, snapshot(day, world.store), world)


def day_number(n: int) -> date:
    return FIRST + timedelta(n)


def flip(tables: visits.Tables) -> None:
    tables["visits"]["spent"] = -tables["visits"]["spent"]


def stale(tables: visits.Tables) -> None:
    tables["shops"]["refreshed"] = tables["shops"]["refreshed"] - 9


@pytest.fixture
def world() -> World:
    """Twelve sound days, nothing judged yet."""
    store = fakes.MemoryStore()
    for n in range(12):
        deliver(store, day_number(n))
    return fakes.world(store)


def asked(world: World) -> list[tuple[str, date]]:
    return world.checker.asked  # type: ignore[attr-defined,no-any-return]


def test_a_sound_day_is_accepted_with_its_report_and_pages(world: World) -> None:
    validated = run(world, day_number(11))
    assert validated.without == ()
    report = read_report(validated.report, world.files)
    assert report.outcome is Outcome.PASS
    assert {"visits: volume", "shops: age", "visits: expectations"} <= {finding.name for finding in report.findings}
    shown = pages(USECASE, validated.report, world.files)
    assert set(shown) == {"visits", "shops"}
    assert world.files.get(shown["shops"]) == b"<p>visits shops 2020-01-12"
    assert Validated.from_dict(json.loads(json.dumps(validated.to_dict()))).report == validated.report


def test_older_days_in_reach_are_judged_as_of_their_own_day_and_refused_ones_are_named(world: World) -> None:
    deliver(world.store, day_number(4), flip)
    deliver(world.store, day_number(6), stale)
    validated = run(world, day_number(11))
    assert validated.without == ("2020-01-05", "2020-01-07")


def test_only_days_in_reach_are_judged(world: World) -> None:
    for n in range(12, 30):
        deliver(world.store, day_number(n))
    run(world, day_number(29))
    assert min(day for _, day in asked(world)) == day_number(29 - REACH)


@pytest.mark.parametrize("damage", [None, b"", b"\x1f\x8b\x08 no more", b'{"half'])
@pytest.mark.parametrize("kind", [".profile.json.gz", ".keys.json.gz", ".json"])
def test_a_kept_file_that_is_damaged_or_gone_is_a_sentence_whose_advice_works(
    world: World, kind: str, damage: bytes | None
) -> None:
    run(world, day_number(11))
    deliver(world.store, day_number(12))
    files: dict[str, bytes] = world.files.kept  # type: ignore[attr-defined]
    sound = dict(files)
    (name,) = [
        one for one in files if "/2020-01-12/" in one and one.endswith(kind) and one.count(".") == kind.count(".")
    ]
    if damage is None:
        del files[name]
    else:
        files[name] = damage
    if (kind, damage) == (".json", None):  # as if the day had never been judged
        run(world, day_number(12))
        assert files[name] == sound[name]
        return
    with pytest.raises(RefusedError, match="remove every file whose name begins with '") as refused:
        run(world, day_number(12))
    assert f"'{name}'" in str(refused.value)
    stem = str(refused.value).partition("begins with '")[2].partition("'")[0]
    for one in [one for one in files if one.startswith(stem)]:
        del files[one]
    run(world, day_number(12))
    assert {one: files[one] for one in sound} == sound, "it is made anew, and says the same"


def test_what_is_kept_of_another_day_is_not_taken_for_this_ones(world: World) -> None:
    run(world, day_number(11))
    deliver(world.store, day_number(12))
    files: dict[str, bytes] = world.files.kept  # type: ignore[attr-defined]
    profiles = sorted(one for one in files if one.endswith(".profile.json.gz"))
    files[profiles[-1]] = files[profiles[-2]]
    with pytest.raises(RefusedError, match="is damaged \\(it is of 2020-01-11\\); remove every file whose name begins"):
        run(world, day_number(12))


def test_a_day_is_judged_once(world: World) -> None:
    first = run(world, day_number(11))
    before = len(asked(world))
    assert run(world, day_number(11)) == first
    assert len(asked(world)) == before
    deliver(world.store, day_number(12))
    run(world, day_number(12))
    assert asked(world)[before:] == [("visits", day_number(12)), ("shops", day_number(12))]


def test_a_refused_day_is_not_judged_again_while_nothing_changes(world: World) -> None:
    deliver(world.store, day_number(4), flip)
    run(world, day_number(11))
    before = len(asked(world))
    assert run(world, day_number(11)).without == ("2020-01-05",)
    assert len(asked(world)) == before


def test_a_corrected_delivery_is_judged_anew_and_sets_the_day_free(world: World) -> None:
    deliver(world.store, day_number(4), flip)
    assert run(world, day_number(11)).without == ("2020-01-05",)
    deliver(world.store, day_number(4))
    assert run(world, day_number(11)).without == ()


def test_a_day_refused_because_of_an_earlier_one_is_set_free_when_that_is_corrected(world: World) -> None:
    def other_shops(tables: visits.Tables) -> None:
        keys = tables["shops"]["shop"]
        tables["shops"]["shop"] = np.array([f"other {key}" for key in keys], dtype=object)
        tables["visits"]["shop"] = np.array(
            [None if k is None else f"other {k}" for k in tables["visits"]["shop"]], dtype=object
        )

    store = fakes.MemoryStore()
    deliver(store, day_number(0), other_shops)  # the first day's own file was the broken one
    for n in range(1, 4):
        deliver(store, day_number(n))
    world = fakes.world(store)
    with pytest.raises(RefusedError, match="shrinkage"):
        run(world, day_number(3))
    deliver(store, day_number(0))
    assert run(world, day_number(3)).without == ()


def test_a_changed_suite_judges_accepted_days_anew(world: World) -> None:
    run(world, day_number(11))
    stricter = fakes.FakeChecker("v2")
    stricter.bad = {("visits", day_number(3))}
    assert run(replace(world, checker=stricter), day_number(11)).without == ("2020-01-04",)


def test_a_changed_declaration_judges_accepted_days_anew(world: World) -> None:
    run(world, day_number(11))
    strict = replace(USECASE, references=(replace(SHOPS, matched=Bound(0.99, 1.0)),))
    with pytest.raises(RefusedError, match="shops: matched"):
        run(world, day_number(11), strict)


def test_new_code_judges_refused_days_anew_and_leaves_accepted_ones(world: World) -> None:
    deliver(world.store, day_number(4), flip)
    run(world, day_number(11))
    before = len(asked(world))
    run(replace(world, code="newer"), day_number(11))
    assert {day for _, day in asked(world)[before:]} == {day_number(4)}


def test_a_refused_data_day_leaves_its_report_and_pages_and_says_the_worst_in_one_sentence(world: World) -> None:
    deliver(world.store, day_number(12), flip)
    with pytest.raises(RefusedError) as caught:
        run(world, day_number(12))
    text = str(caught.value)
    assert text.startswith("visits: spent = net + tax: broken in 200 of 200 rows")
    assert "1 of " in text
    assert "another currency" in text
    assert caught.value.code == "REFUSED"
    kept = world.files.kept  # type: ignore[attr-defined]
    reports = [name for name in kept if "/2020-01-13/" in name and name.endswith(".json")]
    assert len(reports) == 1
    assert read_report(reports[0], world.files).findings == caught.value.findings
    assert set(pages(USECASE, reports[0], world.files)) == {"visits", "shops"}
    assert not any("/2020-01-13/" in name and "profile" in name for name in kept)


def test_a_refused_day_is_no_past_for_those_after_it(world: World) -> None:
    def half(tables: visits.Tables) -> None:
        tables["shops"] = {name: values[::2] for name, values in tables["shops"].items()}

    deliver(world.store, day_number(12), half)
    with pytest.raises(RefusedError):
        run(world, day_number(12))
    deliver(world.store, day_number(13))
    validated = run(world, day_number(13))
    assert validated.without == ("2020-01-13",)
    texts = {f.name: f.text for f in read_report(validated.report, world.files).findings}
    assert texts["shops: shrinkage"].startswith("0 of ")


def test_a_day_without_a_snapshot_is_missing_it_and_says_so(world: World) -> None:
    fakes.deliver(world.store, VISITS, day_number(12), rows(VISITS, visits.day_of(day_number(12))["visits"]))
    with pytest.raises(RefusedError, match="shops: missing: the snapshot of 2020-01-13 is not in the store") as caught:
        run(world, day_number(12))
    assert caught.value.code == "MISSING"
    deliver(world.store, day_number(13))
    assert run(world, day_number(13)).without == ("2020-01-13",)


def test_an_empty_table_is_missing_too(world: World) -> None:
    deliver(world.store, day_number(12), lambda t: t.update(visits={n: v[:0] for n, v in t["visits"].items()}))
    with pytest.raises(RefusedError, match="visits: missing: the feed of 2020-01-13 is empty"):
        run(world, day_number(12))


def test_a_table_that_was_never_delivered_is_missing() -> None:
    store = fakes.MemoryStore()
    fakes.deliver(store, VISITS, FIRST, rows(VISITS, visits.day_of(FIRST)["visits"]))
    with pytest.raises(RefusedError, match="shops: missing"):
        run(fakes.world(store), FIRST)


def test_a_failing_suite_refuses_the_day(world: World) -> None:
    world.checker.bad.add(("shops", day_number(11)))  # type: ignore[attr-defined]
    with pytest.raises(RefusedError, match="shops: expectations: as the test says"):
        run(world, day_number(11))


def test_a_day_that_was_judged_as_a_past_day_gets_its_pages_when_it_is_the_data_day(world: World) -> None:
    run(world, day_number(11))
    assert not any("/2020-01-10/" in name and name.endswith(".html") for name in world.files.kept)  # type: ignore[attr-defined]
    validated = run(world, day_number(9))
    assert set(pages(USECASE, validated.report, world.files)) == {"visits", "shops"}


def test_what_a_run_costs_does_not_grow_with_history(world: World) -> None:
    costs = []
    for n in range(12, 80):
        deliver(world.store, day_number(n))
        before = len(asked(world)), world.store.reads  # type: ignore[attr-defined]
        run(world, day_number(n))
        costs.append((len(asked(world)) - before[0], world.store.reads - before[1]))  # type: ignore[attr-defined]
    assert len(set(costs[1:])) == 1


class Dying(fakes.MemoryFiles):
    """Dies after so many writes."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def put(self, name: str, data: bytes) -> str:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().put(name, data)


@pytest.mark.parametrize("refused", [False, True])
def test_killed_after_any_write_and_run_again_it_ends_with_the_same_files(refused: bool) -> None:
    store = fakes.MemoryStore()
    for n in range(3):
        deliver(store, day_number(n), flip if refused and n == 2 else None)

    def until_done(files: Any) -> Any:
        for _ in range(50):
            try:
                run(fakes.world(store, files), day_number(2))
            except KeyboardInterrupt:
                files.left = 10**6
                continue
            except RefusedError:
                pass
            return files.kept
        raise AssertionError

    whole = until_done(fakes.MemoryFiles())
    for after in range(len(whole)):
        assert until_done(Dying(after)) == whole


def test_of_two_tries_at_once_the_first_report_stands(world: World) -> None:
    class Late(fakes.MemoryFiles):
        def put(self, name: str, data: bytes) -> str:
            if name.endswith(".json"):
                self.kept.setdefault(name, data.replace(b"PASS", b"PASS "))
                raise ConflictError("another try was first", "EXISTS")
            return super().put(name, data)

        def get(self, name: str, sha256: str | None = None) -> bytes:
            return super().get(name).replace(b"PASS ", b"PASS")

    assert run(replace(world, files=Late()), day_number(11)).without == ()


def quiet(tables: visits.Tables) -> None:
    tables["visits"] = {name: values[::2] for name, values in tables["visits"].items()}


def test_what_was_odd_is_remembered_from_run_to_run_whether_the_day_was_accepted_or_refused() -> None:
    """Half the rows: the first day is a holiday; the second and all after it are refused, each in a run of its own."""
    store = fakes.MemoryStore()
    for n in range(25):
        deliver(store, day_number(n))
    world = fakes.world(store)
    run(world, day_number(24))
    outcomes = []
    for n in range(25, 29):
        deliver(store, day_number(n), quiet)
        try:
            run(world, day_number(n))
            outcomes.append("accepted")
        except RefusedError as error:
            outcomes.append(next(f.name for f in error.findings if f.outcome is Outcome.FAIL))
    assert outcomes == ["accepted", *["visits: volume"] * 3]
    deliver(store, day_number(29))
    assert set(run(world, day_number(29)).without) == {day_number(n).isoformat() for n in range(26, 29)}
