"""The engine: the right days, the right snapshots, the same rows whatever the order or the threads."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.adapters.engine.polars_engine import REACH, PolarsEngine
from pipeline.core.errors import PipelineError, RefusedError, UsageError
from pipeline.core.kinds import Binary, Multiclass, Regression
from pipeline.core.tables import Column, Feed, Reference
from pipeline.core.usecase import Recipe, Tables, Usecase
from pipeline.core.verdict import Bound
from pipeline.core.windows import Days
from pipeline.steps.judging.single_requests import RequestAudit, audit_single_requests
from pipeline.usecases import find
from tests.fakes import MemoryStore
from tests.flights import assert_same, flights, newest, put, typed, units

DAY = date(2013, 1, 20)

VISITS = Feed(
    name="visits",
    path="visits/{day}.csv",
    columns=(
        Column("day", "date"),
        Column("visitor", "string"),
        Column("shop", "integer"),
        Column("spent", "number", empty=True, outcome=True),
        Column("steps", "integer", empty=True),
        Column("note", "string", empty=True),
        Column("at", "timestamp"),
    ),
    key=("visitor", "day"),
    day="day",
)
SHOPS = Reference(
    name="shops",
    path="shops/{day}.csv",
    columns=(Column("shop", "integer"), Column("city", "string", empty=True), Column("refreshed", "date")),
    key=("shop",),
    refreshed="refreshed",
    max_age=9,
    max_unchanged=None,
    joined_by=("visits", ("shop",)),
    matched=Bound(0, 1),
)


def joined(tables: Tables) -> Any:
    rows = tables["visits"].join(tables["shops"].select("day", "shop", "city"), on=["day", "shop"], how="left")
    return rows.with_columns(
        predicted_at=nw.col("at"),
        unlabelled=nw.when(nw.col("spent").is_null()).then(nw.lit("left")),
    )


def shop_case(**changes: Any) -> Usecase:
    """A use case whose features do as little as they can."""
    case = Usecase(
        name="shop",
        question="How much will be spent?",
        kind=Regression(target="spent", acts_at=1.0, tolerance=1.0),
        unit=("visitor",),
        feeds=(VISITS,),
        references=(SHOPS,),
        features=joined,
        inputs=("city", "steps", "note"),
        history=2,
        recipes=(Recipe("none", lambda seed: None, window=7),),
        baseline=Recipe("rule", lambda seed: None, window=7),
        block=("shop",),
        slices=("shop",),
        gates=(find("flight_delay").gates[0],),
    )
    return dataclasses.replace(case, **changes)


def visits(day: date, *rows: tuple[Any, ...]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [[]] * 5
    data = {
        "day": pa.array([day] * len(rows), pa.date32()),
        "visitor": pa.array(columns[0], pa.large_string()),
        "shop": pa.array(columns[1], pa.int32()),
        "spent": pa.array(columns[2], pa.float32()),
        "steps": pa.array(columns[3], pa.int64()),
        "note": pa.array(columns[4], pa.string()),
        "at": pa.array([pd.Timestamp(day, tz="Europe/Berlin")] * len(rows), pa.timestamp("ns", "Europe/Berlin")),
    }
    return pa.table(data)


def shops(day: date, **cities: str) -> pa.Table:
    return pa.table(
        {
            "shop": pa.array([int(name[1:]) for name in cities], pa.int64()),
            "city": pa.array(list(cities.values()), pa.string()),
            "refreshed": pa.array([day] * len(cities), pa.date32()),
        }
    )


@pytest.fixture
def store() -> MemoryStore:
    kept = MemoryStore()
    put(kept, VISITS, DAY, visits(DAY, ("bo", 1, 2.5, 7, "x"), ("al", 2, None, None, None)))
    put(kept, SHOPS, DAY, shops(DAY, s1="Rome", s2="Oslo"))
    return kept


def made(kept: MemoryStore, days: Days | None = None, **changes: Any) -> Any:
    without = changes.pop("without", ())
    return PolarsEngine(kept).units(shop_case(**changes), newest(kept), days or Days(DAY, DAY), without)


def test_units_are_sorted_by_day_and_key_and_every_part_is_aligned(store: MemoryStore) -> None:
    put(store, VISITS, DAY - timedelta(1), visits(DAY - timedelta(1), ("zo", 9, 1.0, 1, "y")))
    found = made(store, Days(DAY - timedelta(1), DAY))
    assert found.keys.tolist() == ["zo", "al", "bo"]
    assert found.days.astype(str).tolist() == ["2013-01-19", "2013-01-20", "2013-01-20"]
    np.testing.assert_array_equal(found.labels, [1.0, np.nan, 2.5])
    assert found.unlabelled.tolist() == ["", "left", ""]
    assert found.blocks.tolist() == found.slices["shop"].tolist() == ["9", "2", "1"]
    assert found.inputs["city"].astype(object).fillna("-").tolist() == ["-", "Oslo", "Rome"]
    assert list(found.inputs.columns) == ["city", "steps", "note"]


def test_a_column_keeps_its_type_whatever_is_in_it_even_nothing(store: MemoryStore) -> None:
    full = made(store).inputs.dtypes
    put(store, VISITS, DAY, visits(DAY, ("al", 3, None, None, None)))
    hollow = made(store).inputs
    assert hollow.isna().all(axis=None)
    put(store, VISITS, DAY, visits(DAY))
    nothing = made(store)
    assert len(nothing) == 0
    assert full.equals(hollow.dtypes)
    assert full.equals(nothing.inputs.dtypes)
    assert str(full["steps"]) == "float64"
    assert nothing.keys.dtype.kind == nothing.blocks.dtype.kind == "U"


def test_a_unit_meets_the_latest_snapshot_of_its_day_or_before(store: MemoryStore) -> None:
    for day in (DAY + timedelta(1), DAY + timedelta(2), DAY + timedelta(3)):
        put(store, VISITS, day, visits(day, ("al", 1, 1.0, 1, "n")))
    put(store, SHOPS, DAY + timedelta(2), shops(DAY + timedelta(2), s1="Bonn"))
    found = made(store, Days(DAY, DAY + timedelta(3)))
    cities = dict(zip(zip(found.days.astype(str), found.keys, strict=True), found.inputs["city"], strict=True))
    assert cities[("2013-01-20", "bo")] == cities[("2013-01-21", "al")] == "Rome"
    assert cities[("2013-01-22", "al")] == cities[("2013-01-23", "al")] == "Bonn"


def test_a_snapshot_from_before_the_history_is_met_up_to_its_reach_and_not_beyond(store: MemoryStore) -> None:
    far = 2 + REACH
    for ahead, city in ((far, "Rome"), (far + 1, "-")):
        day = DAY + timedelta(ahead)
        put(store, VISITS, day, visits(day, ("al", 1, 1.0, 1, "n")))
        assert made(store, Days(day, day)).inputs["city"].astype(object).fillna("-").tolist() == [city]


def test_refused_days_are_invisible_as_units_as_history_and_as_snapshots(store: MemoryStore) -> None:
    next_day = DAY + timedelta(1)
    put(store, VISITS, next_day, visits(next_day, ("al", 1, 1.0, 1, "n")))
    put(store, SHOPS, next_day, shops(next_day, s1="Wrong"))
    found = made(store, Days(DAY, next_day), without=[DAY])
    assert found.keys.tolist() == ["al"]
    assert found.inputs["city"].tolist() == ["Wrong"]
    put(store, VISITS, DAY + timedelta(2), visits(DAY + timedelta(2), ("al", 1, 1.0, 1, "n")))
    after = made(store, Days(DAY, DAY + timedelta(2)), without=[next_day])
    assert after.days.astype(str).tolist() == ["2013-01-20", "2013-01-20", "2013-01-22"]
    assert after.inputs["city"].tolist() == ["Oslo", "Rome", "Rome"]

    real, case = flights(), find("flight_delay")
    day = date(2013, 1, 25)
    seen = PolarsEngine(real).units(case, newest(real), Days(day, day))
    blind = PolarsEngine(real).units(case, newest(real), Days(day, day), [day - timedelta(2)])
    assert (seen.inputs["origin_late"] != blind.inputs["origin_late"]).all()


def test_a_pinned_version_reads_what_it_always_read(store: MemoryStore) -> None:
    pinned = newest(store)
    before = made(store)
    put(store, VISITS, DAY, visits(DAY, ("corrected", 1, 9.0, 9, "z")))
    put(store, SHOPS, DAY, shops(DAY, s1="Elsewhere"))
    assert_same(PolarsEngine(store).units(shop_case(), pinned, Days(DAY, DAY)), before)
    assert made(store).keys.tolist() == ["corrected"]


def refusal(kept: MemoryStore, **changes: Any) -> PipelineError:
    with pytest.raises(PipelineError) as caught:
        made(kept, **changes)
    return caught.value


def test_features_that_multiply_or_lose_units_are_refused(store: MemoryStore) -> None:
    put(store, SHOPS, DAY, pa.concat_tables([shops(DAY, s1="Rome"), shops(DAY, s1="Rome twice")]))
    found = refusal(store)
    assert (found.code, isinstance(found, RefusedError)) == ("DUPLICATE", True)
    assert "more than one row of 1 units, such as bo on 2013-01-20" in str(found)

    def inner(tables: Tables) -> Any:
        return joined(tables).filter(~nw.col("city").is_null())

    put(store, SHOPS, DAY, shops(DAY, s1="Rome"))
    assert refusal(store, features=inner).code == "LOST"
    assert "make 1 rows of 2 units" in str(refusal(store, features=inner))


def test_a_unit_without_a_label_must_say_why_and_one_with_a_label_must_not(store: MemoryStore) -> None:
    def silent(tables: Tables) -> Any:
        return joined(tables).with_columns(unlabelled=nw.lit(None, dtype=nw.String))

    def both(tables: Tables) -> Any:
        return joined(tables).with_columns(unlabelled=nw.lit("left"))

    assert "1 units neither a label nor a reason why not, or both, such as al" in str(refusal(store, features=silent))
    assert refusal(store, features=both).code == "LABEL"


def test_features_that_forget_a_column_or_the_moment_of_prediction_are_refused(store: MemoryStore) -> None:
    found = refusal(store, inputs=("city", "weather"))
    assert isinstance(found, UsageError)
    assert "make no column weather" in str(found)

    def timeless(tables: Tables) -> Any:
        return joined(tables).with_columns(predicted_at=nw.lit(None, dtype=nw.Datetime("us")))

    assert refusal(store, features=timeless).code == "PREDICTED_AT"


def test_a_snapshot_that_pins_no_version_of_a_table_is_a_clear_error(store: MemoryStore) -> None:
    with pytest.raises(UsageError, match="'shop' pins no version of shops"):
        PolarsEngine(store).units(shop_case(), {"visits": 0}, Days(DAY, DAY))


def test_timestamps_reach_features_in_utc_without_a_zone(store: MemoryStore) -> None:
    frame = PolarsEngine(store).tables(shop_case(), newest(store), Days(DAY, DAY))["visits"].collect().to_pandas()
    assert frame["at"].tolist() == [pd.Timestamp("2013-01-19 23:00")] * 2
    # A feed that does not say when its rows are known: when the day has closed everywhere on Earth.
    assert frame["known_at"].tolist() == [pd.Timestamp("2013-01-21 12:00")] * 2


def test_a_day_alone_has_the_same_features_as_within_a_long_run() -> None:
    whole = units("flight_delay")
    for day in (date(2013, 1, 22), date(2013, 2, 3)):
        kept = flights()
        alone = PolarsEngine(kept).units(find("flight_delay"), newest(kept), Days(day, day))
        assert len(alone) > 600
        assert_same(alone, whole.where(whole.days == np.datetime64(day)))


def shuffled(kept: MemoryStore, usecase: Usecase, days: Days, seed: int) -> MemoryStore:
    """The same rows, as another store might hand them over."""
    generator, kept = np.random.default_rng(seed), kept.copy()
    for table in usecase.tables:
        for day in days:
            rows = kept.tables[table.name][-1][day][0]
            put(kept, table, day, rows.take(generator.permutation(len(rows))))
    return kept


def test_the_order_of_rows_in_the_store_changes_no_bit() -> None:
    kept, case = flights(), find("flight_minutes")
    days = Days(date(2013, 1, 24), date(2013, 1, 26))
    other = shuffled(kept, case, Days(date(2013, 1, 5), date(2013, 1, 26)), 7)
    one = PolarsEngine(kept).units(case, newest(kept), days)
    assert_same(one, PolarsEngine(other).units(case, newest(other), days))


DIGEST = (
    "import sys; from tests.adapters.engine.test_engine import digest_of_sums; print(digest_of_sums(int(sys.argv[1])))"
)


def digest_of_sums(seed: int) -> str:
    """What comes of floating numbers that are added up, ranked and taken at ties, in every way that people do it."""

    def features(tables: Tables) -> Any:
        # Nothing but the order of rows tells those of one shop and minute apart.
        rows = tables["visits"].with_columns(minute=nw.col("steps") % 50)
        of_shop = rows.group_by("shop").agg(nw.col("spent").sum().alias("_sum"), nw.col("spent").std().alias("_std"))
        by_size = rows.group_by("shop", "steps").agg(nw.col("spent").sum(), nw.col("visitor").max())
        by_size = by_size.with_columns(grown=nw.col("spent").cum_sum().over(order_by="steps"))
        last = rows.sort("note").select("shop", "minute", seen="steps", found="spent")
        tied = rows.sort("shop", descending=True).unique(subset=["minute"]).select("minute", first="steps")
        made = rows.join(of_shop, on="shop", how="left").join(
            by_size.select("visitor", "grown"), on="visitor", how="left"
        )
        made = made.join_asof(last, on="minute", by="shop", strategy="backward").join(tied, on="minute", how="left")
        return made.sort("shop").with_columns(
            running=nw.col("spent").cum_sum().over("shop", order_by="minute"),
            mean=nw.col("spent").mean().over("shop"),
            seventh=nw.col("spent").rolling_mean(7).over("shop", order_by="minute"),
            place=nw.col("shop").rank("ordinal").over(order_by="shop"),
            predicted_at=nw.col("at"),
            unlabelled=nw.lit(None, dtype=nw.String),
        )

    generator = np.random.default_rng(1)
    sizes = 10.0 ** generator.integers(-6, 7, 20_000)
    rows = [
        (f"v{n:05}", int(n % 97), float(generator.normal() * sizes[n]), int(generator.integers(1000)), "x")
        for n in range(20_000)
    ]
    kept = MemoryStore()
    put(kept, VISITS, DAY, visits(DAY, *rows))
    put(kept, SHOPS, DAY, shops(DAY, s1="Rome"))
    inputs = ("_sum", "_std", "grown", "seen", "found", "first", "running", "mean", "seventh", "place")
    case = shop_case(features=features, inputs=inputs, history=0)
    kept = shuffled(kept, case, Days(DAY, DAY), seed)
    made = PolarsEngine(kept).units(case, newest(kept), Days(DAY, DAY))
    assert (made.inputs.nunique() > 1).all()
    assert made.inputs["seen"].notna().all()
    return hashlib.sha256(made.inputs.to_numpy().tobytes()).hexdigest()


def test_neither_the_number_of_threads_nor_the_order_of_rows_changes_a_bit_of_sums_and_ties() -> None:
    """A pool of threads has its size from its first use on, so each size is a process of its own."""
    found = set()
    for threads, seed in ((1, 1), (2, 2), (5, 3)):
        environment = {**os.environ, "POLARS_MAX_THREADS": str(threads)}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST, str(seed)], check=True, capture_output=True, text=True, env=environment
        )
        found.add(done.stdout)
    assert len(found) == 1


def test_two_threads_of_one_process_do_not_disturb_each_other() -> None:
    kept, case = flights(), find("flight_delay")
    days = [date(2013, 1, 21), date(2013, 1, 22)]
    engine, versions = PolarsEngine(kept), newest(kept)
    alone = [engine.units(case, versions, Days(day, day)) for day in days]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda day: engine.units(case, versions, Days(day, day)), days * 2))
    for number, found in enumerate(together):
        assert_same(found, alone[number % 2])


def test_a_table_in_the_store_without_a_declared_column_is_refused(store: MemoryStore) -> None:
    put(store, SHOPS, DAY, shops(DAY, s1="Rome").drop_columns(["city"]))
    assert refusal(store).code == "SCHEMA"
    assert typed(SHOPS, shops(DAY, s1="Rome")).column_names == ["shop", "city", "refreshed"]


def test_a_label_that_its_kind_can_not_have_is_refused_with_the_unit(store: MemoryStore) -> None:
    def worded(word: str) -> Any:
        first = nw.col("visitor") == "al"
        return lambda tables: joined(tables).with_columns(
            basket=nw.when(first).then(nw.lit(word)).otherwise(nw.lit("big")), unlabelled=nw.lit(None, dtype=nw.String)
        )

    kind = Multiclass("basket", ("small", "big"))
    assert made(store, kind=kind, features=worded("small")).labels.tolist() == [0.0, 1.0]
    found = refusal(store, kind=kind, features=worded("huge"))
    assert (found.code, isinstance(found, RefusedError)) == ("LABEL", True)
    assert "'basket' of 1 units of use case 'shop' is not one of small, big, such as 'huge' of al on " in str(found)

    def numbered(number: float) -> Any:
        none = nw.lit(None, dtype=nw.String)
        return lambda tables: joined(tables).with_columns(basket=nw.lit(number), unlabelled=none)

    assert made(store, kind=kind, features=numbered(1.0)).labels.tolist() == [1.0, 1.0]
    assert refusal(store, kind=kind, features=numbered(2.0)).code == "LABEL"
    assert refusal(store, kind=Binary("basket"), features=numbered(0.5)).code == "LABEL"


def test_keys_are_handed_on_as_words(store: MemoryStore) -> None:
    found = made(store, keys=("visitor", "shop"))
    assert found.named["visitor"].tolist() == found.keys.tolist()
    assert set(found.named["shop"].tolist()) == set(found.slices["shop"].tolist())
    one = found.where(found.keys == found.keys[0])
    assert one.named["visitor"].tolist() == [found.keys[0]]


def test_a_moment_in_a_units_name_is_written_as_it_always_was_and_a_request_finds_it(store: MemoryStore) -> None:
    rows = visits(DAY, ("bo", 1, 2.5, 7, "x"), ("al", 2, None, None, None))
    moments = [datetime(2013, 1, 20, 9), datetime(2013, 1, 20, 10, 30, 0, 250_000)]
    at = rows.column_names.index("at")
    put(store, VISITS, DAY, rows.set_column(at, "at", pa.array(moments, pa.timestamp("us", "UTC"))))
    case = shop_case(unit=("at", "visitor", "day"))
    found = made(store, unit=case.unit)
    assert found.keys.tolist() == ["2013-01-20 09:00:00 bo 2013-01-20", "2013-01-20 10:30:00.25 al 2013-01-20"]
    tables = PolarsEngine(store).tables(case, newest(store), Days(DAY, DAY))
    assert audit_single_requests(case, tables, found, DAY, 2) == RequestAudit(2, lived=2)


def test_a_moment_of_prediction_with_a_zone_is_taken_to_utc(store: MemoryStore) -> None:
    def zoned(tables: Tables) -> Any:
        moment = nw.col("at").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
        return joined(tables).with_columns(predicted_at=moment)

    np.testing.assert_array_equal(made(store, features=zoned).predicted_at, made(store).predicted_at)
