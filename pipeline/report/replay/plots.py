"""The drawings of a replay: the frontier, who was champion when, how recipes age."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from pipeline.core.replay.result import PolicyResult, ReplayResult
from pipeline.core.words import count
from pipeline.report.canvas import Canvas, Scale, axis_x, axis_y, number
from pipeline.report.verdict.plots import WIDE, day_name, spread

#: Colour classes of recipes, in the order in which they are declared; the plain rule has its own.
_STYLES = ("challenger", "other1", "other2", "other3", "other4")


def styles(made: ReplayResult) -> dict[str, str]:
    """Recipe to colour class."""
    baseline = made.usecase.baseline.name
    recipes = [name for name in made.history.recipes if name != baseline]
    return {name: _STYLES[n % len(_STYLES)] for n, name in enumerate(recipes)} | {baseline: "baseline"}


def frontier(made: ReplayResult) -> Markup:
    """Served loss against promotions: low and left is good. What a search tried stands behind, small."""
    left, right, top, bottom = 62.0, WIDE - 190, 30.0, 330.0
    canvas = Canvas(WIDE, 378, f"{made.usecase.kind.loss_name} against promotions, one point a policy")
    shown = [one for one in made.played if math.isfinite(one.figures.loss)]
    if not shown:
        return Markup("")
    tried = [(name, loss, n) for name, loss, n in made.searched if math.isfinite(loss)]
    losses = [one.figures.loss for one in shown] + [loss for _, loss, _ in tried]
    # A promotion more means much where there are few: the axis is one of square roots.
    most = max([one.figures.promotions for one in shown] + [n for _, _, n in tried] + [1])
    x, y = Scale(-0.03 * math.sqrt(most), 1.04 * math.sqrt(most), left, right), Scale.over(losses, bottom, top, 0.07)
    axis_y(canvas, y, left, right)
    canvas.text(0, 14, f"served {made.usecase.kind.loss_name} (smaller is better)", "axis")
    for n in _counts(most):
        canvas.line(x(math.sqrt(n)), top, x(math.sqrt(n)), bottom, "grid")
        canvas.text(x(math.sqrt(n)), bottom + 15, f"{n:,}", "tick", "middle")
    canvas.text((left + right) / 2, bottom + 34, "promotions over all days", "axis", "middle")
    for name, lost, n in tried:
        canvas.dot(x(math.sqrt(n)), y(lost), 2.6, "tried", f"{name}: {number(lost)}, {count(n, 'promotion')}")
    best = _staircase(
        [(one.figures.promotions, one.figures.loss) for one in shown] + [(n, loss) for _, loss, n in tried]
    )
    steps: list[tuple[float, float]] = []
    for n, loss in best:
        if steps:
            steps.append((x(math.sqrt(n)), steps[-1][1]))
        steps.append((x(math.sqrt(n)), y(loss)))
    canvas.path([*steps, (right, steps[-1][1])] if steps else [], "edge line")
    places = [y(one.figures.loss) for one in shown]
    # Backwards, so that the declared policy's point lies on top.
    for one, end, place in reversed(list(zip(shown, places, spread(places, 15, top, bottom), strict=True))):
        style = _look(made, one)
        at = x(math.sqrt(one.figures.promotions))
        hint = f"{one.name}: {number(one.figures.loss)}, {count(one.figures.promotions, 'promotion')}"
        canvas.line(at, end, right + 12, place, f"leader thin {style}")
        canvas.dot(at, end, 5.2 if one is made.played[0] else 4.0, f"dot {style}", hint)
        canvas.text(right + 16, place + 4, _short(one.name), f"name {style}", hint=hint)
    return canvas.render()


def _look(made: ReplayResult, one: PolicyResult) -> str:
    if one is made.played[0]:
        return "champion"
    return "challenger" if one in made.played[: made.asked] else "baseline"


def _short(name: str) -> str:
    return name if len(name) <= 23 else name[:22] + "…"


def _counts(most: int) -> list[int]:
    """Round numbers of promotions, further apart as they grow."""
    fixed = [0, 1, 4, 10, 25, 50, 100, 200, 300, 500, 1000]
    return [n for n in fixed if n <= most]


def _staircase(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The points that no other beats in both: promotions upward, loss downward."""
    best: list[tuple[int, float]] = []
    for n, loss in sorted(points):
        if not best or loss < best[-1][1]:
            best = [*(point for point in best if point[0] != n), (n, loss)]
    return best


