"""``python -m pipeline new``: the request, the places, and what is said at the end."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.text import Text

from pipeline import usecases
from pipeline.adapters import world
from pipeline.core.errors import UsageError
from pipeline.core.words import count
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.new import Made, Places, make
from pipeline.report.progress import bars
from pipeline.report.terminal.assumptions import assumptions_view
from pipeline.report.terminal.tables import show


def new(args: argparse.Namespace, usecases_in: Path | None = None) -> int:
    """Make the use case and say what was assumed. Nothing is written unless all of it can be."""
    if args.window is not None and not 8 <= args.window <= 730:
        raise UsageError(f"--window {args.window}: a window of 8 to 730 days leaves room for a shorter one beside it")
    request = Request(
        name=args.name,
        file=args.file,
        target=args.target,
        time=args.time,
        unit=args.unit,
        kind=args.kind,
        label_delay=args.label_delay,
        zone=args.zone,
        window=args.window,
        overwrite=args.overwrite,
        drop=tuple(args.drop),
        date_formats=tuple(args.date_formats),
        decimal=args.decimal,
    )
    places = Places(
        usecases=usecases_in or Path(usecases.__file__).parent,
        expectations=world.expectations(),
        landing=world.landing(),
        replaced=world.home() / "replaced",
    )
    try:
        with bars() as progress:
            made = make(request, places, usecases.ALL, progress)
    except OSError as error:
        where = f" at {error.filename}" if error.filename else ""
        raise UsageError(
            f"there is no room or no access to work ({error.strerror or error}{where}); give it, or name another "
            f"folder in TMPDIR, and try again",
            "PLACE",
        ) from None
    show(told(made, _again(request, made.doubtful) if made.doubtful else ""))
    return 0


def _again(request: Request, doubtful: Sequence[str]) -> str:
    """The command that begins anew without these columns."""
    words = ["new", request.name, "--from", str(request.file), "--target", request.target, "--time", request.time]
    words += ["--unit", ",".join(request.unit)]
    for option, value in (("--kind", request.kind), ("--zone", request.zone), ("--decimal", request.decimal)):
        words += [option, value] if value else []
    for option, number in (("--label-delay", request.label_delay), ("--window", request.window)):
        words += [option, str(number)] if number is not None else []
    words += [part for written in request.date_formats for part in ("--date-format", written)]
    words += ["--drop", ",".join((*request.drop, *doubtful)), "--overwrite"]
    return shlex.join(words)


def told(made: Made, again: str = "") -> Group:
    """What was assumed, what was written, what to do next; ``again`` is the command without doubtful columns."""
    review = sum(note.review for note in made.notes)
    command = f"{_near(Path(sys.executable))} -m pipeline"
    lines = [
        f"\n{made.name}: written to {_near(made.folder)}, {', '.join(str(_near(file)) for file in made.files)} "
        f"({count(made.deliveries, 'day')} delivered); it is in NAMES of pipeline/usecases/__init__.py.",
        *(f"Put aside: {_near(path)}" for path in made.aside),
        *(
            [f"If {_listed(made.doubtful)} came from an earlier model, begin anew without:", f"  {command} {again}"]
            if again
            else []
        ),
        f"{count(review, 'line')} to review, kept in {_near(made.folder / 'REVIEW.md')}.",
        "\nNext:",
        f"  {command} run {made.name} --from {made.first} --to {made.last}",
        f"  {command} history {made.name}",
        f"  {command} replay {made.name} --from {made.soonest} --to {made.last}    # what the gates would have done",
    ]
    calendar = "PIPELINE_FIRST_DAY= PIPELINE_LAST_DAY= "  # the demo's home has days of its own, and no night after them
    lines += [
        f"  {calendar}make start    # Airflow: switch '{made.name}' on there;",
        "      from now on upstream delivers a file a day. The flights' use cases have no new days: switch theirs off,",
        "      or take them out of NAMES.",
    ]
    return Group(assumptions_view(made.notes), Text("\n".join(lines)))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _near(path: Path) -> Path:
    """The path as seen from the working folder, where it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
