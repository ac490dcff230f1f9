"""What is remembered of an accepted day, so that later days can be judged against it without reading it again.

A profile is bounded whatever the size of the day: counts, a sketch of the rows' digests, a sample of keys chosen by
their hash (so the same keys are in it every day). Judging a day costs the day itself and a fixed number of profiles.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.core.checks.learned.contents import content_measures
from pipeline.core.checks.learned.feed import feed_measures
from pipeline.core.checks.learned.measures import Measures
from pipeline.core.checks.learned.resent import Remembered, kept, remembered_of, resent_measures
from pipeline.core.checks.learned.things import Levels, hash_of, levels_of
from pipeline.core.checks.packed import (
    packed_digests,
    packed_measures,
    unpacked_digests,
    unpacked_measures,
    unpacked_sketch,
)
from pipeline.core.facts import Columns, Fixed, exact, missing, number_word, texts
from pipeline.core.tables import Feed, Reference

PROFILE_DAYS = 42
"""How many accepted days are looked back on: six weeks hold six of each weekday and a full scale of most measures.

Counted in accepted days, whatever their dates: while days are refused, what they are compared with stays, and an alarm
does not end by lasting.
"""

KEY_MEMORY_DAYS = 180
"""After how many days without being seen a key is no longer known: half a year of a fleet's rotation."""

#: How many digests of rows a kept profile holds: one with fewer holds all of its day's.
SKETCH = 512
#: The most values of a column that are kept, chosen by hash. A column with more fractional parts has no scale.
VALUES = 256
#: The most keys of a reference, and determined numbers of a fact, that are kept, chosen by hash.
_KEYS, _FIXED = 8192, 2048

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class FeedProfile:
    """A feed's day.

    Attributes:
        rows: How many.
        filled: Column to its present values.
        distinct: Column to how many different values it holds.
        constant: Column to its value as text, where all its rows hold one.
        values: String and integer column to value to rows; outcomes and dates left out.
        residues: Number column to fractional part (in ten-thousandths) to values other than zero.
        sketch: The smallest digests of the rows' content without dates: equal content, equal digest.
        repeated: Share of rows whose content stands in the same day already.
        fixed: Name of a :class:`Fixed` fact to what its given columns determine.
        measures: What :func:`~pipeline.core.checks.learned.feed.feed_measures` says of it.
        remembered: Digests of parts of its rows (:mod:`~pipeline.core.checks.learned.resent`).
        went: What :func:`~pipeline.core.checks.gone.went` says of the days before it.
        mix: What :meth:`~pipeline.core.checks.learned.mix.Mix.shares` says of it.
        things: What :func:`~pipeline.core.checks.learned.things.levels_of` says of it.
    """

    rows: int
    filled: Mapping[str, int]
    distinct: Mapping[str, int]
    constant: Mapping[str, str]
    values: Mapping[str, Mapping[str, int]]
    residues: Mapping[str, Mapping[str, int]]
    sketch: tuple[str, ...]
    repeated: float
    fixed: Mapping[str, Mapping[str, float]]
    measures: Measures
    remembered: Remembered = field(default_factory=dict)
    went: Mapping[str, Sequence[float]] = field(default_factory=dict)
    mix: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    things: Levels = field(default_factory=dict)

    def bounded(self) -> FeedProfile:
        """The same with at most a few hundred entries each, chosen by hash; mixes are of columns of few words alone."""
        return replace(
            self,
            values={name: _sample(counts, VALUES) for name, counts in self.values.items()},
            residues={name: counts for name, counts in self.residues.items() if len(counts) <= VALUES},
            sketch=self.sketch[:SKETCH],
            fixed={name: _sample(known, _FIXED) for name, known in self.fixed.items()},
            remembered={what: kept(digests) for what, digests in self.remembered.items()},
        )

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values; the inverse of :meth:`from_dict`."""
        return {
            **_plain(self),
            "sketch": "".join(self.sketch),
            "measures": packed_measures(self.measures),
            "remembered": {what: packed_digests(digests) for what, digests in self.remembered.items()},
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> FeedProfile:
        """Read back what :meth:`to_dict` wrote."""
        names = {one.name for one in fields(cls)}  # what a later version may have kept besides is left
        plain = {what: kept for what, kept in saved.items() if what in names}
        remembered = {what: unpacked_digests(digests) for what, digests in saved["remembered"].items()}
        measures, sketch = unpacked_measures(saved["measures"]), unpacked_sketch(saved["sketch"])
        return cls(**{**plain, "sketch": sketch, "measures": measures, "remembered": remembered})


@dataclass(frozen=True, slots=True)
class ReferenceProfile:
    """How a reference table served a day.

    Attributes:
        rows: How many it had.
        units: Units that have a key.
        hits: Those of them that found it.
        measures: What :func:`~pipeline.core.checks.learned.contents.content_measures` says of its content.
    """

    rows: int
    units: int
    hits: int
    measures: Measures

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values; the inverse of :meth:`from_dict`."""
        return {**_plain(self), "measures": packed_measures(self.measures)}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> ReferenceProfile:
        """Read back what :meth:`to_dict` wrote."""
        return cls(**{**saved, "measures": unpacked_measures(saved["measures"])})


