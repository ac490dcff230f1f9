"""A verdict can be reached again from what is kept, to the same bytes; what was changed since is found and named."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.core import gates
from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.ports import World
from pipeline.core.usecase import Promotion, Usecase
from pipeline.core.verdict import Finding, Outcome, Verdict
from pipeline.steps.judging.recorded import MEASUREMENTS, packed, recorded_file, same, unpacked
from pipeline.steps.recompute import Recomputed, newest_verdict, recompute
from pipeline.steps.register import verdict_file
from pipeline.steps.rollback import rollback
from tests import small
from tests.once import once


@dataclasses.dataclass(frozen=True)
class Says:
    """Passes, and says all that was measured for it, so that a verdict holds it to the bit."""

    reads: str
    stage: Stage

    @property
    def name(self) -> str:
        return f"says {self.reads}"

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        measured = getattr(evidence, self.reads)
        text = "nothing was measured" if measured is None else json.dumps(measured.to_dict())
        return (Finding(self.name, Outcome.UNKNOWN if measured is None else Outcome.PASS, text),)


@dataclasses.dataclass(frozen=True)
class SaysExam:
    """Passes, and says what both and the resampled refit'said of the scored day."""

    name: str = "says the holdout day"
    stage: Stage = Stage.REFIT

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        holdout = evidence.holdout
        assert holdout is not None
        sides = (holdout.labels, holdout.champion, holdout.candidate, holdout.resampled)
        arrays = [None if side is None else side.tolist() for side in sides]
        words = [holdout.blocks.tolist(), {name: values.tolist() for name, values in holdout.slices.items()}]
        return (Finding(self.name, Outcome.PASS, json.dumps([arrays, words])),)


#: The small use case asked for all that is measured.
ASKED = dataclasses.replace(
    small.SMALL,
    gates=(
        *small.SMALL.gates,
        Says("audited", Stage.AUDIT),
        Says("repeated", Stage.REFIT),
        Says("shared", Stage.REFIT),
        SaysExam(),
        Says("timing", Stage.TIMING),
        Says("footprint", Stage.TIMING),
    ),
)


class Forbidden:
    """A port that must not be used."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a recomputation asked for {name}")


def reading(home: Path) -> World:
    """A world in which models, features, registry and landing can't be asked."""
    none: Any = Forbidden()
    return dataclasses.replace(
        small.world_in(home), models=none, engine=none, registry=none, landing=none, checker=none
    )


