"""Arrow's many types to the few that are declared, without loss; and why a type can't be taken for a declared one."""

from __future__ import annotations

import uuid
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.adapters.landing.refusals import quoted
from pipeline.adapters.landing.written import in_utc
from pipeline.core.facts import MOST_EXACT
from pipeline.core.forms import Form
from pipeline.core.tables import Column

TARGETS = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}
#: Up to which whole number a floating one of so many bits tells it from its neighbours.
_EXACT_BITS = {16: 2**11, 32: 2**24, 64: MOST_EXACT}
_INFINITIES = {"inf": float("inf"), "-inf": float("-inf")}


def is_text(kind: pa.DataType) -> bool:
    """Whether it is text, in whatever way it is held."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether it is bytes, of whatever length."""
    plain = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return bool(plain or pa.types.is_binary_view(kind))


def storage(kind: pa.DataType) -> pa.DataType:
    """The type of the values themselves, out of a dictionary or an extension."""
    while pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind.storage_type
    return kind


def stored(cells: pa.ChunkedArray) -> pa.Array:
    """The values themselves, out of dictionaries and extensions, in one piece."""
    array = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    while pa.types.is_dictionary(array.type) or isinstance(array.type, pa.BaseExtensionType):
        array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array.storage
    return array


def why_not(column: Column, kind: pa.DataType | None, form: Form) -> str:
    """What is wrong with a delivered type; empty if the column may come so."""
    if kind is None:
        return ""  # it stands there twice, which is refused for itself
    told, kind = kind, storage(kind)
    integer, decimal = pa.types.is_integer(kind), pa.types.is_decimal(kind)
    floating, moment = pa.types.is_floating(kind), pa.types.is_timestamp(kind)
    zoned = moment and (kind.tz is not None or bool(form.zone))
    good = {
        "string": is_text(kind) or is_bytes(kind) or (column.written == "digits" and (integer or decimal)),
        # pandas and others have no integer that can be missing, and write whole numbers as floating ones.
        "integer": integer
        or decimal
        or (floating and (column.empty or column.written == "float"))
        or (pa.types.is_boolean(kind) and column.written == "truth"),
        "number": integer or floating or decimal,
        # Days and moments may be spelt; each cell is then read as in a text file.
        "date": pa.types.is_date(kind) or moment or is_text(kind) or (integer and bool(form.dates)),
        "timestamp": zoned or is_text(kind),
    }
    if good[column.type] or pa.types.is_null(kind):
        return ""
    hint = " without a time zone" if moment and kind.tz is None else ""
    return f"{told}{hint} in the column '{column.name}', which is declared as {column.type}"


def plain(column: Column, cells: pa.ChunkedArray, form: Form) -> tuple[pa.Array, dict[int, str]]:
    """The column in the declared type, or as text that is still to be read.

    Returns:
        The cells, and the number (from 1 on) of those that can't be held without loss to why; these are null.
    """
    array = stored(cells)
    kind = array.type
    if column.type == "string":
        text, misfits = as_text(array)
        return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text), misfits
    if is_text(kind) or (pa.types.is_integer(kind) and column.type == "date"):
        return array.cast(pa.string()), {}
    if pa.types.is_timestamp(kind):
        return _of_moments(column, array, form)
    return _of_numbers(column, array, form)


def _of_numbers(column: Column, array: pa.Array, form: Form) -> tuple[pa.Array, dict[int, str]]:
    kind, target = array.type, TARGETS[column.type]
    if pa.types.is_floating(kind):
        array = without_absent(array.cast(pa.float64()), form)
    if pa.types.is_decimal(kind) and column.type == "number":
        if pc.any(rounded(array)).as_py():
            return _one_by_one(column, array, target, None)
        # By its digits: the nearest floating number, which a quick division by a power of ten can miss.
        array = array.cast(pa.string())
    if pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    most = _EXACT_BITS[kind.bit_width] if pa.types.is_floating(kind) and column.type == "integer" else None
    try:
        made = array.cast(target)
        if most is None or not pc.any(pc.greater(pc.abs(array), float(most))).as_py():
            return made, {}
    except pa.ArrowInvalid:
        pass
    return _one_by_one(column, array, target, most)


