"""What people write in features, and what a person would say of it, for six units that are odd each in its way."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Any

import narwhals as nw
import narwhals.selectors as ncs

from pipeline.core.tables import Column, Feed

DAY, PAST = date(2024, 3, 10), date(2024, 3, 9)
NAN, INF = math.nan, math.inf
BIG = 2**53 + 1

COLUMNS = (
    Column("day", "date"),
    Column("n", "integer"),
    Column("at", "timestamp"),
    Column("i", "integer", empty=True),
    Column("j", "integer", empty=True),
    Column("x", "number", empty=True),
    Column("s", "string", empty=True),
    Column("t", "timestamp", empty=True),
    Column("d", "date", empty=True),
    Column("g", "string", empty=True),
    Column("paid", "number", empty=True, outcome=True),
)
ROWS = Feed(name="rows", path="rows/{day}.csv", columns=COLUMNS, key=("n",), day="day")

#: One row a unit: whole numbers, numbers, texts, moments, dates, groups, with what is odd about each.
UNITS: tuple[tuple[Any, ...], ...] = (
    (7, 2, 0.5, "a b", datetime(2020, 1, 1, 23, 59, 59, 999999), date(2020, 2, 29), "red"),
    (-7, 2, -2.5, "Ünï", datetime(1969, 12, 31, 23), date(2021, 1, 3), "red"),
    (None, 3, None, None, None, None, None),
    (0, -3, NAN, "", datetime(2020, 2, 29), date(1960, 12, 31), "blue"),
    (BIG, 0, 1.5, "10", datetime(2024, 12, 30, 12, 34, 56, 500000), date(2024, 12, 30), "none before"),
    (-3, None, -0.0, "-2.50", datetime(2020, 3, 29, 1, 30), date(2000, 1, 1), "empty"),
)
N, J, X, S, T, D = (nw.col(name) for name in "ijxstd")
PARTS = S.str.split(" ").list.len()
GREAT = nw.when(N > 0).then(nw.lit(1_500_000_000)).otherwise(nw.lit(0))
SHORT = J.replace_strict([2], [99], default=0, return_dtype=nw.Int8)
NUMBER = nw.when(S.is_in(["10", "-2.50"])).then(S)

#: Expression to what a person would say of each unit; None is what is missing. A truth is 1 or 0.
EXPRESSIONS: dict[str, tuple[nw.Expr, list[Any]]] = {
    # Arithmetic, division, remainders: as in Python, and nothing where Python fails.
    "i + j": (N + J, [9, -5, None, -3, BIG, None]),
    "i * i": (nw.when(N < 100).then(N * N), [49, 49, None, 0, None, 9]),
    "i / j": (N / J, [3.5, -3.5, None, -0.0, INF, None]),
    "i // j": (N // J, [3, -4, None, 0, None, None]),
    "i % j": (N % J, [1, 1, None, 0, None, None]),
    "i // 2": (N // 2, [3, -4, None, 0, 2**52, -2]),
    "i % 3": (N % 3, [1, 2, None, 0, BIG % 3, 0]),
    "-7 % 3 of numbers": ((X - 4.5) % 3, [2, 2, None, NAN, 0, 1.5]),
    "2 ** j": (nw.lit(2.0) ** J, [4, 4, 8, 0.125, 1, None]),
    "abs": (N.abs(), [7, 7, None, 0, BIG, 3]),
    "clip": (N.clip(-3, 5), [5, -3, None, 0, 5, -3]),
    "clip number": (X.clip(-1, 1), [0.5, -1, None, NAN, 1, -0.0]),
    "exact": (N - 2**53, [7 - 2**53, -7 - 2**53, None, -(2**53), 1, -3 - 2**53]),
    # Rounding: halves go to the even neighbour, as in Python.
    "round": (X.round(0), [0, -2, None, NAN, 2, -0.0]),
    "round more": ((X / 4).round(1), [0.1, -0.6, None, NAN, 0.4, -0.0]),
    "floor": (X.floor(), [0, -3, None, NAN, 1, -0.0]),
    "ceil": (X.ceil(), [1, -2, None, NAN, 2, -0.0]),
    # Casts: towards zero, and what is missing stays missing.
    "number to whole": (X.fill_nan(None).cast(nw.Int64), [0, -2, None, None, 1, 0]),
    "whole to number": (N.cast(nw.Float64), [7, -7, None, 0, float(BIG), -3]),
    "whole to text": (N.cast(nw.String), ["7", "-7", None, "0", str(BIG), "-3"]),
    "number to text": (X.cast(nw.String), ["0.5", "-2.5", None, "NaN", "1.5", "-0.0"]),
    "truth to text": ((N > 0).cast(nw.String), ["true", "false", None, "false", "true", "false"]),
    "truth to whole": ((N > 0).cast(nw.Int64), [1, 0, None, 0, 1, 0]),
    "truth": (N > 0, [1, 0, None, 0, 1, 0]),
    "text to number": (NUMBER.cast(nw.Float64), [None, None, None, None, 10, -2.5]),
    "text to whole": (nw.when(S == "10").then(S).cast(nw.Int64), [None, None, None, None, 10, None]),
    "whole to truth": (N.cast(nw.Boolean), [1, 1, None, 0, 1, 1]),
    "date to text": (D.cast(nw.String), ["2020-02-29", "2021-01-03", None, "1960-12-31", "2024-12-30", "2000-01-01"]),
    "short whole": (N.clip(-50, 50).cast(nw.Int8) * N.clip(-50, 50).cast(nw.Int8), [49, 49, None, 0, 2500, 9]),
    "short replaced": (SHORT * SHORT, [9801, 9801, 0, 0, 0, 0]),
    # Comparisons and logic: what is compared with nothing is nothing, unless the answer is plain anyway.
    "i == j": (N == J, [0, 0, None, 0, 0, None]),
    "i != j": (N != J, [1, 1, None, 1, 1, None]),
    "x > 1": (X > 1, [0, 0, None, 1, 1, 0]),
    "x == nan": (X == NAN, [0, 0, None, 1, 0, 0]),
    "x is nan": (X.is_nan(), [0, 0, None, 1, 0, 0]),
    "x is finite": (X.is_finite(), [1, 1, None, 0, 1, 1]),
    "x is null": (X.is_null(), [0, 0, 1, 0, 0, 0]),
    "between": (N.is_between(-3, 7), [1, 0, None, 1, 0, 1]),
    "and": ((N > 0) & (J > 0), [1, 0, None, 0, 0, 0]),
    "or": ((N > 0) | (J > 0), [1, 1, 1, 0, 1, None]),
    "not": (~(N > 0), [0, 1, None, 1, 0, 1]),
    "is in": (N.is_in([7, 0]), [1, 0, None, 1, 0, 0]),
    "is in with null": (N.is_in([7, None]), [1, 0, None, 0, 0, 0]),
    "text is in": (S.is_in(["", "10"]), [0, 0, None, 1, 1, 0]),
    "all": (nw.all_horizontal(N > 0, J > 0, ignore_nulls=True), [1, 0, 1, 0, 0, 0]),
    "any": (nw.any_horizontal(N > 0, J > 0, ignore_nulls=True), [1, 1, 1, 0, 1, 0]),
    # Truths are counted with as 0 and 1.
    "truths": ((N > 0) + (J > 0), [2, 1, None, 0, 1, None]),
    "truths apart": ((N > 0) - (J > 0), [0, -1, None, 0, 1, None]),
    "truth less": ((N > 0) - 1, [0, -1, None, -1, 0, -1]),
    "truth times": ((J > 0) * N, [7, -7, None, 0, 0, None]),
    "sum of truths": (nw.sum_horizontal(N > 0, J > 0) - 3, [-1, -2, -2, -3, -2, -3]),
    # Across columns.
    "sum": (nw.sum_horizontal("i", "j"), [9, -5, 3, -3, BIG, -3]),
    "mean": (nw.mean_horizontal("j", "x"), [1.25, -0.25, 3, NAN, 0.75, 0]),
    "min": (nw.min_horizontal("j", "x"), [0.5, -2.5, 3, -3, 0, -0.0]),
    # What is no number is passed over here, though it is above every number where the two are compared.
    "max": (nw.max_horizontal("j", "x"), [2, 2, 3, -3, 1.5, -0.0]),
    "coalesce": (nw.coalesce("x", "j"), [0.5, -2.5, 3, NAN, 1.5, -0.0]),
    # What is missing, and what is chosen.
    "fill null": (N.fill_null(-1), [7, -7, -1, 0, BIG, -3]),
    "fill null of nan": (X.fill_null(9), [0.5, -2.5, 9, NAN, 1.5, -0.0]),
    "fill nan": (X.fill_nan(9), [0.5, -2.5, None, 9, 1.5, -0.0]),
    "fill text": (S.fill_null("?"), ["a b", "Ünï", "?", "", "10", "-2.50"]),
    "when null": (nw.when(N > 0).then(nw.lit(1)).otherwise(nw.lit(2)), [1, 2, 2, 2, 1, 2]),
    "when great": (GREAT + GREAT, [3_000_000_000, 0, 0, 0, 3_000_000_000, 0]),
    "when alone": (nw.when(N > 0).then(N), [7, None, None, None, BIG, None]),
    "when mixed": (nw.when(N > 0).then(X).otherwise(J), [0.5, 2, 3, -3, 1.5, None]),
    "replace": (J.replace_strict([2, 3], [20, 30], default=-1), [20, 20, 30, -1, -1, -1]),
    # Texts.
    "length": (S.str.len_chars() - 5, [-2, -2, None, -5, -3, 0]),
    "parts": (PARTS - PARTS * PARTS, [-2, 0, None, 0, 0, 0]),
    "lower": (S.str.to_lowercase(), ["a b", "ünï", None, "", "10", "-2.50"]),
    "slice": (S.str.slice(1, 2), [" b", "nï", None, "", "0", "2."]),
    "tail": (S.str.tail(1), ["b", "ï", None, "", "0", "0"]),
    "contains": (S.str.contains("^[0-9]+$"), [0, 0, None, 0, 1, 0]),
    "starts": (S.str.starts_with("a"), [1, 0, None, 0, 0, 0]),
    "zfill": (S.str.zfill(6), ["000a b", "000Ünï", None, "000000", "000010", "-02.50"]),
    "strip": (S.str.strip_chars("ab0"), [" ", "Ünï", None, "", "1", "-2.5"]),
    "replaced": (S.str.replace_all(r"\d", "#"), ["a b", "Ünï", None, "", "##", "-#.##"]),
    "joined": (nw.concat_str("s", "i", separator="|"), ["a b|7", "Ünï|-7", None, "|0", f"10|{BIG}", "-2.50|-3"]),
    # Moments and dates. An hour of the day has 64 bits too.
    "minute of day": (T.dt.hour() * 60 + T.dt.minute(), [1439, 1380, None, 0, 754, 90]),
    "hour squared": (T.dt.hour() * T.dt.hour(), [529, 529, None, 0, 144, 1]),
    "hour before": (T.dt.hour() - 24, [-1, -1, None, -24, -12, -23]),
    "microseconds": (T.dt.microsecond() * 1_000_000, [999999000000, 0, None, 0, 500000000000, 0]),
    "weekday": (D.dt.weekday() * 24, [144, 168, None, 144, 24, 144]),
    "year": (D.dt.year() * 10_000_000, [20200000000, 20210000000, None, 19600000000, 20240000000, 20000000000]),
    "month and day": (D.dt.month() * 100 + D.dt.day(), [229, 103, None, 1231, 1230, 101]),
    "day of year": (D.dt.ordinal_day() * 400, [24000, 1200, None, 146400, 146000, 400]),
    "hour truncated": (T.dt.truncate("1h").dt.minute(), [0, 0, None, 0, 0, 0]),
    "month truncated": (T.dt.truncate("1mo").dt.ordinal_day(), [1, 335, None, 32, 336, 61]),
    "days between": ((nw.col("at") - T).dt.total_minutes() // 1440, [1529, 19792, None, 1471, -295, 1442]),
    "formatted": (T.dt.to_string("%H:%M"), ["23:59", "23:00", None, "00:00", "12:34", "01:30"]),
    "half an hour on": ((T + timedelta(minutes=30)).dt.hour(), [0, 23, None, 0, 13, 2]),
    "since 1970": (T.dt.timestamp("ms") // 1000, [1577923199, -3600, None, 1582934400, 1735562096, 1585445400]),
}


def of_the_day_before(rows: Any) -> dict[str, tuple[Any, list[Any]]]:
    """Frames of a row per day and group, of what was there the day before, and what a person would say of each unit.

    Before were of red 1, nothing and 3.5; of blue nothing at all was paid; of "empty" one row with nothing but a name;
    two rows had no group, which is met by nobody.
    """
    past = rows.with_columns(nw.col("day").dt.offset_by("1d"), backwards=-nw.col("j"))
    groups = past.group_by("day", "g")
    paid, grown = nw.col("paid"), past.with_columns(hour=nw.col("at").dt.hour())

    def agg(**made: nw.Expr) -> Any:
        return groups.agg(**made)

    def last(expression: nw.Expr) -> Any:
        """Of a running expression, what it is at the group's end."""
        ordered = grown.with_columns(v=expression.over("day", "g", order_by="hour"))
        return ordered.group_by("day", "g").agg(v=nw.col("v").last(order_by="hour"))

    def place(method: Any) -> nw.Expr:
        return nw.col("i").rank(method)

    ties = past.filter(~nw.col("g").is_null()).with_columns(tie=nw.col("j") % 2).sort("tie")
    return {
        "sum": (agg(v=paid.sum()), [4.5, 4.5, None, 0, None, 0]),
        "mean": (agg(v=paid.mean()), [2.25, 2.25, None, None, None, None]),
        "count": (agg(v=paid.count() - 2), [0, 0, None, -2, None, -2]),
        "len": (agg(v=nw.len() - 4), [-1, -1, None, -2, None, -3]),
        "unique": (agg(v=paid.n_unique() - 5), [-2, -2, None, -4, None, -4]),
        "nulls": (agg(v=paid.null_count() - 3), [-2, -2, None, -1, None, -2]),
        "least": (agg(v=paid.min()), [1, 1, None, None, None, None]),
        "most": (agg(v=paid.max()), [3.5, 3.5, None, None, None, None]),
        "median": (agg(v=paid.median()), [2.25, 2.25, None, None, None, None]),
        "std": (agg(v=paid.std()), [1.7677669529663689] * 2 + [None] * 4),
        "spread": (agg(v=nw.col("i").std(ddof=0)), [0.816496580927726] * 2 + [None, 0.5, None, None]),
        "truths": (agg(v=(paid > 2).sum() - 2), [-1, -1, None, -2, None, -2]),
        "any": (agg(v=(paid > 2).any()), [1, 1, None, 0, None, 0]),
        "all": (agg(v=(paid > 2).all()), [0, 0, None, 1, None, 1]),
        "share": (agg(v=(paid > 2).mean()), [0.5, 0.5, None, None, None, None]),
        "newest": (agg(v=nw.col("i").last(order_by="at")), [3, 3, None, 5, None, None]),
        "oldest": (agg(v=nw.col("i").last(order_by="backwards")), [1, 1, None, 4, None, None]),
        "least of the unpaid": (agg(v=nw.col("i").first(order_by="paid")), [2, 2, None, 4, None, None]),
        "most common": (agg(v=nw.col("i").mode(keep="any")), [1, 1, None, 4, None, None]),
        "first": (agg(v=paid.first(order_by="at")), [1, 1, None, None, None, None]),
        "running": (last(paid.cum_sum()), [4.5, 4.5, None, None, None, None]),
        "running truths": (last((paid > 0).cum_sum() - 3), [-1, -1, None, None, None, None]),
        "rolling": (last(paid.rolling_mean(2, min_samples=1)), [3.5, 3.5, None, None, None, None]),
        "rolling empty": (last(paid.rolling_sum(2, min_samples=2)), [None] * 6),
        "shifted": (last(paid.shift(1)), [None] * 6),
        "difference": (last(nw.col("i").diff()), [1, 1, None, 1, None, None]),
        "place": (last(nw.col("i").rank("min")), [3, 3, None, 2, None, None]),
        "places": (last(place("min") - place("max") * place("max")), [-6, -6, None, -2, None, None]),
        "counted": (last(paid.cum_count() - 9), [-7, -7, None, -9, None, -9]),
        "chosen": (
            past.with_columns(truth=paid > 0)
            .group_by("day", "g")
            .agg(ncs.boolean().sum())
            .select("day", "g", v=nw.col("truth") - nw.col("truth") * nw.col("truth")),
            [-2, -2, None, 0, None, 0],
        ),
        "numbered": (
            past.with_row_index("place", order_by="at")
            .group_by("day", "g")
            .agg(v=(nw.col("place") - nw.col("place") * nw.col("place")).min()),
            [-2, -2, None, -12, None, -20],
        ),
        "top of ties": (
            past.with_columns(red=nw.col("g") == "red").top_k(1, by="red").select("day", "g", v="i"),
            [1, 1, None, None, None, None],
        ),
        "of ties": (ties.unique(["day", "g"]).select("day", "g", v="i"), [1, 1, None, 5, None, None]),
        "sorted": (
            past.sort("paid").unique(["day", "g"], keep="first", order_by="paid").select("day", "g", v="i"),
            [2, 2, None, 4, None, None],
        ),
    }
