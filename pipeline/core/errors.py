"""What can go wrong, by what the reader should do about it.

Every message is one sentence that names the thing, the numbers and the way out. ``code`` is for machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.core.verdict import Finding


class PipelineError(Exception):
    """An error whose message a person can act on.

    Attributes:
        code: A short machine-readable reason, such as ``"MISSING"`` or ``"REFUSED"``.
        retry: Whether the same call may succeed later without anybody changing anything.
        ends_day: Set by the loop: the day was refused for its data, and a next day may do better.
    """

    retry = False
    ends_day = False

    def __init__(self, message: str, code: str = "ERROR") -> None:
        super().__init__(message)
        self.code = code


class RefusedError(PipelineError):
    """What must not be used: a day's data, or a model that is not what was promoted.

    The store and the champion stay as they were; trying again changes nothing.

    Attributes:
        findings: Everything that was asked, as far as the checks came.
        report: Name of the validation's report in the file store; empty where there is none.
    """

    def __init__(self, message: str, code: str = "REFUSED", findings: Sequence[Finding] = (), report: str = "") -> None:
        super().__init__(message, code)
        self.findings = tuple(findings)
        self.report = report


class RedDayError(RefusedError):
    """A judged day on which something is wrong with the champion itself: all is written down, and somebody must look.

    Attributes:
        line: The day's line as it stands in the ledger, a :class:`~pipeline.core.records.DayOutcome`.
    """

    def __init__(self, message: str, line: Any) -> None:
        super().__init__(message, "RED_DAY")
        self.line = line


SLOW = "SLOW"
"""The code of an upstream that doesn't answer, or hands out too slowly: to ask it for more holds a worker as long."""


class UnavailableError(PipelineError):
    """A server or a file that is not there now and may be later: try again."""

    retry = True

    def __init__(self, message: str, code: str = "UNAVAILABLE") -> None:
        super().__init__(message, code)


class ConflictError(PipelineError):
    """Somebody else was first, or the ground has moved: the decision must be made anew, not repeated."""

    def __init__(self, message: str, code: str = "STALE") -> None:
        super().__init__(message, code)


class UsageError(PipelineError):
    """A request that cannot be carried out as it stands."""

    def __init__(self, message: str, code: str = "USAGE") -> None:
        super().__init__(message, code)
