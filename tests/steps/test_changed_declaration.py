"""The ordinary life of a declaration: what stays true stays evidence, and what changed is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import RefusedError
from pipeline.core.gates import EverySlice, NotWorse
from pipeline.core.kinds import Multiclass
from pipeline.core.ports import World
from pipeline.core.tables import Column
from pipeline.core.usecase import Schedule
from pipeline.core.verdict import Verdict
from pipeline.core.waivers import Waiver
from pipeline.core.windows import Days
from pipeline.steps.recompute import newest_verdict, recompute
from pipeline.steps.register import read_verdict
from tests import small
from tests.steps.test_succession import DAYS, NINTH, SMALL, TENTH, declared, night


def judged(day: date, world: World) -> Verdict:
    return read_verdict("small", day.isoformat(), newest_verdict(SMALL, day.isoformat(), world)[0], world)


def redelivered(home: Path, first: int, change: Callable[[str], str]) -> None:
    """The visits of the days from one on, as upstream delivers them now."""
    for day in DAYS[first:]:
        file = home / "landing" / "visits" / f"{day}.csv"
        file.write_text(change(file.read_text()))


def renamed(text: str) -> str:
    return text.replace("visit,shop,size,bought", "visit,shop,size_cm,bought", 1)


def visits(**changes: Any) -> Any:
    """The visits, with their column 'size' declared otherwise."""
    columns = [dataclasses.replace(one, **changes) if one.name == "size" else one for one in small.VISITS.columns]
    return dataclasses.replace(small.VISITS, columns=tuple(columns))


def test_a_column_that_upstream_renamed_is_told_with_the_way_to_declare_it(promoted: World, tmp_path: Path) -> None:
    redelivered(tmp_path, 8, renamed)
    with pytest.raises(RefusedError, match=r"renamed\?.*Column\('size', …, also=\('size_cm',\)\)") as refused:
        small.run_day(SMALL, NINTH, promoted)
    assert refused.value.code == "COLUMN_RENAMED"


def test_a_column_under_its_new_header_is_the_same_column(promoted: World, tmp_path: Path) -> None:
    """Champion and evidence are as they would be had nobody renamed anything."""
    redelivered(tmp_path, 8, renamed)
    usecase = declared(feeds=(visits(also=("size_cm",)),))
    line, _ = night(usecase, NINTH, promoted)
    assert (line.outcome, line.champion) == ("held", 2)
    version = promoted.store.version("visits")
    rows = promoted.store.read("visits", version, Days(DAYS[7], NINTH))
    assert rows["size"].null_count == 0
    assert "size_cm" not in rows.column_names
    (better,) = [one for one in judged(NINTH, promoted).findings["linear_long"] if one.name == "beats the baseline"]
    assert better.counts["days"] == 7


def test_no_past_day_is_validated_anew_for_a_header(promoted: World, tmp_path: Path) -> None:
    before = sorted((tmp_path / "store/files/validations/small").rglob("*.json"))
    small.run_day(declared(feeds=(visits(also=("size_cm",)),)), DAYS[7], promoted)
    assert sorted((tmp_path / "store/files/validations/small").rglob("*.json")) == before


@pytest.mark.parametrize(("also", "why"), [(("shop",), "header shop"), ("size_cm", "several words")])
def test_another_header_that_makes_no_sense_is_a_sentence(also: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        visits(also=also)


def test_a_column_that_upstream_adds_is_declared_and_the_rest_goes_on(promoted: World, tmp_path: Path) -> None:
    def wider(text: str) -> str:
        head, *lines = text.splitlines()
        return "\n".join([f"{head},extra", *(f"{line},1.5" for line in lines)]) + "\n"

    redelivered(tmp_path, 8, wider)
    with pytest.raises(RefusedError, match="'extra', which is not declared"):
        small.run_day(SMALL, NINTH, promoted)
    columns = (*small.VISITS.columns, Column("extra", "number", empty=True))
    line, _ = night(declared(feeds=(dataclasses.replace(small.VISITS, columns=columns),)), NINTH, promoted)
    assert (line.outcome, line.champion) == ("held", 2)


def test_a_slice_that_was_taken_out_stops_nobody_and_older_verdicts_are_reached_again(promoted: World) -> None:
    """Its values stand in the score ledger of the days before."""
    gates = (*SMALL.gates, EverySlice(0.01, at_least=2))
    with_shops = declared(gates=gates)
    for day in DAYS[8:11]:
        small.run_day(with_shops, day, promoted)
    sliced = [one.about for found in judged(DAYS[10], promoted).findings.values() for one in found if one.about]
    assert any(name.startswith("shop=") for name in sliced)
    small.run_day(declared(gates=gates, slices=()), DAYS[11], promoted)
    sliced = [one.about for found in judged(DAYS[11], promoted).findings.values() for one in found if one.about]
    assert not [name for name in sliced if name.startswith("shop=")]
    assert recompute(with_shops, DAYS[10].isoformat(), promoted).same


def test_a_gate_that_is_added_is_asked_of_the_evidence_that_is_there(promoted: World) -> None:
    for day in (NINTH, TENTH):
        small.run_day(SMALL, day, promoted)
    line, _ = night(declared(gates=(*SMALL.gates, NotWorse(0.1))), DAYS[10], promoted)
    assert line.outcome in ("held", "promoted")
    (found,) = [one for one in judged(DAYS[10], promoted).findings["linear_long"] if one.name == "not worse"]
    assert found.text.startswith("3 days of evidence")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"waivers": (Waiver("not worse", "ada", "spring", date(2020, 2, 1)),)}, "not worse"),
        ({"waivers": (Waiver("sound", "ada", "spring", date(2020, 2, 1)),)}, "sound"),
        (
            {"waivers": (Waiver("beats the baseline", "ada", "spring", date(2020, 2, 1), recipe="gone"),)},
            "gone",
        ),
    ],
    ids=["gate removed", "never waived", "recipe removed"],
)
def test_a_waiver_of_what_is_no_longer_declared_is_named(changes: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        declared(**changes)


def test_a_use_case_that_is_retired_keeps_its_history_and_its_way_back(promoted: World) -> None:
    """The schedule is quiet after its last day; whatever reads or rolls back needs the declaration, which stays."""
    from pipeline.steps.explain import explain
    from pipeline.steps.rollback import rollback

    retired = declared(schedule=Schedule(last=DAYS[7]))
    assert explain(retired, DAYS[7].isoformat(), promoted).verdict is not None
    assert recompute(retired, DAYS[7].isoformat(), promoted).same
    assert rollback(retired, promoted, "previous", "x", "ada", small.AT).version == 1


# Classes.


@pytest.fixture
def worded(tmp_path: Path) -> tuple[Any, World]:
    """Three classes, and a champion that was promoted on the eighth day."""
    usecase, world = dataclasses.replace(small.multiclass(), name="small"), small.world_in(tmp_path)
    for day in DAYS:
        small.deliver_words(tmp_path / "landing", day)
    for day in DAYS[2:8]:
        small.run_day(usecase, day, world)
    return usecase, world


def of_classes(usecase: Any, *classes: str) -> Any:
    return dataclasses.replace(usecase, kind=Multiclass(target="basket", classes=classes))


def test_a_class_that_is_added_at_the_end_leaves_the_champion_in_service(worded: tuple[Any, World]) -> None:
    usecase, world = worded
    line, entry = night(of_classes(usecase, *small.CLASSES, "huge"), NINTH, world)
    assert (line.outcome, entry.version) == ("held", 2)
    assert line.losses["champion"] < line.losses["constant"]


def test_classes_in_another_order_are_other_answers(worded: tuple[Any, World]) -> None:
    """The numbers of the classes would have moved under the champion without a word."""
    usecase, world = worded
    line, entry = night(of_classes(usecase, "none", *small.CLASSES), NINTH, world)
    assert (line.outcome, entry.version) == ("promoted", 3)
    assert entry.why.startswith(
        "champion version 2 was made for the classes nothing, little, much, and the declaration has none, nothing, "
        "little, much; "
    )


def test_another_target_is_another_question(promoted: World) -> None:
    from pipeline.core.kinds import Binary

    usecase = declared(
        kind=Binary(target="buys"), features=lambda tables: small.features(tables).rename({"late": "buys"})
    )
    _, entry = night(usecase, NINTH, promoted)
    assert entry.why.startswith("champion version 2 was made to predict 'late', and the declaration asks for 'buys'; ")
