"""Whether a kept model can still answer: with the libraries that are installed here, and as the use case asks now.

A library is upgraded, an input leaves the declaration: the model's file is whole, and it can't be asked any more. Who
asks a kept model asks it here, so that this is told from a fault of the day's data, and named for what it is.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.errors import PipelineError, RefusedError
from pipeline.core.kinds import Floats, Kind
from pipeline.core.ports import World
from pipeline.core.records import Candidate, Entry
from pipeline.core.usecase import Usecase
from pipeline.core.windows import Days, scored_day
from pipeline.core.words import first_few, shorten
from pipeline.steps.models import champion_model
from pipeline.steps.models.predictions import answered, predictions, why_none
from pipeline.steps.models.run_training import asked_of, candidate_by_identity
from pipeline.steps.models.versions import other_versions

log = logging.getLogger(__name__)

#: The codes of a file that is the very one that was promoted, and still makes no model in this environment.
UNOPENED = ("UNREADABLE", "UNTRUSTED")
#: What is asked of an estimator, with a frame of inputs.
_QUESTIONS = ("predict", "predict_proba", "decision_function")
#: The longest clause, in characters.
_LONGEST = 240


@dataclass(frozen=True, slots=True)
class Unable:
    """Why a model can't answer.

    Attributes:
        why: A clause that names the version, such as ``version 7 wants the input 'x', which the declaration no longer
            has``.
        certain: Whether that is known of the model itself; else it failed at every unit of one day, for which the
            day's data may be to blame.
    """

    why: str
    certain: bool = True


#: Asks a model: kind, model, inputs, its name for the log.
Asking = Callable[[Kind, Any, Any, str], Floats]
#: Loads the model of a ledger line.
Loading = Callable[[Usecase, Entry, World], Any]


def ask(
    usecase: Usecase,
    entry: Entry,
    world: World,
    inputs: Any,
    asking: Asking = predictions,
    load: Loading = champion_model.load,
) -> Floats | Unable:
    """What the model of a ledger line answers, or why it can't answer at all.

    Args:
        usecase: The use case, as it is declared now.
        entry: The line.
        world: The ports.
        inputs: A pandas frame of the declared inputs, at least one row.
        asking: How a model is asked; what it has no prediction for is NaN.
        load: How its file is loaded; the usual way fetches a lost one anew, and keeps it.

    Raises:
        RefusedError: ``MISSING`` or ``TAMPERED``: the file is not what was promoted, nor is the registry's.
        UnavailableError: The file can't be read now.
    """
    model = opened(usecase, entry, world, load)
    if isinstance(model, Unable):
        return model
    missing = missing_inputs(usecase, entry, model, world)
    predicted = asking(usecase.kind, for_inputs(usecase, entry, model, world), inputs, f"version {entry.version}")
    if answered(predicted).any() or not len(predicted):
        return predicted
    if missing:
        return Unable(_wants(entry, missing))
    why = why_none(usecase.kind, for_inputs(usecase, entry, model, world), inputs)
    return Unable(shorten(f"version {entry.version} {why}", _LONGEST), certain=False)


def unable(usecase: Usecase, entry: Entry, world: World) -> str:
    """Why the model can't answer, as a clause; empty where it can. It is asked about the newest day that was judged.

    It is asked only where an input of its own is missing: who looks for its columns by their names may do without.

    Raises:
        RefusedError, UnavailableError: As :func:`ask`.
    """
    model = opened(usecase, entry, world)
    if isinstance(model, Unable):
        return model.why
    missing = missing_inputs(usecase, entry, model, world)
    if not missing:
        return ""
    try:
        inputs = _newest_inputs(usecase, world)
    except PipelineError as gone:
        log.warning("version %s can't be tried, and wants inputs that are not there: %s", entry.version, gone)
        return _wants(entry, missing)
    answer = None if inputs is None else ask(usecase, entry, world, inputs)
    return _wants(entry, missing) if answer is None or isinstance(answer, Unable) else ""


def _newest_inputs(usecase: Usecase, world: World) -> Any:
    """The inputs of the newest scored day, as the use case makes them now; None where there is none."""
    newest = champion_model.newest_judged(usecase, world)
    versions = {table.name: world.store.version(table.name) for table in usecase.tables}
    known = {name: version for name, version in versions.items() if version is not None}
    if newest is None or len(known) < len(versions):
        return None
    day = scored_day(newest, usecase.label_delay)
    inputs = world.engine.units(usecase, known, Days(day, day)).inputs
    return inputs if len(inputs) else None


def opened(usecase: Usecase, entry: Entry, world: World, load: Loading = champion_model.load) -> Any | Unable:
    """The model of a ledger line; or why this environment can't open it, or why it answers another question.

    Raises:
        RefusedError, UnavailableError: As :func:`ask`.
    """
    try:
        model = load(usecase, entry, world)
    except RefusedError as error:
        if error.code not in UNOPENED:
            raise
        return Unable(unopened(usecase, entry, error, world))
    note = _note(usecase, entry, world)
    otherwise = _asks_otherwise(usecase, entry, note)
    if otherwise:
        return Unable(otherwise)
    missing = missing_inputs(usecase, entry, model, world)
    # Who takes columns by their place, and not by their name, would take the wrong ones without a word.
    return Unable(_wants(entry, missing)) if missing and _names_of(model) is None else model


def unopened(usecase: Usecase, entry: Entry, error: RefusedError, world: World) -> str:
    """Why a model's file can't be opened here, as a clause that names the version and what it was made with."""
    text = re.sub(r"^.*?'[^']*' ", "", str(error)).partition("; ")[0]
    clause = shorten(f"version {entry.version} {text}", _LONGEST)
    then, now = other_versions(made_with(usecase, entry, world), world.versions)
    if "it was made with" in clause or not then:
        return clause
    return f"{clause}; it was made with {then}, and here are {now}"


def made_with(usecase: Usecase, entry: Entry, world: World) -> Mapping[str, str]:
    """Library to the version that the model was made with; empty where no note says so."""
    note = _note(usecase, entry, world)
    return {} if note is None else note.made_with


def missing_inputs(usecase: Usecase, entry: Entry, model: Any, world: World) -> list[str]:
    """The inputs that the model was fitted on and that the declaration no longer has, in their order."""
    return [name for name in _wanted(usecase, entry, model, world) if name not in usecase.inputs]


def for_inputs(usecase: Usecase, entry: Entry, model: Any, world: World) -> Any:
    """The model, to be asked with the inputs as they are declared now.

    It is given the columns that it was fitted on, in their order then: an input that was added since, or the order in
    which they are declared, is none of its business.
    """
    wanted = _wanted(usecase, entry, model, world)
    kept = [name for name in wanted if name in usecase.inputs]
    return model if not kept or tuple(kept) == tuple(usecase.inputs) else _Narrowed(model, kept)


class _Narrowed:
    """A fitted estimator that is asked with more columns than it takes, or in another order."""

    def __init__(self, model: Any, columns: Sequence[str]) -> None:
        self._model, self._columns = model, list(columns)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._model, name)
        return (lambda inputs: value(inputs[self._columns])) if name in _QUESTIONS else value


def _wanted(usecase: Usecase, entry: Entry, model: Any, world: World) -> Sequence[str]:
    note = _note(usecase, entry, world)
    if note is not None and note.inputs:
        return note.inputs
    return _names_of(model) or ()


def _names_of(model: Any) -> tuple[str, ...] | None:
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else tuple(str(name) for name in names)


def _note(usecase: Usecase, entry: Entry, world: World) -> Candidate | None:
    return candidate_by_identity(usecase.name, entry.model, world)


def _wants(entry: Entry, missing: Sequence[str]) -> str:
    several = len(missing) > 1
    names = first_few([f"'{name}'" for name in missing])
    return (
        f"version {entry.version} wants the input{'s' if several else ''} {names}, which the declaration no longer has"
    )


def _asks_otherwise(usecase: Usecase, entry: Entry, note: Candidate | None) -> str:
    """Why the model answers another question than is declared now, as a clause; empty where it is the same one.

    A class that was added after the others leaves their numbers as they were.
    """
    now = asked_of(usecase)
    if note is None or not note.predicts or note.predicts == now[: len(note.predicts)]:
        return ""
    (kind, target, *classes), (kind_now, target_now, *classes_now) = note.predicts, now
    if target != target_now:
        what, other = f"was made to predict '{target}'", f"asks for '{target_now}'"
    elif kind != kind_now:
        what, other = f"was made as {kind}", f"says {kind_now}"
    else:
        what, other = f"was made for the classes {', '.join(classes)}", f"has {', '.join(classes_now)}"
    return shorten(f"version {entry.version} {what}, and the declaration {other}", _LONGEST)
