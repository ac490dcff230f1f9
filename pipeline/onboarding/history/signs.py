"""How the numbers of a text file are written: the sign before the fraction, and the sign between groups of three."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.adapters.landing.written import number_shape, plain_numbers
from pipeline.core.errors import UsageError
from pipeline.onboarding.notes import Note

#: The decimal sign and the sign of thousands, the plainest first.
STYLES = ((".", ""), (",", ""), (",", "."), (".", ","), (",", " "), (".", " "), (".", "'"), (",", "'"))
#: A number of three digits behind one comma or point, which may be a fraction or a thousand.
_EITHER = r"^[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}$"
#: A number with signs about it, such as those of a currency or of a share.
_NEARLY = "^\\s*[^0-9\\s]{0,3}\\s*[+-]?[0-9][0-9.,' \u00a0\u202f]*\\s*[^0-9\\s]{0,3}\\s*$"


def style_of(columns: Mapping[str, pa.Array], decimal: str | None, notes: list[Note]) -> tuple[str, str]:
    """The decimal sign and the sign of thousands that most columns are written with: one style for the whole file.

    Args:
        columns: Columns of text that may be numbers, words for "no value" already empty.
        decimal: The sign that was asked for; None: as the file looks.
        notes: Takes what was assumed.
    """
    known = [style for style in STYLES if decimal in (None, style[0])]
    if not known:
        raise UsageError(f"--decimal {decimal}: the sign before a fraction is '.' or ','", "DECIMAL")
    told = {name: cells for name, cells in columns.items() if len(cells) > cells.null_count}
    fits = {style: [name for name, cells in told.items() if _all(cells, number_shape(*style))] for style in known}
    most = max(len(names) for names in fits.values())
    # Of styles that say as much the plainest is meant.
    style = next(style for style in known if len(fits[style]) == most) if most else known[0]
    # A column of nothing but 1,234 fits two styles; few fractions have three digits in every row.
    if decimal is None and style[0] == "," and not style[1]:
        either = [
            name
            for name in fits[style]
            if _all(told[name], f"{_EITHER}|^[+-]?[0-9]{{1,3}}$") and _any(told[name], _EITHER)
        ]
        if either and len(fits.get((".", ","), [])) == most:
            style = (".", ",")
    if style != STYLES[0]:
        signs = f"'{style[0]}' stands before fractions" + (f", '{style[1]}' between thousands" if style[1] else "")
        name = next(iter(n for n in fits[style] if n not in fits.get(STYLES[0], [])), "")
        shown = next((str(v) for v in told[name].to_pylist() if v and not v.isdigit()), "") if name else ""
        text = (
            f"{signs}"
            + (f", as in '{shown}' of '{name}'" if shown else "")
            + "; else say --decimal with the other sign"
        )
        notes.append(Note("numbers", f"{text}. The daily files are read so as well", review=True))
    return style


def in_style(cells: pa.Array, style: tuple[str, str]) -> pa.Array | None:
    """The cells as plain numbers, or None if one of them is not written so."""
    return plain_numbers(cells, *style) if _all(cells, number_shape(*style)) else None


def nearly_numbers(name: str, cells: pa.Array, notes: list[Note]) -> None:
    """Name a column of words whose cells are numbers with something about them, such as ``12,5 %``."""
    shown = next((value for value in cells.to_pylist() if value is not None), None)
    # A letter in front, as in d03 or AB-12, makes a name of it; a unit or a sign of money stands on its own.
    if shown is None or not _all(cells, _NEARLY) or _all(cells, "^[0-9]+$") or _all(cells, "^[A-Za-z]+[-_]?[0-9]+$"):
        return
    text = (
        f"taken as words: its cells, such as {shown[:30]!r}, are numbers with other signs about them or in two styles; "
        f"have upstream write the bare number, in the history and each day, or leave it out with --drop"
    )
    notes.append(Note(name, text, review=True))


def _all(cells: pa.Array, shape: str) -> bool:
    return pc.all(pc.match_substring_regex(cells, shape)).as_py() is True


def _any(cells: pa.Array, shape: str) -> bool:
    return pc.any(pc.match_substring_regex(cells, shape)).as_py() is True
