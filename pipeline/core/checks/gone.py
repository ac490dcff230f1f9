"""What came every day and came no more: a value of a column, or a whole column."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from types import MappingProxyType

from pipeline.core.checks.learned.measures import MANY_WORDS
from pipeline.core.checks.profiles import FeedProfile
from pipeline.core.checks.wording import ENOUGH, TableFindings, first_five
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
#: From how many accepted days on a value is missed on the first day: what has come daily for a fortnight may have a day
#: off, such as a van in repair. One that is a large part of the rows is missed at once.
_GROWN, _LARGE = 28, 0.2
#: From how many on a value is missed that is of those that come and go: what came daily for a week may end after it.
_YOUNG = 14
#: For how many accepted days it may have been missing, on which nobody missed it.
_SINCE = 3
#: By how much more of the rows it must have been than the largest value of its column that has gone before.
_MORE_THAN_ENDED = 1.5
#: After how many accepted days in a row, and for how many where it has not come back.
_DAILY, _AWAY = 4, 3
#: What part of its rows others must have that took its place.
_TAKEN = 0.6
#: What is too small a part to tell of others.
_LEAST_WENT = _PART / _MORE_THAN_ENDED
#: What is left of that from day to day: half of it after five months.
_FADES = 0.995
#: What part of what it was a week before a value is that comes to an end by and by; by how many standard deviations.
_DWINDLED, _BY_CHANCE = 0.6, 4
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
    listed: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Finding:
    """A value, or a whole column, that came every day: an origin, a carrier, an hour of the day.

    A value that was a small part of each day may end by itself; what ended rightly is known elsewhere.

    A value that stays away on Sundays is missed on none. One of a column whose values come and go (campaigns, machines
    that are repaired) is missed only if it was more of the rows than those that went before it.

    Args:
        about: Makes the finding.
        day: The data day.
        now: What is known of it.
        past: The accepted days before it, oldest first, at least one.
        late: Columns that may be blank as yet.
        closed: Column and word of what has rightly come to an end.
        listed: Column to the words that the list has which it is looked up in.
    """
    history, last = list(past.values()), max(past)
    recent = history[-RECENT:]
    dates = list(past)[-RECENT:]
    lost: list[tuple[str, str, int, int]] = []
    waiting: list[str] = []
    came_daily = 0
    for column in now.values:
        recent_counts = [profile.values.get(column, {}) for profile in recent]
        if sum(len(counts) == 1 for counts in recent_counts) > ATTRIBUTE * len(recent_counts):
            continue  # an attribute of the day, which another day may not have
        many = median(len(counts) for counts in recent_counts) > MANY_WORDS
        lives = many or _lives(recent_counts) or _lived([profile.values.get(column, {}) for profile in history])
        least = _PART_LIVING if lives else _PART
        went_before = Went(*now.went.get(column, ()))
        back = min(max(_SINCE, int(went_before.days) + 1), len(recent) - _DAILY)
        for value in set.intersection(*(set(counts) for counts in recent_counts[:-back])):
            there = [n for n, counts in enumerate(recent_counts) if value in counts]
            since = there[-1] + 1
            if since != len(there):
                continue  # it does not come daily
            usual = min(recent_counts[n][value] for n in there)
            part = median(recent_counts[n][value] / max(recent[n].rows, 1) for n in there)
            ends = value not in listed.get(column, ()) and (
                went_before.ends(part) or (part < _LARGE and _dwindled(column, value, history))
            )
            told = len(history) >= _YOUNG or not lives or part >= _LARGE or value in listed.get(column, ())
            is_usual = usual >= _USUAL and part >= least and (column, value) not in closed and told and not ends
            came_daily += is_usual and part * now.rows >= _EXPECTED

            def lacks(then: date, rows: int, column: str = column, value: str = value, part: float = part) -> bool:
                on_weekday = [past[one].values.get(column, {}) for one in past if _alike(one, then)][-_ALIKE:]
                known = bool(on_weekday) or then != day
                return part * rows >= _EXPECTED and known and all(value in counts for counts in on_weekday)

            if is_usual and now.values[column].get(value, 0) == 0 and lacks(day, now.rows):
                before = sum(lacks(dates[n], recent[n].rows) for n in range(since, len(recent)))
                young = len(history) - (len(recent) - since) < _GROWN and part < _LARGE
                allowed = max(int(young), went_before.may_be_away(part))
                # After more such days than are allowed one was refused: if it is past, a person has accepted it.
                if before == allowed:
                    lost.append((column, value, usual, since))
                elif before < allowed:
                    waiting.append(f"'{column}' {value}")
    until = f"on each of the {len(recent)} accepted days to {last}"
    parts = [
        Part(
            f"no row has '{column}' {value}{_whose(column, value, recent)}, which at least {usual} a day had on each "
            f"of the {since} accepted days to {dates[since - 1]}",
            column,
            value,
        )
        for column, value, usual, since in sorted(lost)
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
    if waiting:
        text = f"no row has {first_five(waiting)}, which came daily; refused if it stays away"
    return about.of_parts("values gone", parts, text)


def _dwindled(column: str, value: str, history: Sequence[FeedProfile]) -> bool:
    """Whether it was much less of the rows in its last week than in the one before: a newer version is rolled out."""
    counts = [profile.values.get(column, {}).get(value, 0) for profile in history]
    end = max((n for n, count in enumerate(counts) if count), default=-1) + 1
    if end < 2 * ENOUGH:
        return False
    weeks = [slice(end - 2 * ENOUGH, end - ENOUGH), slice(end - ENOUGH, end)]
    (before, rows_before), (last, rows_last) = (
        (sum(counts[week]), sum(profile.rows for profile in history[week])) for week in weeks
    )
    expected = before * rows_last / max(rows_before, 1)
    return last < _DWINDLED * expected and expected - last > _BY_CHANCE * (expected + last) ** 0.5


def _alike(one: date, day: date) -> bool:
    return one < day and one.weekday() == day.weekday()


@dataclass(frozen=True, slots=True)
class Went:
    """How a column's values came daily and then, on some day, did not.

    Attributes:
        part: What part of a day's rows the largest of them was that came back.
        days: For how many accepted days the longest of them was away.
        ended: What part the largest was that has not come back.
    """

    part: float = 0.0
    days: float = 0
    ended: float = 0.0

    def may_be_away(self, part: float) -> int:
        """For how many days a value that is such a part of the rows may be away as others were."""
        return int(self.days) if part < _MORE_THAN_ENDED * self.part else 0

    def ends(self, part: float) -> bool:
        """Whether such a one may end as others did."""
        return part < _MORE_THAN_ENDED * self.ended

    def with_other(self, other: Went) -> Went:
        """The larger of each."""
        return Went(max(self.part, other.part), max(self.days, other.days), max(self.ended, other.ended))

    def faded(self) -> Went:
        """A day later; too small a part is none."""
        part, ended = (one * _FADES if one * _FADES >= _LEAST_WENT else 0.0 for one in (self.part, self.ended))
        return Went(part, self.days if part else 0, ended)


def may_be_gone(
    now: FeedProfile, past: Mapping[date, FeedProfile], listed: Mapping[str, Collection[str]]
) -> set[tuple[str, str]]:
    """Column and value of what is gone and need not be missed as yet, since others of its column went as suddenly.

    Nor need what is less than a tenth of the rows, in a column that is looked up in no list: whether such a one may
    end is asked by :func:`check_gone` alone.
    """
    found, history = set(), list(past.values())
    for column in now.values if past else ():
        went_before = Went(*now.went.get(column, ()))
        recent = [profile.values.get(column, {}) for profile in history[-RECENT:]]
        rows = [max(profile.rows, 1) for profile in history[-RECENT:]]
        for value in set().union(*recent) - set(now.values[column]):
            part = median(counts[value] / n for counts, n in zip(recent, rows, strict=True) if value in counts)
            away = next(n for n, counts in enumerate(reversed(recent)) if value in counts)
            ends = value not in listed.get(column, ()) and (
                went_before.ends(part) or (part < _LARGE and _dwindled(column, value, history))
            )
            is_small = part < _PART_LIVING and column not in listed
            if ends or is_small or away < went_before.may_be_away(part):
                found.add((column, value))
    return found


def replaced(column: str, listed: Collection[str], now: FeedProfile, past: Mapping[date, FeedProfile]) -> set[str]:
    """Values that are gone and whose rows others have, which a list has and no day had before: a new van for an old.

    Args:
        column: Whose values they are.
        listed: What the list has.
        now: What is known of the day.
        past: The accepted days before it, oldest first.
    """
    recent = [profile for profile in list(past.values())[-RECENT:] if column in profile.values]
    if not recent or column not in now.values:
        return set()
    known = set().union(*(profile.values[column] for profile in past.values() if column in profile.values))
    new = sum(n for value, n in now.values[column].items() if value not in known and value in listed) / max(now.rows, 1)
    gone = set().union(*(profile.values[column] for profile in recent)) - set(now.values[column])
    parts = {
        value: median(profile.values[column].get(value, 0) / max(profile.rows, 1) for profile in recent)
        for value in gone
    }
    found = set()
    # A newcomer's rows are one old one's, and not another's besides.
    for value in sorted(gone, key=lambda value: (-parts[value], value)):
        if 0 < parts[value] * _TAKEN <= new:
            found.add(value)
            new -= parts[value]
    return found


def went(columns: Collection[str], past: Mapping[date, FeedProfile]) -> dict[str, tuple[float, float, float]]:
    """Column to the fields of :class:`Went`; columns of which nothing went are left out.

    Further back than days are remembered it fades, so that what was so once is not taken to be so for ever.

    Args:
        columns: Whose values are counted.
        past: The accepted days, oldest first.
    """
    before = past[max(past)].went if past else {}
    found = {column: _went(column, past).with_other(Went(*before.get(column, ())).faded()) for column in columns}
    return {column: (one.part, one.days, one.ended) for column, one in found.items() if one.part or one.ended}


def _went(column: str, past: Mapping[date, FeedProfile]) -> Went:
    """The same of the days that are remembered.

    A day of the week on which it stays away says nothing, nor does a day of so few rows that it may lack by chance.
    What is away since a day or two is what is asked about, and no example yet.
    """
    found = Went()
    days = [(then, profile.values.get(column, {}), max(profile.rows, 1)) for then, profile in past.items()]
    large = {value for _, values, rows in days for value, n in values.items() if n >= _LEAST_WENT * rows}
    for value in large:
        there_on: dict[int, bool] = {}
        run: list[float] = []
        ended, away = 0.0, 0
        for then, values, rows in days:
            if value in values:
                if ended:
                    found = found.with_other(Went(part=ended, days=away))
                ended, away = 0.0, 0
                run.append(values[value] / rows)
            else:
                part = median(run[-ENOUGH:]) if len(run) >= _DAILY and there_on.get(then.weekday(), False) else 0.0
                ended = max(ended, part if part * rows >= _EXPECTED else 0.0)
                away += 1
                run = []
            there_on[then.weekday()] = value in values
        if away >= _AWAY:
            found = found.with_other(Went(ended=ended))
    return found


def _whose(column: str, value: str, recent: Sequence[FeedProfile]) -> str:
    """Whose rows those were, in words of another column: a distance is a route's, a number some shop's.

    Two values that came equally often on each day, which was not always equally often, are taken for the same rows.
    """
    recent = [profile for profile in recent if value in profile.values.get(column, {})]
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
