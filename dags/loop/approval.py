"""How a person is asked whether a winner may become champion, and what the answer does."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator

from loop.run import steps, world
from loop.tasks import end_with_supervisor, one_sentence
from pipeline.core.records import Registered
from pipeline.core.usecase import Usecase
from pipeline.steps.loop import Answer

log = logging.getLogger("pipeline")


class Approval(HITLOperator):
    """Asks a person whether a winner may become champion; asks nobody where nothing won.

    The answer is ``{"said": "Approve" | "Reject" | "nothing", "by": name}``, or nothing at all where nobody was
    asked. There is no default answer: silence never promotes.
    """

    template_fields = ("registered",)

    APPROVE = "Approve"
    REJECT = "Reject"

    def __init__(self, *, usecase: Usecase, registered: Any, **kwargs: Any) -> None:
        super().__init__(
            subject=f"{usecase.name}: may the winner become champion?",
            options=[self.APPROVE, self.REJECT],
            response_timeout=timedelta(hours=usecase.promotion.deadline_hours),
            assigned_users=[{"id": name, "name": name} for name in usecase.promotion.approvers] or None,
            retries=0,  # a second try would ask a second time
            **kwargs,
        )
        self.usecase = usecase
        self.registered = registered

    def execute(self, context: Any) -> Any:
        """Put the findings on the form and park until somebody answers; no worker waits meanwhile."""
        end_with_supervisor()
        with one_sentence(f"{self.usecase.name}: approve"):
            registered = Registered.from_dict(self.registered)
            if not steps.promote.needs_approval(self.usecase, registered):
                log.info("Nobody is asked: nothing won that a person has to approve.")
                return None
            self.subject, self.body = steps.promote.approval_form(registered, world())
            steps.promote.wait(self.usecase, registered, world())
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, str]:
        """Read the answer, or that there was none."""
        if event.get("error_type") == "timeout":
            log.info("Nobody answered within %g h.", self.usecase.promotion.deadline_hours)
            return {"said": "nothing", "by": ""}
        answer = super().execute_complete(context, event)
        option, by = answer["chosen_options"][0], (answer["responded_by_user"] or {}).get("name") or ""
        log.info("%s, says %s.", option, by or "nobody")
        return {"said": option, "by": by}


def answered(usecase: Usecase, answer: Mapping[str, str] | None) -> Answer:
    """What was said, for whoever promotes: silence and an answer without a name promote nothing."""
    option, by = (answer or {}).get("said", "nothing"), (answer or {}).get("by", "")
    if option == Approval.APPROVE and by:
        return Answer(True, by)
    if option == Approval.REJECT:
        return Answer(False, by, "declined in Airflow")
    return Answer(False, "", f"nobody answered within {usecase.promotion.deadline_hours:g} h")