@dataclass(frozen=True, slots=True)
class Profile:
    """All tables of one accepted day.

    Attributes:
        day: The data day.
        feeds: Feed's name to its day.
        references: Reference's name to how it served the day.
        surprise: Table's name to family of measures to the day's largest surprise
            (:mod:`~pipeline.core.checks.learned`).
        odd: Table's name to the measures that were odd on it, until the next day shows whether that was a fault.
        known: How many accepted days were known when it was judged.
    """

    day: date
    feeds: Mapping[str, FeedProfile]
    references: Mapping[str, ReferenceProfile]
    surprise: Mapping[str, Mapping[str, float]]
    odd: Mapping[str, Mapping[str, Sequence[float]]]
    known: int = 0

    def bounded(self) -> Profile:
        """What is kept of it."""
        return replace(self, feeds={name: profile.bounded() for name, profile in self.feeds.items()})

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values; the inverse of :meth:`from_dict`."""
        return {
            "day": self.day.isoformat(),
            "feeds": {name: profile.to_dict() for name, profile in self.feeds.items()},
            "references": {name: profile.to_dict() for name, profile in self.references.items()},
            "surprise": {table: dict(families) for table, families in self.surprise.items()},
            "odd": {table: dict(measures) for table, measures in self.odd.items()},
            "known": self.known,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Profile:
        """Read back what :meth:`to_dict` wrote."""
        feeds = {name: FeedProfile.from_dict(saved) for name, saved in data["feeds"].items()}
        references = {name: ReferenceProfile.from_dict(saved) for name, saved in data["references"].items()}
        known = data.get("known", 0)  # profiles of before are taken for young ones
        return cls(date.fromisoformat(data["day"]), feeds, references, data["surprise"], data["odd"], known)


class KeyUse(NamedTuple):
    """When a key was used by a unit, and whether the reference table had it then.

    Attributes:
        first: Days from its first use to the history's day; 0: first used on that day.
        last: Days from its last use to the history's day.
        found_first: Whether it was found when it was first used.
        found_last: Whether it was found when it was last used.
    """

    first: int
    last: int
    found_first: bool
    found_last: bool


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """Which keys units have used, carried from accepted day to accepted day. Only the newest is ever read.

    Attributes:
        day: The day it was brought up to.
        known: Key to its :class:`KeyUse`.
        sampled: One key in this many is in ``known``; 1 for all.
        days: For how many days it has been kept.
    """

    day: date
    known: Mapping[str, KeyUse]
    sampled: int = 1
    days: int = 0

    def bounded(self) -> KeyHistory:
        """The same with a sample of the keys if there are many."""
        known, one_in = dict(self.known), self.sampled
        while len(known) > _KEYS:
            one_in *= 2
            known = {key: sight for key, sight in known.items() if in_sample(key, one_in)}
        return replace(self, known=known, sampled=one_in)

    def to_dict(self) -> dict[str, Any]:
        """A dict of plain JSON values; the inverse of :meth:`from_dict`."""
        known = {key: [int(part) for part in sight] for key, sight in self.known.items()}
        return {"day": self.day.isoformat(), "known": known, "sampled": self.sampled, "days": self.days}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> KeyHistory:
        """Read back what :meth:`to_dict` wrote."""
        known = {key: KeyUse(s[0], s[1], bool(s[2]), bool(s[3])) for key, s in data["known"].items()}
        return cls(date.fromisoformat(data["day"]), known, data["sampled"], data["days"])


def feed_profile(
    feed: Feed,
    columns: Columns,
    fixed: Iterable[Fixed],
    timezone: str = "UTC",
    late: Sequence[str] = (),
    lists: Sequence[tuple[Reference, Columns]] = (),
    past: Sequence[Remembered] = (),
) -> FeedProfile:
    """Everything that later days may ask of this one, not yet bounded; outcomes may be ``late``."""
    counted = {column.name: _count(exact(columns, column.name)) for column in feed.columns}
    dated = [column.name for column in feed.columns if column.type in ("date", "timestamp")]
    rows = len(columns[feed.day])
    content = _content(feed, columns)
    small = [c.name for c in feed.columns if c.type in ("string", "integer") and not c.outcome]
    numbers = [c.name for c in feed.columns if c.type == "number"]
    known = [column.name for column in feed.columns if column.name not in late]
    known_numbers = set(known) - set(feed.key)
    remembered = remembered_of(feed, {name: columns[name] for name in known}, late)
    measures = feed_measures(feed, columns, timezone, late, lists)
    return FeedProfile(
        rows=rows,
        filled={name: int(counts.total()) for name, counts in counted.items()},
        distinct={name: len(counts) for name, counts in counted.items()},
        constant={
            name: str(next(iter(counts))) for name, counts in counted.items() if len(counts) == 1 and name not in dated
        },
        values={name: {_word(value): n for value, n in counted[name].items()} for name in small},
        residues={name: residues(columns[name]) for name in numbers},
        sketch=tuple(sorted(set(content))),
        repeated=1 - len(set(content)) / len(content) if content else 0.0,
        fixed={fact.name: _determined(fact, columns) for fact in fixed},
        measures={**measures, **dict(resent_measures(remembered, past))},
        remembered=remembered,
        things=levels_of(
            feed, columns, [c for c in feed.columns if c.type in ("number", "integer") and c.name in known_numbers]
        ),
    )


def reference_profile(
    reference: Reference,
    day: date,
    columns: Columns,
    units: Columns,
    earlier: KeyHistory | None,
    previous: Columns | None = None,
) -> tuple[ReferenceProfile, KeyHistory]:
    """How the snapshot serves the units of its day, and the last accepted day's key history brought up to this one."""
    keys = {key for key in texts(columns, reference.key).tolist() if key is not None}
    used = Counter(key for key in texts(units, reference.joined_by[1]).tolist() if key is not None)
    one_in = earlier.sampled if earlier else 1
    passed = (day - earlier.day).days if earlier else 0
    known: dict[str, KeyUse] = {}
    for key, sight in earlier.known.items() if earlier else ():
        if sight.last + passed <= KEY_MEMORY_DAYS:
            known[key] = sight._replace(first=sight.first + passed, last=sight.last + passed)
    for key in used:
        matched = key in keys
        if key in known:
            known[key] = known[key]._replace(last=0, found_last=matched)
        elif in_sample(key, one_in):
            known[key] = KeyUse(0, 0, matched, matched)
    hits = sum(n for key, n in used.items() if key in keys)
    measures = content_measures(reference, columns, units, previous)
    profile = ReferenceProfile(len(columns[reference.key[0]]), used.total(), hits, measures)
    return profile, KeyHistory(day, known, one_in, earlier.days + passed if earlier else 0)


