"""What is measured for the gates beside scores, by real runs of a small use case, and every fault planted once."""

from __future__ import annotations

import dataclasses
import json
import math
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pytest

from pipeline.core.gates import Golden, Latency, NoLeak, NoServingSkew, NothingShared, Repeatable, Resources, Sound
from pipeline.core.golden import cases
from pipeline.core.kinds import Binary
from pipeline.core.ports import Units
from pipeline.core.tables import Frame
from pipeline.core.usecase import Tables, Usecase
from pipeline.core.verdict import Finding, Outcome, Verdict
from pipeline.core.windows import Days
from pipeline.steps.judging.measurements import columns_of_model, golden_prediction, shared_with_training
from pipeline.steps.judging.single_requests import audit_single_requests
from pipeline.steps.models import champion_model
from pipeline.steps.models.frames import frame_of, plain
from pipeline.steps.register import read_verdict
from tests import small

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
GATES = (Sound(), NoLeak(one_column=0.97, at_least=20), NoServingSkew(), Golden(), NothingShared(), Repeatable())
BIG = {
    "name": "a large visitor", "owner": "shops", "reason": "they buy", "kind": "range",
    "inputs": {"size": 2.5, "area": 2}, "low": 0.5,
}  # fmt: skip


def golden(**changed: Any) -> Any:
    smaller = {
        "name": "a small one", "owner": "shops", "reason": "they don't", "kind": "direction",
        "like": "a large visitor", "change": {"size": -2.5}, "moves": "down", "at_least": 0.1,
    }  # fmt: skip
    return cases(json.dumps([{**BIG, **changed}, smaller]), small.SMALL.inputs)


CASE = dataclasses.replace(small.SMALL, gates=GATES, golden=golden())


def judged(usecase: Usecase, home: Path) -> Verdict:
    """The verdict of the second day with a champion, before anybody could be shown to be better."""
    world = small.world_in(home)
    for day in small.days(6):
        small.deliver(home / "landing", day)
        if day >= small.days(5)[-1]:
            made: Any = None
            for name, step in small.steps_of(usecase, day, world):
                made = step(made)
                if name == "evaluate":
                    kept = made
    return read_verdict("small", kept.day, kept.verdict, world)


def found(verdict: Verdict, recipe: str = "linear_long") -> dict[str, Finding]:
    return {finding.name: finding for finding in verdict.findings[recipe] if finding.required}


def test_a_sound_use_case_passes_every_question_about_its_design(tmp_path: Path) -> None:
    asked = found(judged(CASE, tmp_path))
    assert {name: finding.outcome for name, finding in asked.items()} == dict.fromkeys(
        (
            "sound", "no leak: point in time", "no leak: one column", "no leak: columns", "no serving skew",
            "golden cases", "nothing shared: keys", "nothing shared: rows", "repeatable",
        ),
        PASS,
    )  # fmt: skip
    assert asked["no leak: point in time"].counts == {"units": 1}, "all visits are predicted at one moment"


# Planted faults.


def with_features(features: Any, **more: Any) -> Usecase:
    return dataclasses.replace(CASE, features=features, **more)


def knows_the_outcome(tables: Tables) -> Frame:
    return small.features(tables).with_columns(size=nw.col("size") + nw.col("bought") * 3)


def compares_with_the_day(tables: Tables) -> Frame:
    return small.features(tables).with_columns(size=nw.col("size") - nw.col("size").mean().over("day"))


def wants_ten_rows(tables: Tables) -> Frame:
    made = small.features(tables)
    if len(tables["visits"].filter(nw.col("day") == nw.col("day").max()).collect()) < 10:
        raise ValueError("ten visits at least")
    return made


def test_a_feature_that_knows_the_outcome_is_a_leak_and_is_told_each_day(tmp_path: Path) -> None:
    asked = found(judged(with_features(knows_the_outcome), tmp_path))
    leak = asked["no leak: point in time"]
    assert leak.outcome is FAIL
    assert "features use what was not yet known: size of" in leak.text
    assert asked["no serving skew"].outcome is FAIL
    assert "repeatable" not in asked, "who is stopped is not measured any further"


def test_a_column_that_gives_the_answer_away_is_named_though_no_clock_betrays_it(tmp_path: Path) -> None:
    """The label under another name, declared as known ahead: no audit of clocks can see that."""
    visits = small.VISITS
    columns = (
        *visits.columns[:-1],
        dataclasses.replace(visits.columns[-1], outcome=False),
    )
    told = dataclasses.replace(CASE, feeds=(dataclasses.replace(visits, columns=columns),), features=copies_the_answer)
    asked = found(judged(told, tmp_path))
    assert asked["no leak: point in time"].outcome is PASS
    assert asked["no leak: one column"].outcome is FAIL
    assert asked["no leak: one column"].text.startswith("'area' alone removes")


def copies_the_answer(tables: Tables) -> Frame:
    return small.features(tables).with_columns(area=nw.col("bought").cast(nw.Float64))


