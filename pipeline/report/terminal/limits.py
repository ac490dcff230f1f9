"""Learned limits, as a table for the command line and as a JSON document."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.core.checks.learned.known import KnownLimit
from pipeline.core.checks.learned.sayings import Names, measured
from pipeline.core.words import count
from pipeline.report.terminal.tables import plain_table


def limits_table(found: Any, about: str = "") -> RenderableType:
    """A line for each measure: what is usual, and what would refuse the day by itself.

    Args:
        found: The limits, :class:`~pipeline.steps.limits.Limits`.
        about: Only measures whose words have this in them, such as a column's name.
    """
    lines: list[RenderableType] = [
        Text(
            f"{found.usecase}: what the day after {found.after} is held to, learned from "
            f"{count(found.days, 'accepted day')}"
        )
    ]
    for name, limits in found.tables.items():
        rows = [(limit, *_told(limit, found.names[name])) for limit in limits]
        rows = [row for row in rows if about in row[1]]
        lines.append(Text(f"\n{name}: {count(len(rows), 'limit')}", "bold"))
        if not rows:
            continue
        table = plain_table()
        for column in ("question", "what is measured", "usual", "refused by itself", "days"):
            table.add_column(column, ratio=1 if column == "what is measured" else None, overflow="fold")
        for limit, what, usual, rings in rows:
            table.add_row(*(Text(cell) for cell in (limit.family, what, usual, rings, str(limit.days))))
        lines.append(table)
    return Group(*lines)


def limits_document(found: Any) -> dict[str, Any]:
    """The same as plain JSON values."""
    return {
        "usecase": found.usecase,
        "after": found.after,
        "days": found.days,
        "tables": {
            name: [
                {
                    "question": limit.family,
                    "measure": limit.measure,
                    "what": _told(limit, found.names[name])[0],
                    "value": limit.value,
                    "usual": limit.usual,
                    "low": limit.low,
                    "high": limit.high,
                    "days": limit.days,
                }
                for limit in limits
            ]
            for name, limits in found.tables.items()
        },
    }


def _told(limit: KnownLimit, names: Names) -> tuple[str, str, str]:
    what, form = measured(limit.measure, names)
    ends = []
    if limit.low is not None:
        ends.append(f"at most {form(limit.low)}")
    if limit.high is not None:
        ends.append(f"at least {form(limit.high)}")
    return what, form(limit.usual), ", ".join(ends)
