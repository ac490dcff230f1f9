"""`python -m stack.team.moving`: takes an embedded installation into the team's stack, as `make migrate-to-stack` does.

Everything is looked at before anything is written, and written so that what is referred to is there before what refers
to it: the store's data, then its logs; MLflow's artifacts, then its rows; the promotion ledger last. A move that was
killed is done by the next one, which copies what is missing. Afterwards both sides are read anew and compared.

Status 0: the stack holds all that the home holds. 1: it does not, and the table says what. 2: refused, nothing written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from pipeline.adapters.ledger.connecting import opened
from pipeline.adapters.ledger.errors import address_of
from pipeline.core.errors import PipelineError
from stack.errors import StackError
from stack.team import moving_files as files
from stack.team.moving_home import Home, held
from stack.team.moving_ledger import Ledger, Lines
from stack.team.moving_mlflow import ARTIFACTS, Mlflow, Rows

_ONE_AT_A_TIME = 7_018_233_909


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of the table: what the home holds and what of it the stack holds.

    Attributes:
        what: Of what kind.
        home, stack: How many, and one digest of them all.
        copied: How many were written by this move.
        kept: How many the stack has changed or removed since an earlier move.
        beyond: How many more the stack has.
    """

    what: str
    home: tuple[int, str]
    stack: tuple[int, str]
    copied: int = 0
    kept: int = 0
    beyond: int = 0

    @property
    def equal(self) -> bool:
        """Whether nothing is lost."""
        return self.home == self.stack


@dataclass(slots=True)
class Move:
    """All that is to be done, each kind looked at and none written yet."""

    mlflow: Mlflow
    ledger: Ledger
    store: files.Files
    artifacts: files.Files
    rows: list[Rows]
    lines: list[Lines]
    left: int

    def write(self) -> None:
        """Carry it out."""
        due = [*self.store.missing, *self.artifacts.missing, *self.artifacts.changed]
        with files.shown("copying files", len(due)) as tick:
            self.store.copy(tick)
            self.artifacts.copy(tick)
        print(f"copied {len(due):,} files", flush=True)
        stayed = self.artifacts.kept
        self.mlflow.write(self.rows, {k: d for k, d in self.artifacts.home.items() if k not in stayed})

    def compared(self) -> list[Compared]:
        """Both sides, read anew."""
        with files.shown("comparing", len(self.store.home) + len(self.artifacts.home)) as tick:
            store, artifacts = self.store.there(tick), self.artifacts.there(tick)
        made = []
        for start, title in (("tables/", "store: tables' files"), ("files/", "store: immutable files")):
            made.append(_files(title, self.store, store, start))
        made.append(_files("MLflow: artifact files", self.artifacts, artifacts))
        for rows in self.rows:
            if rows.home or rows.due:
                there = self.mlflow.there(rows)
                stays = [(k, d) for k, d in rows.home.items() if k not in rows.kept]
                found = [(k, d) for k, d in there.items() if k not in rows.kept]
                made.append(Compared(f"MLflow: {rows.table.name}", _sum(stays), _sum(found), rows.due, len(rows.kept)))
        made.append(self._champions())
        after = {(lines.usecase, lines.kind): lines for lines in self.ledger.plan()}
        for lines in self.lines:
            now = after[lines.usecase, lines.kind]
            home = [(str(number), repr(line)) for number, line in enumerate(now.home)]
            stack = [(str(number), repr(line)) for number, line in enumerate(now.stack[: len(now.home)])]
            what = f"ledger: {lines.kind} of {lines.usecase}"
            made.append(Compared(what, _sum(home), _sum(stack), len(lines.missing), beyond=now.beyond))
        return made

    def _champions(self) -> Compared:
        """Versions that the promotion ledger names, where MLflow's own version of that number has the same digest."""
        named = {
            (line["usecase"], int(line["version"])): str(line["sha256"])
            for lines in self.lines
            for line in lines.home
            if lines.kind == "promotions"
        }
        sides = (self.mlflow.digests(home=True), self.mlflow.digests(home=False))
        home, stack = ([(str(k), d) for k, d in named.items() if side.get(k) == d] for side in sides)
        return Compared("MLflow: versions that the ledger names", _sum(home), _sum(stack))


