"""The DAGs: what parsing costs, a run's data day, whose turn it is, what is tried again, how a person is asked."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from loop.run import chosen_day, closed_day, fires_from
from loop.tasks import OnlyWhatMayPass, Stop, one_sentence
from loop.turns import FEW, ahead, must_wait

from pipeline.core.errors import ConflictError, RefusedError, UnavailableError, UsageError
from pipeline.core.usecase import Schedule
from pipeline.steps.loop import LOOP as STEPS

ROOT = Path(__file__).resolve().parents[2]
HEAVY = [
    "pandas",
    "sklearn",
    "mlflow",
    "great_expectations",
    "pyarrow",
    "polars",
    "deltalake",
    "scipy.stats",
    "matplotlib",
    "skops",
]
LOOP = [step.name for step in STEPS]
SHOWS = "new_champion"  # does nothing: it is green where the champion changed


# ---------------------------------------------------------- parsing

PARSE = """
import json, os, sys, time
sys.path[:0] = [os.environ["DAGS"]]
import airflow.sdk, airflow.providers.standard.operators.hitl
from airflow.dag_processing.dagbag import DagBag
began = time.process_time()
bag = DagBag(os.environ["DAGS"])
print(json.dumps({
    "seconds": time.process_time() - began,
    "broken": bag.import_errors,
    "dags": {name: dag.task_ids for name, dag in bag.dags.items()},
    "after": {
        name: {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks} for name, dag in bag.dags.items()
    },
    "files": sorted({dag.fileloc for dag in bag.dags.values()}),
    "heavy": [name for name in %r if name in sys.modules],
}))
"""


@pytest.fixture(scope="session")
def parsed(tmp_path_factory):
    """The real DAG files, parsed by a process of their own."""
    environment = {**os.environ, "DAGS": str(ROOT / "dags"), "PYTHONPATH": str(ROOT)}
    environment["AIRFLOW_HOME"] = str(tmp_path_factory.mktemp("parse"))
    code = PARSE % HEAVY
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_dag_files_parse_and_hold_a_loop_for_each_use_case_and_the_manual_dags(parsed):
    from pipeline.usecases import ALL

    assert parsed["broken"] == {}
    assert set(parsed["dags"]) == {usecase.name for usecase in ALL} | {"roll_back", "lift_hold", "replay"}
    for usecase in ALL:
        asked = ["approve"] if usecase.promotion.approval == "person" else []
        assert set(parsed["dags"][usecase.name]) == {*LOOP, SHOWS, *asked}


def test_the_dags_call_the_steps_in_the_order_of_the_loop(parsed):
    """The order is written twice, as the loop's tuple and as the DAG's chain of calls: they must not drift apart."""
    from pipeline.usecases import ALL

    for usecase in ALL:
        after = parsed["after"][usecase.name]
        assert after[LOOP[0]] == []
        for before, step in pairwise(LOOP):
            assert set(after[step]) - {"approve"} == {before}, step
    assert [Path(file).name for file in parsed["files"]] == ["operate.py", "retrain.py"]


def test_parsing_imports_nothing_heavy(parsed):
    assert parsed["heavy"] == []


def test_parsing_takes_less_than_a_second_after_airflow_itself(parsed):
    assert parsed["seconds"] < 1.0


# ---------------------------------------------------------- data days

ZONES = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "UTC"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", ["0 6 * * *", "30 2 * * *", "0 0 * * *", "45 23 * * *"])
def test_every_data_day_has_exactly_one_run_over_two_years_of_changing_clocks(zone, cron):
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.trigger import CronTriggerTimetable
    from pendulum import datetime as moment

    timetable = CronTriggerTimetable(cron, timezone=zone)
    limits = TimeRestriction(moment(2026, 1, 1), moment(2027, 12, 31), catchup=True)
    days, last = [], None
    while info := timetable.next_dagrun_info(last_automated_data_interval=last, restriction=limits):
        day, last = closed_day(info.run_after, zone), info.data_interval
        assert fires_from(day, zone) <= info.run_after < fires_from(day + timedelta(1), zone)
        days.append(day)
    assert days == [days[0] + timedelta(n) for n in range(len(days))]
    assert len(days) >= 728


CALENDAR = Schedule(timezone="America/New_York", first=date(2013, 1, 1), last=date(2013, 3, 31))
ENDLESS = Schedule(timezone="America/New_York")
NOBODY = lambda day: False  # noqa: E731


@pytest.mark.parametrize(
    ("kind", "schedule", "moment", "asked", "expected"),
    [
        ("scheduled", CALENDAR, datetime(2013, 3, 10, 10, tzinfo=UTC), None, date(2013, 3, 9)),
        ("backfill", CALENDAR, datetime(2013, 11, 4, 11, tzinfo=UTC), None, date(2013, 11, 3)),
        ("manual", ENDLESS, datetime(2026, 3, 9, 3, 59, tzinfo=UTC), None, date(2026, 3, 7)),  # still the 8th there
        ("manual", ENDLESS, datetime(2026, 3, 9, 4, 1, tzinfo=UTC), None, date(2026, 3, 8)),
        ("manual", ENDLESS, datetime(2026, 3, 9, 12, tzinfo=UTC), "2026-01-31", date(2026, 1, 31)),
        ("manual", CALENDAR, datetime(2013, 3, 9, 12, tzinfo=UTC), None, date(2013, 3, 8)),
        ("manual", CALENDAR, datetime(2026, 3, 9, 12, tzinfo=UTC), None, date(2013, 3, 31)),
        ("asset_triggered", ENDLESS, datetime(2026, 3, 9, 12, tzinfo=UTC), None, date(2026, 3, 8)),
    ],
)
def test_a_run_is_about_the_day_that_closed_before_it_unless_the_form_says_otherwise(
    kind, schedule, moment, asked, expected
):
    assert chosen_day(schedule, kind, moment, asked, NOBODY) == expected


def test_after_the_calendar_has_ended_an_empty_form_means_the_newest_day_delivered():
    now = datetime(2026, 3, 9, 12, tzinfo=UTC)
    assert chosen_day(CALENDAR, "manual", now, None, lambda day: day <= date(2013, 2, 14)) == date(2013, 2, 14)


@pytest.mark.parametrize(
    ("kind", "asked", "sentence"),
    [
        ("manual", "2026-03-09", r"2026-03-09 hasn't closed yet; the newest one that has is 2026-03-08"),
        ("manual", "the day before", r"must be written as in 2013-03-08, got 'the day before'"),
        ("backfill", "2026-03-01", r"a backfill run takes its data day from its date .* leave the data day empty"),
    ],
)
def test_a_day_that_cannot_be_gets_a_sentence(kind, asked, sentence):
    with pytest.raises(UsageError, match=sentence):
        chosen_day(ENDLESS, kind, datetime(2026, 3, 9, 12, tzinfo=UTC), asked, NOBODY)


# ---------------------------------------------------------- turns


class Town:
    """Runs of one DAG, as Airflow would tell of them, with its rules of how many run at once."""

    def __init__(self, places: dict[str, int]) -> None:
        self.runs: dict[str, SimpleNamespace] = {}
        self.places = places

    def add(self, name: str, kind: str, day: int, logical: int | None = None, **more) -> None:
        """A run about a day of January; dated runs stand under the morning after it."""
        dated = kind != "manual"
        at = datetime(2013, 1, day, 11, tzinfo=UTC) + timedelta(1) if dated else None
        if logical is not None:
            at = datetime(2013, 1, logical, 12, tzinfo=UTC)
        defaults = {"run_id": name, "run_type": kind, "day": day, "logical_date": at, "state": "queued", "tasks": {}}
        self.runs[name] = SimpleNamespace(**(defaults | more))

    def start(self) -> None:
        for kind, places in self.places.items():
            ours = [run for run in self.runs.values() if (run.run_type == "backfill") == (kind == "backfill")]
            free = places - sum(run.state == "running" for run in ours)
            for run in [run for run in ours if run.state == "queued"][: max(0, free)]:
                run.state = "running"

    def active(self) -> int:
        return sum(run.state in ("queued", "running") for run in self.runs.values())

    def before(self, moment, state):
        found = [r for r in self.runs.values() if r.logical_date and r.logical_date < moment and r.state == state]
        return max(found, key=lambda run: run.logical_date, default=None)

    def running(self, run: str) -> bool:
        return run in self.runs and self.runs[run].state == "running"

    def tasks(self, run: str):
        return self.runs[run].tasks


class Turn:
    holder: str | None = None

    def take_turn(self, usecase, holder, alive):
        if self.holder not in (None, holder) and alive(self.holder):
            return self.holder
        self.holder = holder
        return holder


USECASE = SimpleNamespace(name="flights")


def waits(town: Town, turn: Turn, name: str) -> list[str]:
    run = town.runs[name]
    since = fires_from(date(2013, 1, run.day), "UTC")
    return list(must_wait(USECASE, town, lambda: turn, name, run.run_type, since))


def play(town: Town, seed: int) -> list[str]:
    """Let Airflow start the runs and look again in any order; the order in which they worked."""
    chance, turn, worked = random.Random(seed), Turn(), []
    for _ in range(2000):
        town.start()
        running = [run for run in town.runs.values() if run.state == "running"]
        if not running:
            return worked
        run = chance.choice(running)
        if run.tasks.get("ingest") == "success":  # at work: sooner or later it is through
            run.state = "success" if chance.random() < 0.5 else "running"
        elif waits(town, turn, run.run_id):
            run.tasks["ingest"] = "up_for_reschedule"
        else:
            others = [
                r.run_id for r in town.runs.values() if r.state == "running" and r.tasks.get("ingest") == "success"
            ]
            assert not others, f"{run.run_id} works beside {others}"
            run.tasks["ingest"] = "success"
            worked.append(run.run_id)
    raise AssertionError(f"still waiting: {[run.run_id for run in town.runs.values() if run.state != 'success']}")


@pytest.mark.parametrize("seed", range(20))
def test_ten_runs_of_a_backfill_at_once_work_one_at_a_time_and_the_oldest_first_beside_a_run_by_hand(seed):
    town = Town({"backfill": 10, "other": 1})
    for day in range(1, 26):
        town.add(f"day {day:02}", "backfill", day)
    town.add("day 26 by hand", "manual", 26)
    assert play(town, seed) == sorted(town.runs)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_runs_are_started_nobody_waits_for_ever_and_no_two_work_at_once(seed):
    chance = random.Random(seed)
    town = Town({"backfill": chance.choice([1, 3, 10]), "other": chance.choice([1, 5])})
    days = list(range(1, 26))
    chance.shuffle(days)
    for day in sorted(days[:5]):
        town.add(f"scheduled {day}", "scheduled", day)
    for day in sorted(days[5:20], reverse=chance.random() < 0.3):  # some people run backwards
        town.add(f"backfill {day}", "backfill", day)
    for number, day in enumerate(days[20:]):  # with any logical date at all, as the form lets one choose
        town.add(f"manual {number}", "manual", day, logical=chance.choice([None, *range(1, 28)]))
    assert sorted(play(town, seed)) == sorted(town.runs)


def test_a_run_that_waits_for_a_person_holds_up_nobody():
    town, turn = Town({}), Turn()
    town.add("asking", "scheduled", 1, state="running", tasks={"ingest": "success", "approve": "awaiting_input"})
    town.add("next", "scheduled", 2, state="running")
    turn.holder = "asking"
    assert waits(town, turn, "next") == []
    assert turn.holder == "next"


def test_a_run_that_was_killed_or_deleted_gives_up_its_turn():
    town, turn = Town({}), Turn()
    town.add("next", "scheduled", 2, state="running")
    turn.holder = "deleted"
    assert waits(town, turn, "next") == []
    town.add("failed", "scheduled", 1, state="failed")
    turn.holder = "failed"
    assert waits(town, turn, "next") == []


def test_a_later_task_waits_for_the_turn_alone_and_not_for_earlier_days_that_came_after_it():
    town, turn = Town({}), Turn()
    town.add("at work", "manual", 9, state="running", tasks={"ingest": "success"})
    town.add("earlier", "backfill", 3, state="running")
    turn.holder = "at work"
    assert must_wait(USECASE, town, lambda: turn, "at work", "manual", None) == []
    assert waits(town, turn, "earlier") == ["at work"]


def test_the_ledger_is_not_opened_while_an_earlier_day_is_about():
    town = Town({})
    town.add("earlier", "scheduled", 1, state="running")
    town.add("later", "scheduled", 2, state="running")
    since = fires_from(date(2013, 1, 2), "UTC")
    unopened = lambda: pytest.fail("the ledger was opened")  # noqa: E731
    assert must_wait(USECASE, town, unopened, "later", "scheduled", since) == ["earlier"]


def test_the_nearest_earlier_day_is_named_first_and_a_long_queue_is_not_walked_to_its_end():
    town = Town({})
    for day in range(1, 27):
        town.add(f"day {day}", "backfill", day, state="running")
    found = ahead(town, "manual", fires_from(date(2013, 1, 27), "UTC"))
    assert (found[0], len(found)) == ("day 26", FEW)


# ---------------------------------------------------------- failing


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (UnavailableError("the registry is not there"), True),
        (RefusedError("planes are stale", "STALE"), False),
        (ConflictError("somebody was first"), False),
        (UsageError("no such day"), False),
    ],
)
def test_an_error_becomes_one_sentence_and_only_what_may_pass_is_tried_again(error, again, caplog):
    with caplog.at_level(logging.ERROR, "pipeline"), pytest.raises(Stop) as stopped, one_sentence("train"):
        raise error
    assert caplog.messages == [str(error)]
    assert (str(stopped.value), stopped.value.code, stopped.value.__suppress_context__) == (
        str(error),
        error.code,
        True,
    )
    assert OnlyWhatMayPass().evaluate(stopped.value, 1, 3).action.value == ("retry" if again else "fail")


def test_a_bug_is_not_tried_again_but_an_airflow_that_did_not_answer_is():
    from airflow.sdk.exceptions import AirflowException

    assert OnlyWhatMayPass().evaluate(KeyError("a bug"), 1, 3).action.value == "fail"
    assert OnlyWhatMayPass().evaluate(AirflowException("no answer"), 1, 3).action.value == "default"


def test_a_task_ends_with_its_supervisor(tmp_path):
    code = f"""
