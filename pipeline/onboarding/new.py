"""From a history to a use case: read, look, choose, write, try, check; and only then put everything in its place."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from pipeline.core.errors import UsageError
from pipeline.core.ports import Progress, silent
from pipeline.core.usecase import Usecase
from pipeline.core.words import count, percent
from pipeline.onboarding import tomorrow, trial
from pipeline.onboarding.declaring import golden, suites
from pipeline.onboarding.declaring.choices import Choices, choose, gaps
from pipeline.onboarding.declaring.daily_checks import Excused, excuses_of
from pipeline.onboarding.declaring.forms import bad_rows_of, form_of, written_of
from pipeline.onboarding.declaring.promise import Promise, promise_of, told
from pipeline.onboarding.history.assemble import assemble
from pipeline.onboarding.history.columns import columns_of
from pipeline.onboarding.history.model_outputs import said_by_models
from pipeline.onboarding.history.reading import opened
from pipeline.onboarding.history.request import Request
from pipeline.onboarding.history.rows import History
from pipeline.onboarding.history.target import balance, target_of
from pipeline.onboarding.notes import Note
from pipeline.onboarding.placing import catalogue as catalogues
from pipeline.onboarding.placing.declaration import declaration
from pipeline.onboarding.placing.deliveries import deliver, write
from pipeline.onboarding.placing.features_file import features
from pipeline.onboarding.placing.placing import put_in_place
from pipeline.onboarding.placing.plan import Plan
from pipeline.onboarding.placing.recipes_file import recipes
from pipeline.report.terminal.assumptions import review_page

#: Of so many of the newest days, and of the first that can be run, it is tried whether they are accepted.
_NEAR, _FIRST = 28, 7
#: So many days are recommended to be run one after the other.
_WEEKS = 14


@dataclass(frozen=True, slots=True)
class Places:
    """Where things go.

    Attributes:
        usecases: The catalogue's folder, with the ``__init__.py`` that holds ``NAMES``.
        expectations: The suites' folder.
        landing: Where upstream delivers.
        replaced: Where what is replaced is put aside.
    """

    usecases: Path
    expectations: Path
    landing: Path
    replaced: Path


@dataclass(frozen=True)
class Made:
    """What came of it.

    Attributes:
        name: Of the use case.
        folder: Its folder.
        files: The other files and folders that were written.
        notes: What was assumed, and what to review.
        first, last: Days that can be run one after the other straight away: the newest two weeks of the history.
        soonest: The first day on which a recipe can be fitted.
        deliveries: Days that were delivered.
        aside: What was put aside.
        doubtful: Inputs that look like what an earlier model said.
        promise: On what share of the days to come suite and checks will ring.
    """

    name: str
    folder: Path
    files: tuple[Path, ...]
    notes: tuple[Note, ...]
    first: date
    last: date
    soonest: date
    deliveries: int
    aside: tuple[Path, ...] = ()
    doubtful: tuple[str, ...] = ()
    promise: Promise | None = None


def make(request: Request, places: Places, others: Iterable[Usecase], progress: Progress = silent) -> Made:
    """Make the use case.

    Args:
        request: What was asked for.
        places: Where things go.
        others: The use cases there are, whose names and tables are taken.
        progress: Who is told how far it is.

    Raises:
        UsageError: The name is taken, or the history cannot serve; nothing was written.
    """
    with progress(f"new {request.name}", 5) as done:
        return _make(request, places, others, done)


def _make(request: Request, places: Places, others: Iterable[Usecase], done: Callable[[], None]) -> Made:
    held = _check(request, places, others)
    notes: list[Note] = []
    source = opened(request)
    done()
    notes += source.notes
    history = assemble(request, source.table, notes)
    target = target_of(request, history, notes)
    balance(history, target, notes)
    gaps(history, notes)
    columns = columns_of(history, target, notes)
    if not columns.of("number", "word", "moment"):
        raise UsageError(
            "no column is left that could tell anything: all others are names, constants or suspected leaks; bring "
            "what was known of a unit when it was to be predicted",
            "INPUTS",
        )
    done()
    _strongest(columns.strength, target.kind, notes)
    doubtful = said_by_models(columns.strength, target, notes)
    choices = choose(request, history, target, columns, notes, source.row_bytes)
    plan = Plan(
        *(request, history, target, columns, choices, ()),
        form=form_of(source, history, request),
        written=written_of(source, history),
        suffix=source.suffix,
        bad_rows=bad_rows_of(history, notes),
    )
    with tempfile.TemporaryDirectory(prefix="new-") as made:
        work, folder = Path(made) / "suites", Path(made) / request.name
        work.mkdir()
        write_files(folder, plan, [])
        with trial.loaded(request.name, folder) as usecase:
            tried = trial.try_out(usecase, history, notes)
            plan = dataclasses.replace(plan, choices=_settled(usecase, tried, choices, notes))
            drafts = golden.cases_of(usecase, tried)
            done()
            checked = excuses_of(usecase, history, notes)
            plan = dataclasses.replace(plan, excuses=checked.excuses)
            (feed,) = usecase.feeds
            tomorrow.last_day(feed, source, history, Path(made) / "landing", notes)
        done()
        suite = suites.suite_of(request.name, history, target, columns, work, notes)
        promise = _promised(suite, checked, notes)
        done()
        write_files(folder, plan, drafts)
        with trial.loaded(request.name, folder):
            pass  # What refuses nonsense at import has nothing to refuse.
        near = _near(history, choices.at_least, target.delay)
        asked = sorted({*near[-_NEAR:], *near[:_FIRST]})
        unsound = checked.unsound | suites.refused(request.name, suite, history, asked, work)
        unsound |= set(tomorrow.refused(feed, source, history, asked, Path(made) / "landing"))
        days = _days_that_hold(near, unsound, notes)
        _told_of_golden(len(drafts), notes)
        write(folder / "REVIEW.md", review_page(request.name, str(request.file), notes))
        suited = suites.text_of(request.name, suite.expectations)
        parts = (
            (places.landing / request.name, lambda place: deliver(source, history, place)),
            (places.expectations / request.name, lambda place: write(place / f"{request.name}.json", suited)),
            (places.usecases / request.name, lambda place: _copied(folder, place)),
        )
        aside = put_in_place(request.name, parts, held, places.replaced, places.usecases / "__init__.py")
    return Made(
        name=request.name,
        folder=places.usecases / request.name,
        files=(places.expectations / request.name / f"{request.name}.json", places.landing / request.name),
        notes=tuple(notes),
        first=days[1],
        last=days[2],
        soonest=days[0],
        deliveries=len(history.calendar),
        aside=aside,
        doubtful=doubtful,
        promise=promise,
    )


def write_files(folder: Path, plan: Plan, drafts: list[golden.Case]) -> None:
    """Write the use case's package: declaration, features, recipes, and the drafts of golden cases."""
    write(folder / "features.py", features(plan))
    write(folder / "recipes.py", recipes(plan))
    write(folder / "golden.json", golden.text_of(drafts))
    write(folder / "__init__.py", declaration(plan))


