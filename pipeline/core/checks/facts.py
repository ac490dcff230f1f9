"""Whether the facts that a use case declares hold on a day."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipeline.core.checks.profiles import Profile
from pipeline.core.checks.wording import ENOUGH, TableFindings
from pipeline.core.facts import Columns, Fact, Fixed, number_word, texts
from pipeline.core.verdict import Bound, Finding


def check_fact(fact: Fact, columns: Columns) -> Finding:
    """Whether an identity holds; with no row that it speaks of, there is nothing to hold."""
    holds = np.asarray(fact.holds(columns), dtype=bool)
    about = TableFindings(fact.about)
    if not len(holds):
        return about.unknown(fact.name, "no row speaks of it", required=False)
    share = float(holds.mean())
    broken = int(np.sum(~holds))
    if share >= fact.share:
        text = f"holds in {len(holds) - broken} of {len(holds)} rows (wanted: {fact.share:.0%})"
    else:
        text = f"broken in {broken} of {len(holds)} rows (wanted: '{fact.name}' in {fact.share:.0%}); {fact.why}"
    return about.finding(fact.name, share >= fact.share, text, share, Bound(fact.share, 1))


def check_fixed(fact: Fixed, columns: Columns, past: Sequence[Profile]) -> Finding:
    """Whether a determined number still is what it was, and whether its givens are mostly known ones."""
    about = TableFindings(fact.about)
    history = [profile.feeds[fact.about].fixed.get(fact.name, {}) for profile in past if fact.about in profile.feeds]
    if len(history) < ENOUGH:
        return about.too_early(fact.name, len(history))
    known: dict[str, float] = {}
    for profile in history:
        known.update(profile)
    given = texts(columns, fact.given)
    pairs = [(key, value) for key, value in zip(given, columns[fact.value].tolist(), strict=True) if key is not None]
    seen = [(key, value) for key, value in pairs if key in known]
    agree = sum(math.isclose(value, known[key], rel_tol=fact.tolerance) for key, value in seen)
    given_names = "|".join(fact.given)
    if not pairs or len(seen) / len(pairs) < fact.known:
        text = (
            f"only {len(seen)} of {len(pairs)} rows have a '{given_names}' of the last {len(history)} days (wanted: "
            f"{fact.known:.0%}); {fact.why}"
        )
        return about.finding(fact.name, False, text, len(seen) / max(len(pairs), 1), Bound(fact.known, 1))
    share = agree / len(seen)
    text = (
        f"'{fact.value}' is what it was for its {given_names} in {agree} of {len(seen)} rows (wanted: {fact.share:.0%})"
    )
    if share < fact.share:
        key, value = next((k, v) for k, v in seen if not math.isclose(v, known[k], rel_tol=fact.tolerance))
        text += f"; {key} was {number_word(known[key])} and is {number_word(value)}; {fact.why}"
    return about.finding(fact.name, share >= fact.share, text, share, Bound(fact.share, 1))