import os, sys, time
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "dags")!r}]
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CommsDecoder
from loop.tasks import end_with_supervisor
if os.fork() == 0:
    task_runner.SUPERVISOR_COMMS = CommsDecoder.__new__(CommsDecoder)
    end_with_supervisor()
    print(os.getpid(), flush=True)
time.sleep(60)
"""
    supervisor = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    task = int(supervisor.stdout.readline())
    os.kill(task, 0)
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    for _ in range(100):
        try:
            os.kill(task, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(task, signal.SIGKILL)
    raise AssertionError("the task outlived its supervisor")


# ---------------------------------------------------------- the DAGs, really run


@pytest.fixture
def loops(airflow, stubs):
    """The DAGs of the stub use cases."""
    import operate
    import retrain

    return {
        **{usecase.name: retrain.retrain(usecase) for usecase in stubs.ALL},
        "roll_back": operate.roll_back_dag,
        "lift_hold": operate.lift_hold_dag,
        "replay": operate.replay_dag,
    }


def states(run) -> dict[str, str]:
    return {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


def test_the_loop_runs_from_ingest_to_promote_and_leads_back_from_the_page(loops, stubs):
    run = loops["stub_auto"].test(logical_date=datetime(2013, 1, 4, 11, tzinfo=UTC))
    assert str(run.state) == "success"
    lines = stubs.diary()
    assert [line for line in lines if line.split()[0] in LOOP] == [f"{step} 2013-01-03" for step in LOOP]
    assert lines[-1] == "promoted 2013-01-03 by the gates"
    assert any(re.match(r"link http://airflow\.test:8080/dags/stub_auto/runs/manual__.*%2B00%3A00$", x) for x in lines)
    assert loops["stub_auto"].topological_sort()[0].task_id == "ingest"


def test_a_run_by_hand_without_a_logical_date_takes_the_day_the_recipes_and_the_wish_from_its_form(loops, stubs):
    conf = {"day": "2013-01-05", "recipes": ["boosting"], "judge_only": True}
    run = loops["stub_auto"].test(logical_date=None, run_conf=conf)
    assert str(run.state) == "success"
    assert {"ingest 2013-01-05", "recipes boosting", "held 2013-01-05 because of 2013-01-05"} <= set(stubs.diary())


def test_a_run_by_hand_has_its_tasks_whatever_moment_the_form_proposes(loops, stubs):
    """Airflow's form is filled in with the present moment, long after the calendar's end."""
    now = datetime(2026, 11, 20, tzinfo=UTC)
    run = loops["stub_auto"].test(logical_date=now, run_conf={"day": "2013-01-03"})
    assert states(run) == dict.fromkeys([*LOOP, SHOWS], "success")


def test_an_empty_form_takes_the_newest_day_delivered(loops, stubs):
    run = loops["stub_auto"].test(logical_date=None)
    assert str(run.state) == "success"
    assert "ingest 2013-01-09" in stubs.diary()
    assert "recipes" in stubs.diary()


def test_a_refused_day_is_red_is_written_down_and_goes_no_further(loops, stubs):
    stubs.order("validate", "2013-01-03", "refuse")
    run = loops["stub_auto"].test(logical_date=None, run_conf={"day": "2013-01-03"})
    assert str(run.state) == "failed"
    assert states(run)["validate"] == "failed"
    assert states(run)["train"] == "upstream_failed"
    assert stubs.diary()[-1].startswith("refused 2013-01-03 STALE http://airflow.test:8080/dags/stub_auto/runs/")


def test_a_day_whose_file_never_came_is_written_down_once_when_the_last_try_is_over(loops, stubs):
    stubs.order("ingest", "2013-01-03", "missing")
    loops["stub_auto"].get_task("ingest").retry_delay = timedelta(0)
    run = loops["stub_auto"].test(logical_date=None, run_conf={"day": "2013-01-03"})
    assert str(run.state) == "failed"
    lines = stubs.diary()
    assert lines[:-1] == ["ingest 2013-01-03"] * 4
    assert lines[-1].startswith("refused 2013-01-03 MISSING http")


@pytest.mark.parametrize(("number", "more"), [(1, True), (3, True), (4, False)])
def test_with_three_retries_the_fourth_try_is_the_last(monkeypatch, number, more):
    from loop import tasks

    ti = SimpleNamespace(try_number=number, max_tries=3)
    monkeypatch.setattr(tasks, "get_current_context", lambda: {"ti": ti})
    assert tasks.comes_again() == more


def test_a_refusal_of_a_later_step_is_not_taken_for_the_days_data(loops, stubs):
    stubs.order("score", "2013-01-03", "refuse")
    run = loops["stub_auto"].test(logical_date=None, run_conf={"day": "2013-01-03"})
    assert states(run)["score"] == "failed"
    assert not [line for line in stubs.diary() if line.startswith("refused")]
    assert stubs.diary()[-1].startswith("failed 2013-01-03 score failed: ")


def test_a_red_day_keeps_how_it_ended_and_its_note_says_what_is_wrong_first(loops, stubs, notes):
    """The work is done and written down; the run is red, so that somebody looks."""
    stubs.order("evaluate", "2013-01-03", "hold")
    stubs.order("promote", "2013-01-03", "red")
    run = loops["stub_auto"].test(logical_date=None, run_conf={"day": "2013-01-03"})
    assert (str(run.state), states(run)["promote"], states(run)[SHOWS]) == ("failed", "failed", "upstream_failed")
    assert stubs.diary()[-1] == "held 2013-01-03 because of 2013-01-03"  # and no "failed" after it
    told = left(run, "promote", "told")
    assert told["outcome"] == "held"
    assert notes.note_of(told).partition("\n\n")[2] == (
        "version 1: it is off; mended by itself: x; because of 2013-01-03"
    )


@pytest.mark.parametrize("fault", ["unavailable", "bug"])
def test_a_day_that_is_given_up_is_written_down_and_one_that_is_tried_again_is_not(loops, stubs, fault):
    stubs.order("train", "2013-01-03", fault)
    loops["stub_auto"].get_task("train").retry_delay = timedelta(0)
    run = loops["stub_auto"].test(logical_date=None, run_conf={"day": "2013-01-03"})
    failed = [line for line in stubs.diary() if line.startswith("failed 2013-01-03 train failed: ")]
    assert (str(run.state), len(failed)) == (("success", 0) if fault == "unavailable" else ("failed", 1))


def test_a_held_candidate_is_green_and_a_person_is_asked_only_about_a_winner(loops, stubs):
    stubs.order("evaluate", "2013-01-03", "hold")
    run = loops["stub_person"].test(logical_date=None, run_conf={"day": "2013-01-03"})
    assert str(run.state) == "success"
    assert stubs.diary()[-1] == "held 2013-01-03 because of 2013-01-03"
    assert (states(run)["promote"], states(run)[SHOWS]) == ("success", "skipped")


def left(run, task: str, key: str):
    return run.get_task_instance(task).xcom_pull(task_ids=task, key=key)


def test_a_run_leaves_its_day_its_end_and_its_page_for_the_runs_note(loops, stubs):
    run = loops["stub_auto"].test(logical_date=None, run_conf={"day": "2013-01-03"})
    told = left(run, "promote", "told")
    assert (told["day"], told["outcome"], told["reason"]) == ("2013-01-03", "promoted", "by the gates")
    assert told["headline"] == "promoted: in one line"


def test_a_refusal_leaves_its_sentence_whole_for_the_runs_note(loops, stubs):
    stubs.order("validate", "2013-01-03", "refuse")
    run = loops["stub_auto"].test(logical_date=None, run_conf={"day": "2013-01-03"})
    told = left(run, "validate", "told")
    assert (told["outcome"], told["reason"]) == ("refused", "planes of 2013-01-03 are stale: ask upstream")
    assert told["page"] == "http://mlflow.test/stub_auto/run/refusal.html"


@pytest.mark.parametrize("outcome", ["promoted", "started", "held", "declined", "refused", "failed"])
def test_a_note_says_the_day_and_the_end_first_links_the_page_and_fits(notes, outcome):
    told = {"day": "2013-01-03", "outcome": outcome, "recipe": "boosting", "champion": 2, "reason": "so it was " * 500}
    note = notes.note_of({**told, "page": "http://mlflow.test/#/x?workflowType=machine_learning"})
    assert re.match(rf"\*\*2013-01-03 \S {outcome}", note)
    assert "](http://mlflow.test/#/x?workflowType=machine_learning)" in note
    assert len(note) <= 1000
    assert "javascript" not in notes.note_of({**told, "page": "javascript:alert(1)"})
    one_line = notes.note_of({**told, "headline": f"{outcome}: what anybody understands"})
    assert re.match(rf"\*\*2013-01-03 \S {outcome}: what anybody understands", one_line)
    assert ("(boosting, version 2)**" in one_line) is (outcome in ("promoted", "started"))


def test_the_note_of_a_person_stays(notes, airflow):
    run = SimpleNamespace(dag_run_note=SimpleNamespace(user_id="ada"), note="mine")
    notes.write(run)
    assert run.note == "mine"


@pytest.fixture
def notes(airflow):
    """The plugin, as Airflow loads it: from its file."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("run_notes", ROOT / "dags" / "plugins" / "run_notes.py")
    sys.modules["run_notes"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["run_notes"]


def answer(dag: str, choose) -> threading.Thread:
    """Do what the approval page does, as soon as the question is there. ``choose`` gets the question."""

    def work() -> None:
        from airflow.models.hitl import HITLDetail
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.trigger import handle_event_submit
        from airflow.triggers.base import TriggerEvent
        from airflow.utils.session import create_session
        from sqlalchemy import select
        from sqlalchemy.exc import OperationalError

        waiting = select(TaskInstance).where(TaskInstance.dag_id == dag, TaskInstance.state == "awaiting_input")
        for _ in range(600):
            time.sleep(0.2)
            # SQLite is locked now and then on a busy machine; the question is still there a moment later.
            with contextlib.suppress(OperationalError), create_session() as session:
                ti = session.scalar(waiting)
                if ti is None:
                    continue
                detail = session.scalar(select(HITLDetail).where(HITLDetail.ti_id == ti.id))
                payload = choose(detail)
                handle_event_submit(TriggerEvent(payload), task_instance=ti, session=session)
                return
        with create_session() as session:  # else the run would wait for ever
            for ti in session.scalars(waiting):
                ti.state = "failed"

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def said(option: str, name: str | None):
    def choose(detail):
        detail.chosen_options, detail.params_input, detail.responded_at = [option], {}, datetime.now(UTC)
        detail.responded_by = name and {"id": name, "name": name}
        return detail.as_resume_event_payload()

    return choose


SILENCE = "declined 2013-01-03 nobody answered within 20 h ()"


@pytest.mark.parametrize(
    ("choose", "last"),
    [
        (said("Approve", "ada"), "promoted 2013-01-03 by ada"),
        (said("Reject", "ada"), "declined 2013-01-03 declined in Airflow (ada)"),
        (said("Approve", None), "declined 2013-01-03 nobody answered within 20 h ()"),
        (
            lambda _: {"error": "too late", "error_type": "timeout"},
            "declined 2013-01-03 nobody answered within 20 h ()",
        ),
    ],
    ids=["yes", "no", "an approval by nobody", "no answer"],
)
def test_a_winner_becomes_champion_only_if_a_person_says_so(loops, stubs, choose, last):
    asked = []
    person = answer("stub_person", lambda detail: (asked.append(detail), choose(detail))[1])
    run = loops["stub_person"].test(logical_date=None, run_conf={"day": "2013-01-03"})
    person.join()
    assert str(run.state) == "success", "an answer, whatever it is, is not a failure"
    assert stubs.diary()[-1] == last
    assert "waiting 2013-01-03 a person decides" in stubs.diary()
    detail = asked[0]
    assert (detail.subject, detail.options, detail.defaults) == (
        "2013-01-03: shall linear replace base?",
        ["Approve", "Reject"],
        None,
    )
    assert "{{ 2013-01-03 }}" in detail.body, "what a model says is text and never a template"
    assert [user["id"] for user in detail.assigned_users] == ["approver"]


def test_the_approval_asks_once_in_time_and_has_no_default(loops):
    approve = loops["stub_person"].get_task("approve")
    assert (approve.retries, approve.defaults, approve.response_timeout) == (0, None, timedelta(hours=20))
    assert "approve" not in loops["stub_auto"].task_ids


def test_without_an_answer_a_winner_that_a_person_must_approve_is_never_promoted(stubs):
    from loop import approval, run

    from pipeline.steps import loop

    winner = {
        "judged": {"usecase": "stub_person", "day": "2013-01-03", "decision": "promote"},
        "run": "run",
        "version": 3,
    }
    for silence in (None, {}, {"said": "Approve", "by": ""}, {"said": "nothing", "by": "ada"}):
        answer = approval.answered(stubs.PERSON, silence)
        asked = loop.Run(stubs.PERSON, lambda: date(2013, 1, 3), stubs.world(), run.now, lambda _, said=answer: said)
        assert loop.PROMOTE.call(asked, winner).outcome == "declined"


@pytest.mark.parametrize(
    ("dag", "conf", "line"),
    [
        (
            "roll_back",
            {"usecase": "stub_auto", "to": "3", "why": "it is bad", "hold_days": 2},
            "rollback stub_auto 3 it is bad dag_test 2",
        ),
        (
            "lift_hold",
            {"usecase": "stub_person", "recipe": "linear", "why": "it is good"},
            "lift stub_person linear it is good dag_test",
        ),
        (
            "replay",
            {"usecase": "stub_auto", "from": "2013-01-02", "to": "2013-01-09", "policies": "price=0.1\nship=scored"},
            "replay stub_auto 2013-01-02 2013-01-09 price=0.1 | ship=scored False 1",
        ),
    ],
)
def test_what_a_person_does_by_hand_is_done_once_in_that_persons_name(loops, stubs, dag, conf, line):
    run = loops[dag].test(logical_date=None, run_conf=conf)
    assert str(run.state) == "success"
    assert stubs.diary() == [line]
    assert [task.retries for task in loops[dag].tasks] == [0]
    assert {str(kind.value) for kind in loops[dag].allowed_run_types} == {"manual"}


def test_every_field_of_every_form_says_in_a_sentence_what_it_does(loops):
    for dag in loops.values():
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.schema.get("title"), (dag.dag_id, name)
            assert len((param.description or "").split()) >= 5, (dag.dag_id, name)


def test_the_forms_of_operating_say_how_to_see_what_there_is(loops):
    assert "pipeline history <use case>" in loops["lift_hold"].doc_md
    assert "pipeline history <use case>" in loops["roll_back"].doc_md
    assert "pipeline replay <use case>" in loops["replay"].doc_md


def validated(dag, conf: dict) -> dict:
    from copy import deepcopy

    params = deepcopy(dag.params)
    params.update(conf)
    return params.validate()


@pytest.mark.parametrize(
    ("dag", "conf"),
    [
        ("stub_auto", {"day": "yesterday"}),
        ("stub_auto", {"day": 20130103}),
        ("stub_auto", {"recipes": ["lineal"]}),
        ("stub_auto", {"recipes": "linear"}),
        ("stub_auto", {"judge_only": "yes"}),
        ("roll_back", {"usecase": "stub_auto"}),
        ("roll_back", {"usecase": "stub_auto", "why": ""}),
        ("roll_back", {"usecase": "another", "why": "it is bad"}),
        ("roll_back", {"to": "latest", "why": "it is bad"}),
        ("roll_back", {"to": "0", "why": "it is bad"}),
        ("roll_back", {"hold_days": -1, "why": "it is bad"}),
        ("lift_hold", {"recipe": "lineal", "why": "it is good"}),
        ("replay", {"from": "2013-01-02"}),
        ("replay", {"from": "2013-01-02", "to": "the end"}),
        ("replay", {"from": "2013-01-02", "to": "2013-01-09", "workers": 0}),
    ],
)
def test_a_form_that_makes_no_sense_is_refused_when_it_is_sent(loops, dag, conf):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError, match=r"Invalid input for param \w+"):
        validated(loops[dag], conf)


