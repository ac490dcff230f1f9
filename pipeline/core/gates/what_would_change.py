"""What would change a finding that does not pass, worked out from its own numbers."""

from __future__ import annotations

import math

from pipeline.core.verdict import Finding, Outcome
from pipeline.core.words import count

#: What there can be more of, in the order in which it is asked for; one day is no rate.
_MORE = (("days", 2, "more day"), ("pairs", 1, "more timed pair"), ("units", 1, "more unit"))
#: More of it than this many times as much is not worth waiting for.
_MOST = 1000.0


def what_would_change(finding: Finding, window: int = 0) -> str:
    """A clause: how far the value is from what was wanted, and how much more evidence would settle it.

    An interval is taken to shrink with the root of the evidence, its middle to stay where it is.

    Args:
        finding: The finding.
        window: How many days of evidence there can be at most; 0: any number.

    Returns:
        The clause; empty where the finding passes.
    """
    if finding.outcome is Outcome.PASS:
        return ""
    value, wanted = finding.value, finding.wanted
    if value is None or wanted is None or not math.isfinite(value):
        return (
            "it is answered once there is what it lacks"
            if finding.outcome is Outcome.UNKNOWN
            else "only a candidate that keeps to it"
        )
    if wanted.low == wanted.high:
        return f"none of the {value:g} may be left" if wanted.low == 0 else f"it must be {wanted.low:g}"
    if value > wanted.high:
        return f"it must fall by {_number(value - wanted.high)} to {_number(wanted.high)}{_not_more(finding)}"
    if value < wanted.low:
        return f"it must rise by {_number(wanted.low - value)} to {_number(wanted.low)}{_not_more(finding)}"
    return _more(finding, value, window)


def _not_more(finding: Finding) -> str:
    return "; more days like these would not do" if finding.outcome is Outcome.UNKNOWN else ""


def _more(finding: Finding, value: float, window: int) -> str:
    """The value is as wanted, the interval's end is not yet: how much more evidence brings it in."""
    wanted, low, high = finding.wanted, finding.low, finding.high
    assert wanted is not None  # noqa: S101 - seen to above
    ends = [(high, wanted.high - value), (None if low is None else 2 * value - low, value - wanted.low)]
    widths = [(end - value) / room for end, room in ends if end is not None and 0 < room < math.inf]
    if any(end is not None and room == 0 for end, room in ends):
        return "it lies on the limit itself: more evidence like this would not settle it"
    if not widths or not all(map(math.isfinite, widths)) or max(widths) <= 1:
        return "it is answered as wanted once nothing that it needs is lacking"
    if max(widths) > math.sqrt(_MOST):
        return "it lies too near the limit for more evidence like this to settle it soon"
    times = max(widths) ** 2
    for name, least, noun in _MORE:
        have = finding.counts.get(name, 0)
        if have >= least:
            more = max(1, math.ceil(have * (times - 1)))
            if name == "days" and 0 < window < have + more:
                return f"more days than the window of {window} would be needed to settle it"
            return f"about {count(more, noun)} like these would settle it"
    return f"about {math.ceil(10 * times) / 10:g} times as much evidence would settle it"


def _number(value: float) -> str:
    return f"{value:.3g}"
