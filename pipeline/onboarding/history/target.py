"""What is to be predicted: of which kind it is, what its values mean, from when on labels are missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.core.errors import UsageError
from pipeline.core.facts import MOST_EXACT
from pipeline.core.words import first_few, percent
from pipeline.onboarding.history.request import KindName, Request
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.notes import Note

#: Words that mean "it happened", where a target has two words.
_YES = {"yes", "y", "true", "t", "1", "ja", "oui", "si", "positive", "pos", "success", "churned", "late", "fraud"}
#: More words than these are no classes.
MOST_CLASSES = 30


@dataclass(frozen=True)
class Target:
    """The target.

    Attributes:
        column: Its name.
        kind: What is predicted of it.
        values: A number per row, NaN where there is no label: 1 for yes, a class's place, or the value itself.
        classes: The words (or numbers) behind the values; for two of them the second is yes. Empty for a regression.
        delay: After how many days a label is known.
    """

    column: str
    kind: KindName
    values: NDArray[np.float64]
    classes: tuple[Any, ...] = ()
    delay: int = 0

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which rows have a label."""
        return np.isfinite(self.values)


def target_of(request: Request, history: History, notes: list[Note]) -> Target:
    """Look at the target column.

    Raises:
        UsageError: It holds one value or none, or is not of the kind that was asked for.
    """
    name, cells = history.target, history.rows[history.target].combine_chunks()
    found = pc.unique(cells.drop_null())
    if len(found) == 0:
        raise UsageError(f"the target '{name}' is missing in every row; name another with --target", "TARGET")
    if len(found) == 1:
        raise UsageError(
            f"the target '{name}' is {found[0].as_py()} wherever it is known: there is nothing to tell apart; add the "
            f"rows of the other outcome, or name another with --target",
            "ONE_CLASS",
        )
    kind = request.kind or _inferred(name, cells.type, found, notes)
    made = _regression(name, cells) if kind == "regression" else _classes(name, cells, found, kind, notes)
    _check_both_parts(history, made)
    delay = _delay(history, made, request, notes)
    missing = int((~made.labelled).sum())
    if missing:
        share = percent(missing / len(made.values))
        notes.append(Note(name, f"{missing:,} rows ({share}) have none: they are predicted, and never learnt from"))
    return replace(made, delay=delay)


def _inferred(name: str, kind: pa.DataType, found: pa.Array, notes: list[Note]) -> KindName:
    if len(found) == 2:
        made: KindName = "binary"
    elif pa.types.is_string(kind):
        made = "multiclass"
    else:
        made = "regression"
    why = f"'{name}' holds {len(found):,} different {'words' if pa.types.is_string(kind) else 'values'}"
    codes = "; say --kind multiclass if its numbers are codes" if made == "regression" and len(found) <= 30 else ""
    notes.append(Note("kind", f"{made}: {why}{codes}", review=bool(codes)))
    return made


def _regression(name: str, cells: pa.Array) -> Target:
    if not (pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type)):
        raise UsageError(f"the target '{name}' holds no numbers, so it can't be a regression; leave --kind out", "KIND")
    values = np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)
    if pa.types.is_integer(cells.type) and np.nanmax(np.abs(values)) > MOST_EXACT:
        beyond = cells.filter(pa.array(np.abs(values) > MOST_EXACT)).drop_null()
        raise UsageError(
            f"the target '{name}' holds whole numbers that no floating number holds, such as {beyond[0].as_py()} in "
            f'{len(beyond):,} of its rows: a sign for "no value"? Leave these cells empty, or say --kind multiclass if '
            f"its numbers are codes",
            "TARGET",
        )
    return Target(name, "regression", values)


