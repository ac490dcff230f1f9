"""Features of the flights: the same wherever they are computed, only what was known, what a person would compute."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from demo.upstream import tables_for
from pipeline.adapters.engine.frames import lazy
from pipeline.adapters.engine.polars_engine import PolarsEngine
from pipeline.adapters.engine.serving import inputs_of_request
from pipeline.core.errors import UsageError
from pipeline.core.tables import Frame
from pipeline.core.usecase import Tables, Usecase
from pipeline.core.verdict import Outcome
from pipeline.core.windows import Days
from pipeline.steps.judging.point_in_time import SHOWN, audit, tables_as_of
from pipeline.steps.judging.single_requests import RequestAudit, audit_single_requests
from pipeline.usecases import find
from pipeline.usecases.nycflights.features import INPUTS
from tests.flights import LAST, flights, newest, units

CASE = find("flight_delay")
#: A day of snow in New York, with flights late by hours and many cancelled.
DAY = date(2013, 1, 31)


@cache
def tables(day: date = DAY) -> Tables:
    kept = flights()
    return PolarsEngine(kept).tables(CASE, newest(kept), Days(day, day))


@cache
def in_pandas() -> Any:
    """The features of the day, of the frames that a request is computed from, indexed by the unit's key."""
    made = CASE.features(tables()).collect().to_pandas()
    made = made[made["day"] == pd.Timestamp(DAY)]
    keys = made["carrier"] + " " + made["flight"].astype(str) + " " + made["origin"]
    return made.set_index(keys).sort_index()


def on_the_day() -> Any:
    found = units("flight_delay")
    return found.where(found.days == np.datetime64(DAY))


def test_the_frames_of_a_request_give_the_rows_of_the_days_table() -> None:
    told, made = on_the_day(), in_pandas()
    assert made.index.tolist() == told.keys.tolist()
    assert len(made) > 800
    for name in INPUTS:
        one, other = told.inputs[name].to_numpy(), made[name].to_numpy()
        same = (one == other) | (pd.isna(one) & pd.isna(other))
        assert same.all(), f"{name} differs in {(~same).sum()} rows"
    np.testing.assert_array_equal(told.labels, made["late"].to_numpy(dtype=float))


def test_every_input_says_something_on_some_flight() -> None:
    found = units("flight_delay").inputs
    assert tuple(found.columns) == INPUTS
    assert (found.nunique() > 1).all()


# What a person would compute, row by row, from the files.


@cache
def by_hand() -> Any:
    """All flights until the day, as delivered, with the moments that matter."""
    days = Days(date(2013, 1, 1), DAY)
    rows = pd.concat([tables_for(day)["flights"].to_pandas() for day in days], ignore_index=True)
    minute = pd.Timedelta(minutes=1)
    rows["scheduled"] = pd.to_datetime(rows["time_hour"]) + rows["minute"] * minute
    rows["predicted_at"] = rows["scheduled"] - pd.Timedelta(hours=2)
    rows["departed"] = rows["scheduled"] + rows["dep_delay"] * minute
    rows["arrived"] = rows["departed"] + rows["air_time"] * minute + pd.Timedelta(hours=4)
    return rows