def timeline(made: ReplayResult, one: PolicyResult) -> Markup:
    """Who served when, a lane a recipe; a triangle is a promotion, a cross one that did harm."""
    looks = styles(made)
    fits = [*one.timeline.served, *(change.winner for change in one.timeline.changes)]
    lanes = [name for name in looks if any(fit.recipe == name for fit in fits)]
    if not lanes:
        return Markup("")
    left, right, top, gap = 118.0, WIDE - 12, 18.0, 30.0
    bottom = top + gap * len(lanes)
    canvas = Canvas(WIDE, bottom + 30, f"Who served when under {one.name}")
    first, days = one.timeline.first, len(one.timeline.served)
    x = Scale(0, max(days, 1), left, right)
    for n in _marks(days):
        when = made.day(first + n)
        canvas.line(x(n), top - 4, x(n), bottom, "grid")
        canvas.text(x(n), bottom + 17, day_name(when), "tick", "middle")
    height = {name: top + gap * n + gap / 2 for n, name in enumerate(lanes)}
    for name in lanes:
        canvas.text(0, height[name] + 4, name[:16], f"name {looks[name]}", hint=name)
        canvas.line(left, height[name], right, height[name], "grid")
    begin = 0
    for n in range(1, days + 1):
        if n == days or one.timeline.served[n] != one.timeline.served[begin]:
            fit = one.timeline.served[begin]
            hint = f"{made.model(fit)}: served {made.day(first + begin)} to {made.day(first + n - 1)}"
            canvas.rect(
                x(begin), height[fit.recipe] - 5, max(x(n) - x(begin) - 1, 1), 10, f"bar {looks[fit.recipe]}", hint
            )
            begin = n
    crowded = len(one.timeline.changes) > 60
    for change in one.timeline.changes:
        at, y = x(change.serves - first), height[change.winner.recipe]
        bad = made.harm_relative(change) > 0
        what = "did harm" if bad else "did no harm"
        hint = f"{made.day(change.serves)}: {made.model(change.winner)} for {made.model(change.replaced)}, {what}"
        if change.reason:
            hint += f". {change.reason}"
        if bad:
            size = 3.0 if crowded else 4.5
            canvas.line(at - size, y - size - 10, at + size, y + size - 10, "cross")
            canvas.line(at - size, y + size - 10, at + size, y - size - 10, "cross")
            canvas.dot(at, y - 10, size + 1.5, "unseen", hint)
        elif not crowded:
            canvas.text(at, y - 7, "▼", f"mark {looks[change.winner.recipe]}", "middle", hint)
    return canvas.render()


def _marks(days: int) -> list[int]:
    step = max(1, math.ceil(days / 8))
    return list(range(0, days, step))


def ageing(made: ReplayResult) -> Markup:
    """By how much the loss of a recipe's fits grows with their age, in per cent of their fresh fits'."""
    looks = styles(made)
    curves = {name: [100 * value for value in curve] for name, curve in made.ageing.items()}
    known = [value for curve in curves.values() for value in curve if math.isfinite(value)]
    oldest = max((n for curve in curves.values() for n, value in enumerate(curve) if math.isfinite(value)), default=0)
    if not known or oldest < 1:
        return Markup("")
    left, right, top, bottom = 52.0, WIDE - 150, 30.0, 270.0
    canvas = Canvas(WIDE, 316, "Loss by age of the fit")
    x, y = Scale(0, oldest, left, right), Scale.over([0.0, *known], bottom, top, 0.06)
    axis_x(canvas, x, top, bottom, "age of the fit, days", 8)
    axis_y(canvas, y, left, right)
    canvas.text(0, 14, "loss above that of a fresh fit on the same days, %", "axis")
    canvas.line(left, y(0.0), right, y(0.0), "zero")
    ends = []
    for name, curve in curves.items():
        shown = [(x(n), y(value)) for n, value in enumerate(curve) if math.isfinite(value)]
        canvas.path(shown, f"line {looks[name]}")
        for n, value in enumerate(curve):
            if math.isfinite(value):
                canvas.dot(x(n), y(value), 2.0, f"dot {looks[name]}", f"{name}, {count(n, 'day')} old: {value:+.1f} %")
        ends.append(shown[-1] if shown else (left, bottom))
    for name, (end, height), place in zip(curves, ends, spread([h for _, h in ends], 15, top, bottom), strict=True):
        canvas.line(end + 2, height, right + 12, place, f"leader {looks[name]}")
        canvas.text(right + 16, place + 4, name[:20], f"name {looks[name]}", hint=name)
    return canvas.render()