def test_a_feature_that_needs_the_rest_of_the_day_differs_alone_and_is_no_leak(tmp_path: Path) -> None:
    asked = found(judged(with_features(compares_with_the_day), tmp_path))
    assert asked["no leak: point in time"].outcome is PASS
    assert asked["no serving skew"].outcome is FAIL
    assert "on the day's table" in asked["no serving skew"].text


def test_features_that_can_not_be_computed_for_one_row_are_unknown_in_a_sentence(tmp_path: Path) -> None:
    asked = found(judged(with_features(wants_ten_rows), tmp_path))
    assert asked["no serving skew"].outcome is UNKNOWN
    assert "ValueError: ten visits at least" in asked["no serving skew"].text
    assert asked["no leak: point in time"].outcome is PASS, "the audit of the whole day can be made"


def test_a_broken_golden_case_stops_a_candidate_and_a_waiver_lets_it_pass_until_it_expires(tmp_path: Path) -> None:
    broken = {"high": 0.01, "low": 0.0}
    asked = found(judged(dataclasses.replace(CASE, golden=golden(**broken)), tmp_path / "broken"))
    assert asked["golden cases"].outcome is FAIL
    assert "'a large visitor'" in asked["golden cases"].text
    assert "the champion breaks it as well; shops: they buy" in asked["golden cases"].text
    last = small.days(6)[-1]
    for until, outcome in ((last, PASS), (last - timedelta(1), FAIL)):
        waiver = {"until": until.isoformat(), "by": "A. Nna", "why": "the shops know"}
        waived = dataclasses.replace(CASE, golden=golden(**broken, waiver=waiver))
        asked = found(judged(waived, tmp_path / f"waived {until}"))
        assert asked["golden cases"].outcome is outcome


def test_a_case_that_can_not_be_asked_silences_itself_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    odd = cases(json.dumps([{**BIG, "name": "odd", "inputs": {"size": "large"}}]), small.SMALL.inputs)
    asked = found(judged(dataclasses.replace(CASE, golden=(*golden(), *odd)), tmp_path))["golden cases"]
    assert (asked.outcome, asked.text) == (UNKNOWN, "no prediction for 'odd' of 3 cases")
    assert any("can't be asked golden cases" in message for message in caplog.messages)


def test_a_model_that_answers_otherwise_the_second_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.steps.models.predictions import predictions

    def moody(kind: Any, model: Any, inputs: Any, who: str) -> Any:
        said = predictions(kind, model, inputs, who)
        said[:1] = np.nextafter(said[:1], 1) if who == "linear_long" else said[:1]
        return said

    monkeypatch.setattr("pipeline.steps.judging.measurements.predictions", moody)
    verdict = judged(CASE, tmp_path)
    assert found(verdict)["repeatable"].text.startswith("of 30 answers, 1 are others when it is asked again and 1 when")
    assert found(verdict, "linear_short")["repeatable"].outcome is PASS


def test_time_and_resources_are_measured_for_whom_nothing_else_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.steps.judging.timing.SINGLE", 300)
    monkeypatch.setattr("pipeline.steps.judging.timing.BATCH", 20)
    roomy = (Sound(), Latency(1.5, always_fine_ms=1e4, batch_always_fine_ms=1e4), Resources(load_fine_ms=1e4))
    asked = found(judged(dataclasses.replace(CASE, gates=roomy), tmp_path))
    assert {finding.outcome for finding in asked.values()} == {PASS}, [str(f) for f in asked.values()]
    for name in ("load", "file", "memory", "training"):
        assert "times the champion's" in asked[f"resources: {name}"].text
    assert asked["latency: one row p99"].counts == {"pairs": 300}
    assert asked["resources: memory"].value > 50, "libraries and all, in MB"


def test_a_fit_whose_note_is_gone_is_held_to_what_is_always_fine(tmp_path: Path) -> None:
    world = small.world_in(tmp_path)
    for day in small.days(5):
        small.deliver(tmp_path / "landing", day)
    small.run_day(CASE, small.days(5)[-1], world)
    head = world.ledger.entries("small")[-1]
    (tmp_path / "store" / "files" / "models" / "small" / f"{head.model}.json").unlink(missing_ok=True)
    for note in (tmp_path / "store").rglob(f"{head.model}.json"):
        note.unlink()
    small.deliver(tmp_path / "landing", small.days(6)[-1])
    timed = dataclasses.replace(CASE, gates=(Sound(), Resources(load_fine_ms=1e4)))
    small.run_day(timed, small.days(6)[-1], world)
    file = next(iter((tmp_path / "store").rglob(f"verdicts/small/{small.days(6)[-1]}/{'?' * 64}.json")))
    asked = found(Verdict.from_dict(json.loads(file.read_text())))
    assert asked["resources: training"].text.endswith("s (always fine: 60 s)")
    assert "times" not in asked["resources: training"].text


