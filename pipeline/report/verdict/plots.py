"""The drawings of a verdict: what a reviewer looks for, each from plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from markupsafe import Markup

from pipeline.core.kinds import Floats, Reliability
from pipeline.core.verdict import Bound, Finding, Outcome
from pipeline.report.canvas import Canvas, Scale, axis_x, axis_y, number

WIDE, HALF = 860.0, 440.0


def day_name(day: str) -> str:
    """``2013-03-08`` as ``8 Mar``."""
    when = date.fromisoformat(day)
    return f"{when.day} {when:%b}"


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Heights for labels, in the same order, at least ``gap`` apart and as near as that allows to where they belong."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed: list[float] = []
    for i in order:
        placed.append(max(wanted[i], placed[-1] + gap if placed else low))
    overflow = max(0.0, placed[-1] - high) if placed else 0.0
    for n in range(len(placed) - 1, -1, -1):
        limit = high if n == len(placed) - 1 else placed[n + 1] - gap
        placed[n] = min(placed[n], limit) if overflow else placed[n]
    result = [0.0] * len(wanted)
    for n, i in enumerate(order):
        result[i] = placed[n]
    return result


@dataclass(frozen=True, slots=True)
class Line:
    """One contestant's losses, by ISO day, in the colour class ``style``."""

    name: str
    values: Mapping[str, float]
    style: str


def losses(lines: Sequence[Line], loss_name: str, window: int, changes: Mapping[str, str]) -> Markup:
    """Mean loss per day and contestant; the evidence window shaded, changes of champion marked.

    Args:
        lines: The contestants.
        loss_name: What the loss is called.
        window: How many of the last days the gates read.
        changes: ISO day to what changed, such as ``"version 3"``.
    """
    days = sorted({day for line in lines for day in line.values})
    if not days:
        return Markup("")
    first, last = date.fromisoformat(days[0]), date.fromisoformat(days[-1])
    height, left, right, top, bottom = 322.0, 52.0, WIDE - 150, 48.0, 282.0
    canvas = Canvas(WIDE, height, f"{loss_name} per day and contestant")
    x = Scale(-0.5, max((last - first).days, 1) + 0.5, left, right)
    y = Scale.over([v for line in lines for v in line.values.values()], bottom, top, 0.08)

    def at(day: str) -> float:
        return x((date.fromisoformat(day) - first).days)

    begin = max((last - first).days - window + 1, 0) - 0.5
    canvas.rect(x(begin), top, right - x(begin), bottom - top, "shade")
    canvas.text(x(begin) + 6, top + 13, f"evidence: {window} days", "faint")
    axis_y(canvas, y, left, right)
    canvas.text(0, 14, f"{loss_name} (smaller is better)", "axis")
    step = max(1, math.ceil(((last - first).days + 1) / 9))
    for back in range(0, (last - first).days + 1, step):
        day = (last - timedelta(back)).isoformat()
        canvas.line(at(day), bottom, at(day), bottom + 4, "rule")
        canvas.text(at(day), bottom + 18, day_name(day), "tick", "middle")
    for day, what in sorted(changes.items()):
        if first <= date.fromisoformat(day) <= last:
            canvas.line(at(day), top, at(day), bottom, "change")
            canvas.text(at(day), top - 6, f"{what} ▾", "faint", "middle")
    ends = []
    for line in lines:
        every = [(first + timedelta(n)).isoformat() for n in range((last - first).days + 1)]
        points = [(at(day), y(line.values[day]) if _known(line, day) else math.nan) for day in every]
        canvas.path(points, f"line {line.style}")
        shown = [day for day in every if _known(line, day)]
        for day in shown:
            hint = f"{line.name}, {day}: {number(line.values[day])}"
            canvas.dot(at(day), y(line.values[day]), 2.4, f"dot {line.style}", hint)
        ends.append(y(line.values[shown[-1]]) if shown else bottom)
    for line, place, end in zip(lines, spread(ends, 15, top, bottom), ends, strict=True):
        canvas.line(right + 2, end, right + 12, place, f"leader {line.style}")
        canvas.text(right + 16, place + 4, line.name[:22], f"name {line.style}", hint=line.name)
    return canvas.render()


def _known(line: Line, day: str) -> bool:
    return math.isfinite(line.values.get(day, math.nan))


