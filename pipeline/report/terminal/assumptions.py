"""What ``new`` assumed of a history and what a person should review: for the terminal, and to keep beside the code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


class Said(Protocol):
    """One assumption, or one thing to review."""

    @property
    def about(self) -> str:
        """The column or the topic."""

    @property
    def text(self) -> str:
        """One sentence."""

    @property
    def review(self) -> bool:
        """Whether a person must look at it."""


def assumptions_view(notes: Sequence[Said]) -> RenderableType:
    """Two lists: what to review, then what was assumed."""
    parts: list[RenderableType] = []
    for review, title in ((True, "To review"), (False, "Assumed")):
        chosen = [note for note in notes if note.review is review]
        if not chosen:
            continue
        sign, style = ("?", "yellow") if review else ("·", "dim")
        table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, padding=(0, 1), header_style="bold")
        table.add_column("", no_wrap=True)
        table.add_column("about", overflow="fold", max_width=24)
        table.add_column(title, ratio=1, overflow="fold")
        for note in chosen:
            table.add_row(Text(sign, style), Text(note.about, "bold" if review else ""), Text(_sentence(note.text)))
        parts.append(table)
    return Group(*parts)


def review_page(name: str, source: str, notes: Sequence[Said]) -> str:
    """The same as Markdown: a list to tick off."""
    begun = _plain(source).replace("`", "'")
    lines = [
        f"# {name}: what was assumed, and what to review",
        "",
        f"Begun from `{begun}` by `python -m pipeline new`. What is to be reviewed changes",
        "what the model means: look at each line, change the declaration where it is wrong, and tick it off.",
        "",
        "## To review",
        "",
        *(f"- [ ] **{_plain(note.about)}**: {_plain(_sentence(note.text))}" for note in notes if note.review),
        "",
        "## Assumed",
        "",
        *(f"- **{_plain(note.about)}**: {_plain(_sentence(note.text))}" for note in notes if not note.review),
        "",
        "## To take back what was left out",
        "",
        "A column that is no leak after all: take `outcome=True` from its line in `__init__.py` and add it to",
        "`NUMBERS` or `WORDS` in `features.py`. A column that should not be an input: take it out there.",
    ]
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def _plain(text: str) -> str:
    """Words of the data in a line of Markdown: no mark-up, no link, no second line."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line.replace("<", "&lt;").replace("](", "] (")
