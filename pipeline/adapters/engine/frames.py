"""The frames that features see: Polars behind narwhals, held to what features are promised of it.

Polars itself gives an hour of the day eight bits, and ``hour * 60`` wraps at 128 without a word; it joins as of a time
what was not sorted, and hands rows that tie in whatever order its threads found them. Here a whole number has 64 bits
wherever it comes from, a truth counts as 0 or 1, and rows keep their order through everything: the same rows in the
same order give the same bits on any machine, and one row of a request what it gets on the day's table.

narwhals takes any frame that has its method ``__narwhals_lazyframe__``; this one is its own for Polars, with some
methods replaced. tests/adapters/engine/ walks what people write, so an upgrade of either library that computes
otherwise is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import cached_property, partial
from typing import Any

import narwhals as nw
import polars as pl
from narwhals._polars.dataframe import PolarsLazyFrame
from narwhals._polars.expr import (
    PolarsExpr,
    PolarsExprDateTimeNamespace,
    PolarsExprListNamespace,
    PolarsExprStringNamespace,
)
from narwhals._polars.namespace import PolarsNamespace
from narwhals._utils import Version

from pipeline.core.errors import UsageError

WHOLE = pl.Int64()
#: Whole numbers of other widths: they wrap where the day's numbers grow, or go below nothing.
_NARROW = (nw.Int8, nw.Int16, nw.Int32, nw.UInt8, nw.UInt16, nw.UInt32, nw.UInt64)
#: What counts, and is a whole number whatever it counts.
_COUNTS = ("arg_max", "arg_min", "count", "cum_count", "len", "n_unique", "null_count")
_PARTS = (
    *("year", "month", "day", "hour", "minute", "second", "millisecond", "microsecond", "nanosecond"),
    *("ordinal_day", "weekday"),
)
#: Whether features have computed something to look at it.
LOOKED: ContextVar[bool] = ContextVar("looked", default=False)
_ARITHMETIC = ("add", "sub", "mul", "floordiv", "mod", "pow")


def lazy(frame: pl.LazyFrame) -> Any:
    """A Polars frame as features see it: behind narwhals, its whole numbers of 64 bits, its rows in order."""
    return nw.from_native(_Frame(frame, version=Version.MAIN))


def plan(made: Any) -> pl.LazyFrame:
    """What features made, as a plan of Polars.

    Raises:
        UsageError: It is no frame that came from :func:`lazy`.
    """
    native: pl.LazyFrame = _ours(getattr(made, "_compliant_frame", made)).native
    return native


def _ours(frame: Any) -> Any:
    if isinstance(frame, _Frame):
        return frame
    raise UsageError(
        f"features are made of the frames that they were given, and this is a {type(frame).__name__}, for which "
        "nothing is promised: what is collected to be looked at, or taken out by to_native(), can't come back",
        "FEATURES",
    )


def collected(frame: pl.LazyFrame) -> pl.DataFrame:
    """Compute a plan.

    The streaming engine adds up in the order in which threads finish; this one gives the same bits with any number.
    """
    return frame.collect(engine="in-memory")


class _Frame(PolarsLazyFrame):
    """A lazy frame of Polars whose rows keep their order."""

    def __narwhals_namespace__(self) -> _Namespace:
        return _Namespace(self)

    @cached_property
    def types(self) -> Mapping[str, pl.DataType]:
        """Column to its type, computed from the plan alone."""
        return self.native.collect_schema()

    def collect(self, backend: Any, **options: Any) -> Any:
        LOOKED.set(True)
        return super().collect(backend, **{"engine": "in-memory", **options})

    def group_by(self, keys: Any, *, drop_null_keys: bool) -> Any:
        grouped = super().group_by(keys, drop_null_keys=drop_null_keys)
        by = [key if isinstance(key, str) else key.native for key in keys]
        grouped._grouped = grouped.compliant.native.group_by(by, maintain_order=True)
        return grouped

    def join(
        self, other: Any, *, how: Any, left_on: Sequence[str] | None, right_on: Sequence[str] | None, suffix: str
    ) -> _Frame:
        joined = self.native.join(
            _ours(other).native, how=how, left_on=left_on, right_on=right_on, suffix=suffix, maintain_order="left_right"
        )
        return self._with_native(joined)

    def join_asof(
        self,
        other: Any,
        *,
        left_on: str,
        right_on: str,
        by_left: Sequence[str] | None,
        by_right: Sequence[str] | None,
        strategy: Any,
        suffix: str,
    ) -> _Frame:
        # Polars trusts that both sides are sorted and can't see it where there are keys; what is sorted costs nothing.
        joined = self.native.sort(left_on, maintain_order=True).join_asof(
            _ours(other).native.sort(right_on, maintain_order=True),
            left_on=left_on,
            right_on=right_on,
            by_left=by_left,
            by_right=by_right,
            strategy=strategy,
            suffix=suffix,
            check_sortedness=False,
        )
        return self._with_native(joined)

    def sort(self, *by: str, descending: Any, nulls_last: Any) -> _Frame:
        return self._with_native(
            self.native.sort(*by, descending=descending, nulls_last=nulls_last, maintain_order=True)
        )

    def top_k(self, k: int, *, by: Any, reverse: Any) -> _Frame:
        names = [by] if isinstance(by, str) else list(by)
        up = [reverse] * len(names) if isinstance(reverse, bool) else list(reverse)
        highest = self.native.sort(names, descending=[not least for least in up], nulls_last=True, maintain_order=True)
        return self._with_native(highest.head(k))

    def unique(
        self,
        subset: Sequence[str] | None,
        *,
        keep: Any,
        maintain_order: bool | None = None,
        order_by: Sequence[str] | None = None,
    ) -> _Frame:
        rows = self.native.sort(order_by, maintain_order=True) if order_by else self.native
        return self._with_native(rows.unique(subset, keep="first" if keep == "any" else keep, maintain_order=True))


class _Namespace(PolarsNamespace):
    """What makes expressions for one frame, whose types it knows."""

    def __init__(self, frame: _Frame) -> None:
        super().__init__(version=frame._version)
        self.frame = frame

    @property
    def _expr(self) -> Any:
        return partial(_Expression, frame=self.frame)

    @property
    def _lazyframe(self) -> type[_Frame]:
        return _Frame

    @property
    def selectors(self) -> Any:
        return _Selectors(super().selectors, self._expr)

    def col(self, *names: str) -> Any:
        types = self.frame.types
        no_truth = all(types.get(name, pl.Boolean) != pl.Boolean for name in names)
        return self._expr(pl.col(*names), version=self._version, no_truth=no_truth)

    def lit(self, value: Any, dtype: Any) -> Any:
        if dtype is None and type(value) is int:
            return self._expr(pl.lit(value, dtype=WHOLE), version=self._version, no_truth=True)
        made = super().lit(value, dtype)
        return made if dtype is None else made.cast(dtype)

    def len(self) -> Any:
        return self._expr(super().len().native.cast(WHOLE), version=self._version)

    def concat(self, items: Any, *, how: Any) -> Any:
        return super().concat([_ours(item) for item in items], how=how)

    def sum_horizontal(self, *parts: Any) -> Any:
        return self._expr(pl.sum_horizontal(*(part.counted().native for part in parts)), version=self._version)


class _Selectors:
    """narwhals' own selectors, whose expressions know their frame."""

    def __init__(self, selectors: Any, made: Callable[..., Any]) -> None:
        self._selectors, self._made = selectors, made

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def select(*args: Any, **options: Any) -> Any:
            chosen = getattr(self._selectors, name)(*args, **options)
            return self._made(chosen.native, version=chosen._version)

        return select


