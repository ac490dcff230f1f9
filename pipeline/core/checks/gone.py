"""What came every day and came no more: a value of a column, or a whole column."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from statistics import median

from pipeline.core.checks.learned.measures import MANY_WORDS
from pipeline.core.checks.profiles import FeedProfile
from pipeline.core.checks.wording import ENOUGH, TableFindings
from pipeline.core.verdict import Finding, Part

# Where a number has no reason beside it, it was set on the flights and the weather of 2013 and on the businesses of
# ``python -m benchmarks sound_days``, so that few sound days are refused and the planted faults are found.
#: On how many accepted days back a value must have come each day to be missed.
RECENT = 14
#: How many rows a day a value must have had at least to be missed.
_USUAL = 5
#: What part of a day's rows a value must be to be missed.
_PART = 0.02
#: The same in a column whose values come and go, as articles and couriers do, or that has many: the more, the likelier
#: one of them ends by itself.
_PART_LIVING = 0.1
#: On how many accepted days of the same weekday, the last ones, a value must have come to be missed on one more.
_ALIKE = 4
#: By how much more of the rows it must have been than the largest value of its column that has ended before.
_MORE_THAN_ENDED = 1.5
#: How many rows of it a day must let expect: a quiet day lacks much.
_EXPECTED = 10
ATTRIBUTE = 0.8
"""A column that holds one value on more than this part of the days is an attribute of the day."""


def check_gone(
    about: TableFindings,
    day: date,
    now: FeedProfile,
    past: Mapping[date, FeedProfile],
    late: Sequence[str] = (),
    closed: Collection[tuple[str, str]] = (),
) -> Finding:
    """A value, or a whole column, that came every day: an origin, a carrier, an hour of the day.

    A value that was a small part of each day may end by itself; what ended rightly is known elsewhere.

    A value that stays away on Sundays is missed on none. One that ends in a column of campaigns is missed only if it
    was more of the rows than those that ended before it.

    Args:
        about: Makes the finding.
        day: The data day.
        now: What is known of it.
        past: The accepted days before it, oldest first, at least one.
        late: Columns that may be blank as yet.
        closed: Column and word of what has rightly come to an end.
    """
    history, last = list(past.values()), max(past)
    recent = history[-RECENT:]
    alike = [profile for then, profile in past.items() if then.weekday() == day.weekday()][-_ALIKE:]
    lost: list[tuple[str, str, int]] = []
    came_daily = 0
    for column in now.values:
        recent_counts = [profile.values.get(column, {}) for profile in recent]
        if sum(len(counts) == 1 for counts in recent_counts) > ATTRIBUTE * len(recent_counts):
            continue  # an attribute of the day, which another day may not have
        many = median(len(counts) for counts in recent_counts) > MANY_WORDS
        lives = many or _lives(recent_counts) or _lived([profile.values.get(column, {}) for profile in history])
        least = _PART_LIVING if lives else _PART
        if lives:
            least = max(least, _MORE_THAN_ENDED * _ended(column, history))
        comes_today = [set(profile.values.get(column, {})) for profile in alike]
        for value in set.intersection(*(set(counts) for counts in recent_counts)):
            usual = min(counts[value] for counts in recent_counts)
            part = median(
                counts[value] / max(profile.rows, 1) for counts, profile in zip(recent_counts, recent, strict=True)
            )
            is_usual = (
                usual >= _USUAL and part >= least and part * now.rows >= _EXPECTED and (column, value) not in closed
            )
            came_daily += is_usual
            expected = bool(comes_today) and all(value in values for values in comes_today)
            if is_usual and expected and now.values[column].get(value, 0) == 0:
                lost.append((column, value, usual))
    until = f"on each of the {len(recent)} accepted days to {last}"
    parts = [
        Part(
            f"no row has '{column}' {value}{_whose(column, value, recent)}, which at least {usual} a day had {until}",
            column,
            value,
        )
        for column, value, usual in sorted(lost)
    ]
    for column, filled in now.filled.items():
        if column in late:
            continue
        # A column that is blank more often than not (gusts of wind) may stay blank on a calm day.
        share = min(profile.filled.get(column, 0) / max(profile.rows, 1) for profile in recent)
        came_daily += share >= 0.5
        if share >= 0.5 and filled == 0:
            text = f"'{column}' is blank in all {now.rows} rows, and was filled in at least {share:.0%} of them {until}"
            parts.append(Part(text, column))
    text = f"{came_daily} values and columns that came on each of the last {len(recent)} days came again"
    return about.of_parts("values gone", parts, text)


def _ended(column: str, history: Sequence[FeedProfile]) -> float:
    """What part of a day's rows the largest value was that came each day of a week and then no more."""
    largest = 0.0
    shares = [
        {value: n / max(profile.rows, 1) for value, n in profile.values.get(column, {}).items()} for profile in history
    ]
    for value in set().union(*shares):
        places = [place for place, day in enumerate(shares) if value in day]
        if len(places) >= ENOUGH and len(shares) - 1 - places[-1] >= 3:
            largest = max(largest, median(shares[place][value] for place in places[-ENOUGH:]))
    return largest


def _whose(column: str, value: str, recent: Sequence[FeedProfile]) -> str:
    """Whose rows those were, in words of another column: a distance is a route's, a number some shop's.

    Two values that came equally often on each day, which was not always equally often, are taken for the same rows.
    """
    counts = [profile.values[column][value] for profile in recent]
    if len(set(counts)) < 2:
        return ""
    for other, values in recent[-1].values.items():
        for word in values if other != column else ():
            if _is_word(word) and [profile.values.get(other, {}).get(word) for profile in recent] == counts:
                return f" (the rows whose '{other}' is {word})"
    return ""


def _is_word(value: str) -> bool:
    return not value.replace(".", "", 1).lstrip("-").isdigit()


def _lives(counts: Sequence[Mapping[str, int]]) -> bool:
    """Whether values of a column have begun or ended for good within these days."""
    third = max(len(counts) // 3, 2)
    daily_at_first = set.intersection(*(set(day) for day in counts[:third]))
    daily_at_last = set.intersection(*(set(day) for day in counts[-third:]))
    ever_at_first, ever_at_last = set().union(*counts[:third]), set().union(*counts[-third:])
    return bool(daily_at_first - ever_at_last or daily_at_last - ever_at_first)


def _lived(counts: Sequence[Mapping[str, int]]) -> bool:
    """Whether a value came each day of a week and then not once for a week and ever after, or the other way round.

    Over all the days that are remembered: a code that is new each month stands still for weeks.
    """
    days = len(counts)
    if days < 2 * ENOUGH:
        return False
    at: dict[str, list[int]] = {}
    for place, day in enumerate(counts):
        for value in day:
            at.setdefault(value, []).append(place)
    return any(
        len(places) >= ENOUGH
        and (
            (days - 1 - places[-1] >= ENOUGH and places[-1] - places[-ENOUGH] == ENOUGH - 1)
            or (places[0] >= ENOUGH and places[ENOUGH - 1] - places[0] == ENOUGH - 1)
        )
        for places in at.values()
    )