def test_a_field_that_the_form_does_not_have_gets_a_sentence_and_nothing_is_done(loops, stubs, caplog):
    run = loops["stub_auto"].test(logical_date=None, run_conf={"recipe": ["linear"]})
    assert states(run)["ingest"] == "failed"
    assert stubs.diary() == []


def test_the_schedule_walks_the_calendar_oldest_first_and_is_quiet_after_its_end(loops, stubs):
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    dag = loops["stub_auto"]
    assert dag.catchup
    assert dag.max_active_runs == 1
    assert {str(kind.value) for kind in dag.allowed_run_types} == {"scheduled", "backfill", "manual"}
    timetable, last, days = coerce_to_core_timetable(dag.timetable), None, []
    limits = TimeRestriction(dag.start_date, dag.end_date, dag.catchup)
    while info := timetable.next_dagrun_info(last_automated_data_interval=last, restriction=limits):
        days.append(closed_day(info.run_after, "America/New_York"))
        last = info.data_interval
    assert days == [date(2013, 1, 1) + timedelta(n) for n in range(12)]


def test_where_a_person_is_asked_there_is_room_for_the_next_days(loops):
    assert loops["stub_person"].max_active_runs == 5


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Tokyo", "Pacific/Apia"])
def test_the_backfill_in_the_dags_own_words_covers_the_days_it_names(loops, stubs, zone):
    import retrain
    from airflow.serialization.serialized_objects import DagSerialization

    schedule = replace(stubs.AUTO.schedule, timezone=zone, first=date(2013, 3, 1), last=date(2013, 3, 20))
    dag = retrain.retrain(replace(stubs.AUTO, schedule=schedule))
    named = re.search(r"Days (\S+) to (\S+), whose", dag.doc_md).groups()
    assert named == ("2013-03-01", "2013-03-20")
    bounds = re.search(r"--from-date (\S+) --to-date (\S+) --max-active-runs 1\n", dag.doc_md).groups()
    assert "python -m stack run airflow backfill create --dag-id stub_auto \\\n" in dag.doc_md
    scheduled = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    infos = scheduled.iter_dagrun_infos_between(*map(datetime.fromisoformat, bounds))
    assert [closed_day(info.logical_date, zone) for info in infos] == [date(2013, 3, day) for day in range(1, 21)]


