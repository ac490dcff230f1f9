"""What must agree in the flights and the weather of New York: identities that no sound row of 2013 breaks."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from pipeline.core.facts import Columns, Fact, Fixed

_LOCAL = ZoneInfo("America/New_York")
_DAY = 24 * 60

Bools = NDArray[np.bool_]


def _present(columns: Columns, *names: str) -> Bools:
    return np.asarray(np.all([np.isfinite(columns[name]) for name in names], axis=0), dtype=np.bool_)


def _clock(times: NDArray[Any]) -> NDArray[Any]:
    """Minutes since midnight of a time written as 1745."""
    return np.asarray(times // 100 * 60 + times % 100)


def _adds_up(columns: Columns, scheduled: str, delay: str, actual: str) -> Bools:
    known = _present(columns, scheduled, delay, actual)
    late = _clock(columns[scheduled]) + columns[delay] - _clock(columns[actual])
    return np.asarray(late[known] % _DAY == 0)


def _departure_adds_up(columns: Columns) -> Bools:
    return _adds_up(columns, "sched_dep_time", "dep_delay", "dep_time")


def _arrival_adds_up(columns: Columns) -> Bools:
    return _adds_up(columns, "sched_arr_time", "arr_delay", "arr_time")


def _hour_and_minute(columns: Columns) -> Bools:
    return np.asarray(100 * columns["hour"] + columns["minute"] == columns["sched_dep_time"])


@cache
def _utc(hour: np.datetime64) -> np.datetime64:
    naive: datetime = hour.astype("datetime64[s]").astype(object)
    return np.datetime64(naive.replace(tzinfo=_LOCAL).astimezone(UTC).replace(tzinfo=None), "us")


@cache
def _local_day(moment: np.datetime64) -> np.datetime64:
    naive: datetime = moment.astype("datetime64[s]").astype(object)
    return np.datetime64(naive.replace(tzinfo=UTC).astimezone(_LOCAL).date(), "D")


def _hour_is_local(columns: Columns) -> Bools:
    known = _present(columns, "hour")
    local = columns["day"][known] + (columns["hour"][known] * 60).astype("timedelta64[m]")
    utc = [_utc(moment) for moment in local.astype("datetime64[s]")]
    return np.asarray(np.array(utc, dtype="datetime64[us]") == columns["time_hour"][known], dtype=np.bool_)


def _day_is_local(columns: Columns) -> Bools:
    days = [_local_day(moment) for moment in columns["time_hour"]]
    return np.asarray(np.array(days, dtype="datetime64[D]") == columns["day"], dtype=np.bool_)


def _outcomes_follow(columns: Columns) -> Bools:
    """Nothing arrives that did not depart, and no flight has a delay on arrival without having arrived."""
    departed, delay = np.isfinite(columns["dep_time"]), np.isfinite(columns["dep_delay"])
    landed, late = np.isfinite(columns["arr_time"]), np.isfinite(columns["arr_delay"])
    flown = np.isfinite(columns["air_time"])
    return np.asarray((departed == delay) & (late == flown) & (landed | ~late) & (departed | ~landed))


def _departed_has_tail(columns: Columns) -> Bools:
    departed = np.isfinite(columns["dep_time"])
    return np.array([tail is not None for tail in columns["tailnum"][departed]], dtype=np.bool_)


def _departed_arrives(columns: Columns) -> Bools:
    return np.isfinite(columns["arr_delay"][np.isfinite(columns["dep_time"])])


def _goes_somewhere(columns: Columns) -> Bools:
    return np.asarray(columns["origin"] != columns["dest"], dtype=np.bool_)


def _speed(columns: Columns) -> Bools:
    known = _present(columns, "distance", "air_time")
    speed = columns["distance"][known] / (columns["air_time"][known] / 60)
    return np.asarray((speed > 60) & (speed < 750), dtype=np.bool_)


def _vapour(fahrenheit: NDArray[Any]) -> NDArray[Any]:
    celsius = (fahrenheit - 32) / 1.8
    return np.exp(17.625 * celsius / (243.04 + celsius))


def _humidity(columns: Columns) -> Bools:
    """Relative humidity by August, Roche and Magnus; the file's own values are within 0.04 points in 9 rows of 10."""
    known = _present(columns, "temp", "dewp", "humid")
    computed = 100 * _vapour(columns["dewp"][known]) / _vapour(columns["temp"][known])
    return np.asarray(np.abs(computed - columns["humid"][known]) < 3, dtype=np.bool_)


def _wet_air_rains(columns: Columns) -> Bools:
    """One truth for the whole day, and none on a day with few hours of saturated air and poor visibility."""
    known = _present(columns, "humid", "visib", "precip")
    wet = (columns["humid"][known] >= 95) & (columns["visib"][known] <= 3)
    return np.array([bool(np.any(columns["precip"][known] > 0))] if np.sum(wet) >= 12 else [], dtype=np.bool_)


FACTS: tuple[Fact | Fixed, ...] = (
    Fact(
        "departure = schedule + delay",
        "flights",
        _departure_adds_up,
        "the delay has another unit or sign, or the times belong to another flight",
    ),
    Fact(
        "arrival = schedule + delay",
        "flights",
        _arrival_adds_up,
        "the label has another unit or sign, or was filled in",
    ),
    Fact("hour and minute", "flights", _hour_and_minute, "'hour' and 'minute' are not those of 'sched_dep_time'"),
    Fact("local time and UTC", "flights", _hour_is_local, "'time_hour' is not the hour of departure in UTC"),
    Fact(
        "outcomes follow",
        "flights",
        _outcomes_follow,
        "flights have a delay without having flown, so cancelled ones pass for punctual",
    ),
    Fact("departed with an aircraft", "flights", _departed_has_tail, "'tailnum' is blank for flights that flew"),
    Fact(
        "departed and arrived",
        "flights",
        _departed_arrives,
        "the arrivals are missing: the labels of flights that flew are gone",
        share=0.9,
    ),
    Fact("goes somewhere", "flights", _goes_somewhere, "'origin' and 'dest' are the same airport"),
    Fact("speed", "flights", _speed, "'distance' or 'air_time' has another unit", share=0.99),
    Fixed(
        "distance of a route",
        "flights",
        ("origin", "dest"),
        "distance",
        "'distance' has another unit, or 'origin' and 'dest' were exchanged",
    ),
    Fact("local day and UTC", "weather", _day_is_local, "'time_hour' is not UTC, or the rows are another day's"),
    Fact(
        "humidity of temperature and dew point",
        "weather",
        _humidity,
        "'temp' or 'dewp' is not in degrees Fahrenheit, or 'humid' is of another hour",
        share=0.5,
    ),
    Fact("saturated air rains", "weather", _wet_air_rains, "'precip' is zero on a day of rain or fog that wets"),
)
