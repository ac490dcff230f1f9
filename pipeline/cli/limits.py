"""``python -m pipeline limits``: what the next day's tables are held to, as it was learned from the accepted days."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.usecase import Usecase


def limits(args: argparse.Namespace, usecase: Usecase) -> int:
    """Show the learned limits of one table or of all."""
    from pipeline.adapters.world import world
    from pipeline.report.terminal.limits import limits_document, limits_table
    from pipeline.report.terminal.tables import show, show_json
    from pipeline.steps.limits import limits as step

    found = step(usecase, world(reading=True), args.table)
    if args.json:
        show_json(limits_document(found))
    else:
        show(limits_table(found, args.about))
    return 0
