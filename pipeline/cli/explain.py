"""``python -m pipeline explain`` and ``recompute``: why a day ended as it did, and the proof of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from pipeline.core.usecase import Usecase
    from pipeline.steps.explain import Explained


def add_explain(command: argparse.ArgumentParser, day: Callable[[str], date]) -> None:
    """What may be asked of an explanation."""
    command.add_argument("day", type=day, help="the data day")
    command.add_argument("--recipe", default="", metavar="NAME", help="about this recipe; default: the challenger")
    command.add_argument("--digest", default="", help="another verdict of that day; default: its newest")
    command.add_argument(
        "--json", action="store_true", help="one JSON document instead of the text (docs/reference/json.md)"
    )


def add_recompute(command: argparse.ArgumentParser, day: Callable[[str], date]) -> None:
    """What may be asked of a recomputation."""
    command.add_argument("day", type=day, help="the data day")
    command.add_argument("--digest", default="", help="another verdict of that day; default: its newest")


def explain(args: argparse.Namespace, usecase: Usecase) -> int:
    """Print why the day ended as it did."""
    from pipeline.adapters.world import world
    from pipeline.report.documents import explained_document
    from pipeline.report.terminal.explanation import refusal_explained, verdict_explained
    from pipeline.report.terminal.tables import show, show_json
    from pipeline.steps import explain as step

    day = args.day.isoformat()
    found = step.explain(usecase, day, world(), args.digest)
    if found.verdict is None and (found.line is None or found.line.outcome not in ("refused", "failed")):
        raise UsageError(f"{usecase.name} {day}: {found.gone}", "MISSING")
    if found.verdict is not None and args.recipe and args.recipe not in found.verdict.findings:
        judged = ", ".join(found.verdict.findings) or "nobody"
        raise UsageError(f"{usecase.name} {day}: '{args.recipe}' was not judged that day; judged: {judged}", "RECIPE")
    where = _where(usecase.name, day, found)
    if args.json:
        told = (found.line, found.verdict, found.digest, found.findings, found.gone)
        show_json(explained_document(usecase.name, day, *told, where))
    elif found.verdict is not None:
        show(verdict_explained(found.verdict, found.line, args.recipe, where))
    elif found.line is not None:
        show(refusal_explained(found.line, found.findings, found.gone, where))
    return 0


def _where(usecase: str, day: str, found: Explained) -> list[tuple[str, str]]:
    """What of the day lies where."""
    where = [("page", _place(found.page))] if found.page else []
    run = found.line.run if found.line is not None else ""
    report = [("validation report", _place(found.report))] if found.report else []
    runs = [("MLflow run", f"{run} ({day} {usecase})")] if run else []
    if found.verdict is None:
        return [*report, *runs]
    where += [*runs, *report, ("verdict", found.digest)]
    if found.verdict.measured:
        where.append(("to reach it again", f"python -m pipeline recompute {usecase} {day} --digest {found.digest}"))
    return where


def recompute(args: argparse.Namespace, usecase: Usecase) -> int:
    """Reach the verdict again: 0 the same bytes, 1 something differs, 2 something is missing."""
    from pipeline.adapters.world import world
    from pipeline.steps import recompute as step

    made = step.recompute(usecase, args.day.isoformat(), world(), args.digest)
    print(f"{usecase.name} {args.day}: {made.sentence}")
    for line in made.differs[1:10]:
        print(f"  {line}")
    return 2 if made.missing else 0 if made.same else 1


def _place(name: str) -> str:
    """Where a file of the file store lies, as far as it lies on this machine."""
    from pipeline.adapters.world import store

    kept = store()
    return str(kept / "files" / name) if isinstance(kept, Path) else f"{name} in the store"
