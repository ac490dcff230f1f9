"""What people write in features: on the day's table, in a training window and in one request it comes out the same."""

from __future__ import annotations

import dataclasses
import math
import re
from datetime import date, datetime, timedelta
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from pipeline.adapters.engine import frames, polars_engine
from pipeline.adapters.engine.polars_engine import PolarsEngine, known
from pipeline.core.errors import RefusedError, UsageError
from pipeline.core.kinds import Regression
from pipeline.core.ports import Units
from pipeline.core.usecase import Recipe, Tables, Usecase
from pipeline.core.windows import Days
from pipeline.steps.judging.single_requests import RequestAudit, audit_single_requests
from pipeline.usecases import find
from tests.adapters.engine.walked import COLUMNS, DAY, EXPRESSIONS, PAST, ROWS, UNITS, D, N, S, T, of_the_day_before
from tests.fakes import MemoryStore
from tests.flights import newest, put


def features(tables: Tables) -> Any:
    rows = tables["rows"]
    made = rows.with_columns(**{f"one {name}": expression for name, (expression, _) in EXPRESSIONS.items()})
    for name, (frame, _) in of_the_day_before(rows).items():
        made = made.join(frame.select("day", "g", nw.col("v").alias(f"group {name}")), on=["day", "g"], how="left")
    seen = rows.filter(~nw.col("paid").is_null()).select("g", "at", nw.col("paid").alias("latest in time"))
    # Sorted backwards, and with keys that are missing: an as-of join finds what it should all the same.
    made = made.join_asof(seen.sort("at", descending=True), on="at", by="g", strategy="backward")
    return made.with_columns(
        predicted_at=nw.col("at"), unlabelled=nw.when(nw.col("paid").is_null()).then(nw.lit("not yet"))
    )


def usecase(made: Any = features, inputs: tuple[str, ...] = ()) -> Usecase:
    return Usecase(
        name="expressions",
        question="What is it?",
        kind=Regression(target="paid", acts_at=1.0, tolerance=1.0),
        unit=("n",),
        feeds=(ROWS,),
        references=(),
        features=made,
        inputs=inputs,
        history=1,
        recipes=(Recipe("none", lambda seed: None, window=7),),
        baseline=Recipe("rule", lambda seed: None, window=7),
        block=("n",),
        slices=("n",),
        gates=(find("flight_delay").gates[0],),
    )


def rows(day: date, *made: tuple[Any, ...]) -> pa.Table:
    types = {"integer": pa.int64(), "number": pa.float64(), "string": pa.string(), "date": pa.date32()}
    cells = {column.name: [row[place] for row in made] for place, column in enumerate(COLUMNS)}
    return pa.table(
        {column.name: pa.array(cells[column.name], types.get(column.type, pa.timestamp("us"))) for column in COLUMNS}
    )


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    kept = MemoryStore()
    noon = datetime(2024, 3, 9, 12)
    past = [("red", 1, 1.0), ("red", 2, None), ("red", 3, 3.5), ("blue", 4, None), ("blue", 5, None)]
    past += [("empty", None, None), (None, 6, 8.0), (None, 7, None)]
    before = [
        (PAST, 100 + n, noon + timedelta(hours=n), i, n, None, None, None, None, g, paid)
        for n, (g, i, paid) in enumerate(past)
    ]
    put(kept, ROWS, PAST, rows(PAST, *before))
    today = [
        (DAY, n, datetime(2024, 3, 10, 13 + n), i, j, x, s, t, d, g, None)
        for n, (i, j, x, s, t, d, g) in enumerate(UNITS)
    ]
    put(kept, ROWS, DAY, rows(DAY, *today))
    return kept


def columns() -> dict[str, list[Any]]:
    """Column of :func:`features` to what a person would say of each unit."""
    frame = nw.from_native(pl.LazyFrame(schema={column.name: TYPES[column.type] for column in COLUMNS}))
    groups = {f"group {name}": wanted for name, (_, wanted) in of_the_day_before(frame).items()}
    ones = {f"one {name}": wanted for name, (_, wanted) in EXPRESSIONS.items()}
    return {**ones, **groups, "latest in time": [3.5, 3.5, None, None, None, None]}


TYPES = {
    "integer": pl.Int64,
    "number": pl.Float64,
    "string": pl.String,
    "date": pl.Date,
    "timestamp": pl.Datetime("us"),
}
WANTED = columns()
CASE = usecase(inputs=tuple(WANTED))


def same(found: Any, wanted: Any) -> bool:
    """Whether they are equal; numbers reach a model as floats, which have one word for what is missing or no number."""
    if wanted is None or wanted != wanted:
        return bool(found is None or found != found)
    return bool(found == (float(wanted) if isinstance(wanted, int) else wanted))


def otherwise(inputs: Any) -> set[str]:
    """The columns in which some unit has not what a person would say."""
    return {
        name
        for name, wanted in WANTED.items()
        if not all(same(one, other) for one, other in zip(inputs[name].tolist(), wanted, strict=True))
    }


def units(store: MemoryStore, made: Usecase = CASE, first: date = DAY) -> Units:
    return PolarsEngine(store).units(made, newest(store), Days(first, DAY))


def test_every_expression_gives_what_a_person_would_say(store: MemoryStore) -> None:
    assert otherwise(units(store).inputs) == set()


def test_within_a_training_window_a_day_is_what_it_is_by_itself(store: MemoryStore) -> None:
    window = units(store, first=PAST)
    assert len(window) == len(UNITS) + 8
    assert otherwise(window.where(window.days == np.datetime64(DAY)).inputs) == set()


