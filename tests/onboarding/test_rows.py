"""A history gets days, sound names and one row a day for each unit; or a sentence that says what would help."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.core.tables import Column, Feed
from pipeline.onboarding.history.assemble import assemble
from pipeline.onboarding.history.cells import RESERVED
from pipeline.onboarding.history.reading import read
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.target import Target, target_of
from pipeline.onboarding.notes import Note
from tests.onboarding.histories import FIRST, customers, request, trips, written


def given_(frame: pd.DataFrame, **asked: Any) -> tuple[History, list[Note]]:
    with tempfile.TemporaryDirectory() as folder:
        table, notes = read(written(frame, Path(folder) / "history.parquet"))
    return assemble(request(Path("history.parquet"), **asked), table, notes), notes


def test_rows_are_in_the_order_of_day_and_unit_whatever_the_order_of_the_file() -> None:
    frame = customers(days=16, rows=20)
    one, _ = given_(frame)
    other, _ = given_(frame.sample(frac=1.0, random_state=3))
    assert one.rows.equals(other.rows)
    assert sum(one.of(day).num_rows for day in one.calendar) == one.rows.num_rows
    assert one.split == FIRST + timedelta(11)


NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)
    | st.sampled_from(["Day", "DAY", "known_at", "_x", "x", "X", "weekday", "Weekday", 'a"b', "a{b}", " ", ""]),
    max_size=6,
    unique=True,
)


@given(NAMES)
@settings(max_examples=100, deadline=None)
def test_every_column_gets_a_name_that_store_engine_and_declaration_take(names: list[str]) -> None:
    frame = customers(days=15, rows=2)[["day", "customer_id", "churned"]].assign(
        **{name: np.arange(30) for name in names if name not in ("day", "customer_id", "churned")}
    )
    history, notes = given_(frame)
    found = history.rows.column_names
    assert len({name.casefold() for name in found}) == len(found) == len(frame.columns)
    assert not {name.casefold() for name in found} & set(RESERVED) - {"day"}
    declared = (*(Column(name, "string") for name in found if name != "day"), Column("day", "date"))
    Feed("x", "x/{day}.parquet", declared, key=("day", *history.unit), day="day")
    changed = set(frame.columns) - set(found)
    assert changed == {note.about for note in notes if "called" in note.text}


def test_the_day_of_a_moment_is_that_of_its_zone() -> None:
    frame = trips(days=15, rows=30)
    history, notes = given_(frame, target="minutes", time="picked_up", unit=("order_id",))
    assert (history.day, history.time, history.zone) == ("day", "picked_up", "Europe/Berlin")
    assert history.calendar[0] == FIRST
    local = frame["picked_up"].dt.date
    assert sorted(local) == history.rows["day"].to_pylist()
    assert any(note.about == "day" and note.review for note in notes)
    naive = frame.assign(picked_up=frame["picked_up"].dt.tz_localize(None))
    history, notes = given_(naive, target="minutes", time="picked_up", unit=("order_id",))
    assert history.zone == "UTC"
    assert "names no time zone and is taken as UTC" in " ".join(note.text for note in notes)


def test_midnights_are_dates() -> None:
    frame = customers(days=15, rows=5)
    history, _ = given_(frame.assign(day=pd.to_datetime(frame["day"])))
    assert history.time is None
    assert pa.types.is_date(history.rows["day"].type)


def test_rows_that_repeat_another_are_left_out_and_said() -> None:
    frame = customers(days=15, rows=10)
    history, notes = given_(pd.concat([frame, frame.iloc[:3]]))
    assert history.rows.num_rows == len(frame)
    assert [note.text for note in notes if note.about == "rows"] == ["3 rows that repeat another left out"]


def labelled(frame: pd.DataFrame, **asked: Any) -> Target:
    history, notes = given_(frame, **asked)
    return target_of(request(Path("x.csv"), **asked), history, notes)


def wrong(frame: pd.DataFrame, **asked: Any) -> str:
    with pytest.raises(UsageError) as caught:
        labelled(frame, **asked)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_a_history_that_can_not_serve_gets_a_sentence_with_the_way_out() -> None:
    frame = customers(days=20, rows=10)
    assert "has no column 'churn' for --target; the nearest: churned" in wrong(frame, target="churn")
    assert "has no column 'date' for --time" in wrong(frame, time="date")
    assert "the nearest: customer_id" in wrong(frame, unit=("customer",))
    assert "is yes wherever" in wrong(frame.assign(churned="yes"))
    assert "is missing in every row" in wrong(frame.assign(churned=None))
    assert "all rows are of one day, 2026-01-01" in wrong(frame.assign(day=FIRST).drop_duplicates("customer_id"))
    assert "rows of 14 days" in wrong(frame[frame["day"] < FIRST + timedelta(14)])
    assert "can't be read as a time, it says '02.01.2026'" in wrong(frame.assign(day="02.01.2026"))
    assert "can't be read as a time, it says '5'" in wrong(frame.assign(day=5))
    assert "no time zone 'Berlin'" in wrong(frame, zone="Berlin")
    assert "of the rows have no 'day'" in wrong(frame.assign(day=frame["day"].where(frame.index % 2 == 0)))
    assert "of the rows have no 'customer_id'" in wrong(frame.assign(customer_id=""))
    assert "yes or no has two" in wrong(frame.assign(churned=frame["calls"]), kind="binary")
    assert "holds no numbers" in wrong(frame, kind="regression")
    assert "at most 30 classes" in wrong(frame.assign(churned=frame["email"]))
    assert "by columns other than the time and the target" in wrong(frame, unit=("day",))
    assert "leaves less than half" in wrong(frame, label_delay=11)


def test_a_unit_twice_on_a_day_is_refused_with_the_column_that_would_tell_them_apart() -> None:
    frame = trips(days=15, rows=40)
    said = wrong(frame, target="minutes", time="picked_up", unit=("driver",))
    assert "are about a unit that the day already has, such as driver" in said
    assert "as in --unit driver,order_id" in said


def test_one_class_in_the_older_days_can_not_be_learnt_and_is_said() -> None:
    frame = customers(days=20, rows=10)
    said = wrong(frame.assign(churned=np.where(frame["day"] < FIRST + timedelta(15), "no", frame["churned"])))
    assert "the older days (before 2026-01-15) have one value only of 'churned'" in said


@given(st.integers(0, 6))
@settings(max_examples=7, deadline=None)
def test_the_label_delay_is_the_number_of_newest_days_without_labels(blank: int) -> None:
    frame = customers(days=30, rows=10)
    last = FIRST + timedelta(29)
    frame["churned"] = frame["churned"].where(frame["day"] <= last - timedelta(blank), None)
    history, notes = given_(frame)
    assert target_of(request(Path("x.csv")), history, notes).delay == blank


def test_the_rarer_word_is_yes_unless_the_words_say_it() -> None:
    frame = customers(days=20, rows=20)
    rare = np.arange(len(frame)) % 4 == 0
    cases = (("no", "yes", "yes"), ("yes", "no", "yes"), ("stays", "gone", "gone"), (False, True, 1), (2, 1, 2))
    for usual, other, yes in cases:
        found = labelled(frame.assign(churned=np.where(rare, other, usual)))
        assert found.classes[1] == yes
        assert found.values.mean() == (0.25 if yes == other else 0.75)


def test_the_file_is_never_changed(tmp_path: Path) -> None:
    path = written(customers(days=15, rows=5), tmp_path / "history.csv")
    before = shutil.copy(path, tmp_path / "before.csv")
    assemble(request(path), read(path)[0], [])
    assert Path(before).read_bytes() == path.read_bytes()
