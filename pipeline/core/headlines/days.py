"""A judged day: who won, who comes near and what it lacks."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from pipeline.core.headlines.refusals import failure_headline, refusal_headline
from pipeline.core.headlines.shortening import LONGEST_WHY, clip, first_clause, first_that_fits, unable_champion
from pipeline.core.verdict import Contestant, Finding, Outcome, Verdict, stopping
from pipeline.core.words import change, count, percent

#: How the reason of a day begins that was judged without leave to promote.
JUDGED_ONLY = "judged only, as asked: "
#: How the reason of a day begins whose winner a person must approve.
ASKED = "a person decides: "
#: The gates whose finding says by how much the candidate's loss differs from the champion's, the better one first.
_COMPARING = ("better", "not worse")
_MORE_DAYS = re.compile(r"about ([\d,]+) more days?\b")
_NOBODY = "no candidate is good enough yet"


def day_headline(outcome: str, reason: str, verdict: Verdict | None = None, findings: Sequence[Finding] = ()) -> str:
    """How a day ended.

    Args:
        outcome: As in :class:`~pipeline.core.records.DayOutcome`.
        reason: The exact words of the day's line.
        verdict: What was decided, where the day has a verdict that is known.
        findings: Of a refused day, what was found about its data.
    """
    if outcome == "refused":
        return refusal_headline(reason, findings)
    if outcome == "failed":
        return failure_headline(reason)
    unable = unable_champion(reason.removeprefix(JUDGED_ONLY).removeprefix(ASKED))
    judged_only = reason.startswith(JUDGED_ONLY)
    lead = {"waiting": "waiting for approval: "}.get(outcome, f"{outcome}: ")
    if judged_only:
        lead = "judged only: "
    if len(lead) > 30:  # an outcome that nobody knows
        lead = ""
    if verdict is None:
        first_part = first_clause(reason.removeprefix(JUDGED_ONLY))
        return first_that_fits(lead, [first_part, clip(first_part, 80), "explain says why"])
    if unable and outcome != "declined":
        return first_that_fits(lead, _succession_forms(verdict, unable, judged_only))
    if verdict.alarms and outcome not in ("promoted", "started"):
        return first_that_fits(lead, _alarm_forms(verdict.alarms[0]))
    return first_that_fits(lead, _forms(outcome, reason, verdict, judged_only))


def verdict_headline(verdict: Verdict) -> str:
    """What was decided, before anybody has done anything about it."""
    if unable := unable_champion(verdict.reason):
        return first_that_fits(f"{verdict.decision.capitalize()}: ", _succession_forms(verdict, unable, True))
    if verdict.decision == "hold":
        return first_that_fits("Hold: ", _alarm_forms(verdict.alarms[0]) if verdict.alarms else _hold_forms(verdict))
    if verdict.decision == "start":
        who = verdict.challenger.recipe if verdict.challenger else "nobody"
        return first_that_fits("Start with ", [f"{who} as the first champion", "the baseline as the first champion"])
    return first_that_fits("Promote ", _promotion_forms(verdict, "in place of"))


def why_in_one_line(verdict: Verdict) -> str:
    """The reason in one line: the question that was not answered well, or what speaks for the winner."""
    stops = _stops(verdict)
    if verdict.decision != "hold" or not stops:
        return clip(verdict.reason, LONGEST_WHY) or _NOBODY
    first = stops[0]
    question = verdict.asked.get(first.gate) or verdict.asked.get(first.name, "")
    answer = "No" if first.outcome is Outcome.FAIL else "Not known yet"
    sentence = f"'{first.name}' asks: {question} {answer}."
    if question and len(sentence) <= LONGEST_WHY:
        return sentence
    return clip(f"{first.name}: {answer.lower()}; {first_clause(first.text)}", LONGEST_WHY) or _NOBODY


def _alarm_forms(alarm: Finding) -> list[str]:
    """What is wrong with the champion, and what is to blame for it where that was found."""
    lost = first_clause(alarm.text)
    blamed = [clause.partition(":")[0] for clause in alarm.change.split("; ") if "is to blame" in clause]
    return [*(f"{lost}; {cause}" for cause in blamed), lost, "the champion is far worse than it ever was"]


def _succession_forms(verdict: Verdict, unable: str, judged_only: bool) -> list[str]:
    """Who takes the place of a champion that can't answer any more, and why that one can't."""
    challenger = verdict.challenger
    if challenger is None or verdict.decision == "hold":
        return [unable, clip(unable, 80), "the champion can't answer any more"]
    who, _ = _sides(challenger, verdict.champion)
    takes = f"{who} {'would take its place' if judged_only else 'takes its place'}"
    return [f"{unable}; {takes}", f"{clip(unable, 60)}; {takes}", f"the champion can't answer; {takes}", takes]


def _forms(outcome: str, reason: str, verdict: Verdict, judged_only: bool) -> list[str]:
    """What may stand behind the outcome, the fullest first."""
    challenger = verdict.challenger
    if verdict.decision == "hold" or challenger is None:
        return _hold_forms(verdict)
    if verdict.decision == "start":
        will = "would be" if judged_only else "is"
        return [
            f"{challenger.recipe} {will} the first champion; candidates must beat it",
            f"{challenger.recipe} {will} the first champion",
            f"the baseline {will} the first champion",
        ]
    if judged_only:
        return _promotion_forms(verdict, "would replace")
    if outcome == "declined":
        plain = _promotion_forms(verdict, "does not replace")[1:]
        return [f"{plain[0]}; {reason}", f"{plain[0]}; {first_clause(reason)}", *plain]
    if outcome == "held":
        who, before = _sides(challenger, verdict.champion)
        late = f"{who} passed too late to replace {before}"
        return [f"{late}; a newer decision stands", late, f"{who} passed too late", "the winner passed too late"]
    return _promotion_forms(verdict, "in place of")


def _sides(challenger: Contestant, champion: Contestant | None) -> tuple[str, str]:
    """Names of the winner and of the champion that tell them apart."""
    if champion is None:
        return challenger.recipe, "nobody"
    if champion.recipe != challenger.recipe:
        return challenger.recipe, champion.recipe
    return f"a fresh {challenger.recipe}", f"version {champion.version}" if champion.version else "the old one"


def _promotion_forms(verdict: Verdict, verb: str) -> list[str]:
    challenger = verdict.challenger or Contestant("", "nobody", "")
    who, before = _sides(challenger, verdict.champion)
    plain = f"{who} {verb} {before}"
    shown = _comparison(verdict)
    full = plain if shown is None else f"{plain}; its loss is {_than(shown)}"
    return [full, plain, f"{who} {verb} the champion", f"a better model {verb} the champion"]


def _than(relative: float) -> str:
    return "the same" if relative == 0 else change(relative)


def _hold_forms(verdict: Verdict) -> list[str]:
    challenger, stops = verdict.challenger, _stops(verdict)
    if challenger is None or not stops:
        last = "no candidate was fitted" if challenger is None else _NOBODY
        return [first_clause(verdict.reason), clip(verdict.reason, 80), last]
    first, relative = stops[0], _comparison(verdict)
    days = "" if first.outcome is Outcome.FAIL else _days(stops)
    if first.name in _COMPARING:
        forms = _compared(challenger.recipe, first, relative, days)
    elif days:
        needs = f"{challenger.recipe} needs about {days} of evidence"
        forms = [f"{needs}; '{first.name}' is not known yet", needs]
    else:
        fails = first.outcome is Outcome.FAIL
        answer = f"fails '{first.name}'" if fails else f"'{first.name}' is not known yet"
        alone = f"{challenger.recipe} {answer}" if fails else f"{answer} for {challenger.recipe}"
        better = relative is not None and relative < 0
        both = f"{_loses(challenger.recipe, relative)}, but {answer}" if relative is not None and better else alone
        forms = [both, alone]
    return [*forms, f"{challenger.recipe} is not good enough yet", _NOBODY]


def _compared(recipe: str, first: Finding, relative: float | None, days: str) -> list[str]:
    """Of a candidate that is not shown to be better: how far it is from that."""
    if relative is None:
        early = f"too early to judge {recipe}"
        if days:
            return [f"{early}; about {days} of evidence needed", early]
        if first.text.startswith("no day since"):
            return [f"{early}; {first.text}", early]
        unknown = f"{recipe} can't be compared with the champion"
        return [f"{unknown}: {first_clause(first.text)}", unknown]
    loses = _loses(recipe, relative)
    if first.outcome is Outcome.FAIL:
        return [f"{recipe} is shown to be worse; it loses {percent(relative)} more"] * (relative > 0) + [
            f"{recipe} is shown to be worse"
        ]
    if relative >= 0:
        return [f"{loses} so far; the champion serves on", f"{loses} so far", loses]
    tail = f"about {days} of evidence needed" if days else "more days like the last ones would not settle it"
    return [f"{loses} so far; {tail}", f"{loses} so far", loses]


def _loses(recipe: str, relative: float) -> str:
    if relative == 0:
        return f"{recipe} loses as much as the champion"
    return f"{recipe} loses {percent(abs(relative))} {'less' if relative < 0 else 'more'}"


def _stops(verdict: Verdict) -> list[Finding]:
    challenger = verdict.challenger
    return stopping(verdict.findings.get(challenger.recipe, ())) if challenger is not None else []


def _comparison(verdict: Verdict) -> float | None:
    """By what share the candidate's loss differs from the champion's; None where that is not known."""
    challenger_findings = verdict.findings.get(verdict.challenger.recipe, ()) if verdict.challenger is not None else ()
    for name in _COMPARING:
        for finding in challenger_findings:
            if finding.name == name and finding.value is not None and math.isfinite(finding.value):
                return finding.value
    return None


def _days(stops: Sequence[Finding]) -> str:
    """How many more days would settle everything that stops a candidate: ``3 more days``; empty where nobody knows."""
    known = [int(match[1].replace(",", "")) for finding in stops if (match := _MORE_DAYS.search(finding.change))]
    return count(max(known), "more day") if known else ""