def _classes(name: str, cells: pa.Array, found: pa.Array, kind: KindName, notes: list[Note]) -> Target:
    if pa.types.is_temporal(cells.type):
        raise UsageError(f"the target '{name}' holds dates, which are no classes; name another with --target", "KIND")
    counted = {item["values"]: item["counts"] for item in pc.value_counts(cells.drop_null()).to_pylist()}
    if kind == "binary" and len(found) != 2:
        raise UsageError(
            f"the target '{name}' holds {len(found):,} different values, and yes or no has two; say --kind multiclass "
            f"or --kind regression",
            "KIND",
        )
    if len(found) > MOST_CLASSES:
        raise UsageError(
            f"the target '{name}' holds {len(found):,} different values and at most {MOST_CLASSES} classes are told "
            f"apart; group the rare ones, or say --kind regression",
            "KIND",
        )
    classes = sorted(counted)
    if kind == "binary":
        classes = _no_and_yes(classes, counted)
        share = percent(counted[classes[1]] / sum(counted.values()))
        meant = "1 means yes" if classes == [0, 1] else f"'{classes[1]}' means yes, '{classes[0]}' no"
        notes.append(Note(name, f"{meant}; {share} of the labelled rows are yes", review=classes != [0, 1]))
    else:
        rare = min(classes, key=lambda value: counted[value])
        classes = [rare, *(value for value in classes if value != rare)]
        told = f"{len(classes)} classes, the rarest '{rare}' in {percent(counted[rare] / sum(counted.values()))}"
        text = f"{told} of the labelled rows: it is declared first, as the one whose cases somebody works through"
        notes.append(Note(name, text, review=True))
    places = pc.index_in(cells, value_set=pa.array(classes, cells.type)).cast(pa.float64())
    return Target(name, kind, np.asarray(places.to_numpy(zero_copy_only=False), np.float64), tuple(classes))


def _no_and_yes(classes: list[Any], counted: dict[Any, int]) -> list[Any]:
    if not isinstance(classes[0], str):
        return classes
    yes = [word for word in classes if word.casefold() in _YES]
    # Where the words do not say it, the rarer one is the event.
    event = yes[0] if len(yes) == 1 else min(classes, key=lambda word: (counted[word], word))
    return [next(word for word in classes if word != event), event]


def _check_both_parts(history: History, target: Target) -> None:
    for what, part in (("older", ~history.newer), ("newer", history.newer)):
        values = np.unique(target.values[part & target.labelled])
        if len(values) < 2:
            told = "no label" if not len(values) else "one value only"
            raise UsageError(
                f"the {what} days ({'before' if what == 'older' else 'from'} {history.split}) have {told} of "
                f"'{target.column}', so nothing can be learnt there and checked elsewhere; bring a longer history",
                "ONE_CLASS",
            )


def _delay(history: History, target: Target, request: Request, notes: list[Note]) -> int:
    """The number of newest days on which labels trail off: far fewer of them than before."""
    days = history.places
    share = np.bincount(days, target.labelled) / np.bincount(days)
    usual = float(np.median(share))
    trailing = 0
    while trailing < len(share) // 3 and share[-1 - trailing] < 0.5 * usual:
        trailing += 1
    last = history.calendar[-1]
    seen = (last - history.calendar[-1 - trailing]).days if trailing else 0
    if request.label_delay is not None:
        if request.label_delay < 0:
            raise UsageError(f"--label-delay {request.label_delay}: a delay is a number of days from 0 on", "DELAY")
        if request.label_delay > (last - history.calendar[0]).days // 2:
            raise UsageError(
                f"--label-delay {request.label_delay} leaves less than half of the history's {len(share)} days to "
                f"learn from; say fewer days, or bring a longer history",
                "DELAY",
            )
        if seen > request.label_delay:
            text = f"{request.label_delay} days were given, but labels are missing on the last {seen}"
            notes.append(Note("label delay", text, review=True))
        return request.label_delay
    if seen:
        text = f"{seen} days: labels trail off after {history.calendar[-1 - trailing]}; else say --label-delay"
        notes.append(Note("label delay", text, review=True))
    else:
        text = "none: every label is taken as known when its day has closed; else say --label-delay DAYS"
        notes.append(Note("label delay", text, review=True))
    return seen


def balance(history: History, target: Target, notes: list[Note]) -> None:
    """Say how the classes are spread over the days."""
    if target.kind == "regression":
        return
    days = history.places
    known = target.labelled
    rows = np.bincount(days[known], minlength=len(history.calendar))
    told: list[str] = []
    for place, word in enumerate(target.classes):
        if target.kind == "binary" and place == 0:
            continue
        n = np.bincount(days[known], target.values[known] == place, minlength=len(rows))
        share = n[rows > 0] / rows[rows > 0]
        what = "yes" if target.kind == "binary" else word
        span = f"{percent(float(share.min()))} to {percent(float(share.max()))}"
        told.append(f"{what} is {span} of a day's labelled rows, {int(np.median(n))} rows on a usual day")
    notes.append(Note("class balance", first_few(told, 5), review=True))