def planned(home: Home, settings: Mapping[str, str], read: sa.Connection, stack: sa.Connection) -> Move:
    """Look at both sides.

    Raises:
        StackError: The stack holds something else under the same name or number, or the home can't be moved.
        PipelineError: The ledger or the storage says no.
    """
    mlflow = Mlflow(read, stack)
    ledger = Ledger(
        opened(address_of(f"sqlite:///{home.ledger}")), settings["LEDGER_OWNER_URL"], settings["LEDGER_WRITER"]
    )
    # The ledger first: it says in people's words what the stack has done already.
    lines = ledger.plan()
    rows = mlflow.plan()
    sources, left = mlflow.places.files(home.artifacts)
    with files.shown("looking at files") as tick:
        store = files.store(home.store, files.place_of(settings["PIPELINE_STORE"], settings), tick)
        place = files.place_of(settings["MLFLOW_ARTIFACTS"], settings)
        artifacts = files.compared(sources, place, mlflow.base.get(ARTIFACTS, {}), _taken, tick)
    ahead = sorted({each.usecase for each in lines if each.beyond})
    if ahead and (artifacts.changed or any(each.updates or each.deletes for each in rows)):
        raise StackError(
            f"the stack has gone on with {', '.join(ahead)} since it was moved in, and MLflow at home is not as it was "
            "then, as with an older copy of a home; nothing was written. Go on with the stack"
        )
    return Move(mlflow, ledger, store, artifacts, rows, lines, left)


def move(home: Home, settings: Mapping[str, str]) -> list[Compared]:
    """Look, write, compare."""
    here = sa.create_engine(f"sqlite:///{home.mlflow}", poolclass=sa.pool.NullPool)
    there = sa.create_engine(settings["MLFLOW_DATABASE"], poolclass=sa.pool.NullPool, isolation_level="READ COMMITTED")
    with here.connect() as read, there.connect() as stack:
        with stack.begin():
            if not stack.scalar(sa.text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME}):
                raise StackError("another move into this stack is at work; wait until it has ended")
            found = planned(home, settings, read, stack)
            found.write()
        # The rows are committed; the ledger, which refers to them, comes last.
        found.ledger.write(found.lines)
        if found.left:
            print(
                f"{found.left:,} files below mlflow/artifacts belong to no experiment of MLflow's and were left there"
            )
        return found.compared()


def table(compared: list[Compared]) -> Any:
    """The comparison as a table for the terminal."""
    from rich.table import Table

    made = Table("", "at home", "in the stack", "copied now", "", title_justify="left")
    for line in compared:
        told = [] if line.equal else ["DIFFERS"]
        told += [f"{line.kept:,} changed there since"] if line.kept else []
        told += [f"{line.beyond:,} more there since"] if line.beyond else []
        home, stack = (f"{number:>9,}  {digest}" for number, digest in (line.home, line.stack))
        made.add_row(line.what, home, stack, f"{line.copied:,}", ", ".join(told))
    return made


def main(settings: Mapping[str, str] = os.environ) -> int:
    """0 moved and equal, 1 something differs, 2 refused."""
    from rich.console import Console

    os.umask(0o077)
    try:
        with held(Path(settings.get("MOVING_HOME", "/from")), settings.get("MOVING_SHOWN", "the home")) as home:
            compared = move(home, settings)
    except (StackError, PipelineError) as error:
        print(error, file=sys.stderr)
        return 2
    except SQLAlchemyError as error:
        # Never the statement: it holds people's data.
        said = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        print(f"MLflow's database did not take it ({said}); its rows are as they were: move again", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"a file could not be copied ({error}); make room or give access, and move again", file=sys.stderr)
        return 2
    Console(width=150, highlight=False).print(table(compared))
    if all(line.equal for line in compared):
        print("the stack holds all that the home holds")
        return 0
    print("the stack does not hold what the home holds: see the lines that differ, and move again", file=sys.stderr)
    return 1


def _files(what: str, found: files.Files, there: dict[str, str], start: str = "") -> Compared:
    wanted = [(n, d) for n, d in found.home.items() if n.startswith(start) and n not in found.kept]
    stack = [(n, d) for n, d in there.items() if n.startswith(start) and n not in found.kept]
    copied = sum(name.startswith(start) for name in (*found.missing, *found.changed))
    return Compared(what, _sum(wanted), _sum(stack), copied, sum(name.startswith(start) for name in found.kept))


def _sum(pairs: list[tuple[str, str]]) -> tuple[int, str]:
    return len(pairs), files.digest_of(pairs)


def _taken(name: str) -> StackError:
    return StackError(
        f"the stack holds another artifact under the name {name}; nothing was written. Move into a stack that has not "
        "run these use cases, or that has not gone on with them since they were moved in"
    )


if __name__ == "__main__":
    sys.exit(main())