def test_every_task_of_the_loop_has_an_end_a_purpose_and_retries_that_grow(loops):
    for task in loops["stub_auto"].tasks:
        assert task.execution_timeout is not None
        assert task.doc_md
        assert (task.retries, float(task.retry_exponential_backoff)) == (3, 2.0)
        assert isinstance(task.retry_policy, OnlyWhatMayPass)
    assert loops["stub_auto"].description == "Will it be late?"


def test_the_real_steps_hand_their_records_from_task_to_task_and_crown_a_first_champion(airflow, tmp_path, monkeypatch):
    import retrain
    from loop import run

    from pipeline.adapters import world as adapters
    from tests import small

    registry = small.MemoryRegistry()
    monkeypatch.setattr(adapters, "world", lambda progress: small.world_in(tmp_path, registry))
    run.world.cache_clear()
    for day in small.days(4):
        small.deliver(tmp_path / "landing", day)
    dag = retrain.retrain(small.SMALL)
    conf = {"day": str(small.days(4)[-1]), "recipes": ["linear_short"]}
    with monkeypatch.context() as files:  # dag.test() looks for the DAG in the DAG files
        files.setattr(sys.modules["pipeline.usecases"], "ALL", (small.SMALL,))
        for _ in ("once", "again"):  # the second changes nothing
            assert states(dag.test(logical_date=None, run_conf=conf)) == dict.fromkeys([*LOOP, SHOWS], "success")
    run.world.cache_clear()
    assert [(entry.action, entry.by) for entry in small.world_in(tmp_path).ledger.entries("small")] == [
        ("start", "the gates")
    ]
    assert registry.alias["champion"] == 1
    (page,) = [page for page in registry.runs.values() if page.title == f"{conf['day']} ● {page.tags['challenger']}"]
    assert page.tags["link.airflow"].startswith("http://airflow.test:8080/dags/small/runs/manual__")
