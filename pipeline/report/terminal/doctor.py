"""What the doctor found, as a table for the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.report.terminal.tables import plain_table

if TYPE_CHECKING:
    from collections.abc import Mapping


def doctor_table(examined: Any) -> RenderableType:
    """A line for each kept model, below what is installed here, above what follows for the next night.

    Args:
        examined: An :class:`~pipeline.steps.doctor.Examination`.
    """
    here: Mapping[str, str] = examined.here
    installed = ", ".join(f"{name} {here[name]}" for name in sorted(here))
    lines: list[RenderableType] = [Text(f"{examined.usecase}, with {installed or 'libraries that nobody names'}")]
    if examined.models:
        table = plain_table()
        table.add_column("version", no_wrap=True)
        table.add_column("recipe", overflow="fold")
        table.add_column("role", overflow="fold")
        table.add_column("made with other", overflow="fold")
        table.add_column("here", no_wrap=True)
        table.add_column("what was found", ratio=1, overflow="fold")
        for model in examined.models:
            answer = Text("✓ works", "green") if model.sound else Text("✕ does not", "bold red")
            cells = (str(model.version), model.recipe, model.role, model.made_with or "not noted")
            table.add_row(*map(Text, cells), answer, Text(model.found))
        lines.append(table)
    lines.append(Text(examined.ahead))
    return Group(*lines)
