"""Plain values to the frame that a model is asked with, of the same types as the day's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def frame_of(rows: Sequence[Mapping[str, Any]], like: Any) -> Any:
    """The rows as a pandas frame with the columns of ``like`` and their types; None is what is missing.

    Raises:
        ValueError, TypeError: A value is none that its column can hold.
    """
    columns = {}
    for name in like.columns:
        model_column = like[name]
        columns[name] = type(model_column)([row[name] for row in rows], dtype=model_column.dtype)
    return type(like)(columns)


def plain(like: Any, row: int) -> dict[str, Any]:
    """One row of a frame as plain values, as a request carries them: numbers, words, None for what is missing."""
    values = {name: like[name].iloc[row] for name in like.columns}
    return {name: None if value != value else _python(value) for name, value in values.items()}  # noqa: PLR0124


def _python(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