def _promised(suite: suites.Suite, checked: Excused, notes: list[Note]) -> Promise:
    """What the newer days let expect of suite and checks together, which is told."""
    promise = promise_of({*suite.asked} & {*checked.asked}, suite.rang, checked.rang)
    told(promise, checked.rang, len(checked.asked), notes)
    return promise


def _near(history: History, at_least: int, delay: int) -> list[date]:
    """The days before which as many days as a recipe asks for have their labels; the last one in any case."""
    learnt = history.calendar[min(at_least, len(history.calendar)) - 1]
    return [day for day in history.calendar if day > learnt + timedelta(delay)] or [history.calendar[-1]]


def _days_that_hold(near: Sequence[date], unsound: Set[date], notes: list[Note]) -> tuple[date, date, date]:
    """The first day to replay from; the first and the last of the newest two weeks to run, none of them refused."""
    stretches: list[list[date]] = [[]]
    for day in near[-_NEAR:]:
        if day not in unsound:
            stretches[-1].append(day)
        elif stretches[-1]:
            stretches.append([])
    held = [stretch[-_WEEKS:] for stretch in stretches if stretch]
    if not held:
        text = "not one of the newest days would be accepted as it stands; look at the findings before a day is run"
        notes.append(Note("days", text, review=True))
        return near[0], near[-1], near[-1]
    # A week is long enough to see something; the newest that is.
    stretch = next((one for one in reversed(held) if len(one) >= _WEEKS // 2), max(held, key=len))
    soonest = next((day for day in near if day not in unsound), stretch[0])
    return min(soonest, stretch[0]), stretch[0], stretch[-1]


def _check(request: Request, places: Places, others: Iterable[Usecase]) -> list[Path]:
    """What lies where the use case will; empty unless it may be put aside.

    Raises:
        UsageError: The name is no name, or is taken.
    """
    text = catalogues.text_of(places.usecases / "__init__.py")
    mine = [usecase for usecase in others if usecase.name == request.name]
    tables = {table.name for usecase in others if usecase not in mine for table in usecase.tables}
    catalogues.check_name(request.name, text, tables)
    catalogues.with_name(text, request.name)
    written = places.usecases / request.name
    candidates = (written, places.expectations / request.name, places.landing / request.name)
    held = [path for path in candidates if path.exists()]
    if not held:
        return []
    # What this command did not write it does not touch.
    ours = not written.exists() or (written / "REVIEW.md").exists()
    if not request.overwrite or not ours:
        way = "say --overwrite to put them aside and begin anew, or choose another name"
        raise UsageError(
            f"'{request.name}' is taken: {', '.join(map(str, held))} {'is' if len(held) == 1 else 'are'} there; "
            f"{way if ours else 'it was not made by this command, so choose another name'}",
            "TAKEN",
        )
    return held


def _copied(folder: Path, place: Path) -> None:
    for file in sorted(folder.iterdir()):
        if file.is_file():
            write(place / file.name, file.read_text(encoding="utf-8"))


def _told_of_golden(drafts: int, notes: list[Note]) -> None:
    text = f"{count(drafts, 'draft')} in golden.json, which nobody has reviewed: put a name to each, or throw it away"
    notes.append(Note("golden cases", f"{text}; then declare the gate Golden()", review=True))


def _settled(usecase: Usecase, tried: trial.Trial, choices: Choices, notes: list[Note]) -> Choices:
    """The numbers that needed a fitted model."""
    from pipeline.core.kinds import Binary

    if isinstance(usecase.kind, Binary):
        level = trial.threshold(tried)
        text = f"somebody acts from a probability of {level:g} on, about as often as it comes true; ask who acts"
        notes.append(Note("threshold", text, review=True))
        kind = dataclasses.replace(usecase.kind, threshold=level)
        usecase = dataclasses.replace(usecase, kind=kind)
        choices = dataclasses.replace(choices, threshold=level)
    if choices.daily:
        limit = float(trial.changes(usecase, tried))
        choices = dataclasses.replace(choices, changes=limit)
        text = f"a new model may change {percent(limit)} of the decisions, so that the first can replace the plain rule"
        notes.append(Note("gates", f"{text}; tighten it once a model serves", review=limit > 0.30))
    return choices


def _strongest(strength: Mapping[str, float], kind: str, notes: list[Note]) -> None:
    """Name the columns that tell most by themselves: a leak that is no perfect one stands among them."""
    best = sorted(strength, key=lambda name: -strength[name])[:3]
    told = ", ".join(f"{name} ({strength[name]:.2f})" for name in best)
    measure = "rank correlation" if kind == "regression" else "share of pairs ordered rightly"
    text = f"by themselves ({measure}, on the newer days): {told}; were they known in time, every one of them?"
    notes.append(Note("most telling inputs", text, review=True))
