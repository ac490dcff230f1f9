"""Cells as a :class:`~pipeline.core.forms.Form` has them, to cells as they are plainly written. Nothing is guessed.

What fits the form is written plainly: ``1.234,56`` as ``1234.56``, ``31.12.2012`` as ``2012-12-31``. What does not fit
is told by its row, and is never read as something else: under a decimal comma ``12.34`` is no number at all.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.forms import Form
from pipeline.core.tables import Column

#: Whatever people set between groups of three digits where they set a blank.
_BLANKS = "[ \u00a0\u2009\u202f]"
_DATE = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}$"
#: The first moment of a day, which names the day.
MIDNIGHT = r"^([12][0-9]{3}-[0-9]{2}-[0-9]{2})[T ]00:00(:00(\.0{1,9})?)?$"
_ISO_TIME = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}[T ]"
_NAIVE = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?$"
_PARTS = {"Y": "[12][0-9]{3}", "y": "[0-9]{2}", "m": "[0-9]{1,2}", "d": "[0-9]{1,2}"}
_PARTS |= {"H": "[0-9]{1,2}", "M": "[0-9]{2}", "S": "[0-9]{2}", "f": "[0-9]{1,9}"}
#: Two digits of a year are of this century below this, as everywhere in Unix.
_CENTURY = 69


def plainly(column: Column, cells: pa.Array, form: Form) -> tuple[pa.Array, pa.Array]:
    """Cells of text as they are plainly written, and which of them do not fit the form.

    Args:
        column: Its declared type and :attr:`~pipeline.core.tables.Column.written` say what the cells mean.
        cells: Text, null where empty.
        form: How the table's files are written.
    """
    if form.absent:
        cells = without_words(cells, form)
    if column.written == "truth":
        truth = pc.match_substring_regex(cells, "^(?i:true|false)$")
        words = pc.if_else(pc.equal(pc.utf8_lower(cells), "true"), "1", "0")
        return pc.if_else(pc.fill_null(truth, False), words, cells), _none(cells)
    if column.type in ("integer", "number"):
        plain, unfit = _numbers(cells, form, whole=column.type == "integer" and column.written != "float")
        if column.written == "float":
            plain = pc.replace_substring_regex(plain, r"^(-?[0-9]+)\.0*$", r"\1")
        return plain, unfit
    if column.type == "date":
        return _days(cells, form)
    if column.type == "timestamp":
        plain, unfit = _dated(cells, form.times, _ISO_TIME) if form.times else (cells, _none(cells))
        # Finer than microseconds nothing is kept.
        return pc.replace_substring_regex(plain, r"(\.[0-9]{6})[0-9]{1,3}", r"\1"), unfit
    return cells, _none(cells)


def without_words(cells: pa.Array, form: Form) -> pa.Array:
    """The cells, empty where they say a word that means so."""
    said = pc.is_in(cells, value_set=pa.array(form.absent, pa.string()))
    return pc.if_else(said, pa.scalar(None, pa.string()), cells)


def _none(cells: pa.Array) -> pa.Array:
    return pa.repeat(pa.scalar(False), len(cells))


def number_shape(decimal: str, thousands: str, whole: bool = False) -> str:
    """A regular expression of numbers so written, whether whole or not."""
    group = _BLANKS if thousands == " " else re.escape(thousands)
    # Nobody groups a number that begins with nothing: 0,123 is a fraction.
    digits = f"([1-9][0-9]{{0,2}}({group}[0-9]{{3}})+|[0-9]+)" if thousands else "[0-9]+"
    if whole:
        return f"^[+-]?{digits}$"
    sign = re.escape(decimal)
    return f"^[+-]?({digits}({sign}[0-9]*)?|{sign}[0-9]+)([eE][+-]?[0-9]{{1,4}})?$"


def plain_numbers(cells: pa.Array, decimal: str, thousands: str) -> pa.Array:
    """Numbers so written as they are plainly written."""
    if thousands:
        group = _BLANKS if thousands == " " else re.escape(thousands)
        cells = pc.replace_substring_regex(cells, group, "")
    return cells if decimal == "." else pc.replace_substring(cells, decimal, ".")


def _numbers(cells: pa.Array, form: Form, whole: bool) -> tuple[pa.Array, pa.Array]:
    if form.decimal == "." and not form.thousands:
        return cells, _none(cells)
    fits = pc.match_substring_regex(cells, number_shape(form.decimal, form.thousands, whole))
    return plain_numbers(cells, form.decimal, form.thousands), pc.invert(pc.fill_null(fits, True))


def moment_shape(written: str) -> str:
    """A regular expression of a format in the words of ``strptime``, its parts named."""
    pieces = re.split(r"%(.)", written)
    return "^" + "".join(f"(?P<{p}>{_PARTS[p]})" if n % 2 else re.escape(p) for n, p in enumerate(pieces)) + "$"


def plain_moments(cells: pa.Array, written: str) -> pa.Array:
    """Dates or moments of that format as ISO text; null where one does not fit."""
    found = pc.extract_regex(cells, moment_shape(written))

    def part(name: str, width: int = 2) -> pa.Array:
        return pc.utf8_lpad(pc.struct_field(found, name), width, "0")

    codes = re.findall(r"%(.)", written)
    year = part("Y", 4) if "Y" in codes else _century(part("y"))
    day = pc.binary_join_element_wise(year, part("m"), part("d"), "-")
    if not {"H", "M", "S", "f"} & set(codes):
        return day
    clock = [part(name) if name in codes else pa.scalar("00") for name in "HMS"]
    moment = pc.binary_join_element_wise(day, pc.binary_join_element_wise(*clock, ":"), "T")
    return pc.binary_join_element_wise(moment, pc.struct_field(found, "f"), ".") if "f" in codes else moment


def _century(years: pa.Array) -> pa.Array:
    late = pc.less(pc.fill_null(years.cast(pa.int16()), 0), _CENTURY)
    return pc.binary_join_element_wise(pc.if_else(late, "20", "19"), years, "")


def _days(cells: pa.Array, form: Form) -> tuple[pa.Array, pa.Array]:
    """Dates, and midnights as the dates they begin."""
    if form.times:
        cells = pc.coalesce(plain_moments(cells, form.times), cells)
    cells = pc.replace_substring_regex(cells, MIDNIGHT, r"\1")
    zoned = pc.match_substring_regex(cells, _ISO_TIME + r".*(Z|[+-][0-9]{2}:?[0-9]{2})$") if form.zone else _none(cells)
    if pc.any(zoned).as_py():
        try:
            moments = pc.if_else(pc.fill_null(zoned, False), cells, pa.scalar(None, pa.string()))
            local = pc.local_timestamp(moments.cast(pa.timestamp("us", form.zone)))
            cells = pc.coalesce(pc.replace_substring_regex(local.cast(pa.string()), MIDNIGHT, r"\1"), cells)
        except pa.ArrowInvalid:
            pass  # No moments: refused one by one as no dates.
    return _dated(cells, form.dates, _DATE) if form.dates else (cells, _none(cells))


def _dated(cells: pa.Array, written: str, iso: str) -> tuple[pa.Array, pa.Array]:
    made = plain_moments(cells, written)
    # ISO has the year first and dashes, so it is told from every other order of the parts.
    kept = pc.match_substring_regex(cells, iso)
    unfit = pc.and_(pc.is_null(made), pc.invert(pc.fill_null(kept, True)))
    return pc.coalesce(made, cells), unfit


def is_naive(cells: pa.Array) -> pa.Array:
    """Which cells of text are moments that name no offset."""
    return pc.fill_null(pc.match_substring_regex(cells, _NAIVE), False)


def in_utc(moments: pa.Array, zone: str) -> pa.Array:
    """Moments without a zone as those of a zone; what a change of the clock leaves open is the earliest."""
    naive = moments.cast(pa.timestamp("us"), safe=False)
    return pc.assume_timezone(naive, zone, ambiguous="earliest", nonexistent="earliest").cast(pa.timestamp("us", "UTC"))
