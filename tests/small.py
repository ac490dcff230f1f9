"""A small use case for tests: thirty visits a day, a shop table, three recipes that fit in milliseconds.

Everything is real (files, store, features, estimators, ledger) except what a test replaces on purpose.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import narwhals as nw
import numpy as np

from pipeline.adapters.engine.polars_engine import PolarsEngine
from pipeline.adapters.landing.folder import FolderLanding
from pipeline.adapters.ledger.sql import SqlLedger
from pipeline.adapters.models.skops_models import SkopsModels
from pipeline.core.errors import RedDayError, UsageError
from pipeline.core.evidence.candidate import Evidence, Stage
from pipeline.core.gates import BeatsBaseline, Better, Sound
from pipeline.core.kinds import Binary, Multiclass, Regression
from pipeline.core.ports import Checked, Page, World, silent
from pipeline.core.tables import Column, Feed, Frame, Reference
from pipeline.core.usecase import Recipe, Tables, Usecase
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.steps import loop
from tests.places import Where, files_at, store_at

FIRST = date(2020, 1, 1)
AT = datetime(2020, 6, 1, 4, tzinfo=UTC)

VISITS = Feed(
    name="visits",
    path="visits/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("visit", "integer"),
        Column("shop", "string"),
        Column("size", "number"),
        Column("bought", "integer", outcome=True),
    ),
    key=("day", "visit"),
    day="day",
)
SHOPS = Reference(
    name="shops",
    path="shops/{day}.csv",
    columns=(Column("shop", "string"), Column("area", "number"), Column("refreshed", "date")),
    key=("shop",),
    refreshed="refreshed",
    max_age=2,
    max_unchanged=None,
    joined_by=("visits", ("shop",)),
    matched=Bound(0.9, 1.0),
)


def features(tables: Tables) -> Frame:
    """One row per visit; it is predicted at noon of its day."""
    visits = tables["visits"].join(tables["shops"].select("day", "shop", "area"), on=["day", "shop"], how="left")
    return visits.with_columns(
        predicted_at=nw.col("day").cast(nw.Datetime("us")),
        late=nw.col("bought").cast(nw.Float64),
        unlabelled=nw.lit(None).cast(nw.String),
    )


def _logistic(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(random_state=seed)


def _forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=5, max_depth=3, random_state=seed, n_jobs=1)


def _constant(seed: int) -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior", random_state=seed)


@dataclasses.dataclass(frozen=True)
class Refitted:
    """Passes whoever was refitted: thirty visits in three shops are too few for a gate on stability."""

    name: ClassVar[str] = "refitted"
    stage: ClassVar[Stage] = Stage.REFIT

    def judge(self, evidence: Evidence) -> tuple[Finding, ...]:
        resampled = evidence.holdout.resampled if evidence.holdout is not None else None
        differs = resampled is not None and bool(np.any(resampled != evidence.holdout.candidate))
        return (Finding(self.name, Outcome.PASS if differs else Outcome.UNKNOWN, "refitted on a resample"),)


SMALL = Usecase(
    name="small",
    question="Does this visitor buy?",
    kind=Binary(target="late"),
    unit=("day", "visit"),
    feeds=(VISITS,),
    references=(SHOPS,),
    features=features,
    inputs=("size", "area"),
    history=1,
    recipes=(
        Recipe("linear_short", _logistic, window=5, at_least=2),
        Recipe("linear_long", _logistic, window=9, at_least=2),
        Recipe("forest", _forest, window=9, at_least=2),
    ),
    baseline=Recipe("constant", _constant, window=9, at_least=2),
    block=("shop",),
    slices=("shop",),
    gates=(Sound(), BeatsBaseline(), Better(), Refitted()),
    evidence=10,
)


def deliver(landing: Path, day: date, flip: bool = False) -> None:
    """One day's files; ``flip`` turns the truth around, so that what was learnt before is wrong."""
    rng = np.random.default_rng(day.toordinal())
    size, shop = rng.normal(size=30), rng.choice(["north", "south", "west"], 30)
    bought = (size + rng.normal(scale=0.5, size=30) > 0) != flip
    lines = ["day,visit,shop,size,bought"]
    lines += [f"{day},{n},{shop[n]},{size[n]:.6f},{int(bought[n])}" for n in range(30)]
    areas = {"north": 1, "south": 2, "west": 3}
    shops = ["shop,area,refreshed", *(f"{name},{area},{day}" for name, area in areas.items())]
    for name, text in (("visits", lines), ("shops", shops)):
        file = landing / name / f"{day}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(text) + "\n")


