"""What ``new`` takes the daily landing takes as well: tomorrow's file in the history's own form, whatever that is."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.adapters.landing.folder import FolderLanding
from pipeline.core.errors import UnavailableError, UsageError
from pipeline.core.tables import Column, Feed
from pipeline.onboarding.declaring.forms import bad_rows_of, form_of, written_of
from pipeline.onboarding.history.assemble import assemble
from pipeline.onboarding.history.columns import columns_of
from pipeline.onboarding.history.model_outputs import said_by_models
from pipeline.onboarding.history.reading import opened
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.target import Target, target_of
from pipeline.onboarding.new import _days_that_hold
from pipeline.onboarding.notes import Note
from pipeline.onboarding.tomorrow import last_day
from tests.onboarding.histories import FIRST, customers, trips

BASE = customers(days=18, rows=20).drop(columns=["email", "channel", "offer"])
DAYS = BASE["day"]
ROWS = np.arange(len(BASE))
UNITS = BASE["customer_id"].str[1:].astype(int)
TRIPS = trips(days=18, rows=20)
TRIP: dict[str, Any] = {"target": "minutes", "time": "picked_up", "unit": ("order_id",)}
NAIVE = TRIPS.assign(**{name: TRIPS[name].dt.tz_localize(None) for name in ("picked_up", "dropped_off")})
LAST = FIRST + timedelta(17)
Dump = Callable[[pd.DataFrame, Path], Any]


def csv(**how: Any) -> Dump:
    return lambda frame, path: frame.to_csv(path, **{"index": False, **how})


def text(change: Callable[[str], str]) -> Dump:
    return lambda frame, path: path.write_text(change(frame.to_csv(index=False)))


def parquet(index: bool = False, **types: Any) -> Dump:
    def dump(frame: pd.DataFrame, path: Path) -> None:
        table = pa.Table.from_pandas(frame, preserve_index=index)
        for name, kind in types.items():
            cells = kind(frame[name]) if callable(kind) else table[name].cast(kind)
            table = table.set_column(table.column_names.index(name), name, cells)
        pq.write_table(table, path)

    return dump


def jsonl(frame: pd.DataFrame, path: Path) -> None:
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))


def parts(frame: pd.DataFrame, path: Path) -> None:
    """As Spark leaves a folder: two parts, and files that are about them."""
    path.mkdir()
    for n, part in enumerate((frame.iloc[::2], frame.iloc[1::2])):
        part.to_parquet(path / f"part-0000{n}-x.snappy.parquet", index=False)
    for name in ("_SUCCESS", "_metadata", ".part-00000-x.snappy.parquet.crc"):
        (path / name).write_bytes(b"")


def partitioned(frame: pd.DataFrame, path: Path) -> None:
    for day, part in frame.groupby("day"):
        (path / f"day={day}").mkdir(parents=True)
        part.drop(columns="day").to_parquet(path / f"day={day}/part-00000.parquet", index=False)


def given(tmp_path: Path, frame: pd.DataFrame, suffix: str, dump: Dump, **asked: Any) -> tuple[Any, History, Feed, Any]:
    """The history as ``new`` reads it, the table as it declares it, and the notes."""
    file = tmp_path / f"history{suffix}"
    dump(frame, file)
    words = {"name": "churn", "target": "churned", "time": "day", "unit": ("customer_id",), **asked}
    request = Request(file=file, **words)
    source = opened(request)
    notes: list[Note] = source.notes
    history = assemble(request, source.table, notes)
    columns = columns_of(history, target_of(request, history, notes), notes)
    written = written_of(source, history)
    feed = Feed(
        name="churn",
        path=f"churn/{{day}}{source.suffix}",
        columns=tuple(
            Column(f.name, f.type, empty=f.empty, written=written.get(f.name, "plain")) for f in columns.fields
        ),
        key=(history.day, *history.unit),
        day=history.day,
        time=history.time,
        form=form_of(source, history, request),
        bad_rows=bad_rows_of(history, notes),
    )
    return source, history, feed, notes


def no_numbers(cells: pd.Series) -> pa.Array:
    """Some of them infinite and some no number, as others than pandas write them."""
    return pa.array(np.where(cells.isna(), np.inf, np.where(cells < 5, np.nan, cells)), from_pandas=False)


def de(value: float) -> str:
    return "" if np.isnan(value) else f"{1000 * value:,.2f}".translate(str.maketrans(",.", ".,"))


BYTES = [uuid.UUID(int=int(n) << 90).bytes for n in UNITS]
#: Its frame, the suffix, how it is written, and what is asked for.
FORMS: dict[str, tuple[pd.DataFrame, str, Dump, dict[str, Any]]] = {
    "plain": (BASE, ".csv", csv(), {}),
    "packed": (BASE, ".csv.gz", csv(), {}),
    "truths": (BASE.assign(happy=BASE["calls"] < 2), ".parquet", parquet(), {}),
    "truths in text": (BASE.assign(happy=BASE["calls"] < 2), ".csv", csv(), {}),
    "truths in json": (BASE.assign(happy=BASE["calls"] < 2), ".jsonl", jsonl, {}),
    "decimals": (
        BASE.assign(usage=[None if np.isnan(v) else Decimal(f"{v:.3f}") for v in BASE["usage"]]),
        ".parquet",
        parquet(),
        {},
    ),
    "long decimals": (BASE.assign(customer_id=[Decimal(10**20 + n) for n in UNITS]), ".parquet", parquet(), {}),
    "unsigned": (BASE.assign(customer_id=UNITS.astype(np.uint64) + np.uint64(2**63)), ".parquet", parquet(), {}),
    "unsigned in json": (BASE.assign(customer_id=[2**63 + int(n) for n in UNITS]), ".jsonl", jsonl, {}),
    "large whole numbers": (BASE.assign(customer_id=UNITS + 2**53 + 1), ".csv", csv(), {}),
    "sentinels": (BASE.assign(calls=np.where(ROWS % 9 == 0, 2**63 - 1, BASE["calls"])), ".csv", csv(), {}),
    "whole floating names": (BASE.assign(customer_id=UNITS.astype(float)), ".csv", csv(), {}),
    "small types": (
        BASE.assign(calls=BASE["calls"].astype(np.int8), usage=BASE["usage"].astype(np.float16)),
        ".parquet",
        parquet(),
        {},
    ),
    "NaN and inf": (BASE, ".parquet", parquet(usage=no_numbers), {}),
    "an index": (BASE.sample(frac=1.0, random_state=1), ".parquet", parquet(index=True), {}),
    "an index in text": (BASE, ".csv", csv(index=True), {}),
    "nested": (BASE.assign(tags=[["a"]] * len(BASE)), ".parquet", parquet(), {}),
    "dictionaries": (BASE.astype({"plan": "category", "calls": "category"}), ".parquet", parquet(), {}),
    "large text": (BASE, ".parquet", parquet(plan=pa.large_string(), customer_id=pa.string_view()), {}),
    "606 columns": (
        pd.concat([BASE, pd.DataFrame({f"f{n}": ROWS % (n + 2) for n in range(600)})], axis=1),
        ".parquet",
        parquet(),
        {},
    ),
    "zoned": (TRIPS, ".parquet", parquet(), TRIP),
    "other zones": (
        TRIPS.assign(dropped_off=TRIPS["dropped_off"].dt.tz_convert("Asia/Tokyo")),
        ".parquet",
        parquet(),
        TRIP,
    ),
    "naive": (NAIVE, ".parquet", parquet(), {**TRIP, "zone": "Europe/Berlin"}),
    "naive in text": (NAIVE, ".csv", csv(), {**TRIP, "zone": "Europe/Berlin"}),
    "nanoseconds": (NAIVE.assign(picked_up=NAIVE["picked_up"] + pd.Timedelta(7, "ns")), ".csv", csv(), TRIP),
    "midnights": (BASE.assign(day=pd.to_datetime(DAYS)), ".parquet", parquet(), {}),
    "midnights in text": (BASE.assign(day=[f"{d} 00:00:00" for d in DAYS]), ".csv", csv(), {}),
    "dates as text": (BASE.assign(day=DAYS.astype(str)), ".parquet", parquet(), {}),
    "words for nothing": (BASE.assign(usage=["NA" if n % 5 == 0 else str(n % 7) for n in ROWS]), ".csv", csv(), {}),
    "names that are taken": (
        BASE.rename(columns={"plan": "weekday", "usage": "_usage", "code": 'a"b'}),
        ".csv",
        csv(),
        {},
    ),
    "a column of that day": (NAIVE.assign(day="x"), ".parquet", parquet(), TRIP),
    "rows without a name": (
        BASE.assign(customer_id=BASE["customer_id"].where(ROWS % 150 != 7)),
        ".parquet",
        parquet(),
        {},
    ),
    "rows twice": (pd.concat([BASE, BASE.tail(2)]), ".csv", csv(), {}),
    "several types": (BASE.assign(code=[n if n % 2 else "x" for n in ROWS]), ".jsonl", jsonl, {}),
    "left out": (BASE.assign(score=BASE["calls"] * 1.5), ".parquet", parquet(), {"drop": ("score",)}),
    "decimal commas": (BASE, ".csv", csv(sep=";", decimal=","), {}),
    "1.234,56": (BASE.assign(usage=BASE["usage"].map(de)), ".csv", csv(sep=";"), {}),
    "1,234.56": (BASE.assign(usage=[f"{1000 * v:,.2f}" for v in BASE["usage"].fillna(0)]), ".csv", csv(), {}),
    "1 234,5": (
        BASE.assign(
            usage=[f"{1000 * v:,.1f}".translate(str.maketrans(",.", "\u202f,")) for v in BASE["usage"].fillna(0)]
        ),
        ".csv",
        csv(sep=";"),
        {},
    ),
    "1'234.5": (
        BASE.assign(usage=[f"{1000 * v:,.1f}".replace(",", "'") for v in BASE["usage"].fillna(0)]),
        ".csv",
        csv(),
        {},
    ),
    "31.12.2012": (BASE.assign(day=[f"{d:%d.%m.%Y}" for d in DAYS]), ".csv", csv(), {"date_formats": ("%d.%m.%Y",)}),
    "12/31/2012": (BASE.assign(day=[f"{d:%m/%d/%Y}" for d in DAYS]), ".csv", csv(), {"date_formats": ("%m/%d/%Y",)}),
    "1.2.12": (
        BASE.assign(day=[f"{d.day}.{d.month}.{d:%y}" for d in DAYS]),
        ".csv",
        csv(),
        {"date_formats": ("%d.%m.%y",)},
    ),
    "20121231": (
        BASE.assign(day=[int(f"{d:%Y%m%d}") for d in DAYS]),
        ".parquet",
        parquet(),
        {"date_formats": ("%Y%m%d",)},
    ),
    "31.12.2012 10:00": (
        NAIVE.assign(picked_up=NAIVE["picked_up"].dt.strftime("%d.%m.%Y %H:%M:%S")),
        ".csv",
        csv(),
        {**TRIP, "date_formats": ("%d.%m.%Y %H:%M:%S",)},
    ),
    "UUIDs": (
        BASE.assign(customer_id=BYTES),
        ".parquet",
        parquet(customer_id=lambda c: pa.array(c, pa.binary(16))),
        {},
    ),
    "bytes of text": (BASE.assign(plan=[word.encode() for word in BASE["plan"]]), ".parquet", parquet(), {}),
    "bytes of none": (BASE.assign(blob=[b"\xff\xfe"] * len(BASE)), ".parquet", parquet(), {}),
    "a mark and semicolons": (BASE, ".csv", csv(sep=";", encoding="utf-8-sig"), {}),
    "tabs": (BASE, ".csv", csv(sep="\t"), {}),
    "empty columns": (BASE, ".csv", text(lambda t: t.replace("\n", ",,\n")), {}),
    "empty rows": (BASE, ".csv", text(lambda t: f"{t},,,,,,\n,,,,,,\n\n"), {}),
    "a line of separators": (BASE, ".csv", text(lambda t: f"sep=;\n{t.replace(',', ';')}"), {}),
    "parts": (BASE, ".parquet", parts, {}),
    "parts by day": (BASE, "", partitioned, {}),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_day_written_as_the_history_was_is_read_as_the_history_was(tmp_path: Path, name: str) -> None:
    frame, suffix, dump, asked = FORMS[name]
    _, history, feed, _ = given(tmp_path, frame, suffix, dump, **asked)
    # By its own writer, not by ours. Each row has the label of the row it was made from.
    days = NAIVE["picked_up"].dt.date if "time" in asked else DAYS
    rows = frame[(days.loc[frame.index] == LAST).to_numpy()]
    place = tmp_path / feed.path.format(day=LAST)
    place.parent.mkdir()
    dump(rows, place)
    got = FolderLanding(tmp_path).fetch(feed, LAST).rows
    order = [(key, "ascending") for key in feed.key]
    assert got.sort_by(order).to_pylist() == history.of(LAST).select(got.column_names).sort_by(order).to_pylist()
    assert got.num_rows >= 19


@pytest.mark.parametrize("name", [name for name in FORMS if name != "606 columns"])
def test_the_day_that_new_tries_is_the_day_as_it_stands_in_the_file(tmp_path: Path, name: str) -> None:
    frame, suffix, dump, asked = FORMS[name]
    source, history, feed, _ = given(tmp_path, frame, suffix, dump, **asked)
    notes: list[Note] = []
    last_day(feed, source, history, tmp_path / "work", notes)
    ((about, said, review),) = [(note.about, note.text, note.review) for note in notes]
    assert about == "upstream"
    assert f"the last day, {LAST}, as it stands in the file" in said
    assert ("is read by the daily landing as it was read here" in said, review) == (True, False), said


def test_what_upstream_must_change_is_told_of_all_columns_at_once(tmp_path: Path) -> None:
    frame = BASE.assign(happy=BASE["calls"] < 2, joined=pd.to_datetime(DAYS) + pd.Timedelta("1h"), extra=1)
    source, history, feed, _ = given(tmp_path, frame, ".parquet", parquet())
    undone = tuple(Column(c.name, c.type, empty=c.empty) for c in feed.columns if c.name != "extra")
    notes: list[Note] = []
    plain = Feed(name="churn", path=feed.path, columns=undone, key=feed.key, day="day")
    last_day(plain, source, history, tmp_path / "work", notes)
    (note,) = notes
    assert note.review
    for part in ("'extra', which is not declared", "bool in the column 'happy'", "in the column 'joined'"):
        assert part in note.text


def test_what_is_read_otherwise_is_told_with_both_values(tmp_path: Path) -> None:
    frame = BASE.assign(usage=BASE["usage"].where(ROWS % 20 != 3, 1e35))
    source, history, feed, _ = given(tmp_path, frame, ".parquet", parquet())
    notes: list[Note] = []
    last_day(feed, source, history, tmp_path / "work", notes)
    assert "'usage' says 1e+35 there and None here" in notes[0].text
    assert notes[0].review


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("usage", "12.34", "usage: '12.34' is no finite number as the declared form writes them (.,)"),
        ("usage", "1,234.56", "'1,234.56' is no finite number"),
        ("day", "01/18/2026", "day: '01/18/2026' is no date such as 2013-03-08 or %d.%m.%Y"),
        ("day", "31.02.2026", "day: '31.02.2026' is no date"),
    ],
)
def test_what_is_written_in_another_way_than_declared_is_refused_by_column_and_line(
    tmp_path: Path, column: str, cell: str, said: str
) -> None:
    frame = BASE.assign(usage=BASE["usage"].map(de), day=[f"{d:%d.%m.%Y}" for d in DAYS])
    _, _, feed, _ = given(tmp_path, frame, ".csv", csv(sep=";"), date_formats=("%d.%m.%Y",))
    rows = frame[DAYS == LAST].reset_index(drop=True)
    rows.loc[3, column] = cell
    (tmp_path / "churn").mkdir()
    csv(sep=";")(rows, tmp_path / f"churn/{LAST}.csv")
    with pytest.raises(Exception, match="line 5: ") as refused:
        FolderLanding(tmp_path).fetch(feed, LAST)
    assert said in str(refused.value)


def test_a_folder_that_is_still_being_written_waits_and_a_corrected_part_is_another_delivery(tmp_path: Path) -> None:
    _, _, feed, _ = given(tmp_path, BASE, ".parquet", parts)
    place = tmp_path / f"churn/{LAST}.parquet"
    place.parent.mkdir()
    parts(BASE[DAYS == LAST], place)
    landing = FolderLanding(tmp_path)
    before = landing.digest(feed, LAST)
    assert before == landing.fetch(feed, LAST).sha256
    (place / "_temporary").mkdir()
    (place / "_SUCCESS").unlink()
    with pytest.raises(UnavailableError, match="still being written"):
        landing.fetch(feed, LAST)
    (place / "_temporary").rmdir()
    changed = BASE[DAYS == LAST].iloc[::2].assign(calls=0)
    changed.to_parquet(place / "part-00000-x.snappy.parquet", index=False)
    assert landing.digest(feed, LAST) not in (before, "", None)
    assert landing.fetch(feed, LAST).rows.num_rows == 20


@pytest.mark.parametrize(
    ("frame", "asked", "said"),
    [
        (BASE.assign(day=[f"{d:%d.%m.%Y}" for d in DAYS]), {}, "say --date-format %d.%m.%Y"),
        (BASE.assign(day=[f"{d:%m/%d/%Y}" for d in DAYS]), {}, "say --date-format %m/%d/%Y"),
        (
            BASE.assign(day=[f"{d:%d/%m/%Y}" for d in DAYS])[[d.day < 13 for d in DAYS]],
            {},
            "%d/%m/%Y or --date-format %m/%d/%Y",
        ),
        (BASE.assign(day=[f"{d:%d.%m.%Y}" for d in DAYS]), {"date_formats": ("%d.%m",)}, "must hold the year"),
        (BASE.assign(day=[f"{d:%d.%m.%Y}" for d in DAYS]), {"date_formats": ("%d. %b %Y",)}, "'%b' in"),
        (
            BASE,
            {"unit": ()},
            "--unit is missing, the column that names what a prediction is about; say --unit customer_id",
        ),
        (
            BASE.drop(columns=["customer_id", "code"]).round({"usage": 0}),
            {"unit": ()},
            "add a column with a name or a number",
        ),
        (BASE.drop_duplicates("day")[["day", "calls", "churned"]], {"unit": ()}, "this is a series"),
        (BASE, {"drop": ("usages",)}, "no column 'usages' for --drop; the nearest: usage"),
        (BASE, {"drop": ("day",)}, "can't be left out"),
        (BASE.assign(customer_id=[f"{2**53 + 2 * n}.0" for n in UNITS]), {}, "can't tell"),
    ],
)
def test_what_can_not_be_read_is_named_with_the_way_out(
    tmp_path: Path, frame: pd.DataFrame, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        given(tmp_path, frame, ".csv", csv(), **asked)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([f"{n % 9}.5 %" for n in ROWS], "taken as words: its cells, such as '0.5 %', are numbers with other signs"),
        ([f"€{n % 9}.5" for n in ROWS], "are numbers with other signs"),
        ([10**17 + n if n % 2 else f"{n}.5" for n in ROWS], "whole numbers that neither 64 bits nor"),
    ],
)
def test_numbers_that_are_taken_as_words_are_named(tmp_path: Path, cells: list[Any], said: str) -> None:
    *_, notes = given(tmp_path, BASE.assign(amount=cells), ".csv", csv())
    assert any(note.about == "amount" and said in note.text and note.review for note in notes)


@pytest.mark.parametrize("shape", ["d{:02d}", "AB-{}", "dep_{}", "{}"])
def test_a_name_with_a_number_in_it_is_taken_for_words_without_a_word(tmp_path: Path, shape: str) -> None:
    cells = [shape.format(n % 9) for n in ROWS] if shape != "{}" else [f"{n % 9}a" for n in ROWS]
    *_, notes = given(tmp_path, BASE.assign(driver=cells), ".csv", csv())
    told = [note.text for note in notes if note.about == "driver" and "other signs" in note.text]
    assert bool(told) is (shape == "{}"), "digits before a letter may be a unit"


def test_a_sign_for_no_value_is_named_with_its_digits(tmp_path: Path) -> None:
    *_, notes = given(tmp_path, BASE.assign(calls=np.where(ROWS % 9 == 0, 2**63 - 1, BASE["calls"])), ".csv", csv())
    (note,) = [note for note in notes if note.about == "calls"]
    assert "40 of its cells say 9223372036854775807" in note.text
    assert note.review


def test_a_column_of_nothing_but_thousands_is_thousands_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    frame = BASE.assign(usage=[f"{n % 9 + 1},{n % 1000:03d}" for n in ROWS])
    source, *_ = given(tmp_path, frame, ".csv", csv())
    assert source.table["usage"][:2].to_pylist() == [1000, 2001]
    source, *_ = given(tmp_path, frame, ".csv", csv(), decimal=",")
    assert source.table["usage"][:2].to_pylist() == [1.0, 2.001]


def test_what_an_earlier_model_said_is_named_the_most_telling_first_and_honest_inputs_are_not() -> None:
    target = Target("churned", "binary", np.array([0.0, 1.0]), ("no", "yes"))
    strength = {
        "calls": 0.8,
        "risk_score": 0.7,
        "churn_probability": 0.93,
        "scoreboard": 0.7,
        "y_pred": 0.55,
        "x": 0.95,
    }
    notes: list[Note] = []
    assert said_by_models(strength, target, notes) == ("x", "churn_probability", "risk_score")
    assert [note.about for note in notes if note.review and f"say --drop {note.about}" in note.text] == [
        *("x", "churn_probability", "risk_score")
    ]


def test_the_days_that_are_recommended_are_days_that_hold() -> None:
    near = [FIRST + timedelta(n) for n in range(30)]
    assert _days_that_hold(near, set(), []) == (near[0], near[16], near[29])
    # The newest day is refused, and so is the first that could be fitted.
    assert _days_that_hold(near, {near[0], near[29]}, []) == (near[1], near[15], near[28])
    # A day in between: the newest stretch of at least a week.
    assert _days_that_hold(near, {near[20]}, []) == (near[0], near[21], near[29])
    assert _days_that_hold(near, {near[26]}, []) == (near[0], near[12], near[25])
    notes: list[Note] = []
    assert _days_that_hold(near, set(near), notes) == (near[0], near[29], near[29])
    assert "not one of the newest days would be accepted" in notes[0].text