def forest(findings: Sequence[tuple[str, Finding]], title: str, width: float = HALF) -> Markup:
    """Intervals below each other, against the range that was wanted. A point without interval is a point.

    Args:
        findings: Name of the row and the finding whose value, low, high and wanted it shows.
        title: What the axis measures.
        width: Width of the drawing.
    """
    rows = [(name, f) for name, f in findings if f.value is not None and math.isfinite(f.value)]
    unknown = [name for name, f in findings if f.value is None or not math.isfinite(f.value)]
    if not rows:
        return Markup("")
    left, right, top = width * 0.34, width - 14.0, 14.0
    gap = 22.0
    bottom = top + gap * len(rows)
    canvas = Canvas(width, bottom + (40 if not unknown else 56), title)
    seen = [0.0]
    for _, f in rows:
        seen += [v for v in (f.value, f.low, f.high) if v is not None and math.isfinite(v)]
        seen += [v for v in _edges(f.wanted) if abs(v) < 1e6]
    x = Scale.over(seen, left, right, 0.06)
    _band(canvas, x, rows[0][1].wanted, top, bottom)
    axis_x(canvas, x, top, bottom, title, 4)
    canvas.line(x(0.0), top, x(0.0), bottom, "zero")
    for n, (name, f) in enumerate(rows):
        y = top + gap * (n + 0.5)
        low, high = _end(f.low, x.low), _end(f.high, x.high)
        hint = f"{name}: {number(f.value)} ({number(f.low)} to {number(f.high)}), wanted {f.wanted}"
        longest = int(left / 6.6)
        canvas.text(left - 10, y + 4, name if len(name) <= longest else name[: longest - 1] + "…", "row", "end", name)
        style = f"outcome-{f.outcome.lower()}"
        if f.low is not None or f.high is not None:
            canvas.line(x(low), y, x(high), y, f"interval {style}")
            for end, given in ((low, f.low), (high, f.high)):
                if given is not None:
                    canvas.line(x(end), y - 4, x(end), y + 4, f"interval {style}")
        canvas.dot(x(f.value if f.value is not None else 0), y, 4.2, f"point {style}", hint)
    if unknown:
        canvas.text(left, bottom + 50, f"no number for {', '.join(unknown)}"[:70], "faint")
    return canvas.render()


def _edges(bound: Bound | None) -> list[float]:
    return [] if bound is None else [edge for edge in (bound.low, bound.high) if math.isfinite(edge)]


def _end(value: float | None, otherwise: float) -> float:
    return value if value is not None and math.isfinite(value) else otherwise


def _band(canvas: Canvas, x: Scale, wanted: Bound | None, top: float, bottom: float) -> None:
    if wanted is None:
        return
    low, high = x(max(wanted.low, x.low)), x(min(wanted.high, x.high))
    canvas.rect(low, top, high - low, bottom - top, "wanted", f"wanted: {wanted}")
    for edge in _edges(wanted):
        canvas.line(x(edge), top, x(edge), bottom, "edge")


def gauge(finding: Finding) -> Markup:
    """One finding in a table's cell: its value and interval against the range that was wanted."""
    if finding.value is None or not math.isfinite(finding.value) or finding.wanted is None:
        return Markup("")
    width, middle = 132.0, 10.0
    canvas = Canvas(width, 20.0, f"{number(finding.value)}, wanted {finding.wanted}")
    ends = [v for v in (finding.value, finding.low, finding.high, *_edges(finding.wanted)) if v is not None]
    x = Scale.over(ends, 4, width - 4, 0.18)
    _band(canvas, x, finding.wanted, 2, 18)
    style = f"outcome-{finding.outcome.lower()}"
    if finding.low is not None or finding.high is not None:
        canvas.line(x(_end(finding.low, x.low)), middle, x(_end(finding.high, x.high)), middle, f"interval {style}")
    canvas.dot(x(finding.value), middle, 3.6, f"point {style}")
    return canvas.render()


