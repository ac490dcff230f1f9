"""Pure decisions about who becomes champion, each with its reason: whom to promote, and whether one still may.

Who is champion and who was before, and the lines of the promotion ledger, are in
:mod:`pipeline.core.promotion.ledger`; its names are here too, for whoever decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.core.errors import ConflictError
from pipeline.core.promotion.ledger import (
    Barred,
    barred_on,
    current_champion,
    lift,
    previous,
    promotion,
    rollback,
    target,
)
from pipeline.core.records import Candidate, Entry
from pipeline.core.verdict import Finding, Outcome, joint
from pipeline.core.words import at_worst, shorten

__all__ = [
    "Barred",
    "Decision",
    "barred_on",
    "choose",
    "current_champion",
    "lift",
    "may_promote",
    "previous",
    "promotion",
    "rollback",
    "target",
]

#: The longest reason, in characters, that a decision gives.
_LONGEST_REASON = 400


@dataclass(frozen=True, slots=True)
class Decision:
    """What a day comes to.

    Attributes:
        decision: ``promote``, ``start`` or ``hold``.
        outcome: PASS where a model may ship; FAIL where what was found forbids it, UNKNOWN where too little is known.
        reason: One sentence of bounded length.
        recipe: The winner's recipe; on ``hold`` the nearest candidate's; None where there was no candidate.
    """

    decision: str
    outcome: Outcome
    reason: str
    recipe: str | None


def choose(
    usecase: str,
    day: date,
    serving: Entry | None,
    candidates: Sequence[Candidate],
    findings: Mapping[str, Sequence[Finding]],
    barred: Barred,
    *,
    baseline: str,
    newest: date | None = None,
    skipped: Mapping[str, str] | None = None,
) -> Decision:
    """Decide about one data day.

    Before the first champion the baseline starts. After that, of the candidates whose required findings all PASS and
    that nothing holds back, the one with the largest *shown* improvement wins: the smallest upper end of the loss
    difference of ``better``, or of ``not worse`` where that was not asked. Where neither was asked, the first
    candidate in the order given. A candidate that is the champion itself cannot win.

    Args:
        usecase: For the sentences.
        day: The data day.
        serving: The head of the promotion ledger.
        candidates: In the order in which their recipes are declared; the fresh baseline may be among them.
        findings: Recipe to what the gates found; a recipe without findings is not known to be good.
        barred: What rollbacks hold back on this day.
        baseline: The baseline's recipe.
        newest: The newest data day that was judged so far; an older day than that is judged for the record only.
        skipped: Recipe to the reason why it was not fitted.
    """
    skipped = skipped or {}
    if serving is None:
        if any(candidate.recipe == baseline for candidate in candidates):
            why = f"{usecase} has no champion yet: the baseline '{baseline}' starts, and candidates must beat it"
            return Decision("start", Outcome.PASS, why, baseline)
        why = f"{usecase} has no champion yet and its baseline '{baseline}' was not fitted"
        return Decision("hold", Outcome.UNKNOWN, _sentence(why, skipped.get(baseline, "")), None)
    contest = [candidate for candidate in candidates if candidate.recipe != baseline or candidate.recipe in findings]
    if not contest:
        whys = list(dict.fromkeys(skipped.values()))
        gaps = (
            whys[0]
            if len(skipped) > 1 and len(whys) == 1
            else "; ".join(f"{recipe}: {why}" for recipe, why in skipped.items())
        )
        return Decision("hold", Outcome.UNKNOWN, _sentence("no candidate was fitted", gaps), None)
    outcomes = {candidate.recipe: joint(findings.get(candidate.recipe, ())) for candidate in contest}
    why_barred = {c.recipe: _why_barred(c, serving, barred) for c in contest}
    passing = [c for c in contest if outcomes[c.recipe] is Outcome.PASS]
    promotable = [c for c in passing if not why_barred[c.recipe]]
    if not promotable:
        return _hold(contest, findings, outcomes, why_barred)
    winner = min(promotable, key=lambda c: _rank(findings[c.recipe]))
    if newest is not None and day < newest:
        why = f"{winner.recipe} passed, but {newest} has been judged already and an older day promotes nobody"
        return Decision("hold", Outcome.FAIL, why, winner.recipe)
    return Decision("promote", Outcome.PASS, _praise(winner.recipe, findings[winner.recipe], promotable), winner.recipe)


def _why_barred(candidate: Candidate, serving: Entry, barred: Barred) -> str:
    if candidate.model == serving.model:
        return f"it is the champion already (version {serving.version})"
    return barred.why(candidate)


def _shown(findings: Sequence[Finding]) -> Finding | None:
    """The finding that says by how much the candidate is better, as far as shown."""
    for name in ("better", "not worse"):
        for finding in findings:
            if finding.name == name and finding.high is not None:
                return finding
    return None


def _rank(findings: Sequence[Finding]) -> tuple[float, float]:
    shown = _shown(findings)
    if shown is None or shown.high is None or shown.value is None:
        return (0.0, 0.0)
    return (shown.high, shown.value)


def _praise(recipe: str, findings: Sequence[Finding], promotable: Sequence[Candidate]) -> str:
    shown = _shown(findings)
    why = f"{recipe} passed all it was asked"
    if shown is not None and shown.high is not None:
        why += f"; its loss is shown to be {at_worst(shown.high)} than the champion's"
    others = [candidate.recipe for candidate in promotable if candidate.recipe != recipe]
    if others:
        by = "the largest improvement shown among" if shown is not None else "the first declared of"
        why += f", {by} {len(promotable)} that passed"
    return shorten(why, _LONGEST_REASON)


def _hold(
    contest: Sequence[Candidate],
    findings: Mapping[str, Sequence[Finding]],
    outcomes: Mapping[str, Outcome],
    why_barred: Mapping[str, str],
) -> Decision:
    """Hold, and say of the candidate that came nearest what stopped it."""

    def stops(recipe: str) -> list[Finding]:
        return [f for f in findings.get(recipe, ()) if f.required and f.outcome is not Outcome.PASS]

    order = (Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL)

    def distance(candidate: Candidate) -> tuple[int, int, tuple[float, float]]:
        candidate_findings = findings.get(candidate.recipe, ())
        # Passes, not stops, tell who came far: who is stopped early is not asked the later questions.
        passed = sum(f.required and f.outcome is Outcome.PASS for f in candidate_findings)
        return (order.index(outcomes[candidate.recipe]), -passed, _rank(candidate_findings))

    def first_of(recipe: str) -> str:
        stopped = sorted(stops(recipe), key=lambda finding: finding.outcome is not Outcome.FAIL)
        return str(stopped[0]) if stopped else ""

    nearest = min(contest, key=distance).recipe
    outcome = outcomes[nearest]
    if outcome is Outcome.PASS:
        why = f"{nearest} passed, but {why_barred[nearest]}"
        return Decision("hold", Outcome.FAIL, shorten(why, _LONGEST_REASON), nearest)
    stopped = stops(nearest)
    if not stopped:
        return Decision("hold", Outcome.UNKNOWN, f"{nearest} came nearest, but no gate answered", nearest)
    verb = "was refused" if outcome is Outcome.FAIL else "is not known to be good enough"
    why = first_of(nearest)
    first = shorten(why, _LONGEST_REASON // 2 + 50)
    rest = f"; and {len(stopped) - 1} more" if len(stopped) > 1 else ""
    # Where one thing stops them all, such as too few days, nobody came nearest.
    if outcome is Outcome.UNKNOWN and len(contest) > 1 and {first_of(c.recipe) for c in contest} == {why}:
        return Decision("hold", outcome, f"no candidate is known to be good enough: {first}{rest}", nearest)
    return Decision("hold", outcome, f"{nearest} came nearest and {verb}: {first}{rest}", nearest)


def _sentence(what: str, why: str) -> str:
    return shorten(f"{what}: {why}" if why else what, _LONGEST_REASON)


def may_promote(entries: Sequence[Entry], epoch: int, day: date, newest: date | None) -> None:
    """Whether a verdict reached about ``day`` against the champion of ``epoch`` may still change the champion.

    Args:
        entries: The promotion ledger as it is now.
        epoch: The epoch that the verdict names; 0 where there was no champion.
        day: The data day that was judged.
        newest: The newest data day judged by now, or None.

    Raises:
        ConflictError: With code ``STALE``; judge anew.
    """
    head = current_champion(entries)
    now = head.epoch if head is not None else 0
    if epoch != now:
        raise ConflictError(
            f"the verdict about {day} was reached against epoch {epoch} of the promotion ledger, which is at {now} "
            "by now: run the day again to judge against the present champion"
        )
    if head is not None and day < date.fromisoformat(head.day):
        raise ConflictError(
            f"the champion was decided on data through {head.day}; a verdict about the earlier {day} can't replace it"
        )
    if newest is not None and day < newest:
        raise ConflictError(f"{newest} has been judged already; a verdict about the earlier {day} promotes nobody")