def some_flights() -> list[Any]:
    rows = by_hand()
    today = rows[rows["day"] == DAY.isoformat()]
    return [row for _, row in today.iloc[:: len(today) // 25].iterrows()]


def key(row: Any) -> str:
    return f"{row['carrier']} {row['flight']} {row['origin']}"


def same(found: Any, wanted: float) -> bool:
    return bool((np.isnan(found) and np.isnan(wanted)) or found == pytest.approx(wanted, abs=1e-12))


def test_the_state_of_the_airport_is_the_mean_delay_of_what_departed_in_the_three_hours_before_the_prediction() -> None:
    rows, made = by_hand(), in_pandas()
    for flight in some_flights():
        now, before = flight["predicted_at"], flight["predicted_at"] - pd.Timedelta(hours=3)
        gone = rows[(rows["departed"] <= now) & (rows["departed"] > before)]
        here = gone[gone["origin"] == flight["origin"]]
        own = here[here["carrier"] == flight["carrier"]]
        there = gone[gone["dest"] == flight["dest"]]
        found = made.loc[key(flight)]
        assert same(found["origin_departures"], len(here))
        assert same(found["carrier_departures"], len(own))
        for name, part in (("origin_delay", here), ("carrier_delay", own), ("dest_delay", there)):
            assert same(found[name], part["dep_delay"].clip(-15, 180).mean()), (name, key(flight))


def test_habits_are_the_late_share_of_two_weeks_of_flights_known_on_the_evening_before() -> None:
    rows, made = by_hand(), in_pandas()
    evening = pd.Timestamp(DAY, tz="UTC")
    known = rows[(rows["arrived"] <= evening) & (rows["arrived"] > evening - pd.Timedelta(days=14))]
    habits = {
        "carrier_late": ("carrier",),
        "origin_late": ("origin",),
        "route_late": ("origin", "dest"),
        "flight_late": ("carrier", "flight"),
    }
    for flight in some_flights():
        for name, by in habits.items():
            like = known[np.all([known[column] == flight[column] for column in by], axis=0)]
            late = ((like["arr_delay"] >= 15).sum() + 2) / (len(like) + 10)
            assert same(made.loc[key(flight)][name], late), (name, key(flight))


def test_the_last_leg_is_the_aircrafts_last_departure_known_at_the_prediction() -> None:
    rows, made = by_hand(), in_pandas()
    found_one = 0
    for flight in some_flights():
        gone = rows[(rows["tailnum"] == flight["tailnum"]) & (rows["departed"] <= flight["predicted_at"])]
        last = gone.sort_values("departed").tail(1)
        hours = (flight["predicted_at"] - last["departed"]).dt.total_seconds() / 3600
        recent = last[(hours <= 72).to_numpy()]
        found_one += len(recent)
        found = made.loc[key(flight)]
        assert same(found["last_delay"], recent["dep_delay"].max())
        assert same(found["last_hours"], hours.max() if len(recent) else np.nan)
    assert found_one > 5


def test_the_weather_is_the_last_observation_that_was_an_hour_old() -> None:
    made = in_pandas()
    days = Days(DAY - timedelta(1), DAY)
    weather = pd.concat([tables_for(day)["weather"].to_pandas() for day in days], ignore_index=True)
    weather["hour"] = pd.to_datetime(weather["time_hour"])
    for flight in some_flights():
        known = weather[
            (weather["origin"] == flight["origin"])
            & (weather["hour"] + pd.Timedelta(hours=1) <= flight["predicted_at"])
        ]
        last = known.sort_values("hour").iloc[-1]
        found = made.loc[key(flight)]
        for name in ("temp", "wind_speed", "wind_gust", "precip", "pressure", "visib"):
            assert same(found[name], last[name]), (name, key(flight))
        assert same(found["dew_gap"], last["temp"] - last["dewp"])


def test_planes_and_airports_are_those_of_the_days_snapshot() -> None:
    made = in_pandas()
    snapshot = tables_for(DAY)
    planes = snapshot["planes"].to_pandas().set_index("tailnum")
    airports = snapshot["airports"].to_pandas().set_index("faa")
    for flight in some_flights():
        found = made.loc[key(flight)]
        has_plane = flight["tailnum"] in planes.index
        assert found["has_plane"] == has_plane
        assert found["known_plane"] == ("yes" if has_plane else "no")
        if has_plane:
            assert same(found["plane_age"], 2013 - planes.loc[flight["tailnum"], "year"])
            assert same(found["seats"], planes.loc[flight["tailnum"], "seats"])
        assert found["has_airport"] == (flight["dest"] in airports.index)
        if found["has_airport"]:
            assert same(found["altitude"], airports.loc[flight["dest"], "alt"])
            assert found["region"] == airports.loc[flight["dest"], "tzone"]


def test_makers_are_grouped_and_what_is_unknown_is_called_so() -> None:
    found = on_the_day().inputs
    groups = {"airbus", "boeing", "bombardier", "embraer", "mcdonnell", "other", "unknown"}
    assert set(found["manufacturer"]) == groups
    assert ((found["manufacturer"] == "unknown") == (found["has_plane"] == 0)).all()
    assert set(found["engine"]) == {"fan", "jet", "other", "unknown"}


def test_cancelled_and_diverted_flights_are_units_without_a_label_and_with_the_reason() -> None:
    rows = by_hand()
    today = rows[rows["day"] == DAY.isoformat()]
    found = on_the_day()
    cancelled, departed = today["dep_time"].isna(), today["arr_delay"].isna() & today["dep_time"].notna()
    assert len(found) == len(today)
    assert (found.unlabelled == "cancelled").sum() == cancelled.sum() > 0
    whole = units("flight_delay")
    assert (found.unlabelled == "diverted").sum() == departed.sum()
    assert (whole.unlabelled == "diverted").sum() > 0
    assert (np.isnan(found.labels) == (found.unlabelled != "")).all()


# Point in time.


def test_features_use_only_what_was_known_when_each_flight_was_predicted() -> None:
    found = audit(CASE, tables(), DAY, moments=5)
    assert found.outcome is Outcome.PASS, str(found)
    assert found.counts["units"] >= 5
    assert found.counts["moments"] == 5


def test_the_audit_says_unknown_where_there_is_nothing_to_look_at() -> None:
    assert audit(CASE, tables(), date(2013, 3, 1)).outcome is Outcome.UNKNOWN
    assert audit(CASE, tables(), DAY, moments=0).outcome is Outcome.UNKNOWN


def test_the_audit_names_three_leaks_and_counts_the_others() -> None:
    found = audit(leaking(knows_its_own_delay), tables(), DAY, moments=5)
    assert found.value is not None
    assert found.value > SHOWN
    assert found.text.count(";") == SHOWN - 1
    assert found.text.endswith(f", and {found.value - SHOWN:.0f} more")


def leaking(features: Callable[[Tables], Frame]) -> Usecase:
    return dataclasses.replace(CASE, features=features)


def knows_its_own_delay(tables: Tables) -> Frame:
    own = tables["flights"].select("day", "carrier", "flight", "origin", own="dep_delay")
    made = CASE.features(tables).join(own, on=["day", "carrier", "flight", "origin"], how="left")
    return made.with_columns(last_delay=nw.col("own"))


def sees_the_weather_at_once(tables: Tables) -> Frame:
    sooner = tables["weather"].with_columns(known_at=nw.col("time_hour"))
    return CASE.features({**tables, "weather": sooner})


def hears_of_departures_early(tables: Tables) -> Frame:
    sooner = tables["flights"].with_columns(departed_at=nw.col("departed_at") - timedelta(minutes=90))
    return CASE.features({**tables, "flights": sooner})


def counts_the_whole_day(tables: Tables) -> Frame:
    sooner = tables["flights"].with_columns(known_at=nw.col("day").cast(nw.Datetime("us")) - timedelta(hours=1))
    return CASE.features({**tables, "flights": sooner})


def drops_who_is_cancelled(tables: Tables) -> Frame:
    return CASE.features({**tables, "flights": tables["flights"].filter(~nw.col("dep_time").is_null())})


@pytest.mark.parametrize(
    "features",
    [
        knows_its_own_delay,
        sees_the_weather_at_once,
        hears_of_departures_early,
        counts_the_whole_day,
        drops_who_is_cancelled,
    ],
)
def test_a_planted_leak_fails_the_audit(features: Callable[[Tables], Frame]) -> None:
    found = audit(leaking(features), tables(), DAY, moments=3)
    assert found.outcome is Outcome.FAIL
    assert "not yet known" in found.text
    assert len(found.text) < 600


def alone(case: Usecase, requests: int = 4) -> Any:
    return audit_single_requests(case, tables(), on_the_day(), DAY, requests)


def test_a_flight_computed_as_one_request_has_the_inputs_of_the_days_table() -> None:
    found = alone(CASE)
    assert found == RequestAudit(requests=4, lived=4)


def test_a_service_computes_the_inputs_of_a_flight_as_the_day_had_them() -> None:
    """Of plain rows, as a service has them: without what is known later, the references without a day."""
    told = on_the_day()
    row = len(told) // 2
    moment = told.predicted_at[row].astype("datetime64[us]").item()
    held = {name: frame.collect().to_arrow() for name, frame in tables_as_of(CASE, tables(), moment, DAY).items()}
    flights = held["flights"].to_pylist()
    names = [f"{one['carrier']} {one['flight']} {one['origin']}" for one in flights]
    own = next(one for one, name in zip(flights, names, strict=True) if one["day"] == DAY and name == told.keys[row])
    outcomes = {column.name for column in CASE.feeds[0].columns if column.outcome}
    asked = {name: value for name, value in own.items() if name not in {*outcomes, "known_at", "departed_at"}}
    past = [one for one in flights if one["known_at"] or one["departed_at"]]
    references = {
        table.name: held[table.name].filter(pc.equal(held[table.name]["day"], DAY)).drop_columns(["day"])
        for table in CASE.references
    }
    given = {**held, **references, "flights": pa.Table.from_pylist([*past, asked])}
    found = inputs_of_request(CASE, given, DAY)
    mine = found.loc[[told.keys[row]]].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, told.inputs.iloc[[row]].reset_index(drop=True), rtol=1e-12)
    with pytest.raises(UsageError, match="a request of use case 'flight_delay' needs rows of weather"):
        inputs_of_request(CASE, {name: rows for name, rows in given.items() if name != "weather"}, DAY)


@pytest.mark.parametrize("features", [knows_its_own_delay, sees_the_weather_at_once, counts_the_whole_day])
def test_a_planted_leak_shows_in_a_request_too_and_is_told_for_what_it_is(
    features: Callable[[Tables], Frame],
) -> None:
    kept, case = flights(), leaking(features)
    told = PolarsEngine(kept).units(case, newest(kept), Days(DAY, DAY))
    found = audit_single_requests(case, tables(), told, DAY, 2)
    assert found.differs
    assert found.leaks


def counts_the_plan(tables: Tables) -> Frame:
    """How many flights the airport has on its plan that day: known ahead, but not to a request."""
    plan = tables["flights"].group_by("day", "origin").agg(_plan=nw.len())
    made = CASE.features(tables).join(plan, on=["day", "origin"], how="left")
    return made.with_columns(seats=nw.col("_plan").cast(nw.Float64))


def test_what_a_request_can_not_know_of_others_is_no_leak_but_differs() -> None:
    day_table = on_the_day()
    planned = dataclasses.replace(day_table, inputs=day_table.inputs.assign(seats=300.0))
    found = audit_single_requests(leaking(counts_the_plan), tables(), planned, DAY, 2)
    assert len(found.differs) == 2
    assert found.differs[0].startswith("seats of ")
    assert found.leaks == ()
    assert found.lived > 0


def test_the_delay_itself_is_seen_as_one_column_that_explains_nearly_everything() -> None:
    from pipeline.core.stats import explained_by_one_column

    gate = next(gate for gate in CASE.gates if gate.name == "no leak")
    found = units("flight_delay")
    rows = by_hand().sort_values(["day", "carrier", "flight", "origin"])
    late = dict(zip(rows["day"] + " " + rows.apply(key, axis=1), rows["dep_delay"], strict=True))
    own = np.array([late.get(f"{day} {name}", np.nan) for day, name in zip(found.days, found.keys, strict=True)])
    kind, known = CASE.kind, np.isfinite(found.labels)
    learnt, today = (
        known & (found.days < np.datetime64("2013-01-25")),
        known & (found.days == np.datetime64("2013-01-25")),
    )
    sides = [(own[part], found.labels[part]) for part in (learnt, today)]
    assert explained_by_one_column(*sides, kind.loss, kind.constant) > gate.one_column


def test_cut_takes_away_what_was_not_known_and_nothing_else() -> None:
    moment = datetime(2013, 1, 31, 17)
    whole = {name: frame.collect().to_pandas() for name, frame in tables(DAY + timedelta(1)).items()}
    known = {
        name: frame.collect().to_pandas()
        for name, frame in tables_as_of(CASE, tables(DAY + timedelta(1)), moment, DAY).items()
    }
    before, after = whole["flights"], known["flights"]
    assert set(before["day"].unique()) - set(after["day"].unique()) == {pd.Timestamp(DAY + timedelta(1))}
    both = before[before["day"] <= pd.Timestamp(DAY)].reset_index(drop=True)
    after = after.reset_index(drop=True)
    for column, clock in (("dep_delay", "departed_at"), ("dep_time", "departed_at"), ("arr_delay", "known_at")):
        hidden = ~(both[clock] <= moment)
        assert hidden.any()
        assert after.loc[hidden, column].isna().all()
        pd.testing.assert_series_equal(after.loc[~hidden, column], both.loc[~hidden, column], check_dtype=False)
    assert after["departed_at"].max() <= moment
    assert after["known_at"].max() <= moment
    pd.testing.assert_series_equal(after["tailnum"], both["tailnum"])
    assert known["weather"]["time_hour"].max() == pd.Timestamp("2013-01-31 16:00")
    assert known["planes"]["day"].max() == pd.Timestamp(DAY)
    assert whole["planes"]["day"].max() == pd.Timestamp(DAY + timedelta(1))


def test_no_arrival_is_taken_for_known_before_the_aircraft_was_at_its_gate() -> None:
    """For every flight of the year whose destination's time zone is known."""
    days = [date(2013, 1, 1) + timedelta(n) for n in range(365)]
    rows = pd.concat([tables_for(day)["flights"].to_pandas() for day in days], ignore_index=True)
    zones = tables_for(days[0])["airports"].to_pandas().set_index("faa")["tz"]
    rows["tz"] = rows["dest"].map(zones)
    rows = rows[rows["tz"].notna() & rows["arr_delay"].notna()]

    def clock(name: str) -> Any:
        return rows[name] // 100 * 60 + rows[name] % 100

    planned = (clock("sched_arr_time") - clock("sched_dep_time") - (rows["tz"] + 5) * 60) % 1440
    gate_to_gate = planned + rows["arr_delay"] - rows["dep_delay"]
    assert len(rows) > 319_000
    assert (gate_to_gate <= rows["air_time"] + 4 * 60).all()


def test_the_evening_before_precedes_every_prediction_of_the_year() -> None:
    days = [date(2013, 1, 1) + timedelta(n) for n in range(365)]
    for day in days:
        rows = tables_for(day)["flights"].to_pandas()
        first = (pd.to_datetime(rows["time_hour"]) + rows["minute"] * pd.Timedelta(minutes=1)).min()
        assert first - pd.Timedelta(hours=2) >= pd.Timestamp(day, tz="UTC")
    assert days[-1] > LAST


def test_of_two_departures_in_one_minute_the_worse_is_the_aircrafts_last() -> None:
    """A tail number is read wrongly now and then; what comes of it must not depend on the order of rows."""
    rows = tables()["flights"].collect().to_pandas()
    types = tables()["flights"].to_native().collect_schema()
    flight = in_pandas()["last_delay"].dropna().index[0]
    today = by_hand()[by_hand()["day"] == DAY.isoformat()]
    unit = today[today.apply(key, axis=1) == flight].iloc[0]
    mine = rows[(rows["tailnum"] == unit["tailnum"]) & (rows["departed_at"] <= unit["predicted_at"].tz_localize(None))]
    last = mine.sort_values("departed_at").tail(1)
    # Half an hour earlier on the plan, half an hour later: it left in the same minute.
    resampled = last.assign(
        flight=9999, dep_delay=last["dep_delay"] + 30, time_hour=last["time_hour"] - timedelta(minutes=30)
    )
    for both in ([rows, resampled], [resampled, rows]):
        mixed = lazy(pl.from_pandas(pd.concat(both, ignore_index=True), schema_overrides=types).lazy())
        made = CASE.features({**tables(), "flights": mixed}).collect().to_pandas()
        made = made[(made["day"] == pd.Timestamp(DAY)) & (made["flight"] == unit["flight"])]
        found = made[(made["carrier"] == unit["carrier"]) & (made["origin"] == unit["origin"])]
        assert found["last_delay"].tolist() == (last["dep_delay"] + 30).tolist()