class YesChecker:
    """Says PASS, so that tests of other steps need not wait for Great Expectations."""

    def check(self, usecase: str, table: str, day: date, rows: Any) -> Checked:
        found = Outcome.PASS if rows.num_rows else Outcome.UNKNOWN
        return Checked((Finding(f"{table}: expectations", found, "not asked in this test"),), {})

    def check_days(self, usecase: str, table: str, days: Mapping[date, Any]) -> Mapping[date, tuple[Finding, ...]]:
        return {day: self.check(usecase, table, day, rows).findings for day, rows in days.items()}

    def digest(self, usecase: str, tables: Any) -> str:
        return "yes"


class MemoryRegistry:
    """The registry in memory, kept across worlds of one test."""

    def __init__(self) -> None:
        self.runs: dict[str, Page] = {}
        self.versions: list[tuple[str, str, bytes, dict[str, str]]] = []
        self.alias: dict[str, int] = {}
        self.drawn: dict[str, dict[date, float]] = {}

    def record(self, usecase: str, page: Page) -> str:
        self.runs[page.key] = page
        return page.key[:8]

    def register(
        self,
        usecase: str,
        key: str,
        run: str,
        model: bytes,
        sha256: str,
        tags: Mapping[str, str],
        example: Any | None = None,
    ) -> int:
        for number, (made, *_) in enumerate(self.versions, start=1):
            if made == key:
                return number
        self.versions.append((key, sha256, model, dict(tags)))
        return len(self.versions)

    def rename(self, run: str, title: str) -> None:
        for key, page in self.runs.items():
            if key[:8] == run:
                self.runs[key] = dataclasses.replace(page, title=title)

    def chart(self, usecase: str, metric: str, lines: Mapping[str, Mapping[date, float]]) -> None:
        self.drawn = {who: dict(points) for who, points in lines.items()}

    def address(self, usecase: str, run: str, file: str = "") -> str:
        return f"http://registry.test/{usecase}/{run}/{file}"

    def annotate_version(self, usecase: str, version: int, name: str, text: str) -> None:
        if version > len(self.versions):
            raise UsageError(f"{usecase} has no version {version}", "MISSING")
        self.versions[version - 1][3][name] = text

    def aliases(self, usecase: str) -> Mapping[str, int]:
        return dict(self.alias)

    def digests(self, usecase: str, versions: Collection[int]) -> Mapping[int, str]:
        there = {number: sha256 for number, (_, sha256, *_) in enumerate(self.versions, start=1)}
        return {number: there[number] for number in versions if there.get(number)}

    def use_up(self, usecase: str, version: int) -> None:
        assert version == len(self.versions) + 1
        self.versions.append(("unused", "", b"", {}))

    def set_alias(self, usecase: str, alias: str, version: int | None) -> None:
        if version is not None and version > len(self.versions):
            raise UsageError(f"{usecase} has no version {version}", "MISSING")
        if version is None:
            self.alias.pop(alias, None)
        else:
            self.alias[alias] = version

    def artifact(self, usecase: str, version: int) -> tuple[bytes, Mapping[str, str]]:
        if version > len(self.versions):
            raise UsageError(f"{usecase} has no version {version}", "MISSING")
        _, _, data, tags = self.versions[version - 1]
        return data, tags

    def restore(self, usecase: str, version: int, model: bytes) -> None:
        key, sha256, _, tags = self.versions[version - 1]
        self.versions[version - 1] = key, sha256, model, tags


