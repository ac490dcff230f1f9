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
    explained = step.explain(usecase, day, world(), args.digest)
    if explained.verdict is None and (explained.line is None or explained.line.outcome not in ("refused", "failed")):
        raise UsageError(f"{usecase.name} {day}: {explained.gone}", "MISSING")
    if explained.verdict is not None and args.recipe and args.recipe not in explained.verdict.findings:
        judged = ", ".join(explained.verdict.findings) or "nobody"
        raise UsageError(f"{usecase.name} {day}: '{args.recipe}' was not judged that day; judged: {judged}", "RECIPE")
    where = _where(usecase.name, day, explained)
    if args.json:
        parts = (explained.line, explained.verdict, explained.digest, explained.findings, explained.gone)
        show_json(explained_document(usecase.name, day, *parts, where))
    elif explained.verdict is not None:
        show(verdict_explained(explained.verdict, explained.line, args.recipe, where))
    elif explained.line is not None:
        show(refusal_explained(explained.line, explained.findings, explained.gone, where))
    return 0


def _where(usecase: str, day: str, explained: Explained) -> list[tuple[str, str]]:
    """What of the day lies where."""
    where = [("page", _place(explained.page))] if explained.page else []
    run = explained.line.run if explained.line is not None else ""
    report = [("validation report", _place(explained.report))] if explained.report else []
    runs = [("MLflow run", f"{run} ({day} {usecase})")] if run else []
    if explained.verdict is None:
        return [*report, *runs]
    where += [*runs, *report, ("verdict", explained.digest)]
    if explained.verdict.measured:
        where.append(("to reach it again", f"python -m pipeline recompute {usecase} {day} --digest {explained.digest}"))
    return where


def recompute(args: argparse.Namespace, usecase: Usecase) -> int:
    """Reach the verdict again: 0 the same bytes, 1 something differs, 2 something is missing."""
    from pipeline.adapters.world import world
    from pipeline.steps import recompute as step

    recomputed = step.recompute(usecase, args.day.isoformat(), world(), args.digest)
    print(f"{usecase.name} {args.day}: {recomputed.sentence}")
    for line in recomputed.differs[1:10]:
        print(f"  {line}")
    return 2 if recomputed.missing else 0 if recomputed.same else 1


def _place(name: str) -> str:
    """Where a file of the file store lies, as far as it lies on this machine."""
    from pipeline.adapters.world import store

    store_place = store()
    return str(store_place / "files" / name) if isinstance(store_place, Path) else f"{name} in the store"
