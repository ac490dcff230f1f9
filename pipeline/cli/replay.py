"""``python -m pipeline replay``: what a policy would have done with the history in the store."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import PipelineError, UnavailableError, UsageError
from pipeline.core.windows import Days

if TYPE_CHECKING:
    from pipeline.core.usecase import Usecase


def add_options(command: argparse.ArgumentParser, day: Callable[[str], date]) -> None:
    """What may be asked of a replay."""
    command.add_argument("--from", dest="first", type=day, required=True, help="the first day that counts")
    command.add_argument("--to", dest="last", type=day, required=True, help="the last day that counts")
    command.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="CHANGES",
        dest="policies",
        help="a change of the declared policy, such as price=0.05,ship=scored,recipes=a+b,window.a=30,every=7,lag=1; "
        "may be given several times",
    )
    command.add_argument("--start", default="", metavar="RECIPE", help="who is champion on the first day")
    command.add_argument(
        "--search", action="store_true", help="propose a policy: chosen on the first part, judged after"
    )
    command.add_argument("--workers", type=int, metavar="N", help="processes that fit; default: one a processor")
    command.add_argument("--page", type=Path, metavar="FILE", help="where the page is written")


def run(args: argparse.Namespace, usecase: Usecase) -> int:
    """Replay, print the table, keep the run."""
    from pipeline.adapters.world import home, world
    from pipeline.report.progress import bars
    from pipeline.report.replay.page import replay_page
    from pipeline.report.replay.table import replay_view
    from pipeline.report.terminal.tables import show
    from pipeline.steps.replay import replay
    from pipeline.steps.replaying.record import keep

    if args.last < args.first:
        raise UsageError(f"--to {args.last} lies before --from {args.first}")
    if args.workers is not None and args.workers < 1:
        raise UsageError(f"--workers is at least 1, got {args.workers}")
    days = Days(args.first, args.last)
    with bars() as progress:
        ports = world(progress)
        result = replay(usecase, days, ports, args.policies, args.start, args.search, args.workers)
        show(replay_view(result))
    # The page first: whatever becomes of the registry or of this file, the other has it.
    page = replay_page(result)
    file = args.page or home() / "replays" / f"{usecase.name} {result.days}.html".replace(" ", "_")
    unwritten = ""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(page)
        print(f"page: {file}")
    except OSError as error:
        unwritten = f"the page can't be written to {file} ({error.strerror}); name another file with --page"
    try:
        run = keep(result, page, ports)
    except PipelineError as error:
        page_place = unwritten or f"the page lies in {file}, and the same replay again takes seconds"
        raise UnavailableError(f"the replay is not in MLflow: {error}; {page_place}", error.code) from None
    print(f"MLflow run: {run} (replay {result.days} {usecase.name})")
    if unwritten:
        raise UsageError(f"{unwritten}, or open replay.html among the artifacts of the run {run}")
    return 0
