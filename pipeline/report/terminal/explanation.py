"""A day explained in the terminal: the decision, what each gate asked, found and wanted, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from pipeline.core.headlines import checks_told, day_headline, refusal_why, verdict_headline, why_in_one_line
from pipeline.core.records import DayOutcome
from pipeline.core.verdict import Finding, Outcome, Verdict
from pipeline.core.waivers import NEVER
from pipeline.core.words import count
from pipeline.report.terminal.tables import ANSWERS, LOOKS, headline_of

#: What to do about a day whose data was refused.
_REFUSED = "correct the delivery and run the day again; the champion serves on meanwhile"


def verdict_explained(
    verdict: Verdict, line: DayOutcome | None, recipe: str = "", where: Sequence[tuple[str, str]] = ()
) -> RenderableType:
    """A judged day.

    Args:
        verdict: What was decided.
        line: How the day ended; None: not known.
        recipe: About this recipe; empty: the challenger in full, the others as far as they were stopped.
        where: What lies where, such as ``("page", "/…/verdict.html")``.
    """
    first = recipe or (verdict.challenger.recipe if verdict.challenger is not None else "")
    parts: list[RenderableType] = [*_head(verdict, line), *_contestants(verdict)]
    if not verdict.findings:
        parts.append(Text("\nNo gate was asked.", "dim"))
    for name in sorted(verdict.findings, key=lambda one: one != first):
        if recipe and name != recipe:
            continue
        parts += _about(name, verdict, whole=name == first)
    parts.append(Text(""))
    parts += [Text.assemble((f"{what}: ", "dim"), there, overflow="fold") for what, there in where]
    return Group(*parts)


def refusal_explained(
    line: DayOutcome, findings: Sequence[Finding], gone: str, where: Sequence[tuple[str, str]] = ()
) -> RenderableType:
    """A day that ended without a verdict: its data was refused, or it failed.

    Args:
        line: How it ended.
        findings: What was found about the data.
        gone: What can't be read of it, as a sentence.
        where: What lies where.
    """
    headline = day_headline(line.outcome, line.reason, findings=findings) if findings else headline_of(line)
    parts = [_headline(line.usecase, line.day, line.outcome, headline)]
    if line.outcome == "refused":
        parts.append(_layer("why", refusal_why(findings, line.recipe)))
    parts.append(_layer("in full", line.reason))
    broken = [one for one in findings if one.required and one.outcome is not Outcome.PASS]
    if broken:
        parts.append(Text(f"\nWhat stopped it ({checks_told(findings)}):", "bold"))
        parts += [part for finding in broken for part in _finding(finding, "")]
    elif gone:
        parts.append(Text(gone))
    if line.outcome == "refused":
        parts.append(Text.assemble(("\nwhat to do: ", "bold"), _REFUSED, overflow="fold"))
    parts += [Text.assemble((f"{what}: ", "dim"), there, overflow="fold") for what, there in where]
    return Group(*parts)


def _head(verdict: Verdict, line: DayOutcome | None) -> Iterator[RenderableType]:
    yield _headline(verdict.usecase, verdict.day, verdict.decision, explained_headline(verdict, line))
    yield _layer("why", why_in_one_line(verdict))
    yield _layer("in full", f"{verdict.decision} ({verdict.outcome}): {verdict.reason}")
    if line is not None and (line.outcome[:4] != verdict.decision[:4] and line.reason != verdict.reason):
        yield _layer("the day ended", f"{line.outcome}: {line.reason}")
    for alarm in verdict.alarms:
        yield Text(f"✕ {alarm.about}: {alarm.text}", "bold red", overflow="fold")
        for cause in alarm.change.split("; ") if alarm.change else ():
            yield Text(f"  {cause}", overflow="fold")
    for repair in () if line is None else line.repairs:
        yield Text(f"mended by itself: {repair}", "yellow", overflow="fold")


def explained_headline(verdict: Verdict, line: DayOutcome | None) -> str:
    """How the day ended; of another verdict than the one it ended with, what that one decided."""
    if line is None or line.outcome in ("refused", "failed") or line.verdict not in ("", verdict.digest):
        return verdict_headline(verdict)
    return day_headline(line.outcome, line.reason, verdict)


def _headline(usecase: str, day: str, look: str, headline: str) -> RenderableType:
    sign, style = LOOKS.get(look, ("·", ""))
    return Text.assemble((f"{sign} {usecase} {day}  {headline}", style), overflow="fold")


def _layer(name: str, text: str) -> RenderableType:
    return Text.assemble((f"{name}: ", "dim"), text, overflow="fold")


def _contestants(verdict: Verdict) -> Iterator[RenderableType]:
    yield Text("\nWho stood before the gates", "bold")
    champion = verdict.champion
    if champion is None:
        yield Text("  champion: none yet")
    else:
        through = f"trained through {champion.trained_through}"
        yield Text(f"  champion: version {champion.version} ({champion.recipe}), {through}{_loss(verdict, 'champion')}")
    for recipe, fit in verdict.fits.items():
        if "skipped" in fit:
            yield Text(f"  {recipe}: not fitted, {fit['skipped']}", overflow="fold")
            continue
        learnt_from = (
            f"{fit.get('trained_first', '?')} to {fit.get('trained_through', '?')}, {fit.get('rows', 0):,} units"
        )
        yield Text(f"  {recipe}: {learnt_from}{_loss(verdict, recipe)}")
    counts = ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in verdict.counts.items())
    yield Text(f"  on the scored day: {counts}")


def _loss(verdict: Verdict, who: str) -> str:
    loss = verdict.losses.get(who)
    return "" if loss is None else f", {verdict.loss_name} {loss:.4f} that day"


def _about(recipe: str, verdict: Verdict, whole: bool) -> Iterator[RenderableType]:
    gate_findings = [finding for finding in verdict.findings[recipe] if finding.listed]
    shown = gate_findings if whole else [finding for finding in gate_findings if finding.outcome is not Outcome.PASS]
    passed = len(gate_findings) - len(shown)
    rest = f" (and {count(passed, 'answer')} PASS)" if passed else ""
    yield Text(f"\n{recipe}{rest}", "bold")
    last_gate = ""
    for finding in shown:
        question = verdict.asked.get(finding.gate, "") if finding.gate != last_gate else ""
        last_gate = finding.gate
        yield from _finding(finding, question)
    aside = (
        [finding for finding in verdict.findings[recipe] if not finding.listed and finding.name == "refit"]
        if whole
        else []
    )
    for finding in aside:
        yield Text(f"  what ships: {finding.text}", overflow="fold")


def _finding(finding: Finding, question: str) -> Iterator[RenderableType]:
    sign, style = ANSWERS[finding.outcome]
    look = "yellow" if finding.waived else style
    answer = f"{sign} {finding.outcome}{' (waived)' if finding.waived else ''}"
    yield Text.assemble("  ", (answer, look), "  ", (finding.name, "bold"), f"  {question}", overflow="fold")
    lines = [("found", finding.text), ("numbers", _numbers(finding)), ("on", _evidence(finding))]
    if finding.outcome is not Outcome.PASS:
        lines += [("would change it" if finding.gate else "what to do", finding.change), ("waiver", _waiver(finding))]
    for what, text in lines:
        if text:
            yield Padding(Text.assemble((f"{what}: ", "dim"), text, overflow="fold"), (0, 0, 0, 6))


def _numbers(finding: Finding) -> str:
    if finding.value is None or finding.wanted is None:
        return ""
    ends = [f"{end:.4g}" for end in (finding.low, finding.high) if end is not None]
    between = f" ({' to '.join(ends)})" if len(ends) == 2 else ""
    return f"{finding.value:.4g}{between}, wanted {finding.wanted}"


def _evidence(finding: Finding) -> str:
    return ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in finding.counts.items() if number)


def _waiver(finding: Finding) -> str:
    if finding.waived:
        return finding.waived
    if not finding.gate:
        return ""
    if finding.gate in NEVER:
        return "nobody may waive it"
    return f"none; whoever answers for it may declare Waiver('{finding.gate}', by, why, until) in the use case"
