"""Steps that only write down that they were called, for tests of the DAGs: the real promotion ledger, no real work.

`orders/<step>-<day>` in the home tells a step to misbehave: ``refuse``, ``unavailable`` (once), ``missing``, ``bug``,
``hold``.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace

from pipeline.core.errors import RedDayError, RefusedError, UnavailableError
from pipeline.core.kinds import Binary
from pipeline.core.records import DayOutcome, Entry, Judged, Registered, Scored, Snapshot, Trained, Validated
from pipeline.core.tables import Column, Feed
from pipeline.core.usecase import Promotion, Recipe, Schedule, Usecase


def _usecase(name: str, **more) -> Usecase:
    columns = (Column("id", "string"), Column("day", "date"), Column("late", "integer"))
    recipes = tuple(Recipe(recipe, build=lambda seed: seed, window=7) for recipe in ("linear", "boosting"))
    return Usecase(
        name=name,
        question="Will it be late?",
        kind=Binary("late"),
        unit=("id",),
        feeds=(Feed("flights", "{day}.csv", columns=columns, key=("id",), day="day"),),
        references=(),
        features=lambda tables: tables,
        inputs=("hour",),
        history=0,
        recipes=recipes,
        baseline=Recipe("base", build=lambda seed: seed, window=7),
        block=("id",),
        slices=(),
        gates=("a gate",),
        **more,
    )


def home() -> Path:
    return Path(os.environ["PIPELINE_HOME"])


LAST = date.fromisoformat(os.environ.get("STUB_LAST_DAY", "2013-01-12"))
NEW_YORK = Schedule(cron="0 6 * * *", timezone="America/New_York", first=date(2013, 1, 1), last=LAST)
AUTO = _usecase("stub_auto", schedule=NEW_YORK)
PERSON = _usecase(
    "stub_person",
    schedule=replace(NEW_YORK, last=date(2013, 1, 2)),  # two runs that wait for nobody's answer leave room for others
    promotion=Promotion(
        approval="person", approvers=("approver",), deadline_hours=float(os.environ.get("STUB_DEADLINE_HOURS", "20"))
    ),
)
ALL = (AUTO, PERSON)


def find(name: str) -> Usecase:
    return {usecase.name: usecase for usecase in ALL}[name]


def diary() -> list[str]:
    path = home() / "diary"
    return path.read_text().splitlines() if path.exists() else []


def _note(*words: object) -> None:
    with (home() / "diary").open("a") as file:
        file.write(" ".join(map(str, words)) + "\n")


def order(step: str, day: str, what: str) -> None:
    (home() / "orders").mkdir(exist_ok=True, parents=True)
    (home() / "orders" / f"{step}-{day}").write_text(what)


def _obey(step: str, day: str) -> str:
    _note(step, day)
    time.sleep(float(os.environ.get("STUB_SECONDS", "0")))
    path = home() / "orders" / f"{step}-{day}"
    what = path.read_text() if path.exists() else ""
    if what == "refuse":
        raise RefusedError(f"planes of {day} are stale: ask upstream", "STALE")
    if what == "unavailable":
        path.unlink()
        raise UnavailableError("the registry is not there; try again")
    if what == "missing":
        raise UnavailableError(f"the file of {day} is not there; it may come late", "MISSING")
    if what == "bug":
        raise KeyError("a bug")
    if what == "hang":
        time.sleep(600)
    return what


def ingest(usecase, day, world):
    _obey("ingest", str(day))
    return Snapshot(usecase.name, str(day), {"flights": 1}, note="all new")


def validate(usecase, snapshot, world):
    _obey("validate", snapshot.day)
    return Validated(snapshot.to_dict(), (), "report")


def train(usecase, validated, world, recipes=()):
    _obey("train", validated.snapshot["day"])
    _note("recipes", *recipes)
    with world.progress("train", 1) as tick:
        tick()
    return Trained(validated.to_dict(), validated.snapshot["day"], (), {})


def score(usecase, trained, world):
    _obey("score", trained.scored)
    return Scored(trained.to_dict(), 1, 1, len(world.ledger.entries(usecase.name)))


def evaluate(usecase, scored, world, allowed=True):
    day = scored.trained["scored"]
    hold = _obey("evaluate", day) == "hold" or not allowed
    decision = "hold" if hold else "promote"
    return Judged(usecase.name, day, decision, f"because of {day}", "digest", scored.epoch, None, allowed)


def register(usecase, judged, world, links=None):
    _obey("register", judged.day)
    _note("link", (links or {}).get("airflow"))
    return Registered(judged.to_dict(), "run", None if judged.decision == "hold" else int(judged.day[-2:]))


def _outcome(registered, outcome: str, reason: str, world) -> DayOutcome:
    judged = registered.judged
    line = DayOutcome(judged["usecase"], judged["day"], outcome, registered.version, "linear", {}, reason)
    line = replace(line, headline=f"{outcome}: in one line")
    world.ledger.conclude(line)
    _note(outcome, judged["day"], reason)
    return line


def promote(usecase, registered, world, at, by="the gates"):
    judged = registered.judged
    red = _obey("promote", judged["day"]) == "red"
    assert at.tzinfo is not None
    if registered.version is None:
        held = _outcome(registered, "held", judged["reason"], world)
        if red:
            raise RedDayError("the champion is off", replace(held, alarms=("version 1: it is off",), repairs=("x",)))
        return held
    line = Entry(
        **{"usecase": usecase.name, "epoch": judged["epoch"] + 1, "action": "promote", "version": registered.version},
        **{"model": "m", "recipe": "linear", "trained_through": "", "sha256": "", "replaced": None},
        **{"day": judged["day"], "verdict": judged["verdict"], "why": "", "by": by, "at": at.isoformat()},
    )
    world.ledger.append(line)
    return _outcome(registered, "promoted", f"by {by}", world)


def decline(usecase, registered, world, why, by):
    return _outcome(registered, "declined", f"{why} ({by})", world)


def needs_approval(usecase, registered):
    return usecase.promotion.approval == "person" and registered.version is not None


def approval_form(registered, world):
    day = registered.judged["day"]
    return f"{day}: shall linear replace base?", f"The candidate is **better**.\n\n- not worse: PASS {{{{ {day} }}}}"


def wait(usecase, registered, world):
    return _outcome(registered, "waiting", "a person decides", world)


def fail(usecase, day, why, world):
    _note("failed", day, why)
    return DayOutcome(usecase.name, day.isoformat(), "failed", None, "", {}, why)


def refuse(usecase, day, error, world, links):
    _note("refused", day, error.code, links.get("airflow"))
    return DayOutcome(usecase.name, str(day), "refused", None, "", {}, str(error), "run")


def as_refusal(error):
    return RefusedError(str(error), error.code) if error.code in ("STALE", "MISSING") else None


def rollback(usecase, world, to, why, by, at, hold_days=7):
    _note("rollback", usecase.name, to, why, by, hold_days)
    return Entry(usecase.name, 2, "rollback", 1, "m", "base", "", "", 2, "2013-01-01", "", why, by, at.isoformat())


def lift(usecase, world, recipe, why, by, at):
    _note("lift", usecase.name, recipe, why, by)
    return Entry(usecase.name, 3, "lift", 1, "m", "base", "", "", 2, "2013-01-01", "", why, by, at.isoformat())


def replay_and_keep(usecase, first, last, world, policies=(), *, search=False, workers=None):
    _note("replay", usecase.name, first, last, " | ".join(policies), search, workers)
    return {"run": "run", "said": "so it was", "proposed": ""}


def delivered() -> date:
    """Upstream has delivered up to this day."""
    return date.fromisoformat(os.environ.get("STUB_DELIVERED", "2013-01-09"))


def world(progress=None):
    from pipeline.adapters.ledger.sql import SqlLedger

    return SimpleNamespace(
        ledger=SqlLedger(f"sqlite:///{home() / 'ledger.db'}"),
        landing=SimpleNamespace(has=lambda table, day: day <= delivered()),
        registry=SimpleNamespace(address=lambda usecase, run, file="": f"http://mlflow.test/{usecase}/{run}/{file}"),
        progress=progress,
    )


STEPS = {
    "ingest": (ingest,),
    "validate": (validate,),
    "train": (train,),
    "score": (score,),
    "evaluate": (evaluate,),
    "register": (register,),
    "promote": (promote, decline, needs_approval, approval_form, wait),
    "refuse": (refuse, as_refusal, fail),
    "rollback": (rollback, lift),
    "replaying.record": (replay_and_keep,),
}


def modules() -> dict[str, ModuleType]:
    """The modules that stand in for the real ones."""
    made = {}
    for name, functions in STEPS.items():
        module = made[f"pipeline.steps.{name}"] = ModuleType(f"pipeline.steps.{name}")
        for function in functions:
            setattr(module, function.__name__, function)
    usecases = made["pipeline.usecases"] = ModuleType("pipeline.usecases")
    usecases.ALL, usecases.BROKEN, usecases.find = ALL, {}, find
    return made


def install() -> None:
    """Put them in the place of the real ones, in this process and those it forks."""
    from pipeline.adapters import world as adapters

    sys.modules.update(modules())
    adapters.world = world


def at(day: date, hour: int = 11) -> datetime:
    """A moment of the morning after a data day."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