def alone(store: MemoryStore, made: Usecase = CASE) -> RequestAudit:
    tables = PolarsEngine(store).tables(made, newest(store), Days(DAY, DAY))
    return audit_single_requests(made, tables, units(store, made), DAY, len(UNITS))


def test_every_unit_computed_as_one_request_has_what_it_has_on_the_days_table(store: MemoryStore) -> None:
    assert alone(store) == RequestAudit(len(UNITS), lived=len(UNITS))


@pytest.mark.filterwarnings("ignore:Sortedness of columns")
def test_the_walk_sees_an_engine_that_computes_otherwise(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Polars makes of the same by itself: moments, counts and truths that wrap, joins of unsorted rows."""
    monkeypatch.setattr(
        polars_engine,
        "known",
        lambda usecase, given: known(usecase, {n: nw.from_native(f.to_native()) for n, f in given.items()}),
    )
    monkeypatch.setattr(frames, "_ours", lambda frame: frame)
    # Of this it makes nothing at all.
    monkeypatch.delitem(EXPRESSIONS, "truths apart")
    made = dataclasses.replace(CASE, inputs=tuple(name for name in WANTED if name != "one truths apart"))
    found = PolarsEngine(store).units(made, newest(store), Days(DAY, DAY)).inputs
    found = found.assign(**{"one truths apart": math.inf})
    wrapped = {"one hour squared", "one length", "one sum of truths", "group count", "group truths", "latest in time"}
    assert wrapped <= otherwise(found)


# What can't be equal is refused, by name.


def refusal(store: MemoryStore, made: Any, *inputs: str) -> str:
    """What is said of features that are refused before there is a row, and said again when there are."""
    case = usecase(made, inputs)
    with pytest.raises(UsageError) as caught:
        PolarsEngine(store).check(case)
    with pytest.raises(UsageError, match=re.escape(str(caught.value))):
        units(store, case)
    return str(caught.value)


def with_input(expression: nw.Expr) -> Any:
    return lambda tables: features(tables).with_columns(odd=expression)


@pytest.mark.parametrize(
    ("expression", "what"),
    [(D, "Date"), (T, "Datetime"), (nw.col("at") - T, "Duration"), (nw.list("i", "j"), "List")],
)
def test_an_input_that_is_neither_number_nor_word_is_refused_by_name(
    store: MemoryStore, expression: nw.Expr, what: str
) -> None:
    told = refusal(store, with_input(expression), "one i + j", "odd")
    assert told.startswith(f"the input 'odd' of use case 'expressions' is a {what}")
    assert "make one of it in the features" in told


def test_what_depends_on_the_order_of_rows_must_say_which(store: MemoryStore) -> None:
    told = refusal(store, with_input(N.cum_sum()), "odd")
    assert told.startswith("the features of use case 'expressions' can't be computed: Order-dependent expressions")
    assert "order_by" in told


@pytest.mark.parametrize("expression", [S.cast(nw.Int64), N.cast(nw.Int8), N.cast(nw.UInt32) - 1])
def test_a_value_that_has_no_place_in_the_type_is_told_with_the_input(store: MemoryStore, expression: nw.Expr) -> None:
    case = usecase(with_input(expression), ("one i + j", "odd"))
    PolarsEngine(store).check(case)
    with pytest.raises(RefusedError) as caught:
        units(store, case)
    told = str(caught.value)
    assert caught.value.code == "FEATURES"
    assert told.startswith("the features of use case 'expressions' can't be computed (odd): ")
    assert "conversion from" in told
    assert len(told) < 400


def collected(tables: Tables) -> Any:
    return features(tables).collect().lazy()


def taken_out(tables: Tables) -> Any:
    return features({"rows": nw.from_native(tables["rows"].to_native())})


def joined_with_what_was_taken_out(tables: Tables) -> Any:
    other = nw.from_native(tables["rows"].select("n", odd="i").to_native())
    return features(tables).join(other, on="n", how="left")


def put_together(tables: Tables) -> Any:
    return nw.concat([features(tables), features({"rows": tables["rows"].collect().lazy()})])


@pytest.mark.parametrize("made", [collected, taken_out, joined_with_what_was_taken_out, put_together])
def test_frames_that_are_not_the_engines_are_refused(store: MemoryStore, made: Any) -> None:
    assert "features are made of the frames that they were given" in refusal(store, made, "one i + j")


@pytest.mark.parametrize("expression", [N.rank("dense").over("day"), N.mean().over("day"), nw.len().over("day")])
def test_what_needs_the_whole_day_differs_alone_and_is_told_with_the_input(
    store: MemoryStore, expression: nw.Expr
) -> None:
    """No engine can mend it: the other units of the day are not there when the first of them is asked about."""
    audited = alone(store, usecase(with_input(expression), ("one i + j", "odd")))
    assert audited.differs
    assert all(line.startswith("odd of ") for line in audited.differs)
    assert audited.silent == ""


@pytest.mark.parametrize("why", [ValueError, nw.exceptions.ComputeError])
def test_features_that_want_rows_to_look_at_are_tried_when_there_are_some(store: MemoryStore, why: Any) -> None:
    def looks(tables: Tables) -> Any:
        if not len(tables["rows"].collect()):
            raise why("nothing to look at")
        return features(tables)

    case = usecase(looks, ("one i + j",))
    PolarsEngine(store).check(case)
    assert len(units(store, case)) == len(UNITS)
