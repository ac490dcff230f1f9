"""What a person would choose for a use case's declaration after a look at its history, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.words import count, first_few, percent
from pipeline.onboarding.history.columns import Columns
from pipeline.onboarding.history.leaks import coded_by
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.target import Target
from pipeline.onboarding.notes import Note

#: A slice, or a gate on one day's decisions, is judged from so many units on.
JUDGED = 100
_SLICES = 3


@dataclass(frozen=True)
class Choices:
    """The numbers and names of a declaration.

    Attributes:
        short, middle, long: Days that recipes learn from.
        at_least: With fewer labelled days no recipe is fitted.
        evidence: Days that the gates read.
        lookback: Days for which a corrected delivery is taken in.
        block: Columns that name what fails together.
        slices: Columns whose values must each hold up.
        rule: The column of the plain rule; empty: one number for all.
        leaf: Rows in a leaf of the trees, at least.
        rare: A word on fewer rows of a window than this is an infrequent one.
        daily: Whether one day has units enough for a gate on decisions.
        changes: The share of decisions that a retrained model may change.
        threshold: From which probability on somebody acts (binary).
        acts_at, tolerance: For a regression.
        size: The largest file that is opened, in bytes.
        cron: When the daily run starts: the morning after each day that has rows.
    """

    short: int
    middle: int
    long: int
    at_least: int
    evidence: int
    lookback: int
    block: tuple[str, ...]
    slices: tuple[str, ...]
    rule: str
    leaf: int
    rare: int
    daily: bool
    changes: float = 0.30
    threshold: float = 0.5
    acts_at: float = 0.0
    tolerance: float = 1.0
    size: int = 64_000_000
    cron: str = "0 6 * * *"


def choose(
    request: Request, history: History, target: Target, columns: Columns, notes: list[Note], row_bytes: int = 0
) -> Choices:
    """Choose all that does not need a fitted model; a row takes ``row_bytes`` in the history's file, unpacked."""
    usual = float(np.median(history.sizes))
    short, middle, long = _windows(request, history, usual, notes)
    evidence = 14 if usual >= 30 else 28
    block = _block(history, notes)
    slices = _slices(history, target, columns, evidence, notes)
    rule = _rule(history, target, columns, notes)
    rows = int(short * usual)
    events = rows if target.kind == "regression" else int(rows * min(_shares(target)))
    daily = float(np.quantile(history.sizes, 0.1)) >= JUDGED
    if not daily:
        text = f"a day has about {usual:g} rows, too few for the gate on changed decisions (churn): it is left out"
        notes.append(Note("gates", text))
    values = target.values[target.labelled & ~history.newer]
    quartiles = np.quantile(values, [0.25, 0.75]) if target.kind == "regression" else np.array([0.0, 1.0])
    spread = float(quartiles[1] - quartiles[0]) or float(values.std()) or 1.0
    acts_at, tolerance = _round(float(quartiles[1])), _round(spread / 4)
    if target.kind == "regression":
        text = f"somebody acts from {acts_at:g} on (the upper quartile), and a miss of {tolerance:g} is still right"
        notes.append(Note(target.column, f"{text} (a quarter of the middle half)", review=True))
    return Choices(
        short=short,
        middle=middle,
        long=long,
        at_least=min(7, short),
        evidence=evidence,
        lookback=max(14, target.delay + 7),
        block=block,
        slices=slices,
        rule=rule,
        leaf=int(np.clip(events // 40, 5, 100)),
        rare=int(np.clip(rows // 200, 5, 50)),
        daily=daily,
        acts_at=acts_at,
        tolerance=tolerance,
        size=_size(history, row_bytes),
        cron=_cron(history),
    )


def _shares(target: Target) -> list[float]:
    known = target.values[target.labelled]
    return [float((known == place).mean()) for place in range(len(target.classes))]


def _windows(request: Request, history: History, usual: float, notes: list[Note]) -> tuple[int, int, int]:
    span = (history.calendar[-1] - history.calendar[0]).days + 1
    if request.window is not None:
        long = max(request.window, 8)
        why = "as asked for"
    else:
        # Half the history, so that the other half has days to judge by; two months age well, and more rows than
        # these make a daily refit slow.
        long = int(np.clip(span // 2, 14, 60 if usual >= 50 else 120))
        long = max(14, min(long, int(400_000 / usual)))
        why = f"for {count(span, 'day')} of history with about {usual:g} rows each"
    short = max(7, min(14 if usual >= 50 else 28, long // 4))
    middle = max(short + 1, min(long - 1, short * 3 // 2))
    text = f"recipes learn from {short}, {middle} and {long} days, {why}; else say --window DAYS"
    notes.append(Note("windows", text))
    return short, middle, long


def _block(history: History, notes: list[Note]) -> tuple[str, ...]:
    """The first columns of the unit that repeat within a day; else each unit by itself."""
    for length in range(1, len(history.unit)):
        part = history.unit[:length]
        if history.rows.group_by([history.day, *part]).aggregate([]).num_rows < history.rows.num_rows:
            text = f"rows of one {' and '.join(part)} on one day are taken to fail together"
            notes.append(Note("block", text))
            return part
    text = f"no {' and '.join(history.unit)} comes twice a day, so each row of a day is taken to fail by itself"
    notes.append(Note("block", f"{text}; name a column if rows fail together, such as a shop's", review=True))
    return history.unit


def _slices(history: History, target: Target, columns: Columns, evidence: int, notes: list[Note]) -> tuple[str, ...]:
    """Words with few values, each on enough rows of the days that gates read for at least two to be judged."""
    days = len(history.calendar)
    found: list[tuple[int, str]] = []
    for field in columns.of("word"):
        cells = history.rows[field.name].combine_chunks().filter(pa.array(target.labelled))
        per = [item["counts"] * min(evidence, days) / days for item in pc.value_counts(cells).to_pylist()]
        if 2 <= len(per) <= 12 and sum(n >= 1.5 * JUDGED for n in per) >= 2:
            found.append((len(per), field.name))
    chosen = tuple(name for _, name in sorted(found)[:_SLICES])
    if chosen:
        notes.append(Note("slices", f"no value of {first_few(chosen)} may be shown to do worse", review=True))
    else:
        text = "no column of words has few enough values with rows enough, so no gate looks at slices"
        notes.append(Note("slices", text, review=True))
    return chosen


def _rule(history: History, target: Target, columns: Columns, notes: list[Note]) -> str:
    """The word that tells the target best by a mean for each of its values, if it tells anything on newer days."""
    older = np.flatnonzero(~history.newer & target.labelled)
    newer = np.flatnonzero(history.newer & target.labelled)
    values = target.values
    if target.kind == "multiclass":
        # The usual class against the others stands for all of them.
        values = np.where(target.labelled, values == np.bincount(values[older].astype(int)).argmax(), np.nan)
    usual = float(values[older].mean())
    base = float(np.mean((values[newer] - usual) ** 2))
    best, name = 0.99 * base, ""
    for field in columns.of("word"):
        cells = history.rows[field.name].combine_chunks()
        if len(pc.unique(cells)) > 50:
            continue
        predicted = coded_by(cells, history, values, older)[newer]
        loss = float(np.mean((values[newer] - np.where(np.isfinite(predicted), predicted, usual)) ** 2))
        if loss < best:
            best, name = loss, field.name
    if name:
        text = f"the plain rule: one number for each {name} (squared error {percent(1 - best / base)} below the usual)"
    else:
        text = "the plain rule: one number for all, as no column of words tells enough by itself"
    notes.append(Note("baseline", text))
    return name


def _size(history: History, row_bytes: int) -> int:
    """Room for four times the largest day, as the landing counts; at least its default."""
    largest = int(history.sizes.max())
    row = max(history.rows.nbytes // history.rows.num_rows, 2 * history.rows.num_columns, row_bytes)
    needed = 4 * row * largest
    return int(max(64_000_000, -(-needed // 1_000_000) * 1_000_000))


def _cron(history: History) -> str:
    """Every morning, or the mornings after those weekdays on which there are rows at all."""
    mornings = sorted({(day.weekday() + 2) % 7 for day in history.calendar})
    return "0 6 * * " + ("*" if len(mornings) == 7 else ",".join(map(str, mornings)))


def gaps(history: History, notes: list[Note]) -> None:
    """Say which days of the stretch have no row."""
    there = set(history.calendar)
    first, last = history.calendar[0], history.calendar[-1]
    missing = [d for d in (first + timedelta(n) for n in range((last - first).days)) if d not in there]
    if missing:
        named = first_few([str(day) for day in missing])
        closed = {day.weekday() for day in missing} - {day.weekday() for day in there}
        named_days = " or ".join(_WEEKDAYS[n] for n in sorted(closed))
        why = f"; never on a {named_days}, so the schedule leaves out the mornings after" if closed else ""
        text = f"{count(len(missing), 'day')} between {first} and {last} have no row ({named}){why}"
        notes.append(Note("days", f"{text}: a run of such a day waits for its file", review=True))


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _round(value: float) -> float:
    return float(f"{value:.2g}")
