"""The promotion ledger's lines, from an embedded installation's file into the team's database, in their order.

They go through the ledger's own triggers, so what the stack refuses of a worker it refuses of this, too. Who has the
turn of a use case is not moved: that is about processes of the machine that is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from pipeline.adapters.ledger.connecting import opened, transaction
from pipeline.adapters.ledger.errors import address_of
from pipeline.adapters.ledger.schema import prepare
from pipeline.adapters.ledger.tables import OUTCOMES, PROMOTIONS
from stack.errors import StackError

Line = dict[str, Any]
_KINDS = {"promotions": (PROMOTIONS, PROMOTIONS.c.epoch), "outcomes": (OUTCOMES, OUTCOMES.c.line)}


@dataclass(frozen=True, slots=True)
class Lines:
    """One use case's lines of one kind, oldest first."""

    usecase: str
    kind: str
    home: list[Line] = field(default_factory=list)
    stack: list[Line] = field(default_factory=list)

    @property
    def missing(self) -> list[Line]:
        """Those that the stack lacks; none where it has gone on by itself."""
        return self.home[len(self.stack) :]

    @property
    def beyond(self) -> int:
        """How many lines the stack has added since."""
        return max(0, len(self.stack) - len(self.home))


class Ledger:
    """Both sides of the ledger."""

    def __init__(self, home: sa.Engine, url: str, writer: str) -> None:
        """Make the stack's tables where they are missing.

        Args:
            home: The home's file.
            url: The stack's database, as its owner.
            writer: The pipeline's own role there.
        """
        prepare(url, writer)
        self._home, self._stack = home, opened(address_of(url))

    def plan(self) -> list[Lines]:
        """Each use case's lines on both sides.

        Raises:
            StackError: The stack says something else about a use case, both sides have gone on with it, or the home's
                ledger lacks lines.
        """
        found = []
        for usecase in self.usecases():
            both = [
                Lines(usecase, kind, self._lines(self._home, kind, usecase), self._lines(self._stack, kind, usecase))
                for kind in _KINDS
            ]
            for lines in both:
                _check(lines)
            if any(lines.missing for lines in both) and any(lines.beyond for lines in both):
                raise StackError(
                    f"both the home and the stack have gone on with {usecase} since it was moved in; nothing was "
                    "written. Go on with one of them: the stack, or the home and a new stack"
                )
            found += both
        return found

    def write(self, plan: list[Lines]) -> None:
        """Add what is missing, use case by use case, each in one transaction."""
        for lines in plan:
            if not lines.missing:
                continue
            table, _ = _KINDS[lines.kind]
            with transaction(self._stack, f"use case {lines.usecase}") as connection:
                if self._read(connection, lines.kind, lines.usecase) != lines.stack:
                    raise StackError(f"the stack runs {lines.usecase} right now; let its run end, and move again")
                connection.execute(sa.insert(table), lines.missing)

    def usecases(self) -> list[str]:
        """All that the home's ledger speaks of."""
        asked = sa.union(*(sa.select(table.c.usecase) for table, _ in _KINDS.values()))
        with transaction(self._home) as connection:
            return sorted(connection.scalars(asked))

    def _lines(self, engine: sa.Engine, kind: str, usecase: str) -> list[Line]:
        with transaction(engine) as connection:
            return self._read(connection, kind, usecase)

    @staticmethod
    def _read(connection: sa.Connection, kind: str, usecase: str) -> list[Line]:
        table, order = _KINDS[kind]
        # The number of a day's line is the database's own; only their order says anything.
        columns = [column for column in table.columns if column.name != "line"]
        asked = sa.select(*columns).where(table.c.usecase == usecase).order_by(order)
        return [dict(row) for row in connection.execute(asked).mappings()]


def _check(lines: Lines) -> None:
    if lines.kind == "promotions" and [line["epoch"] for line in lines.home] != list(range(1, len(lines.home) + 1)):
        raise StackError(
            f"the home's promotion ledger lacks lines of {lines.usecase}: put back a copy of store/ledger.db"
        )
    for number, (home, stack) in enumerate(zip(lines.home, lines.stack, strict=False), start=1):
        if home != stack:
            raise StackError(
                f"the stack holds something else about {lines.usecase}: line {number} of its {lines.kind} says "
                f"{_told(stack)}, and the home's {_told(home)}; nothing was written. Move into a stack that has not "
                "run it, or that has not gone on with it since it was moved in"
            )


def _told(line: Line) -> str:
    if "epoch" in line:
        return f"{line['action']} of version {line['version']} on {line['day']}"
    return f"something about {line['day']}"
