"""What happened and who is champion: ``days``, ``history``, ``rollback``, ``lift``, ``reconcile``."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.core.errors import UsageError

if TYPE_CHECKING:
    from pipeline.core.usecase import Usecase


def days(args: argparse.Namespace, usecase: Usecase) -> int:
    """Print how each day ended."""
    from pipeline.adapters.world import world
    from pipeline.report.documents import days_document
    from pipeline.report.terminal.tables import days_table, show, show_json

    outcomes = world().ledger.outcomes(usecase.name)
    if args.json:
        show_json(days_document(usecase.name, outcomes))
    else:
        show(days_table(outcomes))
    return 0


def history(args: argparse.Namespace, usecase: Usecase) -> int:
    """Print the promotion ledger, and whom ``previous`` names."""
    from pipeline.adapters.world import world
    from pipeline.core.promotion.ledger import previous_told
    from pipeline.report.documents import history_document
    from pipeline.report.terminal.tables import history_table, show, show_json

    entries = world().ledger.entries(usecase.name)
    if args.json:
        show_json(history_document(usecase.name, entries))
        return 0
    show(history_table(entries))
    if entries:
        print(previous_told(entries))
    return 0


def rollback(args: argparse.Namespace, usecase: Usecase) -> int:
    """Make an earlier champion serve again, and say what ``previous`` names from now on."""
    from pipeline.adapters.world import world
    from pipeline.core.promotion.ledger import previous_told
    from pipeline.report.terminal.tables import history_table, show
    from pipeline.steps.rollback import rollback as step

    ports = world()
    entry = step(usecase, ports, args.to, args.why, args.by, datetime.now(UTC), args.hold_days)
    entries = ports.ledger.entries(usecase.name)
    show(history_table([entry], entries))
    if args.hold_days is None and not entry.held:
        print(f"version {entry.replaced} can't answer any more, which is not its recipe's fault: no recipe is held")
    print(previous_told(entries))
    return 0


def lift(args: argparse.Namespace, usecase: Usecase) -> int:
    """End a hold."""
    from pipeline.adapters.world import world
    from pipeline.report.terminal.tables import history_table, show
    from pipeline.steps.rollback import lift as step

    show(history_table([step(usecase, world(), args.recipe, args.why, args.by, datetime.now(UTC))]))
    return 0


def reconcile(args: argparse.Namespace, usecase: Usecase) -> int:
    """Bring the aliases to what the promotion ledger says."""
    from pipeline.adapters.world import world
    from pipeline.core.promotion.ledger import previous_told
    from pipeline.steps.reconcile import reconcile as step
    from pipeline.steps.reconcile import restore_files
    from pipeline.steps.register_again import register_again

    ports = world()
    if args.register_again:
        again, unused = register_again(usecase, ports)
        numbers = {"registered again": again, "left unused": unused}
        print("; ".join(f"{what}: {', '.join(map(str, which)) or 'none'}" for what, which in numbers.items()))
    moved = step(usecase.name, ports)
    if not ports.ledger.entries(usecase.name):
        raise UsageError(
            f"{usecase.name} has no champion yet, so there is nothing that an alias could name", "NO_CHAMPION"
        )
    restored = restore_files(usecase, ports)
    for version in restored:
        print(f"version {version}: the promoted file is in MLflow again")
    for alias, (was, now) in moved.items():
        print(f"{alias}: version {was or 'none'} -> {now or 'none'}")
    if moved.get("previous", (None, 1))[1] is None:
        print(previous_told(ports.ledger.entries(usecase.name)))
    if not moved and not restored:
        print("the aliases are what the promotion ledger says")
    return 0
