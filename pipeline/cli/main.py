"""The command line: the same steps as the DAG's, without Airflow. ``python -m pipeline --help``."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.cli.parser import parser
from pipeline.cli.run import status_of
from pipeline.core.errors import PipelineError, UsageError
from pipeline.usecases import ALL, BROKEN, find

if TYPE_CHECKING:
    from pipeline.core.usecase import Usecase

__all__ = ["main", "parser"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command: 0 done, 1 data was refused, 2 the request could not be met, 3 a fault of the product itself."""
    args = parser().parse_args(argv)
    os.umask(0o077)  # what the product keeps is its owner's alone
    for name, sentence in BROKEN.items():
        if name != getattr(args, "usecase", None):  # that one ends the command with this very sentence
            print(f"BROKEN: {sentence}", file=sys.stderr)
    try:
        named = getattr(args, "usecase", None)
        usecase = _usecase(named) if named is not None else None
        if args.reads:
            _has_home(named or next((one.name for one in ALL), "USE_CASE"))
        return int(args.act(args, usecase))
    except PipelineError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return status_of(error)
    except KeyboardInterrupt:
        print("stopped; the next run goes on from here", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001 - the last resort: a sentence for the person, the traceback in a file
        with tempfile.NamedTemporaryFile("w", prefix="pipeline-", suffix=".log", delete=False) as log:
            traceback.print_exc(file=log)
        print(
            f"UNEXPECTED: {type(error).__name__}: {error}; nothing was promoted half. See {log.name}", file=sys.stderr
        )
        return 3


def _usecase(name: str) -> Usecase:
    try:
        return find(name)
    except KeyError as unknown:
        raise UsageError(str(unknown.args[0]), "USECASE") from None


def _has_home(usecase: str) -> None:
    """Refuse to look into a home where nothing was ever kept: it may be mistyped, and reading would make it."""
    from pipeline.adapters.world import nothing_kept

    empty = nothing_kept()
    if empty:
        raise UsageError(
            f"{empty}; name the right home in PIPELINE_HOME, or run a first day there, as "
            f"'python -m pipeline run {usecase} --day 2013-01-28' runs that data day",
            "HOME",
        )


if __name__ == "__main__":
    sys.exit(main())