def rounded(decimals: pa.Array) -> pa.Array:
    """Which decimals are whole numbers that no floating number holds."""
    ends = pc.min_max(decimals).as_py()
    if ends["min"] is None or max(-ends["min"], ends["max"]) <= MOST_EXACT:
        return pa.repeat(pa.scalar(False), len(decimals))
    values = decimals.to_pylist()
    return pa.array(
        [v is not None and v == v.to_integral_value() and int(float(v)) != int(v) for v in values], pa.bool_()
    )


def _one_by_one(
    column: Column, array: pa.Array, target: pa.DataType, most: int | None
) -> tuple[pa.Array, dict[int, str]]:
    misfits: dict[int, str] = {}
    values: list[Any] = []
    for number, value in enumerate(array, start=1):
        held, made = value.as_py(), None
        if held is not None:
            if most is not None and abs(held) > most and held == held // 1:
                misfits[number] = (
                    f"{quoted(_digits(held))} is a floating number, which can't tell it from its neighbours"
                )
            elif pa.types.is_decimal(array.type) and column.type == "number":
                # A fraction is the nearest floating number, a whole number is itself or nothing.
                if held != held.to_integral_value() or int(float(held)) == held:
                    made = float(held)
                else:
                    misfits[number] = f"{quoted(held)} is no number that can be kept without loss"
            else:
                try:
                    made = value.cast(target).as_py()
                except pa.ArrowInvalid:
                    misfits[number] = f"{quoted(_digits(held))} is no {column.type} that can be kept without loss"
        values.append(made)
    return pa.array(values, target), misfits


def _digits(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def without_absent(array: pa.Array, form: Form) -> pa.Array:
    """Floating numbers, null where they are one of those that the form takes as missing."""
    nothing = pa.scalar(None, pa.float64())
    if "NaN" in form.absent:
        array = pc.if_else(pc.is_nan(array), nothing, array)
    for word, value in _INFINITIES.items():
        if word in form.absent:
            array = pc.if_else(pc.equal(array, value), nothing, array)
    return array


def _of_moments(column: Column, array: pa.Array, form: Form) -> tuple[pa.Array, dict[int, str]]:
    """Moments in UTC, cut to microseconds; or the dates of those that are midnights."""
    zone = array.type.tz
    if column.type == "timestamp":
        if zone is None:
            return in_utc(array, form.zone), {}
        return array.cast(TARGETS["timestamp"], safe=False), {}
    local = array if zone is None else pc.local_timestamp(array.cast(pa.timestamp(array.type.unit, form.zone or zone)))
    days = pc.floor_temporal(local, unit="day")
    whole = pc.equal(local, days)
    dates = pc.if_else(whole, days, pa.scalar(None, days.type)).cast(pa.date32())
    off = [n for n, good in enumerate(whole.to_pylist(), start=1) if good is False]
    return dates, {n: f"{quoted(array[n - 1].as_py())} is no date but a moment within a day" for n in off}


def as_text(array: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """Text of text, of numbers by their digits, of bytes that are UTF-8, of sixteen bytes as a UUID.

    Returns:
        The text, and the number (from 1 on) of bytes that are no text to why.
    """
    kind = array.type
    if pa.types.is_decimal(kind):
        # How many zeros stand behind depends on the other cells of the file.
        text = array.cast(pa.string())
        text = pc.replace_substring_regex(text, r"(\.[0-9]*[1-9])0+$", r"\1")
        return pc.replace_substring_regex(text, r"\.0*$", ""), {}
    if not is_bytes(kind):
        return array.cast(pa.string()), {}
    if pa.types.is_fixed_size_binary(kind) and kind.byte_width == 16:
        return pa.array([None if v is None else str(uuid.UUID(bytes=v)) for v in array.to_pylist()], pa.string()), {}
    if pa.types.is_fixed_size_binary(kind):
        return pa.array([None if v is None else v.hex() for v in array.to_pylist()], pa.string()), {}
    try:
        return array.cast(pa.binary()).cast(pa.string()), {}
    except pa.ArrowInvalid:
        return _text_of_some(array)


def _text_of_some(array: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    texts: list[str | None] = []
    misfits: dict[int, str] = {}
    for number, value in enumerate(array.to_pylist(), start=1):
        try:
            texts.append(None if value is None else value.decode())
        except UnicodeDecodeError:
            texts.append(None)
            misfits[number] = f"its bytes {value[:8].hex()}{'…' if len(value) > 8 else ''} are no text in UTF-8"
    return pa.array(texts, pa.string()), misfits
