"""``python -m pipeline doctor``: which kept models will not open here, or answer otherwise than they did."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.core.usecase import Usecase


def doctor(args: argparse.Namespace, usecase: Usecase | None) -> int:
    """Examine one use case, or all of them; 1 where some model does not open here, or answers otherwise."""
    from pipeline.adapters.world import world
    from pipeline.report.documents import doctor_document
    from pipeline.report.terminal.doctor import doctor_table
    from pipeline.report.terminal.tables import show, show_json
    from pipeline.steps.doctor import doctor as step
    from pipeline.usecases import ALL, BROKEN

    ports = world(reading=True)
    examined = [step(one, ports) for one in ([usecase] if usecase is not None else ALL)]
    if args.json:
        show_json(doctor_document(examined))
    else:
        for one in examined:
            show(doctor_table(one))
    broken = usecase is None and bool(BROKEN)  # each has its sentence on standard error by now
    return 0 if all(one.sound for one in examined) and not broken else 1
