"""How a delivery is refused: one sentence that names table, day and file, what is wrong in numbers, and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from pipeline.core.errors import RefusedError, UnavailableError

#: How many examples a sentence gives before it says how many more there are.
_SHOWN = 5
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Subject:
    """What is being read: whose file, of which day.

    Attributes:
        table: The table's name.
        day: The day it was delivered for.
        file: Its path below the landing folder, or its address without credentials.
    """

    table: str
    day: date
    file: str

    def refused(self, code: str, what: str, way_out: str = "ask upstream to deliver the file again") -> RefusedError:
        """Trying again changes nothing until somebody delivers another file."""
        return RefusedError(f"{self.table} of {self.day}: the file '{self.file}' {what}; {way_out}", code)

    def unavailable(self, code: str, what: str, way_out: str = "try again later") -> UnavailableError:
        """The same file may well be read later."""
        return UnavailableError(f"{self.table} of {self.day}: the file '{self.file}' {what}; {way_out}", code)


def several(parts: Iterable[str], shown: int = _SHOWN) -> str:
    """The first few, and how many more there are."""
    listed = list(parts)
    more = f" and {len(listed) - shown:,} more" if len(listed) > shown else ""
    return ", ".join(listed[:shown]) + more


def quoted(value: object, longest: int = _LONGEST) -> str:
    """A value in quotes, cut short, with control characters escaped."""
    text = str(value)
    return repr(text if len(text) <= longest else f"{text[:longest]}…")


def share(part: int, whole: int) -> str:
    """``12 of 900 rows (1.3 %)``."""
    return f"{part:,} of {whole:,} row{'' if whole == 1 else 's'} ({100 * part / whole:.3g} %)"
