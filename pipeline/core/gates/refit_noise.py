"""What every gate on stability shares: credit for refitting noise, and the finding about an excess over it.

A recipe refitted with another seed on a resample of its units also changes decisions, and what a candidate changes
within that noise says little about it. (The resample parts units that fail together, so the noise is understated, on
the strict side.) The credit for it is at most the limit itself: a recipe that changes wildly from fit to fit must not
buy itself room by that. One scored day is read, so the intervals know how blocks differ, not how days do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.core.evidence.candidate import Evidence, HoldoutDay
from pipeline.core.gates.loss import check_confidence, check_share
from pipeline.core.kinds import Floats
from pipeline.core.stats import Interval, NoInterval
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.core.words import beyond, count, sureness


def check_limit(gate: str, limit: float, at_least: int, confidence: float) -> None:
    """Refuse a limit that no retrained model could keep to, or numbers that prove nothing."""
    check_share(gate, "limit", limit, high=float("inf"))
    check_confidence(gate, confidence)
    if not limit > 0:
        raise ValueError(f"gate '{gate}': the limit must be above 0, or no retrained model could ever pass")
    if at_least < 2:
        raise ValueError(f"gate '{gate}': at_least must be 2 units or more, got {at_least}")


def refit_evidence(evidence: Evidence, at_least: int) -> tuple[HoldoutDay, Floats] | str:
    """The holdout day and the resampled refit's predictions, if they can be judged; else why not, as a clause.

    Args:
        evidence: The candidate's.
        at_least: Units below which nothing is judged.
    """
    holdout = evidence.holdout
    if holdout is None or not len(holdout):
        return "no unit of the scored day was predicted"
    if holdout.resampled is None:
        return "the recipe was not refitted, so nothing tells change from refitting noise"
    for who, predictions in (
        ("champion", holdout.champion),
        ("candidate", holdout.candidate),
        ("resampled", holdout.resampled),
    ):
        bad = len(holdout) - int(np.count_nonzero(evidence.valid(predictions)))
        if bad:
            return f"{bad:,} of {count(len(holdout), 'prediction')} of the {who} are not valid"
    if len(holdout) < at_least:
        return f"{count(len(holdout), 'unit')} on the scored day, at least {at_least} are needed"
    return holdout, holdout.resampled


def excess_finding(
    name: str,
    interval: Interval | NoInterval,
    limit: float,
    lead_sentence: str,
    number: Callable[[float], str] = beyond,
) -> Finding:
    """The finding about an excess over refitting noise that should stay below ``limit``.

    Args:
        name: The finding's name.
        interval: The excess, with its interval; or why there is none.
        limit: What is allowed, in the unit of the excess.
        lead_sentence: How the sentence begins: what changed, and what refitting alone changes.
        number: An excess as people read it; by default as a share in per cent.
    """
    bound = Bound(high=limit)
    if isinstance(interval, NoInterval):
        return Finding(name, Outcome.UNKNOWN, interval.why, wanted=bound)
    refuted, proven = interval.low > limit, interval.high <= limit
    outcome = Outcome.PASS if proven else Outcome.FAIL if refuted else Outcome.UNKNOWN
    end = interval.low if refuted else interval.high
    text = (
        f"{lead_sentence}: {number(interval.estimate)} beyond it ({sureness(interval)}: at "
        f"{'least' if refuted else 'most'} {number(end)}; allowed: {number(limit)}), "
        f"{count(interval.units, 'unit')} in {count(interval.blocks, 'block')} of one day"
    )
    counts = {"days": 1, "units": interval.units, "blocks": interval.blocks}
    return Finding(name, outcome, text, interval.estimate, bound, interval.low, interval.high, counts)


def capped_noise(noise: Floats, limit: float) -> Floats:
    """What is taken off for refitting noise, per unit: the noise itself, but on average the limit at most."""
    return noise if float(noise.mean()) <= limit else np.full(len(noise), limit)
