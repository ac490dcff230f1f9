"""Numbers as people read them, shared by everything that writes a finding's sentence."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.core.stats import Interval


def percent(share: float) -> str:
    """``0.0071`` as ``0.7 %``; never rounds something to nothing."""
    size = abs(100 * share)
    if size >= 100:
        return f"{100 * share:,.0f} %"
    text = f"{100 * share:.1f}" if size >= 0.1 or size == 0 else f"{100 * share:.1g}"
    return f"{text.removesuffix('.0')} %"


def beyond(share: float) -> str:
    """An excess: ``nothing`` where there is none."""
    return percent(share) if share > 0 else "nothing"


def change(relative: float) -> str:
    """``-0.007`` as ``0.7 % lower``."""
    if relative == 0:
        return "the same"
    return f"{percent(abs(relative))} {'lower' if relative < 0 else 'higher'}"


def at_worst(relative: float) -> str:
    """What the upper end of an interval of a relative difference promises."""
    if relative == 0:
        return "no higher"
    return f"at {'least' if relative < 0 else 'most'} {change(relative)}"


def at_best(relative: float) -> str:
    """What the lower end of an interval of a relative difference promises."""
    if relative == 0:
        return "no lower"
    return f"at {'most' if relative < 0 else 'least'} {change(relative)}"


def sureness(interval: Interval) -> str:
    """``one-sided 95 %``."""
    return f"{'one-sided ' if interval.one_sided else ''}{100 * interval.confidence:.4g} %"


def count(number: int, noun: str) -> str:
    """``1 day``, ``12,914 units``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def amount(interval: Interval) -> str:
    """On how much evidence an interval stands: ``14 days, 12,914 units in 1,668 blocks``."""
    return f"{count(interval.days, 'day')}, {count(interval.units, 'unit')} in {count(interval.blocks, 'block')}"


def first_few(items: Sequence[str], most: int = 3) -> str:
    """The first few, and how many more there are: a text of bounded length."""
    rest = len(items) - most
    return ", ".join(items[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def shorten(text: str, most: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
