"""The published schema of a verdict describes real ones, every field of them, and refuses what is none."""

from __future__ import annotations

import copy
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pipeline.core.gates import EverySlice, Latency
from pipeline.core.ports import World
from pipeline.core.verdict import Contestant, Finding, Outcome, Part, Verdict
from pipeline.steps.recompute import newest_verdict
from pipeline.steps.register import verdict_file
from tests import small

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "verdict.schema.json").read_text())
CHECK = jsonschema.Draft202012Validator(SCHEMA)


def described(schema: Any, path: str = "") -> Iterator[str]:
    """Places of the schema that say nothing of themselves, or let anything more in."""
    if not isinstance(schema, dict):
        return
    if "type" in schema and "description" not in schema:
        yield f"{path} has no description"
    if schema.get("type") == "object" and "additionalProperties" not in schema:
        yield f"{path} lets anything in"
    for name, one in schema.items():
        if name in ("properties", "$defs"):
            for key, value in one.items():
                yield from described(value, f"{path}/{key}")
                if "description" not in value and "$ref" not in value:
                    yield f"{path}/{key} has no description"
        elif name in ("anyOf", "prefixItems"):
            for n, value in enumerate(one):
                yield from described(value, f"{path}/{name}{n}")
        elif isinstance(one, dict):
            yield from described(one, f"{path}/{name}")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the pipeline really writes: a start, days held, a promotion."""
    from pipeline.steps.judging import timing

    home = tmp_path_factory.mktemp("schema")
    usecase = dataclasses.replace(
        small.SMALL, gates=(*small.SMALL.gates, EverySlice(5.0, at_least=2), Latency(50.0, always_fine_ms=1000.0))
    )
    for day in small.days(8):
        small.deliver(home / "landing", day)
    world: World = small.world_in(home)
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "SINGLE", 2)
        patch.setattr(timing, "BATCH", 2)
        for day in small.days(8)[2:]:
            small.run_day(usecase, day, world)
            digest = newest_verdict(usecase, day.isoformat(), world)[0]
            made.append(json.loads(world.files.get(verdict_file("small", day.isoformat(), digest))))
    assert {one["decision"] for one in made} >= {"start", "hold"}
    return made


def samples() -> list[dict[str, Any]]:
    folder = str(ROOT / "tests" / "report")
    sys.path.insert(0, folder)
    try:
        import verdict_samples
    finally:
        sys.path.remove(folder)
    found = [verdict_samples.sample(units=1000), verdict_samples.sample(units=1000, worse=True)]
    return [one[1].to_dict() for one in (*found, verdict_samples.regression(units=1000))]


def test_the_schema_is_one_and_describes_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert not list(described(SCHEMA))
    # Where there is nothing to say, so that verdicts of before it was asked keep their digests.
    left_out: dict[type, set[str]] = {Verdict: {"alarms"}, Finding: {"parts"}}
    for kind, place in (
        (Verdict, SCHEMA),
        (Finding, SCHEMA["$defs"]["finding"]),
        (Part, SCHEMA["$defs"]["part"]),
        (Contestant, SCHEMA["$defs"]["contestant"]),
    ):
        keys = getattr(kind, "KEYS", {})
        names = {keys.get(field.name, field.name) for field in dataclasses.fields(kind)}
        assert set(place["properties"]) == names
        assert set(place["required"]) == names - left_out.get(kind, set())


def test_real_verdicts_keep_to_it(verdicts: list[dict[str, Any]]) -> None:
    for verdict in (*verdicts, *samples()):
        errors = [f"{error.json_path}: {error.message}" for error in CHECK.iter_errors(verdict)]
        assert not errors, errors[:3]


def test_an_alarm_about_the_champion_keeps_to_it(verdicts: list[dict[str, Any]]) -> None:
    alarm = Finding(
        "champion as ever", Outcome.FAIL, "the champion lost 2", value=1.5, about="version 3", required=False
    )
    assert CHECK.is_valid({**verdicts[-1], "alarms": [alarm.to_dict()]})
    told = dataclasses.replace(
        alarm, parts=(Part("'visits' are unlike the week before", "visits"), Part("so is the rest"))
    )
    assert CHECK.is_valid({**verdicts[-1], "alarms": [told.to_dict()]})
    unknown = told.to_dict()
    unknown["parts"][0]["since"] = "Monday"
    assert not CHECK.is_valid({**verdicts[-1], "alarms": [unknown]})


WRONG: dict[str, Any] = {
    "a decision that is none": lambda v: v.update(decision="ship"),
    "an outcome that is none": lambda v: v.update(outcome="MAYBE"),
    "a field too many": lambda v: v.update(mood="fine"),
    "a day that is none": lambda v: v.update(day="8 March"),
    "no epoch": lambda v: v.pop("epoch"),
    "a version as text": lambda v: v["champion"].update(version="3"),
    "a contestant with more": lambda v: v["champion"].update(colour="red"),
    "a finding without its outcome": lambda v: _finding(v).pop("outcome"),
    "a finding with a field too many": lambda v: _finding(v).update(note=""),
    "a value as text": lambda v: _finding(v).update(value="0.4"),
    "a range of three": lambda v: _finding(v).update(wanted=[0, 1, 2]),
    "less than none": lambda v: v["counts"].update(units=-1),
    "an interval of one": lambda v: v["intervals"].update(champion=[0.1]),
    "a fit that is half there": lambda v: v["fits"].update(forest={"rows": 3}),
    "a digest that is none": lambda v: v.update(measured="abc"),
    "no alarm at all": lambda v: v.update(alarms=[]),
    "an alarm in words": lambda v: v.update(alarms=["the champion is off"]),
}


def _finding(verdict: dict[str, Any]) -> dict[str, Any]:
    return next(iter(verdict["findings"].values()))[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_planted_wrong_verdict_is_refused(verdicts: list[dict[str, Any]], wrong: str) -> None:
    verdict = copy.deepcopy(verdicts[-1])
    assert CHECK.is_valid(verdict)
    WRONG[wrong](verdict)
    assert not CHECK.is_valid(verdict)
