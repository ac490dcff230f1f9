"""Tables of flights to one row per scheduled flight, with what was known two hours before its departure.

One function, unchanged, for a training window, a day and one request. Everything that is summed is a whole number, so a
sum is exact: the same in every order, from whatever day it began.
Timestamps are UTC without a zone, as the engine hands them over.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import narwhals as nw

from pipeline.core.tables import Frame
from pipeline.core.usecase import Tables

#: How long before the scheduled departure a prediction is made.
AHEAD = timedelta(hours=2)
#: From how many minutes on an arrival counts as late.
LATE = 15
#: The recent past: habits (who tends to be late) and the state of the airports now.
HABIT, NOW = timedelta(days=14), timedelta(hours=3)
#: A habit of few flights is held to what is usual: as if 10 more had flown, 2 of them late.
USUAL, USUAL_LATE = 10, 2
#: What is older than this says nothing: an observation of the weather, an aircraft's last departure.
OLD_WEATHER, OLD_LEG = timedelta(hours=6), timedelta(days=3)

#: What reaches an estimator: words, then numbers.
WORDS = ("carrier", "origin", "dest", "region", "manufacturer", "engine", "carrier_hour")
NUMBERS = (
    *("minute_of_day", "weekday", "distance", "planned_minutes"),
    *("has_plane", "plane_age", "seats", "has_airport", "altitude"),
    *("temp", "dew_gap", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
    *("carrier_late", "route_late", "flight_late", "origin_late"),
    *("origin_delay", "origin_departures", "carrier_delay", "carrier_departures", "dest_delay"),
    *("last_delay", "last_hours"),
)
INPUTS = (*WORDS, *NUMBERS)

_MINUTE = timedelta(minutes=1)

Expression = nw.Expr
Words = Mapping[str, str]


def _minutes(column: str) -> nw.Expr:
    return nw.lit(_MINUTE) * nw.col(column)


def flights_known_at(flights: Frame) -> Frame:
    """Add ``departed_at``, when a departure is known, and ``known_at``, when the whole row is.

    The file does not say when a flight reached its gate; four hours for both taxis on top of the time in the air are
    more than any of them took. That a flight never arrived is known at noon UTC of the next day, when its day has
    closed everywhere in America; of one that departed, a day later at the earliest.
    """
    departed = nw.col("time_hour") + _minutes("minute") + _minutes("dep_delay")
    arrived = departed + _minutes("air_time") + timedelta(hours=4)
    closed = nw.col("day").cast(nw.Datetime("us")) + timedelta(hours=36)
    never = nw.when(nw.col("dep_delay").is_null()).then(closed).otherwise(closed + timedelta(days=2))
    return flights.with_columns(
        departed_at=departed,
        known_at=nw.when(~nw.col("air_time").is_null()).then(arrived).otherwise(never),
    )


def weather_known_at(weather: Frame) -> Frame:
    """Add ``known_at``: an observed hour of weather is known an hour later."""
    return weather.with_columns(known_at=nw.col("time_hour") + timedelta(hours=1))


def _latest(moments: Frame, events: Frame, by: tuple[str, ...], at: str, when: Expression, columns: Words) -> Frame:
    """Join the last event at or before each moment, renaming its ``columns`` (theirs to ours)."""
    right = events.select(*by, nw.col(at).alias("_at"), *(nw.col(a).alias(b) for a, b in columns.items()))
    left = moments.with_columns(_when=when)
    joined = left.join_asof(right, left_on="_when", right_on="_at", by=list(by), strategy="backward")
    return joined.select(*moments.collect_schema().names(), *columns.values())


def _within(
    flights: Frame, events: Frame, by: tuple[str, ...], at: str, span: timedelta, end: str, sums: Words
) -> Frame:
    """Sum the events' columns (whole numbers; theirs to ours) over the ``span`` to each ``end``: a row per key and end.

    A sum over a span is the difference of two running totals, both found by one join. Nothing in it depends on where
    the history begins, as long as it reaches back over the span.
    """
    totals = events.group_by(*by, at).agg(*(nw.col(a).sum().alias(b) for a, b in sums.items()))
    ours = nw.col(*sums.values())
    running = totals.with_columns(ours.cum_sum().over(*by, order_by=at))
    ends = flights.select(*by, end).unique()
    edges = ends.with_columns(_edge=nw.col(end), _sign=nw.lit(1))
    starts = ends.with_columns(_edge=nw.col(end) - span, _sign=nw.lit(-1))
    found = _latest(
        nw.concat([edges, starts]), running, by, at, nw.col("_edge"), {name: name for name in sums.values()}
    )
    return found.with_columns(ours.fill_null(0) * nw.col("_sign")).group_by(*by, end).agg(ours.sum())


def _habit(flights: Frame, arrivals: Frame, by: tuple[str, ...], name: str) -> Frame:
    """The share of late arrivals among those of the last two weeks that were known on the evening before."""
    sums = {"is_late": "_late", "one": "_all"}
    habit = _within(flights, arrivals, by, "known_at", HABIT, "evening", sums)
    share = (nw.col("_late") + USUAL_LATE) / (nw.col("_all") + USUAL)
    return habit.select(*by, "evening", share.alias(name))


def _now(flights: Frame, departures: Frame, by: tuple[str, ...], name: str) -> Frame:
    """The number of departures in the last hours (``<name>_departures``) and their mean delay (``<name>_delay``)."""
    count = f"{name}_departures"
    now = _within(flights, departures, by, "departed_at", NOW, "predicted_at", {"delay": "_delay", "one": count})
    mean = nw.when(nw.col(count) > 0).then(nw.col("_delay") / nw.col(count))
    return now.select(*by, "predicted_at", count, mean.alias(f"{name}_delay"))


def _group(column: str, groups: Mapping[str, str]) -> nw.Expr:
    """The first group whose word is in the column; "other" where none is, "unknown" where there is no value."""
    text = nw.col(column).fill_null("unknown")
    group = nw.when(text == "unknown").then(nw.lit("unknown")).otherwise(nw.lit("other"))
    for word, name in groups.items():
        group = nw.when(text.str.contains(word, literal=True)).then(nw.lit(name)).otherwise(group)
    return group


def _planes(planes: Frame) -> Frame:
    makers = {"BOEING": "boeing", "AIRBUS": "airbus", "EMBRAER": "embraer", "BOMBARDIER": "bombardier"}
    return planes.select(
        "day",
        "tailnum",
        "seats",
        plane_year=nw.col("year"),
        plane_maker=_group("manufacturer", {**makers, "CANADAIR": "bombardier", "MCDONNELL": "mcdonnell"}),
        plane_engine=_group("engine", {"Turbo-fan": "fan", "Turbo-jet": "jet"}),
        has_plane=nw.lit(1),
    )


def _airports(airports: Frame) -> Frame:
    return airports.select("day", dest="faa", altitude="alt", region="tzone", dest_zone="tz", has_airport=nw.lit(1))


def _planned() -> nw.Expr:
    """Minutes from the scheduled departure to the scheduled arrival, both told in local time of their airports."""

    def of_day(clock: str) -> nw.Expr:
        return (nw.col(clock) - nw.col(clock) % 100) * 60 / 100 + nw.col(clock) % 100

    east = -5
    return (of_day("sched_arr_time") - of_day("sched_dep_time") - (nw.col("dest_zone") - east) * 60 + 2880) % 1440


def features(tables: Tables) -> Frame:
    """One row per scheduled flight: its name, when it is predicted, the inputs, both labels, block and slices."""
    flights = tables["flights"].with_columns(
        predicted_at=nw.col("time_hour") + _minutes("minute") - AHEAD,
        # Midnight UTC is the evening before in New York, and precedes every prediction of the day.
        evening=nw.col("day").cast(nw.Datetime("us")),
        one=nw.lit(1),
    )
    departures = flights.filter(~nw.col("departed_at").is_null())
    departures = departures.with_columns(delay=nw.col("dep_delay").clip(-15, 180), leg_at=nw.col("departed_at"))
    arrivals = flights.filter(~nw.col("arr_delay").is_null())
    arrivals = arrivals.with_columns(is_late=(nw.col("arr_delay") >= LATE).cast(nw.Int64))
    legs = departures.filter(~nw.col("tailnum").is_null())
    legs = legs.group_by("tailnum", "departed_at", "leg_at").agg(nw.col("dep_delay").max())

    moment = nw.col("predicted_at")
    units = _latest(flights, legs, ("tailnum",), "departed_at", moment, {"dep_delay": "leg_delay", "leg_at": "leg_at"})
    # Each part is computed from the flights alone and joined once: a plan in which a frame meets itself at every step
    # would double with every step.
    observed = ("temp", "dewp", "wind_speed", "wind_gust", "precip", "pressure", "visib")
    weather = tables["weather"].with_columns(observed_at=nw.col("known_at"))
    columns = {name: name for name in (*observed, "observed_at")}
    moments = flights.select("origin", "predicted_at").unique()
    parts = (
        (_latest(moments, weather, ("origin",), "known_at", moment, columns), ("origin", "predicted_at")),
        (_now(flights, departures, ("origin",), "origin"), ("origin", "predicted_at")),
        (_now(flights, departures, ("origin", "carrier"), "carrier"), ("origin", "carrier", "predicted_at")),
        (_now(flights, departures, ("dest",), "dest"), ("dest", "predicted_at")),
        (_habit(flights, arrivals, ("carrier",), "carrier_late"), ("carrier", "evening")),
        (_habit(flights, arrivals, ("origin",), "origin_late"), ("origin", "evening")),
        (_habit(flights, arrivals, ("origin", "dest"), "route_late"), ("origin", "dest", "evening")),
        (_habit(flights, arrivals, ("carrier", "flight"), "flight_late"), ("carrier", "flight", "evening")),
        (_planes(tables["planes"]), ("day", "tailnum")),
        (_airports(tables["airports"]), ("day", "dest")),
    )
    for part, on in parts:
        units = units.join(part, on=list(on), how="left")

    fresh = nw.col("observed_at") >= moment - OLD_WEATHER
    recent = nw.col("leg_at") >= moment - OLD_LEG
    landed = ~nw.col("arr_delay").is_null()
    return (
        units.with_columns(
            *(nw.when(fresh).then(nw.col(name)).alias(name) for name in observed),
            region=nw.col("region").fill_null("unknown"),
            manufacturer=nw.col("plane_maker").fill_null("unknown"),
            engine=nw.col("plane_engine").fill_null("unknown"),
            carrier_hour=nw.concat_str(nw.col("carrier"), nw.lit(" "), nw.col("hour").cast(nw.String).str.zfill(2)),
            minute_of_day=nw.col("hour") * 60 + nw.col("minute"),
            weekday=nw.col("day").dt.weekday(),
            planned_minutes=_planned(),
            has_plane=nw.col("has_plane").fill_null(0),
            has_airport=nw.col("has_airport").fill_null(0),
            plane_age=nw.col("day").dt.year() - nw.col("plane_year"),
            last_delay=nw.when(recent).then(nw.col("leg_delay")),
            last_hours=nw.when(recent).then((moment - nw.col("leg_at")).dt.total_minutes() / 60),
            late=nw.when(landed).then((nw.col("arr_delay") >= LATE).cast(nw.Float64)),
            minutes=nw.when(landed).then(nw.col("arr_delay").cast(nw.Float64)),
            unlabelled=nw.when(nw.col("dep_delay").is_null())
            .then(nw.lit("cancelled"))
            .otherwise(nw.when(~landed).then(nw.lit("diverted"))),
        )
        .with_columns(
            dew_gap=nw.col("temp") - nw.col("dewp"),
            known_plane=nw.when(nw.col("has_plane") > 0).then(nw.lit("yes")).otherwise(nw.lit("no")),
        )
        .select(
            "day",
            "carrier",
            "flight",
            "origin",
            "tailnum",
            "predicted_at",
            "late",
            "minutes",
            "unlabelled",
            "hour",
            "known_plane",
            *(n for n in INPUTS if n not in ("carrier", "origin")),
        )
    )
