"""From a file to a promotion: the folder that is written is the product's own, and is run as it stands."""

from __future__ import annotations

import ast
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.adapters.checker.suites import GxChecker
from pipeline.cli import main as cli
from pipeline.core import golden, kinds
from pipeline.core.checks.day import DayChecked, check_day, excused
from pipeline.core.errors import UsageError
from pipeline.core.usecase import Usecase
from pipeline.core.verdict import Finding, Outcome, Part
from pipeline.core.windows import Days
from pipeline.onboarding.new import Made, Places, make
from pipeline.onboarding.trial import loaded
from pipeline.steps.ingest import ingest
from pipeline.steps.judging.point_in_time import audit
from pipeline.steps.recompute import recompute
from pipeline.steps.validate import validate
from pipeline.usecases import ALL
from tests import small
from tests.onboarding.histories import FIRST, colours, customers, request, trips, written

ROOT = Path(__file__).parents[2]
TRIPS: dict[str, Any] = {
    "name": "trip_minutes", "target": "minutes", "time": "picked_up", "unit": ("driver", "order_id"),
}  # fmt: skip
COLOURS: dict[str, Any] = {"name": "colour", "target": "colour", "time": "when", "unit": ("basket",)}


def places(home: Path) -> Places:
    """A copy of the catalogue below ``home``."""
    found = Places(
        home / "repository/pipeline/usecases", home / "repository/expectations", home / "landing", home / "replaced"
    )
    if not found.usecases.exists():
        shutil.copytree(ROOT / "pipeline", home / "repository/pipeline", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", home / "repository")
    return found


@contextmanager
def begun(home: Path, frame: pd.DataFrame, file: str, **asked: Any) -> Iterator[tuple[Made, Usecase]]:
    made = make(request(written(frame, home / file), **asked), places(home), ALL)
    with loaded(made.name, made.folder) as usecase:
        yield made, usecase


def run(made: Made, usecase: Usecase, home: Path, days: int) -> list[str]:
    """The last days, through every step, with the suites that were written; what came of each."""
    world = small.world_in(home, checker=GxChecker(places(home).expectations))
    first = made.last - timedelta(days - 1)
    return [small.run_day(usecase, day, world).outcome for day in Days(first, made.last)]


def test_a_csv_of_customers_becomes_a_use_case_that_is_run_to_a_promotion(tmp_path: Path) -> None:
    with begun(tmp_path, customers(), "history.csv") as (made, usecase):
        assert isinstance(usecase.kind, kinds.Binary)
        assert usecase.inputs == ("calls", "usage", "weekday", "plan", "code")
        assert {column.name for column in usecase.feeds[0].columns if column.outcome} == {"churned", "offer"}
        assert len(usecase.recipes) == 4
        assert "promoted" in run(made, usecase, tmp_path, 9)
        world = small.world_in(tmp_path)
        versions = {"churn": world.store.version("churn") or 0}
        tables = world.engine.tables(usecase, versions, Days(made.last - timedelta(3), made.last))
        assert audit(usecase, tables, made.last).outcome is Outcome.PASS


def test_a_parquet_of_trips_becomes_a_regression_whose_labels_take_days(tmp_path: Path) -> None:
    with begun(tmp_path, trips(), "history.parquet", **TRIPS) as (made, usecase):
        assert isinstance(usecase.kind, kinds.Regression)
        assert usecase.label_delay == 2
        assert usecase.schedule.timezone == "Europe/Berlin"
        assert usecase.block == ("driver",)
        assert "dropped_off" not in usecase.inputs
        outcomes = run(made, usecase, tmp_path, 9)
        assert "promoted" in outcomes
        assert "refused" not in outcomes


def test_json_lines_of_colours_become_a_use_case_of_several_classes(tmp_path: Path) -> None:
    with begun(tmp_path, colours(), "history.jsonl", **COLOURS) as (made, usecase):
        assert set(usecase.kind.classes) == {"red", "green", "blue"}
        assert "promoted" in run(made, usecase, tmp_path, 9)


def test_what_is_written_is_linted_laid_out_and_typed_as_the_repository_wants(tmp_path: Path) -> None:
    asked: list[tuple[pd.DataFrame, dict[str, Any]]] = [(customers(), {}), (trips(), TRIPS), (same_every_day(), SAME)]
    asked += [
        (colours(), COLOURS),
        (dated(customers()), {"name": "dated"}),
        (otherwise(customers()), {"name": "other"}),
    ]
    for number, (frame, words) in enumerate(asked):
        suffix = ".csv" if words.get("name") == "other" else ".parquet"
        make(request(written(frame, tmp_path / f"{number}{suffix}"), **words), places(tmp_path), ALL)
    names = [words.get("name", "churn") for _, words in asked]
    ours = "pipeline/usecases"
    packages = [part for name in names for part in ("-p", f"pipeline.usecases.{name}")]
    for command in (["ruff", "check", ours], ["ruff", "format", "--check", ours], ["mypy", *packages]):
        where = tmp_path / "repository"
        done = subprocess.run([sys.executable, "-m", *command], cwd=where, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def otherwise(frame: pd.DataFrame) -> pd.DataFrame:
    """Customers with all that a declaration says of how a file is written: signs, words, names, truths."""
    usage = [f"{value:,.2f}" if value == value else "NA" for value in 1000 * frame["usage"]]
    return frame.assign(usage=usage, weekday=frame["calls"] % 3, happy=frame["calls"] < 3, **{'a"b\\c': "x"})


def dated(frame: pd.DataFrame) -> pd.DataFrame:
    """Customers who joined long ago and were seen lately; the name of one column is as long as names get."""
    return frame.assign(
        **{"x" * 60: [FIRST - timedelta(n % 900) for n in range(len(frame))]},
        seen=[f"{day - timedelta(n % 9 + 1)}T12:00:00" for n, day in enumerate(frame["day"])],
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    """One use case that tests look at and do not change."""
    home = tmp_path_factory.mktemp("kept")
    return home, make(request(written(customers(), home / "history.csv")), places(home), ALL)


def test_deliveries_hold_the_history_to_the_last_bit(kept: tuple[Path, Made]) -> None:
    home, made = kept
    frame = customers()
    # In the history's own form: it was a CSV file.
    texts = {"customer_id": str, "code": str}
    parts = [pd.read_csv(path, dtype=texts, parse_dates=["day"]) for path in sorted((home / "landing/churn").iterdir())]
    assert len(parts) == made.deliveries == 30
    order = ["day", "customer_id"]
    both = (pd.concat(parts), frame.assign(day=pd.to_datetime(frame["day"])))
    got, wanted = (f.sort_values(order).reset_index(drop=True) for f in both)
    assert list(got.columns) == list(frame.columns)
    for name in frame.columns:
        one, other = got[name], wanted[name]
        assert (one.isna() == other.isna()).all(), name
        assert (one[~one.isna()].to_numpy() == other[~other.isna()].to_numpy()).all(), name


def test_ingest_takes_every_delivery_and_no_day_is_refused(kept: tuple[Path, Made], tmp_path: Path) -> None:
    home, made = kept
    shutil.copytree(home / "landing", tmp_path / "landing")
    world = small.world_in(tmp_path, checker=GxChecker(home / "repository/expectations"))
    with loaded(made.name, made.folder) as usecase:
        for day in (made.last - timedelta(8), made.last):
            found = validate(usecase, ingest(usecase, day, world), world)
            assert found.without == ()
        assert not found.snapshot["note"].count("quarantine")


def test_the_suite_was_checked_on_days_that_had_no_part_in_it(kept: tuple[Path, Made]) -> None:
    _, made = kept
    said = [note.text for note in made.notes if note.about == "expectations"]
    assert "made from the days before 2026-01-22; on 0 of 9 newer days (0 %) one of them rings" in said[0]
    suite = json.loads((made.files[0]).read_text())
    assert all(expectation["meta"]["why"] for expectation in suite["expectations"])
    about = {expectation["kwargs"].get("column") for expectation in suite["expectations"]}
    assert {"plan", "calls", "usage", "churned", "customer_id"} <= about


def test_a_world_that_changed_loosens_what_the_older_days_said(tmp_path: Path) -> None:
    frame = customers()
    frame.loc[frame["day"] >= FIRST + timedelta(21), "usage"] *= 50
    made = make(request(written(frame, tmp_path / "history.csv")), places(tmp_path), ALL)
    said = " ".join(note.text for note in made.notes if note.about == "expectations" and note.review)
    assert "the newer days broke" in said
    assert "usage median between" in said
    assert "did the world change?" in said


def same_every_day() -> pd.DataFrame:
    """The same customers on every day, who never change: nothing is to be learnt of them but their plan."""
    rng = np.random.default_rng(4)
    one = pd.DataFrame({"customer_id": range(60), "plan": rng.choice(["a", "b"], 60), "age": rng.integers(18, 80, 60)})
    days = [one.assign(day=FIRST + timedelta(n), churned=(rng.random(60) < 0.3).astype(int)) for n in range(30)]
    return pd.concat(days, ignore_index=True)


SAME: dict[str, Any] = {"name": "same"}


def test_units_that_look_the_same_every_day_need_no_excuse(tmp_path: Path) -> None:
    with begun(tmp_path, same_every_day(), "history.csv", **SAME) as (made, usecase):
        assert usecase.excuses == (), "how alike its days are is learnt"
        world = small.world_in(tmp_path, checker=GxChecker(places(tmp_path).expectations))
        assert validate(usecase, ingest(usecase, made.last, world), world).without == ()


def test_drafts_of_golden_cases_are_the_formats_own_and_true(kept: tuple[Path, Made]) -> None:
    _, made = kept
    drafts = json.loads((made.folder / "golden.json").read_text())
    assert {draft["owner"] for draft in drafts} == {"unreviewed"}
    assert all(draft["low"] < draft["high"] and draft["reason"] for draft in drafts)
    with loaded(made.name, made.folder) as usecase:
        assert len(golden.cases(json.dumps(drafts), usecase.inputs)) == len(drafts) == 3
        assert len(usecase.golden) == 3


def test_drafts_of_several_classes_name_the_class_they_mean(tmp_path: Path) -> None:
    with begun(tmp_path, colours(), "history.jsonl", **COLOURS) as (made, usecase):
        drafts = json.loads((made.folder / "golden.json").read_text())
        assert isinstance(usecase.kind, kinds.Multiclass)
        assert len(usecase.golden) == len(drafts) == 5
        assert {draft["class"] for draft in drafts} == {usecase.kind.classes[0], "green"}
        assert all(0 <= draft["low"] < draft["high"] <= 1 for draft in drafts)


def proven(frame: pd.DataFrame) -> pd.DataFrame:
    """Trips, each with a photo that is taken when it ends."""
    photo = [None if np.isnan(m) else f"p{n}.jpg" for n, m in enumerate(frame["minutes"])]
    return frame.assign(photo=photo, done=[None if p is None else True for p in photo])


@pytest.mark.parametrize("exported_later", [False, True])
def test_a_day_whose_labels_are_still_out_is_sound_however_the_history_was_exported(
    tmp_path: Path, exported_later: bool
) -> None:
    frame = proven(trips())
    if exported_later:  # what came with the labels is there to the last day; of a day's own file that is never so
        frame = frame[frame["minutes"].notna()]
    with begun(tmp_path, frame, "history.parquet", label_delay=2, **TRIPS) as (made, usecase):
        assert not {"photo", "done"} & set(usecase.inputs)
        last = made.files[1] / f"{made.last}.parquet"
        rows = pd.read_parquet(last)
        blank = ["minutes", "dropped_off"] + ([] if exported_later else ["photo", "done"])
        missing = {name: np.nan if rows[name].dtype.kind in "if" else None for name in blank}  # as pandas has it
        rows.assign(**missing).to_parquet(last)
        world = small.world_in(tmp_path, checker=GxChecker(places(tmp_path).expectations))
        assert validate(usecase, ingest(usecase, made.last, world), world).without == ()


def test_a_day_off_in_a_history_whose_labels_take_days_is_held_and_the_next_ones_go_on(tmp_path: Path) -> None:
    frame = trips(days=36)
    closed = {pd.Timestamp(FIRST + timedelta(n)).date() for n in range(36) if (FIRST + timedelta(n)).weekday() == 6}
    frame = frame[[when.date() not in closed for when in frame["picked_up"]]]
    with begun(tmp_path, frame, "history.parquet", **TRIPS) as (made, usecase):
        assert usecase.label_delay == 2
        world = small.world_in(tmp_path, checker=GxChecker(places(tmp_path).expectations))
        days = [day for day in Days(made.last - timedelta(9), made.last) if day not in closed]
        found = {day: small.run_day(usecase, day, world) for day in days}
        for day, line in found.items():
            if day - timedelta(2) in closed:
                assert line.outcome == "held"
                assert f"nothing was delivered of {day - timedelta(2)}" in line.reason
                assert recompute(usecase, day.isoformat(), world).same
            else:
                assert line.losses
        assert sum(not line.losses for line in found.values()) >= 1


def a_plan_given_up() -> pd.DataFrame:
    """The same customers, all of whom have plan a from the nineteenth day on: 'values gone' rings on twelve days."""
    frame = same_every_day()
    return frame.assign(plan=frame["plan"].where(frame["day"] < FIRST + timedelta(18), "a"))


def test_an_excuse_is_for_a_column_and_value_ends_with_its_change_and_says_so(tmp_path: Path) -> None:
    with begun(tmp_path, a_plan_given_up(), "history.csv", **SAME) as (made, usecase):
        excuse = next(one for one in usecase.excuses if one.finding == "same: values gone")
        assert (excuse.column, excuse.value) == ("plan", "b")
        assert excuse.first == excuse.last == FIRST + timedelta(18), "from then on nobody expects that plan"
        assert all(one.column and one.last <= made.last for one in usecase.excuses)
        assert any(f"excused until {excuse.last}" in note.text for note in made.notes if note.review)
        gone = Finding(excuse.finding, Outcome.FAIL, "gone", parts=(Part("no plan b", "plan", "b"),))
        (then,) = excused(usecase.excuses, excuse.last, [gone])
        (after,) = excused(usecase.excuses, excuse.last + timedelta(1), [gone])
        assert (then.required, after.required) == (False, True)
        assert f"its excuse ended on {excuse.last}" in after.text
        (other,) = excused(usecase.excuses, excuse.last, [replace(gone, parts=(Part("no age", "age"),))])
        assert other.required, "another column that rings the same question stops the day"
        world = small.world_in(tmp_path, checker=GxChecker(places(tmp_path).expectations))
        assert validate(usecase, ingest(usecase, made.last, world), world).without == ()


def test_what_still_rings_at_the_historys_end_is_excused_for_three_months(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rings(usecase: Usecase, day: date, *rest: Any) -> DayChecked:
        checked = check_day(usecase, day, *rest)
        ringing = Finding("same: varies", Outcome.FAIL, "one plan only", parts=(Part("one plan only", "plan"),))
        findings = (*checked.findings, ringing) if (day - FIRST).days % 3 == 2 else checked.findings
        return replace(checked, findings=excused(usecase.excuses, day, findings))

    monkeypatch.setattr("pipeline.onboarding.declaring.daily_checks.check_day", rings)
    with begun(tmp_path, same_every_day(), "history.csv", **SAME) as (made, usecase):
        (excuse,) = usecase.excuses
        assert (excuse.finding, excuse.column, excuse.value) == ("same: varies", "plan", "")
        assert (excuse.first, excuse.last) == (FIRST + timedelta(2), made.last + timedelta(90))
        assert any("and write a later day if it stays so" in note.text for note in made.notes if note.review)


def test_what_is_to_be_reviewed_is_kept_beside_the_declaration(kept: tuple[Path, Made]) -> None:
    _, made = kept
    page = (made.folder / "REVIEW.md").read_text()
    for note in made.notes:
        assert note.text[1:60] in page
    assert "- [ ] **offer**" in page
    assert "- [ ] **email**" in page
    assert "- [ ] **label delay**" in page


def test_it_keeps_the_catalogues_own_rules(kept: tuple[Path, Made]) -> None:
    _, made = kept
    with loaded(made.name, made.folder) as usecase:
        assert len({type(recipe.build(0)[-1]).__name__ for recipe in usecase.recipes}) >= 2
        assert len({recipe.window for recipe in usecase.recipes}) >= 3
        assert all(recipe.at_least <= 14 for recipe in (*usecase.recipes, usecase.baseline))
    text = (made.folder.parent / "__init__.py").read_text()
    assert 'NAMES = ("flight_delay", "flight_minutes", "churn")\n' in text


def test_python_may_keep_bytecode_as_it_does_in_every_plain_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    made = make(request(written(customers(), tmp_path / "history.csv")), places(tmp_path), ALL)
    wanted = ["REVIEW.md", "__init__.py", "features.py", "golden.json", "recipes.py"]
    assert sorted(path.name for path in made.folder.iterdir()) == wanted
    assert not sys.dont_write_bytecode


def test_nothing_of_a_persons_is_ever_destroyed(tmp_path: Path) -> None:
    path = written(customers(), tmp_path / "history.csv")
    made = make(request(path), places(tmp_path), ALL)
    (made.folder / "recipes.py").write_text("# mine\n")
    with pytest.raises(UsageError, match=r"'churn' is taken: .* say --overwrite to put them aside"):
        make(request(path), places(tmp_path), ALL)
    again = make(request(path, overwrite=True), places(tmp_path), ALL)
    assert len(again.aside) == 3
    assert (again.aside[0] / "recipes.py").read_text() == "# mine\n"
    (made.folder / "REVIEW.md").unlink()
    with pytest.raises(UsageError, match="it was not made by this command"):
        make(request(path, overwrite=True), places(tmp_path), ALL)
    with pytest.raises(UsageError, match="is taken"):
        make(request(path, name="flights"), places(tmp_path), ALL)
    with pytest.raises(UsageError, match="was not made by this command"):
        make(request(path, name="flight_delay", overwrite=True), places(tmp_path), ALL)


def test_labels_that_take_as_long_as_the_newer_days_leave_an_exam_of_days_that_have_theirs(tmp_path: Path) -> None:
    with begun(tmp_path, customers(days=16), "history.csv", label_delay=7) as (made, usecase):
        assert usecase.label_delay == 7
        assert usecase.lookback == 14
        assert any("asked about the 180 labelled rows" in note.text for note in made.notes)


@pytest.mark.parametrize(
    "yes",
    [
        'y"""\nimport os\nos.abort()\n"""',
        "a\\N{BULLET}\\",
        "a\x00b",
        "<img src=x onerror=alert(1)>",
        "it's\u2028\u202e",
    ],
)
def test_words_of_the_data_reach_the_python_and_the_page_as_words_only(tmp_path: Path, yes: str) -> None:
    frame = customers().assign(churned=lambda f: np.where(f["churned"] == "yes", "no", yes))
    with begun(tmp_path, frame, "history.parquet") as (made, usecase):
        assert usecase.kind.target == "churned"
        doc = ast.get_docstring(ast.parse((made.folder / "__init__.py").read_text()), clean=False)
        assert doc is not None
        assert doc.startswith(usecase.question)
        assert yes in usecase.question
        assert "<img" not in (made.folder / "REVIEW.md").read_text()


def test_columns_with_the_oddest_names_and_numbers_are_still_columns(tmp_path: Path) -> None:
    names = {"calls": "../../etc/passwd", "usage": "[x]", "plan": "user.plan", "code": "<script>", "channel": "lambda"}
    frame = customers().rename(columns=names).rename(columns={"churned": "ﬁnal"})
    frame.loc[frame.index % 50 == 0, "[x]"] = 1e300
    with begun(tmp_path, frame, "history.csv", target="ﬁnal") as (made, usecase):
        assert usecase.inputs == ("etc_passwd", "x", "weekday", "user.plan", "<script>")
        assert usecase.kind.target == "ﬁnal"
        assert "<script>" not in (made.folder / "REVIEW.md").read_text()
        assert any("numbers beyond 1e+30, which are taken as missing" in note.text for note in made.notes)
        assert run(made, usecase, tmp_path, 1) == ["started"]


def test_days_of_the_week_without_rows_are_left_out_of_the_schedule(tmp_path: Path) -> None:
    frame = customers()
    frame = frame[[day.weekday() < 5 for day in frame["day"]]]
    with begun(tmp_path, frame, "history.csv") as (made, usecase):
        # The mornings after Monday to Friday; 0 is Sunday.
        assert usecase.schedule.cron == "0 6 * * 2,3,4,5,6"
        assert any("never on a Saturday or Sunday" in note.text for note in made.notes)


@pytest.mark.parametrize(
    ("frame", "asked"),
    [
        (customers(days=10), {}),
        (customers().assign(churned="yes"), {}),
        (customers()[["day", "customer_id", "email", "churned"]], {}),
        (customers().drop(columns="day"), {}),
    ],
)
def test_a_history_that_can_not_serve_leaves_nothing_behind(
    tmp_path: Path, frame: pd.DataFrame, asked: dict[str, Any]
) -> None:
    where = places(tmp_path)
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    path = written(frame, tmp_path / "history.csv")
    with pytest.raises(UsageError):
        make(request(path, **asked), where, ALL)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted([*before, path])


def test_the_command_says_what_was_assumed_and_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = places(tmp_path)
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.setenv("PIPELINE_EXPECTATIONS", str(where.expectations))
    monkeypatch.setattr("pipeline.usecases.__file__", str(where.usecases / "__init__.py"))
    path = written(customers(), tmp_path / "history.csv")
    words = ["new", "churn", "--from", str(path), "--target", "churned", "--time", "day", "--unit", "customer_id"]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    for part in ("To review", "Assumed", "label delay", "class balance", "REVIEW.md", "30 days delivered"):
        assert part in said
    assert f"-m pipeline replay churn --from {date(2026, 1, 8)} --to {date(2026, 1, 30)}" in said
    assert f"-m pipeline run churn --from {date(2026, 1, 17)} --to {date(2026, 1, 30)}" in said
    assert cli.main(words) == 2
    assert capsys.readouterr().err.startswith("TAKEN: 'churn' is taken")
    assert cli.main([*words, "--window", "3"]) == 2
    assert cli.main(["new", "other", *words[2:4], "--target", "leaves", *words[6:]]) == 2
    assert "no column 'leaves' for --target" in capsys.readouterr().err


def test_the_line_that_leaves_out_what_an_earlier_model_said_can_be_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = places(tmp_path)
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    monkeypatch.setenv("PIPELINE_EXPECTATIONS", str(where.expectations))
    monkeypatch.setattr("pipeline.usecases.__file__", str(where.usecases / "__init__.py"))
    monkeypatch.setenv("COLUMNS", "400")
    frame = customers(days=20, rows=30)
    frame["risk_score"] = frame["calls"] + (frame["plan"] == "basic")
    path = written(frame, tmp_path / "history.csv")
    words = ["new", "churn", "--from", str(path), "--target", "churned", "--time", "day", "--unit", "customer_id"]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    (line,) = [line.strip() for line in said.splitlines() if "--drop risk_score --overwrite" in line]
    assert cli.main(shlex.split(line.split(" -m pipeline ")[1])) == 0
    again = capsys.readouterr().out
    assert "begin anew without" not in again
    with loaded("churn", where.usecases / "churn") as usecase:
        assert "risk_score" not in {column.name for column in usecase.feeds[0].columns}
        assert usecase.feeds[0].form.ignored == ("risk_score",)
