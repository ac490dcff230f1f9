"""Doctor: which kept models will not open here, or answer otherwise than they did. Nothing is written.

Run in the environment that is to come, against the home as it is: it rehearses the first night after an upgrade, or
after a change of the declaration, before anybody depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.errors import PipelineError, RefusedError
from pipeline.core.ports import World
from pipeline.core.promotion.ledger import current_champion, earlier_champions, previous, rolled_back
from pipeline.core.records import Entry
from pipeline.core.usecase import Usecase
from pipeline.steps.judging.asked_again import compared, recorded_days
from pipeline.steps.models import able, champion_model
from pipeline.steps.models.versions import other_versions


@dataclass(frozen=True, slots=True)
class Examined:
    """One kept model.

    Attributes:
        version: Its number.
        recipe: Its recipe.
        role: ``champion``, ``previous`` or ``earlier``; a version that was rolled back is told as such.
        made_with: What of its libraries is another version here, or that all are the same; empty where nobody noted it.
        sound: Whether it opens and answers here as it did.
        found: What was found, as a clause.
    """

    version: int
    recipe: str
    role: str
    made_with: str
    sound: bool
    found: str


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found about a use case.

    Attributes:
        usecase: Its name.
        here: The versions of the libraries of this environment.
        models: The kept models, the champion first.
        ahead: What follows from it for the next night, as a sentence.
    """

    usecase: str
    here: Mapping[str, str]
    models: tuple[Examined, ...]
    ahead: str

    @property
    def sound(self) -> bool:
        """Whether each of them opens and answers here as it did."""
        return all(model.sound for model in self.models)


def doctor(usecase: Usecase, world: World) -> Examination:
    """Open every model that is or was champion, and ask it again about a day of which its answers are kept.

    Args:
        usecase: The use case, as it is declared now.
        world: The ports; nothing is written, and no alias is read or moved.
    """
    entries = world.ledger.entries(usecase.name)
    head, before = current_champion(entries), previous(entries)
    if head is None:
        return Examination(usecase.name, world.versions, (), "there is no champion yet, so nothing can be lost")
    away = rolled_back(entries)
    models: list[Examined] = []
    kept = [head, *earlier_champions(entries)]
    with world.progress(f"doctor {usecase.name}", len(kept)) as done:
        for entry in kept:
            first = "previous" if before is not None and entry.version == before.version else "earlier"
            role = "champion" if entry is head else f"{first}, rolled back" if entry.version in away else first
            models.append(_examined(usecase, entry, role, entries, world))
            done()
    return Examination(usecase.name, world.versions, tuple(models), _ahead(usecase, head, models))


def _ahead(usecase: Usecase, head: Entry, models: Sequence[Examined]) -> str:
    champion, *others = models
    if not champion.sound:
        recipe = head.recipe
        known = recipe in [one.name for one in (*usecase.recipes, usecase.baseline)]
        who = f"its recipe, {recipe}, is fitted anew and" if known else f"the baseline, {usecase.baseline.name},"
        asks = " once a person approves" if usecase.promotion.approval == "person" else ""
        if "predicts otherwise" in champion.found:
            return f"the champion, version {head.version}, would serve on here, and answer otherwise than it did"
        return (
            f"the champion, version {head.version}, can't serve here: in the first night {who} takes its place{asks}, "
            f"and the promotion ledger says why"
        )
    lost = [str(one.version) for one in others if not one.sound]
    if lost:
        return (
            f"the champion, version {head.version}, serves on; no rollback goes to version {', '.join(lost)} from here"
        )
    return f"the champion, version {head.version}, serves on, and every rollback stays open"


def _load(usecase: Usecase, entry: Entry, world: World) -> Any:
    """The model from the file store alone: the usual way would fetch a lost file from MLflow, and keep it."""
    data = champion_model.data(usecase, entry, world)
    if data is None:
        raise RefusedError(
            "its file is not in the file store, or not the one that was promoted; where MLflow has it, the next run or "
            "rollback that needs it fetches it from there",
            "MISSING",
        )
    return world.models.open(data, champion_model.file_of(usecase.name, entry.sha256))


def _examined(usecase: Usecase, entry: Entry, role: str, entries: Sequence[Entry], world: World) -> Examined:
    noted = able.made_with(usecase, entry, world)
    then, _ = other_versions(noted, world.versions)
    made_with = then or ("the same" if noted else "")

    def end(sound: bool, found: str) -> Examined:
        return Examined(entry.version, entry.recipe, role, made_with, sound, found)

    try:
        model = able.opened(usecase, entry, world, _load)
        if isinstance(model, able.Unable):
            return end(False, _without_version(model.why, entry))
        past = next(recorded_days(usecase, entry, entries, world), None)
        if past is None:
            missing = able.missing_inputs(usecase, entry, model, world)
            found = f"opens; wants inputs that are not declared: {', '.join(missing)}" if missing else "opens"
            return end(not missing, f"{found}; it was never scored on a day that is kept, so not compared")
        day, units, then_said = past
        said = able.ask(usecase, entry, world, units.inputs, load=_load)
    except PipelineError as error:
        return end(False, str(error))
    if isinstance(said, able.Unable):
        return end(False, _without_version(said.why, entry))
    return end(*compared(day, units, then_said, said))


def _without_version(why: str, entry: Entry) -> str:
    """The version has a column of its own."""
    return why.removeprefix(f"version {entry.version} ")