def test_the_champions_bytes_are_found_beside_a_damaged_file(tmp_path: Path) -> None:
    world = small.world_in(tmp_path)
    for day in small.days(5):
        small.deliver(tmp_path / "landing", day)
    small.run_day(CASE, small.days(5)[-1], world)
    head = world.ledger.entries("small")[-1]
    whole = champion_model.data(dataclasses.replace(CASE, name="other"), head, world)
    assert whole is None, "of another use case there is none"
    whole = champion_model.data(CASE, head, world)
    file = next(iter((tmp_path / "store").rglob(f"{head.sha256}.skops")))
    file.write_bytes(b"torn")
    assert champion_model.data(CASE, head, world) is None
    champion_model.load(CASE, head, world)
    assert champion_model.data(CASE, head, world) == whole


# The parts.


def test_a_frame_of_plain_values_has_the_days_own_types_and_gives_them_back() -> None:
    like = pd.DataFrame({"size": [1.5, np.nan], "shop": pd.Series(["north", None], dtype="str")})
    rows = [plain(like, 0), plain(like, 1)]
    assert rows == [{"size": 1.5, "shop": "north"}, {"size": None, "shop": None}]
    pd.testing.assert_frame_equal(frame_of(rows, like), like)
    with pytest.raises((TypeError, ValueError)):
        frame_of([{"size": "much", "shop": "north"}], like)


def test_the_number_that_a_golden_case_means_is_its_classs() -> None:
    class Several(Binary):
        classes = ("low", "high")

    plainly, of_high = golden()[0], golden(**{"class": "high"})[0]
    said = np.array([[0.2, 0.8]])
    assert golden_prediction(Several("late"), said, of_high).tolist() == [0.8]
    assert math.isnan(golden_prediction(Several("late"), said, plainly)[0])
    assert math.isnan(golden_prediction(Several("late"), said, golden(**{"class": "middle"})[0])[0])
    assert golden_prediction(Binary("late"), said[:, 0], plainly).tolist() == [0.2]
    assert math.isnan(golden_prediction(Binary("late"), said[:, 0], of_high)[0])


def test_an_estimator_that_does_not_say_what_it_takes_is_not_asked_twice() -> None:
    assert columns_of_model(object()) is None


def units(days: list[int], sizes: list[float], labels: list[float], keys: list[str]) -> Units:
    when = np.datetime64("2020-01-01") + np.array(days, dtype=np.int64)
    words = np.array([""] * len(days))
    frame = pd.DataFrame({"size": sizes, "shop": pd.Series(["north"] * len(days), dtype="str")})
    moments = np.datetime64("2020-01-01T00:00", "us") + np.array(days, dtype=np.int64) * np.timedelta64(1, "D")
    return Units(frame, np.array(labels, dtype=np.float64), words, when, moments, np.array(keys), words, {})


def test_what_two_days_share_is_counted_by_moment_and_by_content() -> None:
    learnt = units([1, 1, 2, 2], [1.0, 2.0, 1.0, math.nan], [0, 1, 0, 1], ["a", "b", "a", "b"])
    scored = units([3, 3, 3], [1.0, math.nan, 7.0], [0, 1, math.nan], ["a", "b", "c"])
    shared = shared_with_training(scored, learnt)
    assert (shared.units, shared.keys, shared.rows, shared.labelled) == (3, 0, 2, 2)
    assert shared.usual == ((2, 1), (2, 1)), "only the row that is on both days"
    again = dataclasses.replace(scored, predicted_at=scored.predicted_at - np.timedelta64(1, "D"))
    assert shared_with_training(again, learnt).keys == 2
    other = dataclasses.replace(scored, labels=1 - scored.labels)
    assert shared_with_training(other, learnt).rows == 0


def test_two_columns_that_change_places_are_another_row() -> None:
    one = units([1], [1.0], [0], ["a"])
    both = dataclasses.replace(one, inputs=pd.DataFrame({"x": [1.0], "y": [2.0]}))
    swapped = dataclasses.replace(one, inputs=pd.DataFrame({"x": [2.0], "y": [1.0]}))
    assert shared_with_training(swapped, both).rows == 0
    assert shared_with_training(both, both).rows == 1


def test_over_the_days_the_requests_look_at_all_parts_of_the_day() -> None:
    from pipeline.steps.judging.single_requests import _chosen

    n = 24
    many = units([1] * n, [0.0] * n, [0.0] * n, [str(i) for i in range(n)])
    hours = np.datetime64("2020-01-01T00:00", "us") + np.arange(n) * np.timedelta64(1, "h")
    many = dataclasses.replace(many, predicted_at=hours)
    chosen = [_chosen(many, date(2020, 1, 1) + timedelta(k), 2) for k in range(30)]
    assert all(len(rows) == 2 and rows[0] < 12 <= rows[1] for rows in chosen)
    assert {row for rows in chosen for row in rows} == set(range(n))


def test_a_day_without_units_has_no_request(tmp_path: Path) -> None:
    none = units([], [], [], [])
    assert audit_single_requests(CASE, {}, none, date(2020, 1, 1)).silent == "there is no unit on 2020-01-01 to look at"


def test_the_days_that_are_read_are_more_only_where_the_design_is_audited() -> None:
    from pipeline.steps.judging.measurements import days_read

    day = date(2020, 1, 9)
    assert days_read(CASE, day) == Days(date(2020, 1, 2), day)
    assert days_read(small.SMALL, day) == Days(day, day)
