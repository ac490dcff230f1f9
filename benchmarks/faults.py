"""Silent faults of an upstream: each replaces some tables of a day, from its first day on, and no file looks broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demo.upstream import LOCAL, tables_for
from pipeline.usecases import ALL
from tests import fakes

Day = dict[str, pa.Table]


def clean(day: date) -> Day:
    """All tables of a day, typed."""
    rows = tables_for(day)
    return {table.name: fakes.typed(table, rows[table.name]) for table in ALL[0].tables if table.name in rows}


def put(table: pa.Table, **columns: Any) -> pa.Table:
    """The table with these columns replaced."""
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
        table = table.set_column(at, name, array.cast(table.schema.field(at).type))
    return table


def number(table: pa.Table, name: str) -> Any:
    """A numeric column as floats with NaN."""
    return table[name].cast(pa.float64()).to_numpy()


def scaled(table: str, *names: str, by: float, plus: float = 0.0, digits: int = 2) -> Plant:
    """Plant another unit."""

    def plant(tables: Day, _: date, __: date) -> Day:
        new = {name: np.round(number(tables[table], name) * by + plus, digits) for name in names}
        return {table: put(tables[table], **new)}

    return plant


def celsius(tables: Day, _: date, __: date) -> Day:
    """Exactly as a station would say it: tenths of degrees."""
    new = {name: np.round((number(tables["weather"], name) - 32) / 1.8, 1) for name in ("temp", "dewp")}
    return {"weather": put(tables["weather"], **new)}


def refreshed(table: pa.Table, day: date) -> pa.Table:
    """A reference behind another date."""
    return put(table, refreshed=pa.array([day] * len(table), pa.date32()))


def frozen_planes(_: Day, day: date, first: date) -> Day:
    """The content of the day before, behind a date that moves on."""
    return {"planes": refreshed(clean(first - timedelta(1))["planes"], day)}


def half_frozen_planes(_: Day, day: date, first: date) -> Day:
    """No new row, but an old one is touched every day, so the content is never twice the same."""
    planes = clean(first - timedelta(1))["planes"]
    seats = number(planes, "seats").copy()
    seats[day.toordinal() % len(seats)] += 1
    return {"planes": refreshed(put(planes, seats=seats), day)}


def stale_planes(_: Day, __: date, first: date) -> Day:
    """The file of the day before the first, again and again, its old date in it."""
    return {"planes": clean(first - timedelta(1))["planes"]}


def shrunk_planes(tables: Day, _: date, __: date) -> Day:
    """Every twentieth row is gone."""
    planes = tables["planes"]
    return {"planes": planes.filter(pa.array(np.arange(len(planes)) % 20 != 0))}


def lost_airports(tables: Day, _: date, __: date) -> Day:
    """Two destinations in daily use are gone from 1,458 airports."""
    airports = tables["airports"]
    return {"airports": airports.filter(pc.invert(pc.is_in(airports["faa"], pa.array(["DEN", "BNA"]))))}


def other_airlines(tables: Day, _: date, __: date) -> Day:
    """Another system's list: the same codes, other names."""
    airlines = tables["airlines"]
    return {"airlines": put(airlines, name=pa.array(airlines["name"].to_pylist()[::-1]))}


def misaligned_planes(tables: Day, _: date, __: date) -> Day:
    """A sort that forgot some columns: each aircraft has its neighbour's attributes."""
    planes = tables["planes"]
    new = {name: pa.array(np.roll(planes[name].to_pylist(), 1).tolist()) for name in ("model", "seats")}
    return {"planes": put(planes, **new)}


def doubled_planes(tables: Day, _: date, __: date) -> Day:
    """Ten aircraft stand twice."""
    return {"planes": pa.concat_tables([tables["planes"], tables["planes"].slice(100, 10)])}


def keys(how: Callable[[Any], Any]) -> Plant:
    """Plant reformatted registrations."""
    return lambda tables, _, __: {"planes": put(tables["planes"], tailnum=how(tables["planes"]["tailnum"]))}


def resent(name: str) -> Plant:
    """Plant yesterday's rows under today's date."""

    def plant(_: Day, day: date, __: date) -> Day:
        old = clean(day - timedelta(1))[name]
        later = pc.add(old["time_hour"], pa.scalar(timedelta(1)))
        return {name: put(old, day=pa.array([day] * len(old), pa.date32()), time_hour=later)}

    return plant


def without(table: str, gone: Callable[[pa.Table], Any]) -> Plant:
    """Plant missing rows."""
    return lambda tables, _, __: {table: tables[table].filter(pc.invert(gone(tables[table])))}


def frozen_hours(tables: Day, _: date, __: date) -> Day:
    """The stations repeat what they said at noon for the rest of the day."""
    weather = tables["weather"].sort_by([("time_hour", "ascending"), ("origin", "ascending")])
    where = np.arange(len(weather))
    noon = len(weather) // 2 // 3 * 3
    where[noon:] = noon + (where[noon:] - noon) % 3
    copied = [name for name in weather.column_names if name not in ("day", "origin", "time_hour")]
    return {"weather": put(weather, **{name: weather[name].take(pa.array(where)) for name in copied})}


def shifted(table: str, hours: int) -> Plant:
    """Plant a clock that is wrong by some hours."""
    return lambda tables, _, __: {
        table: put(tables[table], time_hour=pc.add(tables[table]["time_hour"], pa.scalar(timedelta(hours=hours))))
    }


