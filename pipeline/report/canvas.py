"""Drawing: a small SVG canvas. Colours are classes, so that the page's theme rules.

Every text passes through one escaping function; numbers are written with two decimals, so the same values give the
same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from markupsafe import Markup


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between ``low`` and ``high``, some ``about`` of them."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low] if math.isfinite(low) else []
    raw = span / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def number(value: float | None) -> str:
    """A number as people write it: four significant digits, thousands apart, no exponent where it can be helped."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    if abs(value) < 1e-4:
        return f"{value:.1e}"
    return f"{value:.4g}"


@dataclass(frozen=True, slots=True)
class Scale:
    """Values to pixels; logarithmic on request. A range without extent is widened, so nothing divides by zero."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, pad: float = 0.05, log: bool = False) -> Scale:
        """A scale that shows all finite values with some air around them."""
        shown = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
        low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
        if log:
            low, high = math.log10(low if shown else 0.1), math.log10(high if shown else 1.0)
        air = abs(high) * 0.1 or 0.5 if high - low < 1e-12 else (high - low) * pad
        low, high = low - air, high + air
        return cls(10**low if log else low, 10**high if log else high, start, end, log)

    def __call__(self, value: float) -> float:
        """The pixel of a value, held inside the drawing."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log10(max(value, 1e-300)), math.log10(low), math.log10(high)
        share = (value - low) / (high - low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values on this scale."""
        if not self.log:
            return ticks(self.low, self.high, about)
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        steps = (1, 2, 5) if last - first <= 2 else (1,)
        every = [10.0**n * step for n in range(first, last + 1) for step in steps]
        return [value for value in every if self.low <= value <= self.high]


@dataclass(slots=True)
class Canvas:
    """Collects SVG elements. ``label`` is what a screen reader says of the whole drawing."""

    width: float
    height: float
    label: str
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """A straight line."""
        self.parts.append(f'<line x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}" class="{style}"/>')

    def rect(self, x: float, y: float, width: float, height: float, style: str, hint: str = "") -> None:
        """A rectangle, with a hint that shows under the pointer."""
        body = f"<title>{escape(hint)}</title>" if hint else ""
        self.parts.append(
            f'<rect x="{x:.2f}" y="{y:.2f}" width="{max(width, 0):.2f}" height="{max(height, 0):.2f}" '
            f'class="{style}">{body}</rect>'
        )

    def dot(self, x: float, y: float, radius: float, style: str, hint: str = "") -> None:
        """A point."""
        body = f"<title>{escape(hint)}</title>" if hint else ""
        self.parts.append(f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius:.2f}" class="{style}">{body}</circle>')

    def text(self, x: float, y: float, words: str, style: str = "", anchor: str = "start", hint: str = "") -> None:
        """A line of text."""
        body = f"<title>{escape(hint)}</title>" if hint else ""
        self.parts.append(
            f'<text x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}" class="{style}">{escape(words)}{body}</text>'
        )

    def path(self, points: Sequence[tuple[float, float]], style: str, closed: bool = False) -> None:
        """A line through points; a point with a NaN interrupts it."""
        commands, pen = [], "M"
        for x, y in points:
            if math.isnan(x) or math.isnan(y):
                pen = "M"
                continue
            commands.append(f"{pen}{x:.2f} {y:.2f}")
            pen = "L"
        if commands:
            self.parts.append(f'<path d="{" ".join(commands)}{" Z" if closed else ""}" class="{style}"/>')

    def render(self) -> Markup:
        """The drawing as an SVG element that scales with its place."""
        body = "".join(self.parts)
        return Markup(  # noqa: S704 -- every text in it went through escape()
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" aria-label="{escape(self.label)}" '
            f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
        )


def axis_x(canvas: Canvas, scale: Scale, top: float, bottom: float, title: str = "", about: int = 5) -> None:
    """Vertical grid lines with their values below, and what they are."""
    for value in scale.ticks(about):
        x = scale(value)
        canvas.line(x, top, x, bottom, "grid")
        canvas.text(x, bottom + 15, number(value), "tick", "middle")
    if title:
        canvas.text((scale.start + scale.end) / 2, bottom + 32, title, "axis", "middle")


def axis_y(canvas: Canvas, scale: Scale, left: float, right: float, title: str = "", about: int = 5) -> None:
    """Horizontal grid lines with their values on the left, and what they are on top."""
    for value in scale.ticks(about):
        y = scale(value)
        canvas.line(left, y, right, y, "grid")
        canvas.text(left - 7, y + 4, number(value), "tick", "end")
    if title:
        canvas.text(left - 40 if left > 40 else 0, scale.end - 10, title, "axis")
