"""A red day: the champion loses far more than it ever did, and more than the plain rule would have.

A hard day is hard for everybody: a storm, a strike. What makes a day red is the champion's distance from the plain rule
of the same day, held against the same distance on the days before. A model that was given other inputs than it learnt
from, or whose file is not its own, ends there; so does one whose world has changed over night.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median

from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.words import count, percent

#: Earlier days that it takes to say what is usual.
NEEDED = 7
#: How many usual spreads beyond the usual distance are far; beyond every earlier day it must lie, too.
FAR = 5.0
#: The least that is worth a night's sleep: a share of the champion's usual loss.
WORTH = 0.1
#: The median absolute deviation of a normal variable, as a share of its standard deviation, is one over this.
_MAD = 1.4826


def red_day(day: str, losses: Mapping[str, Mapping[str, float]], champion: str, baseline: str) -> Finding | None:
    """Whether the champion's loss on a scored day is far above its own past and above the plain rule's.

    The spread is the median absolute deviation, which a few bad days do not move (Hampel, J. American Statistical
    Association 69, 1974).

    Args:
        day: The scored day, ISO format.
        losses: Contestant to ISO day to its mean loss.
        champion: The champion's name among the contestants.
        baseline: The plain rule's.

    Returns:
        FAIL on a red day, else PASS; UNKNOWN with fewer than :data:`NEEDED` earlier days. None where one of the two was
        not scored on the day.
    """
    theirs, plain = losses.get(champion, {}), losses.get(baseline, {})
    if not (math.isfinite(theirs.get(day, math.nan)) and math.isfinite(plain.get(day, math.nan))):
        return None
    before = sorted(
        then
        for then in theirs
        if then < day and math.isfinite(theirs[then]) and math.isfinite(plain.get(then, math.nan))
    )
    name = "champion as ever"
    counts = {"days": len(before)}
    if len(before) < NEEDED:
        text = f"{count(len(before), 'earlier day')} with the champion and the plain rule, {NEEDED} are needed"
        return Finding(name, Outcome.UNKNOWN, text, counts=counts, required=False)
    past = [theirs[then] - plain[then] for then in before]
    usual, loss = median(past), median(theirs[then] for then in before)
    spread = _MAD * median(abs(distance - usual) for distance in past)
    limit = max(usual + max(FAR * spread, WORTH * abs(loss)), max(past) + spread, 0.0)
    today = theirs[day] - plain[day]
    red = today > limit and theirs[day] > max(theirs[then] for then in before)
    more = f" ({percent(theirs[day] / loss - 1)} more)" if loss > 0 and theirs[day] > loss else ""
    text = (
        f"the champion lost {theirs[day]:.4g} on {day}, usually {loss:.4g}{more}; the plain rule lost "
        f"{plain[day]:.4g}, than which it was {_apart(today)}, usually {_apart(usual)}"
    )
    outcome = Outcome.FAIL if red else Outcome.PASS
    return Finding(name, outcome, text, value=today, wanted=Bound(high=limit), counts=counts, required=False)


def _apart(distance: float) -> str:
    return f"{abs(distance):.4g} {'worse' if distance > 0 else 'better'}"