def reliability(contestants: Sequence[tuple[str, str, Reliability]]) -> Markup:
    """What was predicted against what happened, per contestant; the diagonal is a model that means what it says.

    Args:
        contestants: Name, colour class, and the groups of units.
    """
    shown = [(name, style, r) for name, style, r in contestants if len(r.predicted)]
    if not shown:
        return Markup("")
    left, right, top, bottom = 58.0, HALF - 12, 40.0, 330.0
    canvas = Canvas(HALF, 372, "What was predicted against what happened")
    values = [float(v) for _, _, r in shown for v in (*r.predicted, *r.observed, *r.low, *r.high)]
    x, y = Scale.over(values, left, right, 0.03), Scale.over(values, bottom, top, 0.03)
    axis_x(canvas, x, top, bottom, shown[0][2].x, 5)
    axis_y(canvas, y, left, right, shown[0][2].y)
    canvas.line(x(x.low), y(x.low), x(x.high), y(x.high), "zero")
    for n, (name, style, r) in enumerate(shown):
        shift = (n - (len(shown) - 1) / 2) * 3.0
        points = [(x(float(p)) + shift, y(float(o))) for p, o in zip(r.predicted, r.observed, strict=True)]
        canvas.path(points, f"line {style}")
        for i, (px, py) in enumerate(points):
            canvas.line(px, y(float(r.low[i])), px, y(float(r.high[i])), f"whisker {style}")
            predicted, came = number(float(r.predicted[i])), number(float(r.observed[i]))
            hint = f"{name}: predicted {predicted}, happened {came}, {int(r.units[i]):,} units"
            canvas.dot(px, py, 3.2, f"dot {style}", hint)
    return canvas.render()


def distributions(samples: Sequence[tuple[str, str, Floats]], title: str) -> Markup:
    """Histograms over each other, as shares, on one scale that leaves out the outermost half per cent.

    Args:
        samples: Name, colour class, values.
        title: What is distributed.
    """
    finite = [(name, style, values[np.isfinite(values)]) for name, style, values in samples]
    finite = [(name, style, values) for name, style, values in finite if len(values)]
    if not finite:
        return Markup("")
    pooled = np.concatenate([values for _, _, values in finite])
    low, high = (float(v) for v in np.quantile(pooled, [0.005, 0.995]))
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    left, right, top, bottom = 52.0, HALF - 12, 24.0, 210.0
    canvas = Canvas(HALF, 250, f"Distribution of {title}")
    bins = int(min(40, max(8, np.sqrt(len(pooled) / len(finite)))))
    edges = np.linspace(low, high, bins + 1)
    shares = [np.histogram(np.clip(v, low, high), edges)[0] / len(v) for _, _, v in finite]
    x = Scale(low, high, left, right)
    y = Scale(0.0, float(max(s.max() for s in shares)) * 1.08, bottom, top)
    axis_x(canvas, x, top, bottom, title, 5)
    axis_y(canvas, y, left, right, "", 4)
    for n, ((_, style, _), share) in enumerate(zip(finite, shares, strict=True)):
        points = [(x(low), y(0.0))]
        for i, value in enumerate(share):
            points += [(x(float(edges[i])), y(float(value))), (x(float(edges[i + 1])), y(float(value)))]
        points.append((x(high), y(0.0)))
        canvas.path(points, f"hist {style}{' filled' if n == 0 else ''}")
    return canvas.render()


def shares_below(samples: Sequence[tuple[str, str, Floats]], title: str) -> Markup:
    """Share of calls that took at most so long, on a logarithmic scale; the median and the 95th percentile marked.

    Args:
        samples: Name, colour class, durations in milliseconds.
        title: What was timed.
    """
    finite = [(name, style, np.sort(v[np.isfinite(v) & (v > 0)])) for name, style, v in samples]
    finite = [(name, style, v) for name, style, v in finite if len(v)]
    if not finite:
        return Markup("")
    left, right, top, bottom = 52.0, HALF - 12, 24.0, 180.0
    canvas = Canvas(HALF, 220, f"Time per call: {title}")
    cut = [float(q) for _, _, v in finite for q in (v[0], np.quantile(v, 0.99))]
    x, y = Scale.over(cut, left, right, 0.06, log=True), Scale(0.0, 1.0, bottom, top)
    axis_x(canvas, x, top, bottom, f"{title}, milliseconds (log)")
    for share, words in ((0.0, "0"), (0.5, "p50"), (0.95, "p95")):
        canvas.line(left, y(share), right, y(share), "grid")
        canvas.text(left - 7, y(share) + 4, words, "tick", "end")
    for name, style, values in finite:
        at = np.linspace(0, len(values) - 1, min(len(values), 120)).astype(int)
        points = [(x(float(values[i])), y((int(i) + 1) / len(values))) for i in at]
        canvas.path(points, f"line {style}")
        for share in (0.5, 0.95):
            value = float(np.quantile(values, share))
            canvas.dot(x(value), y(share), 3.6, f"dot {style}", f"{name}: {share:.0%} within {number(value)} ms")
    return canvas.render()


#: Signs for the three answers, so that colour is never the only carrier.
SIGNS = {Outcome.PASS: "✓", Outcome.FAIL: "✕", Outcome.UNKNOWN: "?"}