def losses(made: ReplayResult, width: float = WIDE) -> Markup:
    """Weekly served loss relative to the best recipe shipped daily: where a policy lost or gained."""
    best, weeks = made.best, {}
    chosen = [one for one in made.played[: made.asked] if one is not best][:3]
    chosen += [one for one in made.played[made.asked :] if one.name == "never"]
    units = [made.history.units(best.timeline.first + n) for n in range(len(best.timeline.served))]
    for one in chosen:
        weeks[one.name] = _weekly(one, best, units)
    values = [value for curve in weeks.values() for value in curve if math.isfinite(value)]
    if len(values) < 2:
        return Markup("")
    left, right, top, bottom = 52.0, width - 150, 30.0, 230.0
    canvas = Canvas(width, 270, "Served loss by week")
    length = max(len(curve) for curve in weeks.values())
    x, y = Scale(0, max(length - 1, 1), left, right), Scale.over([0.0, *values], bottom, top, 0.06)
    axis_y(canvas, y, left, right)
    canvas.text(0, 14, f"loss above that of {best.name}, % by week", "axis")
    canvas.line(left, y(0.0), right, y(0.0), "zero")
    for n in range(0, length, max(1, math.ceil(length / 8))):
        canvas.text(x(n), bottom + 17, day_name(made.day(best.timeline.first + 7 * n)), "tick", "middle")
    ends = []
    for n, (name, curve) in enumerate(weeks.items()):
        style = "champion" if n == 0 else "baseline" if name == "never" else _STYLES[(n - 1) % len(_STYLES)]
        shown = [(x(week), y(value)) for week, value in enumerate(curve) if math.isfinite(value)]
        canvas.path(shown, f"line {style}")
        for week, value in enumerate(curve):
            if math.isfinite(value):
                begin = made.day(best.timeline.first + 7 * week)
                canvas.dot(x(week), y(value), 2.2, f"dot {style}", f"{name}, week of {begin}: {value:+.1f} %")
        ends.append((name, style, shown[-1][1] if shown else bottom))
    for (name, style, end), place in zip(ends, spread([end for *_, end in ends], 15, top, bottom), strict=True):
        canvas.line(right + 2, end, right + 12, place, f"leader {style}")
        canvas.text(right + 16, place + 4, _short(name), f"name {style}", hint=name)
    return canvas.render()


def _weekly(one: PolicyResult, best: PolicyResult, units: Sequence[int]) -> list[float]:
    def total(of: PolicyResult, week: range) -> float:
        return sum(float(of.figures.daily[n]) * units[n] for n in week if units[n])

    weekly = []
    for begin in range(0, len(units), 7):
        week = range(begin, min(begin + 7, len(units)))
        below = total(best, week)
        weekly.append(100 * (total(one, week) / below - 1) if below > 0 else math.nan)
    return weekly


def gauge(difference: Mapping[str, float] | None, low: float, high: float) -> Markup:
    """One relative difference in a table's cell, on a scale that all rows share."""
    if difference is None:
        return Markup("")
    canvas = Canvas(132.0, 20.0, f"{number(difference['estimate'])}")
    x = Scale(low, high, 4, 128)
    canvas.line(x(0.0), 2, x(0.0), 18, "zero")
    canvas.line(x(difference["low"]), 10, x(difference["high"]), 10, "interval")
    canvas.dot(x(difference["estimate"]), 10, 3.6, "point")
    return canvas.render()