def world_in(home: Path, registry: Any = None, checker: Any = None, where: Where | None = None) -> World:
    """The real adapters below ``home``, the store ``where`` that is said; registry and checker given, or harmless."""
    store, files = store_at(where or home / "store"), files_at(where or home / "store")
    (home / "store").mkdir(parents=True, exist_ok=True)
    return World(
        landing=FolderLanding(home / "landing"),
        store=store,
        files=files,
        engine=PolarsEngine(store),
        models=SkopsModels(files),
        registry=registry or MemoryRegistry(),
        ledger=SqlLedger(f"sqlite:///{home / 'store' / 'ledger.db'}"),
        checker=checker or YesChecker(),
        progress=silent,
        code="test",
    )


def days(count: int, start: date = FIRST) -> list[date]:
    """``count`` days from ``start`` on."""
    return [start + timedelta(n) for n in range(count)]


def run_of(usecase: Usecase, day: date, world: World, recipes: Sequence[str] = ()) -> loop.Run:
    """A run of the daily loop, in which nobody answers for a person."""
    return loop.Run(usecase, lambda: day, world, lambda: AT, lambda _: loop.Answer(None), tuple(recipes))


Step = Callable[[Any], Any]


def steps_of(usecase: Usecase, day: date, world: World, recipes: Sequence[str] = ()) -> list[tuple[str, Step]]:
    """The daily run as named steps, each taking what the one before returned."""
    run = run_of(usecase, day, world, recipes)

    def acting(step: loop.Step) -> Step:
        return lambda made: step.call(run, {} if made is None else made.to_dict())

    return [(step.name, acting(step)) for step in loop.LOOP]


def run_day(usecase: Usecase, day: date, world: World, recipes: Sequence[str] = ()) -> Any:
    """The daily run in one go."""
    return loop.run_day(run_of(usecase, day, world, recipes))


def night(usecase: Usecase, day: date, world: World) -> Any:
    """The daily run of a night that may be red for its champion: all its work is done then, too."""
    try:
        return run_day(usecase, day, world)
    except RedDayError as red:
        return red.line


def regression() -> Usecase:
    """The same data asked for a number: the size itself, so that the other kind is run as well."""

    def _ridge(seed: int) -> Any:
        from sklearn.linear_model import Ridge

        return Ridge(random_state=seed)

    def _median(seed: int) -> Any:
        from sklearn.dummy import DummyRegressor

        return DummyRegressor(strategy="median")

    return dataclasses.replace(
        SMALL,
        name="small_number",
        kind=Regression(target="late", acts_at=0.5, tolerance=0.2),
        recipes=(Recipe("ridge", _ridge, window=9, at_least=2),),
        baseline=Recipe("median", _median, window=9, at_least=2),
    )


CLASSES = ("nothing", "little", "much")


def deliver_words(landing: Path, day: date, stray: str = "") -> None:
    """One day's files in which the outcome is a word; ``stray`` is the first visit's, if any is given."""
    deliver(landing, day)
    file = landing / "visits" / f"{day}.csv"
    head, *lines = file.read_text().splitlines()
    rng, made = np.random.default_rng(day.toordinal() + 1), [head.replace("bought", "basket")]
    for line in lines:
        *rest, size, _ = line.split(",")
        n = int(np.digitize(float(size) + rng.normal(scale=0.3), [-0.4, 0.4]))
        made.append(",".join([*rest, size, CLASSES[n]]))
    if stray:
        made[1] = f"{made[1].rpartition(',')[0]},{stray}"
    file.write_text("\n".join(made) + "\n")


def multiclass() -> Usecase:
    """The same visits asked for one of three words; the features hand the word on as it was delivered."""
    columns = (*VISITS.columns[:-1], Column("basket", "string", outcome=True))

    def worded(tables: Tables) -> Frame:
        visits = tables["visits"].join(tables["shops"].select("day", "shop", "area"), on=["day", "shop"], how="left")
        return visits.with_columns(
            predicted_at=nw.col("day").cast(nw.Datetime("us")), unlabelled=nw.lit(None).cast(nw.String)
        )

    return dataclasses.replace(
        SMALL,
        name="small_words",
        kind=Multiclass(target="basket", classes=CLASSES),
        feeds=(dataclasses.replace(VISITS, columns=columns),),
        features=worded,
    )