def local(table: str) -> Plant:
    """Plant local time that says it is UTC."""

    def plant(tables: Day, _: date, __: date) -> Day:
        there = pc.local_timestamp(tables[table]["time_hour"].cast(pa.timestamp("us", LOCAL.key)))
        return {table: put(tables[table], time_hour=pc.assume_timezone(there, "UTC"))}

    return plant


def delays(how: Callable[[Any], Any], *names: str) -> Plant:
    """Plant other delays."""
    return lambda tables, _, __: {
        "flights": put(tables["flights"], **{name: how(number(tables["flights"], name)) for name in names})
    }


def label(how: Callable[[Day, Any], Any]) -> Plant:
    """Plant another label."""
    return lambda tables, _, __: {
        "flights": put(tables["flights"], arr_delay=how(tables, number(tables["flights"], "arr_delay")))
    }


def swapped(table: str, one: str, other: str) -> Plant:
    """Plant two exchanged columns."""
    return lambda tables, _, __: {table: put(tables[table], **{one: tables[table][other], other: tables[table][one]})}


def blank_tails(tables: Day, _: date, __: date) -> Day:
    """One carrier sends no registrations any more."""
    flights = tables["flights"]
    none = pa.scalar(None, pa.string())
    return {"flights": put(flights, tailnum=pc.if_else(pc.equal(flights["carrier"], "DL"), none, flights["tailnum"]))}


def shuffled_tails(tables: Day, day: date, _: date) -> Day:
    """Each flight has another flight's aircraft."""
    tails = np.array(tables["flights"]["tailnum"].to_pylist(), dtype=object)
    there = np.array([tail is not None for tail in tails])
    tails[there] = np.random.default_rng(day.toordinal()).permutation(tails[there])
    return {"flights": put(tables["flights"], tailnum=pa.array(tails.tolist()))}


def dry(tables: Day, _: date, __: date) -> Day:
    """The rain gauge is broken."""
    return {"weather": put(tables["weather"], precip=np.zeros(len(tables["weather"])))}


def _departed(tables: Day) -> Any:
    return np.isfinite(number(tables["flights"], "dep_time"))


def _of(column: str, value: str) -> Callable[[pa.Table], Any]:
    return lambda rows: pc.equal(rows[column], value)


#: The tables of a day, the day, the fault's first day: the tables that it replaces.
Plant = Callable[[Day, date, date], Mapping[str, pa.Table]]

FAULTS: Mapping[str, Plant] = {
    "stale_planes": stale_planes,
    "frozen_planes": frozen_planes,
    "half_frozen_planes": half_frozen_planes,
    "shrunk_planes": shrunk_planes,
    "misaligned_planes": misaligned_planes,
    "doubled_planes": doubled_planes,
    "lower_case_keys": keys(pc.utf8_lower),
    "padded_keys": keys(lambda tails: pc.utf8_rpad(tails, 8, " ")),
    "keys_without_n": keys(lambda tails: pc.utf8_slice_codeunits(tails, 1)),
    "lost_airports": lost_airports,
    "other_airlines": other_airlines,
    "flights_sent_before": resent("flights"),
    "half_the_day_missing": without("flights", lambda rows: pc.greater_equal(rows["hour"], 14)),
    "one_origin_missing": without("flights", _of("origin", "LGA")),
    "one_carrier_missing": without("flights", _of("carrier", "WN")),
    "one_flight_in_ten_missing": without("flights", lambda rows: pa.array(np.arange(len(rows)) % 10 == 0)),
    "weather_sent_before": resent("weather"),
    "weather_frozen_from_noon": frozen_hours,
    "one_station_missing": without("weather", _of("origin", "JFK")),
    "celsius": celsius,
    "wind_in_knots": scaled("weather", "wind_speed", "wind_gust", by=1 / 1.15078, digits=0),
    "wind_in_km_h": scaled("weather", "wind_speed", "wind_gust", by=1.609344, digits=4),
    "pressure_in_inches": scaled("weather", "pressure", by=0.02953),
    "visibility_in_km": scaled("weather", "visib", by=1.609344),
    "precipitation_in_mm": scaled("weather", "precip", by=25.4, digits=1),
    "precipitation_zeroed": dry,
    "dew_point_for_temperature": swapped("weather", "temp", "dewp"),
    "weather_an_hour_late": shifted("weather", 1),
    "weather_in_local_time": local("weather"),
    "flights_three_hours_late": shifted("flights", 3),
    "flights_in_local_time": local("flights"),
    "distance_in_km": scaled("flights", "distance", by=1.609344, digits=0),
    "origin_for_destination": swapped("flights", "origin", "dest"),
    "tail_numbers_blank_for_one": blank_tails,
    "tail_numbers_shuffled": shuffled_tails,
    "delays_in_seconds": delays(lambda values: values * 60, "dep_delay", "arr_delay"),
    "delays_in_hours": delays(lambda values: np.round(values / 60), "dep_delay", "arr_delay"),
    "label_sign_flipped": label(lambda _, values: -values),
    "label_rectified": label(lambda _, values: np.maximum(values, 0)),
    "label_zero": label(lambda tables, values: np.where(_departed(tables), 0, values)),
    "label_is_departure_delay": label(lambda tables, values: number(tables["flights"], "dep_delay")),
    "cancelled_called_punctual": label(lambda _, values: np.nan_to_num(values)),
    "labels_missing_for_one": label(
        lambda tables, values: np.where(tables["flights"]["carrier"].to_numpy() == "UA", np.nan, values)
    ),
}
