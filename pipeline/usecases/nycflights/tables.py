"""The tables of the flights from New York: two feeds, three reference tables, each with what must hold of it."""

from __future__ import annotations

from pipeline.core.tables import Column, Feed, Reference
from pipeline.core.verdict import Bound
from pipeline.usecases.nycflights.features import flights_known_at, weather_known_at

FLIGHTS = Feed(
    name="flights",
    path="flights/{day}.csv.gz",
    columns=(
        Column("day", "date"),
        Column("carrier", "string", varies=True),
        Column("flight", "integer", varies=True),
        # Some cancelled flights never had an aircraft.
        Column("tailnum", "string", empty=True, varies=True),
        Column("origin", "string", varies=True),
        Column("dest", "string", varies=True),
        Column("sched_dep_time", "integer", varies=True),
        Column("sched_arr_time", "integer", varies=True),
        Column("time_hour", "timestamp", varies=True),
        Column("hour", "integer", varies=True),
        Column("minute", "integer", varies=True),
        Column("distance", "integer", varies=True),
        # A departure is known when the aircraft leaves, everything else once it has arrived.
        Column("dep_time", "integer", empty=True, outcome=True, known="departed_at", varies=True),
        Column("dep_delay", "integer", empty=True, outcome=True, known="departed_at", varies=True),
        Column("arr_time", "integer", empty=True, outcome=True, varies=True),
        Column("arr_delay", "integer", empty=True, outcome=True, varies=True),
        Column("air_time", "integer", empty=True, outcome=True, varies=True),
    ),
    key=("day", "carrier", "flight", "origin"),
    day="day",
    time="time_hour",
    known_at=flights_known_at,
    # Thanksgiving has two thirds of a usual Thursday, the Saturday after it a fifth more than a usual one.
    rows=Bound(0.5, 1.5),
    manifest=True,
)

WEATHER = Feed(
    name="weather",
    path="weather/{day}.csv.gz",
    columns=(
        Column("day", "date"),
        Column("origin", "string", varies=True),
        Column("time_hour", "timestamp", varies=True),
        Column("temp", "number", empty=True, outcome=True, step=0.02, varies=True),
        Column("dewp", "number", empty=True, outcome=True, step=0.02, varies=True),
        Column("humid", "number", empty=True, outcome=True, varies=True),
        Column("wind_dir", "number", empty=True, outcome=True, step=10, varies=True),
        Column("wind_speed", "number", empty=True, outcome=True, step=1.15078, varies=True),
        Column("wind_gust", "number", empty=True, outcome=True, step=1.15078),
        Column("precip", "number", empty=True, outcome=True, step=0.01),
        Column("pressure", "number", empty=True, outcome=True, step=0.1, varies=True),
        Column("visib", "number", empty=True, outcome=True),
    ),
    key=("origin", "time_hour"),
    day="day",
    time="time_hour",
    known_at=weather_known_at,
    rows=Bound(0.75, 1.25),
    manifest=True,
)

PLANES = Reference(
    name="planes",
    path="planes/{day}.csv.gz",
    columns=(
        Column("tailnum", "string", varies=True),
        Column("year", "integer", empty=True, varies=True),
        Column("type", "string", varies=True),
        Column("manufacturer", "string", varies=True),
        Column("model", "string", varies=True),
        Column("engines", "integer", varies=True),
        Column("seats", "integer", varies=True),
        Column("speed", "integer", empty=True),
        Column("engine", "string", varies=True),
        Column("refreshed", "date"),
    ),
    key=("tailnum",),
    refreshed="refreshed",
    # Refreshed every night; one missed night is forgiven.
    max_age=1,
    # In July nothing new came for seven days.
    max_unchanged=10,
    joined_by=("flights", ("tailnum",)),
    # American and Envoy report fleet numbers instead of tail numbers: one flight in six never finds its aircraft.
    matched=Bound(0.75, 1.0),
    manifest=True,
)

AIRPORTS = Reference(
    name="airports",
    path="airports/{day}.csv.gz",
    columns=(
        Column("faa", "string", varies=True),
        Column("name", "string", varies=True),
        Column("lat", "number", varies=True),
        Column("lon", "number", varies=True),
        Column("alt", "integer", varies=True),
        Column("tz", "integer", varies=True),
        Column("dst", "string", varies=True),
        Column("tzone", "string", empty=True, varies=True),
        Column("refreshed", "date"),
    ),
    key=("faa",),
    refreshed="refreshed",
    max_age=7,
    max_unchanged=None,
    joined_by=("flights", ("dest",)),
    # San Juan and three other destinations in the Caribbean are not in it.
    matched=Bound(0.95, 1.0),
    matched_drop=0.02,
    manifest=True,
)

AIRLINES = Reference(
    name="airlines",
    path="airlines/{day}.csv.gz",
    columns=(
        Column("carrier", "string", varies=True),
        Column("name", "string", varies=True),
        Column("refreshed", "date"),
    ),
    key=("carrier",),
    refreshed="refreshed",
    max_age=7,
    max_unchanged=None,
    joined_by=("flights", ("carrier",)),
    matched=Bound(1.0, 1.0),
    matched_drop=0.0,
    manifest=True,
)
