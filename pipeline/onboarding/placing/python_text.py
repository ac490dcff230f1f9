"""Pieces of Python as the repository's formatter lays them out, whatever words the data holds."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 120


def quoted(text: str) -> str:
    """A string literal as the formatter writes it."""
    made = repr(text)
    return f'"{made[1:-1]}"' if made[0] == "'" and '"' not in made else made


def documented(text: str) -> str:
    """A text as a docstring holds it: whatever words the data holds, none of them ends it or is read as an escape."""
    return repr(text)[1:-1].replace("\\'", "'").replace('"', '\\"')


def spread(head: str, items: Sequence[str], tail: str, indent: int) -> str:
    """``head`` items ``tail`` on one line if they fit, else an item a line."""
    line = f"{head}{', '.join(items)}{tail}"
    if indent + len(line) <= WIDTH and "\n" not in line and not any("#" in item for item in items):
        return " " * indent + line
    pad = " " * (indent + 4)
    return "\n".join([" " * indent + head, *(f"{pad}{item}," for item in items), " " * indent + tail])


def names(values: Sequence[str], head: str, indent: int = 0, tail: str = "") -> str:
    """A tuple of strings after ``head``."""
    if len(values) == 1:
        return f"{' ' * indent}{head}({quoted(values[0])},){tail}"
    return spread(f"{head}(", [quoted(value) for value in values], f"){tail}", indent)


def comment(text: str, indent: int) -> str:
    """The text as comment lines."""
    pad = " " * indent + "# "
    return "\n".join(textwrap.wrap(text, WIDTH, initial_indent=pad, subsequent_indent=pad, break_long_words=False))


def named(name: str, value: str) -> str:
    """An argument of ``with_columns``, by keyword where the name can be one."""
    import keyword
    import unicodedata

    # Python reads a ligature in a keyword as its letters, and a column is called as it is written.
    plain = unicodedata.normalize("NFKC", name) == name
    if name.isidentifier() and plain and not keyword.iskeyword(name):
        line = f"{name}={value},"
        return line if len(line) <= WIDTH - 8 else f"{name}=(\n            {value}\n        ),"
    return f"({value}).alias({quoted(name)}),"
