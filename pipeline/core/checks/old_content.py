"""Whether a reference table says again, word for word, what it had moved on from: a replica that lags, an old file.

The date of refreshing may be today's and the rows may be whole: only the digest of the content tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pipeline.core.checks.wording import ENOUGH, TableFindings
from pipeline.core.verdict import Finding

QUESTION = "old content"


def old_content(table: str, day: date, contents: Mapping[date, str], accepted: Sequence[date]) -> Finding:
    """Compare the content's digest with those of all accepted days that are remembered, not with the last one's alone.

    Only accepted days count, so that the alarm lasts as long as the old content does. A list that has gone back before,
    as one with a flag for weekends does, may go on doing so; one that seldom changes may take its last change back.

    Args:
        table: The table's name.
        day: The data day.
        contents: Day to content digest, of all stored days up to this one, refused ones too.
        accepted: The accepted days that are remembered, oldest first.
    """
    about = TableFindings(table)
    known = [then for then in accepted if contents.get(then)]
    if not contents.get(day) or len(known) < ENOUGH:
        return about.too_early(QUESTION, min(len(known), ENOUGH))
    told = [contents[then] for then in known]
    if contents[day] == told[-1] or contents[day] not in told:
        return about.finding(QUESTION, True, "it says nothing that it had moved on from")
    moved = [n for n in range(1, len(told)) if told[n] != told[n - 1]]
    went_back = any(told[n] in told[:n] for n in moved)
    last = len(told) - 1 - told[::-1].index(contents[day])
    lost = len(set(told[last + 1 :]))
    changes_daily = 2 * len(moved) >= len(told) - 1
    good = went_back or (lost == 1 and not changes_daily)
    text = (
        f"every row of '{table}' is as it was on {known[last]}, and not as on {known[-1]}: {lost} later "
        f"{'version is' if lost == 1 else 'versions are'} lost, as from a copy that lags or an old file "
        f"({'it has gone back before' if went_back else 'on no accepted day did it go back'})"
    )
    return about.finding(QUESTION, good, text, lost)