class _Expression(PolarsExpr):
    """An expression whose whole numbers have 64 bits."""

    def __init__(self, expr: pl.Expr, version: Any, frame: _Frame, no_truth: bool = False) -> None:
        super().__init__(expr, version)
        self.frame, self._no_truth = frame, no_truth

    def __narwhals_namespace__(self) -> _Namespace:
        return _Namespace(self.frame)

    def _with_native(self, expr: pl.Expr) -> _Expression:
        return _Expression(expr, self._version, self.frame)

    def whole(self) -> _Expression:
        """The same as whole numbers of 64 bits."""
        return _Expression(self.native.cast(WHOLE), self._version, self.frame, no_truth=True)

    def counted(self) -> _Expression:
        """The same, a truth as 0 or 1, so that it can be counted with."""
        if self._no_truth:
            return self
        made = pl.LazyFrame(schema=self.frame.types).select(self.native).collect_schema()
        return self.whole() if pl.Boolean in made.values() else self

    def cast(self, dtype: Any) -> _Expression:
        cast = super().cast(dtype)
        # Whether the number fits is asked by the first cast.
        return cast.whole() if dtype in _NARROW else cast

    def replace_strict(self, default: Any, old: Any, new: Any, *, return_dtype: Any) -> _Expression:
        replaced = super().replace_strict(default, old, new, return_dtype=return_dtype)
        return replaced.whole() if return_dtype in _NARROW else replaced

    def sum(self) -> _Expression:
        return self._with_native(self.counted().native.sum())

    def cum_sum(self, *, reverse: bool = False) -> _Expression:
        return self._with_native(self.counted().native.cum_sum(reverse=reverse))

    def rank(self, method: str, *, descending: bool) -> _Expression:
        ranked = self._with_native(self.native.rank(method, descending=descending))  # type: ignore[arg-type]
        return ranked if method == "average" else ranked.whole()

    def mode(self, *, keep: Any) -> _Expression:
        found = self.native.mode().sort()
        return self._with_native(found.first() if keep == "any" else found)

    def first(self, order_by: Sequence[str] = ()) -> _Expression:
        ordered = self.native.sort_by(*order_by, maintain_order=True) if order_by else self.native
        return self._with_native(ordered.first())

    def last(self, order_by: Sequence[str] = ()) -> _Expression:
        ordered = self.native.sort_by(*order_by, maintain_order=True) if order_by else self.native
        return self._with_native(ordered.last())

    @property
    def dt(self) -> Any:
        return _Moments(self)

    @property
    def str(self) -> Any:
        return _Texts(self)

    @property
    def list(self) -> Any:
        return _Lists(self)


