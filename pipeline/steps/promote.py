"""Promote: a winner becomes champion, or the day ends without. The ledger's next line first, the aliases after it."""

from __future__ import annotations

from datetime import date, datetime

from pipeline.core.errors import ConflictError, RedDayError
from pipeline.core.headlines import day_headline
from pipeline.core.headlines.days import ASKED, JUDGED_ONLY
from pipeline.core.ports import World
from pipeline.core.promotion.decision import current_champion, may_promote, promotion
from pipeline.core.records import Candidate, DayOutcome, Judged, Registered
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Verdict
from pipeline.report.verdict.note import title
from pipeline.steps.models.champion_model import newest_judged
from pipeline.steps.reconcile import reconcile
from pipeline.steps.register import read_verdict

GATES = "the gates"


def promote(usecase: Usecase, registered: Registered, world: World, at: datetime, by: str = GATES) -> DayOutcome:
    """Make the winner champion, or leave the champion as it is, and write how the day ended.

    A second try finds the line that the first one wrote and only brings the aliases after it.

    Args:
        usecase: The use case.
        registered: What was judged and registered.
        world: The ports.
        at: The moment, for the ledger.
        by: Who decided: the gates, or a person's name.

    Raises:
        ConflictError: The verdict was judged against a champion that is no longer champion, or a later day was judged;
            the champion stays, and the day's line says so.
        RedDayError: All is done, and the champion is far worse than it ever was: somebody must look.
        RefusedError: With code ``DRIFT``: the registry knows a champion that the ledger does not.
        UnavailableError: The registry is not there. Where the ledger's line is written by then, the champion has
            changed; a second try brings the aliases and the day's line after it.
    """
    judged = Judged.from_dict(registered.judged)
    verdict = read_verdict(usecase.name, judged.day, judged.verdict, world)
    if registered.version is None or judged.candidate is None:
        reason = judged.reason if judged.allowed else f"{JUDGED_ONLY}{judged.reason}"
        return _seen(write_day_outcome(usecase, registered, world, verdict, "held", reason))
    entries = world.ledger.entries(usecase.name)
    head = current_champion(entries)
    if head is None or head.verdict != judged.verdict:
        try:
            day = date.fromisoformat(judged.day)
            may_promote(entries, judged.epoch, day, newest_judged(usecase, world))
            head = promotion(
                entries,
                usecase.name,
                Candidate.from_dict(judged.candidate),
                version=registered.version,
                day=day,
                verdict=judged.verdict,
                why=judged.reason,
                by=by,
                at=at.isoformat(timespec="seconds"),
            )
            world.ledger.append(head)
        except ConflictError as stale:
            write_day_outcome(usecase, registered, world, verdict, "held", str(stale))
            raise
    reconcile(usecase.name, world)
    world.registry.set_alias(usecase.name, "candidate", None)
    outcome = "started" if judged.decision == "start" else "promoted"
    return _seen(write_day_outcome(usecase, registered, world, verdict, outcome, judged.reason))


def decline(usecase: Usecase, registered: Registered, world: World, why: str, by: str) -> DayOutcome:
    """A person said no, or nobody answered in time: the champion serves on, and the day says so.

    Raises:
        RedDayError: As :func:`promote`.
        UnavailableError: The registry is not there. Before the day's line is written: it keeps its alias ``candidate``;
            after it: the run keeps the title of a winner that waits. A second try mends both.
    """
    judged = Judged.from_dict(registered.judged)
    verdict = read_verdict(usecase.name, judged.day, judged.verdict, world)
    world.registry.set_alias(usecase.name, "candidate", None)
    return _seen(write_day_outcome(usecase, registered, world, verdict, "declined", f"{why} ({by})" if by else why))


def wait(usecase: Usecase, registered: Registered, world: World) -> DayOutcome:
    """The winner waits for a person: the day's line says so until somebody answers."""
    judged = Judged.from_dict(registered.judged)
    verdict = read_verdict(usecase.name, judged.day, judged.verdict, world)
    return write_day_outcome(usecase, registered, world, verdict, "waiting", f"{ASKED}{judged.reason}")


def needs_approval(usecase: Usecase, registered: Registered) -> bool:
    """Whether a person must say yes before this winner is promoted. The first champion needs nobody."""
    return (
        usecase.promotion.approval == "person"
        and registered.version is not None
        and registered.judged["decision"] == "promote"
    )


def approval_form(registered: Registered, world: World) -> tuple[str, str]:
    """Subject and body (Markdown) of the approval form: the verdict's sentence, then every finding."""
    judged = Judged.from_dict(registered.judged)
    verdict = read_verdict(judged.usecase, judged.day, judged.verdict, world)
    challenger = verdict.challenger.recipe if verdict.challenger else "the candidate"
    champion_is = "nobody" if verdict.champion is None else f"{verdict.champion.recipe} {verdict.champion.version}"
    findings = verdict.findings.get(challenger, ())
    lines = [verdict.reason, "", *(f"- {one.name}: {one.outcome}  {one.sentence}" for one in findings if one.listed)]
    subject = f"{judged.usecase} {judged.day}: shall {challenger} {registered.version} replace {champion_is}?"
    return subject, "\n".join(lines)


def _seen(line: DayOutcome) -> DayOutcome:
    """The line, unless something is wrong with the champion itself: then the run ends red, with all its work done."""
    if line.alarms:
        raise RedDayError(f"{line.usecase} {line.day} ({line.outcome}): {'; '.join(line.alarms)}", line)
    return line


def write_day_outcome(
    usecase: Usecase, registered: Registered, world: World, verdict: Verdict, outcome: str, reason: str
) -> DayOutcome:
    """Write the day's line, with whoever is champion now, and let the registry's run say how the day ended.

    Args:
        usecase: The use case.
        registered: What was judged and registered.
        world: The ports.
        verdict: The day's verdict.
        outcome: As in :class:`~pipeline.core.records.DayOutcome`.
        reason: The line's sentence.

    Returns:
        The line, as it is written.

    Raises:
        UnavailableError: The registry is not there; the line is written by then.
    """
    head = current_champion(world.ledger.entries(usecase.name))
    line = DayOutcome(
        usecase=usecase.name,
        day=verdict.day,
        outcome=outcome,
        champion=None if head is None else head.version,
        recipe="" if head is None else head.recipe,
        losses=dict(verdict.to_dict()["losses"]),
        reason=reason,
        run=registered.run,
        verdict=verdict.digest,
        headline=day_headline(outcome, reason, verdict),
        alarms=tuple(f"{alarm.about}: {alarm.sentence}" for alarm in verdict.alarms),
        repairs=registered.repairs,
    )
    world.ledger.conclude(line)
    if registered.run:
        won = verdict.challenger.recipe if verdict.challenger else ""
        world.registry.rename(registered.run, title(verdict.day, outcome, won))
    return line
