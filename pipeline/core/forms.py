"""How upstream writes what a table declares, where that is not the plain way: its signs, its words, its names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Written = Literal["plain", "digits", "truth", "float"]
"""How the cells of one column are written.

``plain``: as its declared type. ``digits``: a ``string`` that may come as whole numbers or decimals of any length, and
is kept as their digits. ``truth``: an ``integer`` that may come as true and false, kept as 1 and 0. ``float``: an
``integer`` that may come as floating numbers, all of them whole.
"""

_SIGNS = {"decimal": (".", ","), "delimiter": (",", ";", "\t", "|"), "thousands": ("", ".", ",", "'", " ")}


@dataclass(frozen=True, slots=True)
class Form:
    """How the files of a table are written. What is plain is always read as well, so upstream may mend its ways.

    Attributes:
        delimiter: What separates the cells of a CSV file.
        decimal: The sign before the fraction of a number that is written as text.
        thousands: The sign between groups of three digits; a blank stands for every kind of blank.
        dates: How dates are written as text, in the words of ``strptime``, such as ``%d.%m.%Y``; empty: ISO only.
        times: Likewise moments.
        zone: The time zone (IANA) of moments without an offset; empty: such a moment is refused.
        absent: Words that mean "no value" where a number, a date or a moment should stand; ``NaN`` and ``inf`` among
            them also mean those numbers. In a column of text they stay words.
        names: Header as delivered, and the declared column that it is.
        ignored: Columns that may come and are not read, whatever ``extra_columns`` says.
        day_of: The declared timestamp column whose date, in the zone ``days``, is the day column where a file has none.
        days: The time zone in which a day begins and ends, for ``day_of``.
    """

    delimiter: str = ","
    decimal: str = "."
    thousands: str = ""
    dates: str = ""
    times: str = ""
    zone: str = ""
    absent: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    day_of: str = ""
    days: str = "UTC"

    def __post_init__(self) -> None:
        for name, allowed in _SIGNS.items():
            if getattr(self, name) not in allowed:
                known = ", ".join(map(repr, allowed))
                raise ValueError(f"a form's {name} is one of {known}, not {getattr(self, name)!r}")
        if self.decimal == self.thousands:
            raise ValueError(f"a form's decimal and thousands can't both be {self.decimal!r}")
        for name in ("dates", "times"):
            unreadable = unreadable_format(getattr(self, name)) if getattr(self, name) else ""
            if unreadable:
                raise ValueError(f"a form's {name}: {unreadable}")


PLAIN = Form()
"""Commas, decimal points, ISO dates, an offset on every moment, the declared names."""


#: What a format is made of; what depends on the language of a machine (%b, %A, %p, %c) is not among it.
_CODES = "YymdHMSf"


def unreadable_format(text: str) -> str:
    """Why a format can't be used; empty if it can."""
    codes = re.findall(r"%(.?)", text)
    strange = [code for code in codes if code not in _CODES]
    if strange:
        return f"'%{strange[0]}' in {text!r} is not known; the parts are %Y %m %d %H %M %S %f, as in %d.%m.%Y"
    day_known = {"m", "d"} <= set(codes)
    if not day_known or not {"Y", "y"} & set(codes) or len(set(codes)) < len(codes):
        return f"{text!r} must hold the year (%Y), the month (%m) and the day (%d), each once, as in %d.%m.%Y"
    return ""
