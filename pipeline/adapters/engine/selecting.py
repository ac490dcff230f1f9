"""What features made, to the units of a use case: one type a column whatever the data, and what is no unit refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import polars as pl

from pipeline.adapters.engine.frames import collected, plan
from pipeline.core.errors import RefusedError, UsageError
from pipeline.core.ports import Units
from pipeline.core.windows import Days

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.core.usecase import Tables, Usecase

_WORDS = (pl.String, pl.Categorical, pl.Enum)


def declared(usecase: Usecase, tables: Callable[[], Tables], days: Days) -> pl.LazyFrame:
    """What is to be computed for ``days``, sorted by day and key, each column in a type of its own; nothing is yet.

    Args:
        usecase: The use case.
        tables: Makes what the features read.
        days: The days that are kept.

    Raises:
        UsageError: Whatever the rows are, the features can't be computed, lack a declared column, or make an input
            that is neither a number nor a word.
    """
    try:
        selected = _selected(usecase, plan(usecase.features(tables())), days)
        selected.collect_schema()
    except (nw.exceptions.NarwhalsError, pl.exceptions.PolarsError) as error:
        raise UsageError(
            f"the features of use case '{usecase.name}' can't be computed: {_first_words(error)}", "FEATURES"
        ) from error
    return selected


def chosen(usecase: Usecase, tables: Callable[[], Tables], days: Days) -> pa.Table:
    """Compute what is :func:`declared`.

    Raises:
        UsageError: As there.
        RefusedError: With code ``FEATURES``: some value can't be computed, such as a text that is cast to a number.
    """
    selected = declared(usecase, tables, days)
    try:
        return collected(selected).to_arrow(compat_level=pl.CompatLevel.oldest())
    except pl.exceptions.PolarsError as error:
        culprits = [name for name in usecase.inputs if not _is_computable(selected, f"input {name}")]
        which = f" ({', '.join(culprits)})" if culprits else ""
        raise RefusedError(
            f"the features of use case '{usecase.name}' can't be computed{which}: {_first_words(error)}", "FEATURES"
        ) from error


def _first_words(error: Exception) -> str:
    # A paragraph says what, the next one often where; then come examples, or a picture of the plan.
    what, *where = str(error).split("\n\n")
    return " ".join(f"{what} {where[0] if where and 'plan' not in where[0] else ''}".split())


def _is_computable(selected: pl.LazyFrame, column: str) -> bool:
    try:
        collected(selected.select(column))
    except pl.exceptions.PolarsError:
        return False
    return True


def _selected(usecase: Usecase, features: pl.LazyFrame, days: Days) -> pl.LazyFrame:
    types = features.collect_schema()
    wanted = ("day", *usecase.unit, "predicted_at", *usecase.inputs, usecase.kind.target, "unlabelled")
    missing = [name for name in (*wanted, *usecase.block, *usecase.slices, *usecase.keys) if name not in types]
    if missing:
        raise UsageError(
            f"the features of use case '{usecase.name}' make no column {', '.join(dict.fromkeys(missing))}"
        )
    worded = bool(usecase.kind.classes) and isinstance(types[usecase.kind.target], _WORDS)
    columns = {
        "day": pl.col("day").cast(pl.Date),
        "key": _words(usecase.unit, types),
        "block": _words(usecase.block, types),
        "label": pl.col(usecase.kind.target).cast(pl.String if worded else pl.Float64),
        "unlabelled": pl.col("unlabelled").cast(pl.String),
        "predicted at": _moment(types["predicted_at"]),
    }
    columns |= {f"slice {name}": _words([name], types) for name in usecase.slices}
    columns |= {f"key {name}": _words([name], types) for name in usecase.keys}
    columns |= {f"input {name}": _input(usecase, name, types[name]) for name in usecase.inputs}
    kept = features.filter(pl.col("day").cast(pl.Date).is_between(days.first, days.last))
    return kept.select(**columns).sort("day", "key", maintain_order=True)


def _input(usecase: Usecase, name: str, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, _WORDS):
        return pl.col(name).cast(pl.String)
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return pl.col(name).cast(pl.Float64)
    raise UsageError(
        f"the input '{name}' of use case '{usecase.name}' is a {dtype}, and a model is asked with numbers and words: "
        f"make one of it in the features, such as the hour of a moment or the days between two",
        "FEATURES",
    )


def _moment(dtype: pl.DataType) -> pl.Expr:
    at = pl.col("predicted_at")
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        at = at.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return at.cast(pl.Datetime("us"))


def _words(columns: Iterable[str], types: Mapping[str, pl.DataType]) -> pl.Expr:
    """Columns as one text; what is missing is left out. Ledgers keep such texts: one that changes is another unit."""
    texts = [_text(pl.col(name), types[name]) for name in columns]
    return pl.concat_str(texts, separator=" ", ignore_nulls=True)


def _text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime):
        whole, part = column.dt.to_string("%Y-%m-%d %H:%M:%S"), column.dt.to_string("%6f").str.strip_chars_end("0")
        return pl.when(part == "").then(whole).otherwise(pl.concat_str(whole, pl.lit("."), part))
    return column.cast(pl.String)


def units_of(usecase: Usecase, table: pa.Table, expected: int) -> Units:
    """The rows of :func:`chosen` as units.

    Args:
        usecase: The use case.
        table: The rows.
        expected: How many units the days have.

    Raises:
        RefusedError: Units that are doubled or lost, that have neither label nor reason, or no moment of prediction.
    """
    what = f"the features of use case '{usecase.name}'"
    days = table["day"].to_numpy().astype("datetime64[D]")
    keys = _strings(table, "key")
    if len(keys) > 1:
        twice = np.flatnonzero((days[1:] == days[:-1]) & (keys[1:] == keys[:-1]))
        if len(twice):
            raise RefusedError(
                f"{what} make more than one row of {len(twice)} units, such as {keys[twice[0]]} on {days[twice[0]]}: "
                f"a join meets a key twice",
                "DUPLICATE",
            )
    if len(keys) != expected:
        raise RefusedError(f"{what} make {len(keys)} rows of {expected} units: a join or a filter loses some", "LOST")
    labels = _labels(usecase, table, keys, days)
    unlabelled = _strings(table, "unlabelled")
    silent = np.flatnonzero(np.isnan(labels) != (unlabelled != ""))
    if len(silent):
        first_silent = silent[0]
        raise RefusedError(
            f"{what} give {len(silent)} units neither a label nor a reason why not, or both, such as "
            f"{keys[first_silent]} on {days[first_silent]}",
            "LABEL",
        )
    if table["predicted at"].null_count:
        raise RefusedError(f"{what} do not say when each unit is predicted", "PREDICTED_AT")
    return Units(
        inputs=inputs_of(usecase, table),
        labels=labels,
        unlabelled=unlabelled,
        days=days,
        predicted_at=table["predicted at"].to_numpy().astype("datetime64[us]"),
        keys=keys,
        blocks=_strings(table, "block"),
        slices={name: _strings(table, f"slice {name}") for name in usecase.slices},
        named={name: _strings(table, f"key {name}") for name in usecase.keys},
    )


def inputs_of(usecase: Usecase, table: pa.Table) -> Any:
    """The inputs of the rows of :func:`chosen`, as a pandas frame."""
    return table.select([f"input {name}" for name in usecase.inputs]).rename_columns(list(usecase.inputs)).to_pandas()


def _labels(usecase: Usecase, table: pa.Table, keys: Any, days: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The labels as numbers, NaN where there is none; a word is told by its place among the kind's classes."""
    import pyarrow as pa

    kind, column = usecase.kind, table["label"]
    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type):
        labels = np.asarray(column.to_numpy(), dtype=np.float64)
        stray = ~np.isnan(labels) & ~kind.possible(labels)
    else:
        numbers = {word: float(number) for number, word in enumerate(kind.classes)}
        labels = np.array([math.nan if word is None else numbers.get(word, math.nan) for word in values])
        stray = np.array([word is not None and word not in numbers for word in values], dtype=np.bool_)
    if stray.any():
        first_stray = int(np.flatnonzero(stray)[0])
        can_be = f"one of {', '.join(kind.classes)}" if kind.classes else "what its kind can have"
        raise RefusedError(
            f"the label '{kind.target}' of {int(stray.sum())} units of use case '{usecase.name}' is not {can_be}, "
            f"such as {values[first_stray]!r} of {keys[first_stray]} on {days[first_stray]}; deliver it "
            f"corrected, or declare what it can be",
            "LABEL",
        )
    return labels


def _strings(table: pa.Table, column: str) -> np.ndarray[Any, np.dtype[np.str_]]:
    values = table[column].fill_null("").to_numpy(zero_copy_only=False)
    return values.astype(np.str_) if len(values) else np.empty(0, dtype="U1")