class _Moments(PolarsExprDateTimeNamespace):
    """Parts of dates and moments."""


class _Texts(PolarsExprStringNamespace):
    """Functions of texts."""

    def len_chars(self) -> Any:
        return self.compliant._with_native(self.native.str.len_chars()).whole()


class _Lists(PolarsExprListNamespace):
    """Functions of lists."""

    def len(self) -> Any:
        return super().len().whole()


def _counts(name: str) -> Callable[..., _Expression]:
    def method(self: _Expression, *args: Any, **options: Any) -> _Expression:
        return self._with_native(getattr(self.native, name)(*args, **options)).whole()

    return method


def _part(name: str) -> Callable[..., Any]:
    def method(self: _Moments) -> Any:
        return self.compliant._with_native(getattr(self.native.dt, name)()).whole()

    return method


def _arithmetic(name: str) -> Callable[..., _Expression]:
    def method(self: _Expression, other: Any) -> _Expression:
        right = other.counted() if isinstance(other, _Expression) else other
        result: _Expression = getattr(super(_Expression, self.counted()), name)(right)
        result._no_truth = True
        return result

    return method


for _name in _COUNTS:
    setattr(_Expression, _name, _counts(_name))
for _name in _PARTS:
    setattr(_Moments, _name, _part(_name))
for _name in _ARITHMETIC:
    setattr(_Expression, f"__{_name}__", _arithmetic(f"__{_name}__"))