def residues(values: NDArray[np.float64]) -> dict[str, int]:
    """Fractional parts in ten-thousandths, counted over the values that are present and not zero."""
    present = values[np.isfinite(values) & (values != 0)]
    parts = np.round((present % 1) * 10_000).astype(np.int64) % 10_000
    distinct_parts, counts = np.unique(parts, return_counts=True)
    return {str(part): int(n) for part, n in zip(distinct_parts, counts, strict=True)}


def in_sample(key: str, one_in: int) -> bool:
    """Whether the key belongs to the sample of one in so many; the same answer every day."""
    return one_in == 1 or hash_of(key) % one_in == 0


def _plain(profile: FeedProfile | ReferenceProfile) -> dict[str, Any]:
    """Its attributes by name, as they are: a copy of each of thousands of entries would be thrown away at once."""
    return {one.name: getattr(profile, one.name) for one in fields(profile)}


def _content(feed: Feed, columns: Columns) -> list[str]:
    """A digest per row of all it says but when; rows that have no outcome at all (cancelled) tell nothing."""
    content_columns = [column.name for column in feed.columns if column.type not in ("date", "timestamp")]
    outcomes = [column.name for column in feed.columns if column.outcome]
    if not content_columns:
        return []
    has_outcome = (
        np.zeros(len(columns[feed.day]), dtype=bool) if outcomes else np.ones(len(columns[feed.day]), dtype=bool)
    )
    for name in outcomes:
        has_outcome |= ~missing(columns[name])
    rows = zip(*(exact(columns, name)[has_outcome].tolist() for name in content_columns), strict=True)
    return [hashlib.blake2b(repr(row).encode(), digest_size=8).hexdigest() for row in rows]


def _count(values: NDArray[Any]) -> Counter[Any]:
    return Counter(values[~missing(values)].tolist())


def _word(value: Any) -> str:
    return number_word(value) if isinstance(value, float) else str(value)


def _determined(fact: Fixed, columns: Columns) -> dict[str, float]:
    given = texts(columns, fact.given)
    values = columns[fact.value].tolist()
    return {key: value for key, value in zip(given, values, strict=True) if key is not None and math.isfinite(value)}


def _sample(entries: Mapping[str, _Value], limit: int) -> dict[str, _Value]:
    if len(entries) <= limit:
        return dict(entries)
    return {key: entries[key] for key in sorted(entries, key=hash_of)[:limit]}