def run(home: Path, usecase: Usecase = ASKED, days: int = 9) -> list[Any]:
    for day in small.days(16):
        small.deliver(home / "landing", day)
    world = small.world_in(home)
    return [small.run_day(usecase, day, world) for day in small.days(days)[2:]]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Days to a promotion and beyond, all gates asked."""
    from pipeline.steps.judging import timing

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(timing, "SINGLE", 2)
            patch.setattr(timing, "BATCH", 2)
            outcomes = run(folder)
        assert [o.outcome for o in outcomes][:6] == ["started", "held", "held", "held", "held", "promoted"]

    return once(tmp_path_factory, "days to recompute", make)


@pytest.fixture
def home(lived: Path, tmp_path: Path) -> Path:
    """A copy of those days, to be damaged."""
    shutil.copytree(lived, tmp_path / "home")
    return tmp_path / "home"


PROMOTED = small.days(8)[-1].isoformat()


def again(home: Path, day: str = PROMOTED, usecase: Usecase = ASKED, digest: str = "") -> Recomputed:
    return recompute(usecase, day, reading(home), digest)


def test_every_day_comes_out_to_the_same_bytes_without_a_model(home: Path) -> None:
    shutil.rmtree(home / "store" / "files" / "models")
    for day in small.days(9)[2:]:
        found = again(home, day.isoformat())
        assert found.same, (day, found.sentence, found.differs)
        assert "the same bytes" in found.sentence


def test_later_days_corrections_and_a_rollback_change_nothing(home: Path) -> None:
    world = small.world_in(home)
    corrected = small.days(7)[-1]
    small.deliver(home / "landing", corrected, flip=True)
    for day in small.days(12)[9:]:
        small.run_day(ASKED, day, world)
    rollback(ASKED, world, "1", "a try", "me", small.AT)
    small.run_day(ASKED, small.days(13)[-1], world)
    days = [date.fromisoformat(line.day) for line in world.ledger.outcomes("small")]
    for day in days:
        found = again(home, day.isoformat())
        assert found.same, (day, found.sentence, found.differs)


def test_a_past_day_run_again_has_two_verdicts_and_both_come_out(home: Path) -> None:
    first = newest_verdict(ASKED, PROMOTED, reading(home))[0]
    small.deliver(home / "landing", small.days(6)[-1], flip=True)
    small.run_day(ASKED, small.days(8)[-1], small.world_in(home))
    second = newest_verdict(ASKED, PROMOTED, reading(home))[0]
    assert first != second
    assert again(home).same, again(home).differs
    assert again(home, digest=first).same, again(home, digest=first).differs


def test_a_day_that_a_person_approved_comes_out(tmp_path: Path) -> None:
    usecase = dataclasses.replace(small.SMALL, promotion=Promotion(approval="person"))
    run(tmp_path, usecase, 8)
    assert newest_verdict(usecase, PROMOTED, reading(tmp_path))[0]
    assert again(tmp_path, usecase=usecase).same


def test_a_changed_number_in_what_was_measured_is_found_and_named(home: Path) -> None:
    digest = newest_verdict(ASKED, PROMOTED, reading(home))[0]
    verdict = json.loads((home / "store" / "files" / verdict_file("small", PROMOTED, digest)).read_text())
    file = home / "store" / "files" / recorded_file("small", PROMOTED, verdict["measured"])
    kept = json.loads(file.read_text())
    recipe = next(name for name, parts in kept["measured"].items() if parts.get("repeated"))
    kept["measured"][recipe]["repeated"]["again"] = 3
    file.chmod(0o600)
    file.write_text(json.dumps(kept))
    found = again(home)
    assert not found.same
    assert any(line.startswith(f"findings.{recipe}[says repeated].text was") for line in found.differs), found.differs
    assert not found.words
    assert any(line.startswith("measured was") for line in found.differs)


def test_what_was_measured_and_can_not_be_read_is_named(home: Path) -> None:
    digest = newest_verdict(ASKED, PROMOTED, reading(home))[0]
    verdict = json.loads((home / "store" / "files" / verdict_file("small", PROMOTED, digest)).read_text())
    file = home / "store" / "files" / recorded_file("small", PROMOTED, verdict["measured"])
    file.chmod(0o600)
    file.write_text("{}")
    assert "was changed after it was written" in again(home).differs[0]
    file.unlink()
    found = again(home)
    assert found.missing
    assert not found.same
    assert recorded_file("small", PROMOTED, verdict["measured"]) in found.sentence


@pytest.mark.parametrize(("error", "missing"), [(ValueError("no such day"), "no such day"), (RuntimeError(), "")])
def test_what_is_kept_and_fits_no_more_is_a_sentence_and_a_mistake_of_ours_is_none(
    home: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, missing: str
) -> None:
    def broken(*_: object) -> object:
        raise error

    monkeypatch.setattr("pipeline.steps.recompute._anew", broken)
    if missing:
        found = again(home)
        assert "does not fit this version of the product" in found.missing
        assert missing in found.missing
    else:
        with pytest.raises(RuntimeError):
            again(home)


def test_a_changed_verdict_is_found_by_its_digest(home: Path) -> None:
    digest = newest_verdict(ASKED, PROMOTED, reading(home))[0]
    file = home / "store" / "files" / verdict_file("small", PROMOTED, digest)
    file.chmod(0o600)
    file.write_text(file.read_text().replace('"promote"', '"hold"'))
    assert "changed after it was written" in again(home).differs[0]


class Changed:
    """A store in which one prediction of the ledger is another than it was."""

    def __init__(self, store: Any, table: str, column: str, day: date) -> None:
        self._store, self._table, self._column, self._day = store, table, column, day

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, table: str, *args: Any, **kwargs: Any) -> Any:
        rows = self._store.read(table, *args, **kwargs)
        if table != self._table:
            return rows
        import pyarrow as pa

        values, days = rows[self._column].to_pylist(), rows["day"].to_pylist()
        place = next(
            n
            for n, (day, who) in enumerate(zip(days, rows["contestant"].to_pylist(), strict=True))
            if day == self._day and who == "linear_short"
        )
        values[place] = values[place] * 0.9
        column = pa.array(values, rows[self._column].type)
        return rows.set_column(rows.column_names.index(self._column), self._column, column)


@pytest.mark.parametrize(("table", "column"), [("scores/small", "prediction"), ("sums/small", "loss")])
def test_a_changed_number_in_the_ledger_is_found_and_named(home: Path, table: str, column: str) -> None:
    world = reading(home)
    world = dataclasses.replace(world, store=Changed(world.store, table, column, small.days(7)[-1]))
    found = recompute(ASKED, PROMOTED, world)
    assert not found.same
    assert "linear_short" in found.differs[0]


def test_a_changed_limit_is_found_and_named(home: Path) -> None:
    eased = dataclasses.replace(ASKED, gates=(*ASKED.gates[:1], gates.BeatsBaseline(by=0.2), *ASKED.gates[2:]))
    found = again(home, usecase=eased)
    assert not found.same
    assert "beats the baseline" in found.differs[0]


def test_changed_code_is_told(home: Path) -> None:
    world = dataclasses.replace(reading(home), code="another")
    found = recompute(ASKED, PROMOTED, world)
    assert found.same
    assert "has changed since" in found.sentence


def test_a_later_source_that_says_it_otherwise_is_told_from_one_that_finds_otherwise(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.core.gates.what_would_change", lambda *_: "other words")
    found = again(home, small.days(6)[-1].isoformat())
    assert not found.same
    assert found.words
    assert "each answer and number is the same" in found.sentence


def test_a_promotion_ledger_that_was_lost_is_named(home: Path) -> None:
    (home / "store" / "ledger.db").unlink()
    lost = newest_verdict(ASKED, PROMOTED, small.world_in(home))[0]
    assert not lost
    digest = next((home / "store" / "files" / "verdicts" / "small" / PROMOTED).glob("*[0-9a-f].json"))
    names = [file.name for file in digest.parent.glob("*.json") if ".measured" not in file.name]
    found = again(home, digest=names[0].removesuffix(".json"))
    assert "promotion ledger" in found.missing


def test_an_older_verdict_reads_and_says_that_nothing_was_kept(home: Path) -> None:
    digest = newest_verdict(ASKED, PROMOTED, reading(home))[0]
    file = home / "store" / "files" / verdict_file("small", PROMOTED, digest)
    read = json.loads(file.read_text())
    for name in ("measured", "code"):
        del read[name]
    verdict = Verdict.from_dict(read)
    assert verdict.measured == ""
    small.world_in(home).files.put(verdict_file("small", PROMOTED, verdict.digest), verdict.to_json().encode())
    assert "before what was measured was kept" in again(home, digest=verdict.digest).missing


@given(
    arrays.arrays(
        np.float64, arrays.array_shapes(max_dims=2, max_side=4), elements=st.floats(allow_subnormal=True, width=64)
    )
)
def test_an_array_comes_back_to_the_bit(values: Any) -> None:
    back = unpacked(json.loads(json.dumps(packed(values))))
    assert back.shape == values.shape
    assert same(back, values)
    assert np.array_equal(np.signbit(back), np.signbit(values))


@pytest.mark.parametrize("kind", ["words", "number"])
def test_other_kinds_come_out_to_the_same_bytes(tmp_path: Path, kind: str) -> None:
    usecase = dataclasses.replace(
        small.multiclass() if kind == "words" else small.regression(), gates=(*small.SMALL.gates, SaysExam())
    )
    for day in small.days(6):
        (small.deliver_words if kind == "words" else small.deliver)(tmp_path / "landing", day)
    world = small.world_in(tmp_path)
    for day in small.days(6)[2:]:
        small.run_day(usecase, day, world)
        assert recompute(usecase, day.isoformat(), reading(tmp_path)).same


def test_all_that_a_gate_may_read_is_kept() -> None:
    from tests.core.gates.test_gates import GATES

    read = {getattr(gate, "reads", "") for gate in GATES} - {""}
    assert read == set(MEASUREMENTS)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there are values in what was kept, of lists the first two items."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, held in inner:
        yield from _places(held, (*path, key))


def test_whatever_is_written_into_what_was_kept_it_is_found_and_the_file_is_said_to_be_changed(home: Path) -> None:
    digest = newest_verdict(ASKED, PROMOTED, reading(home))[0]
    verdict = json.loads((home / "store" / "files" / verdict_file("small", PROMOTED, digest)).read_text())
    file = home / "store" / "files" / recorded_file("small", PROMOTED, verdict["measured"])
    file.chmod(0o600)
    text = file.read_text()
    nonsense, world = itertools.cycle([None, -1, 10**30, "x", [], {}, True]), reading(home)
    for path in list(_places(json.loads(text)))[1:]:
        changed = json.loads(text)
        at = changed
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = next(nonsense)
        if json.dumps(changed) == json.dumps(json.loads(text)):
            continue
        file.write_text(json.dumps(changed))
        found = recompute(ASKED, PROMOTED, world)
        assert not found.same, (path, at[path[-1]])
        assert not found.missing, (path, at[path[-1]], found.missing)
        assert any("was changed after it was written" in line for line in found.differs), (path, at[path[-1]])
