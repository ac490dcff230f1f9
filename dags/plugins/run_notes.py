"""A run's note says its data day and how that ended, with a link to the page: the one thing a task itself can't write.

Airflow gives a task no way to write its run's note. So tasks leave what they know among their XComs, and this listener,
which the scheduler calls when a run has ended, makes the note of it. The folder is Airflow's `plugins_folder`.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, ClassVar

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

log = logging.getLogger(__name__)

TOLD = "told"
LIMIT = 1_000
"""Characters that Airflow keeps of a note."""

SIGNS = {"promoted": "▲", "started": "●", "held": "‖", "declined": "–", "refused": "✕", "failed": "✕"}


def note_of(told: dict[str, Any]) -> str:
    """Markdown: the data day and its headline, the page, the reason as far as there is room."""
    outcome = str(told.get("outcome", ""))
    won = f"{told.get('recipe')}, version {told.get('champion')}" if outcome in ("promoted", "started") else ""
    headline = " ".join(str(told.get("headline") or "").split())
    # Without a headline: left by tasks from before days had one.
    ended = " ".join([headline or outcome, *([f"({won})" if headline else won] if won else [])])
    head = f"**{told.get('day')} {SIGNS.get(outcome, '·')} {ended}**"
    page = str(told.get("page") or "")
    if page.startswith(("http://", "https://")):
        head += f" · [what was decided, and why]({page})"
    # What is wrong with the champion, or was mended, comes before why nobody took its place.
    notices = [" ".join(str(notice).split()) for notice in told.get("notices") or ()]
    reason = "; ".join([*notices, " ".join(str(told.get("reason", "")).split())])
    room = LIMIT - len(head) - 2
    return f"{head}\n\n{reason if len(reason) <= room else reason[: room - 1] + '…'}"[:LIMIT]


def write(dag_run: Any) -> None:
    """Make the note of what the run's tasks have left; a note that a person wrote stays."""
    from airflow.models.xcom import XComModel
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    if dag_run.dag_run_note is not None and dag_run.dag_run_note.user_id:
        return
    session = object_session(dag_run)
    if session is None:
        return
    query = (
        select(XComModel.value)
        .where(XComModel.dag_id == dag_run.dag_id, XComModel.run_id == dag_run.run_id, XComModel.key == TOLD)
        .order_by(XComModel.timestamp.desc())
        .limit(1)
    )
    value = session.scalars(query).first()
    if value is None:
        return
    note_fields = json.loads(value) if isinstance(value, str) else value
    if isinstance(note_fields, dict):
        dag_run.note = note_of(note_fields)


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """A run has ended well: promoted, held, declined."""
    write(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """A run has ended in red: refused or failed."""
    write(dag_run)


class RunNotes(AirflowPlugin):
    """Registers this module's listeners."""

    name = "run_notes"
    listeners: ClassVar[list[Any]] = [sys.modules[__name__]]
