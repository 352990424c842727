"""Plots as inline SVG: points with their intervals. The colours are Okabe and Ito's, which colour-blind
people can distinguish, and every series has a mark of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .records import Interval, Row

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS = ("circle", "square", "triangle", "diamond", "down", "cross", "circle")
_INK, _FAINT = "#333", "#ddd"


@dataclass(frozen=True)
class Axis:
    """An axis of a plot.

    Args:
        title: with its unit.
        low: its lower end.
        high: its upper end.
        digits: after the decimal point of the ticks.
        scale: factor from values to the axis.
    """

    title: str
    low: float
    high: float
    digits: int = 0
    scale: float = 1.0

    def ticks(self) -> list[float]:
        """Round values, about five."""
        span = (self.high - self.low) or 1.0
        raw = span / 5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def at(self, value: float, start: float, end: float) -> float:
        """The coordinate of a value between `start` and `end`; values outside the axis lie at its ends."""
        share = (value * self.scale - self.low) / ((self.high - self.low) or 1.0)
        return start + min(max(share, 0.0), 1.0) * (end - start)


def mark(kind: str, x: float, y: float, colour: str, r: float = 5.0) -> str:
    """A filled mark with a thin white rim, which separates overlapping marks."""
    style = f'fill="{colour}" stroke="#fff" stroke-width="1"'
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" {style}/>'
    shapes = {
        "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        "triangle": ((0, -1.15), (1.1, 0.85), (-1.1, 0.85)),
        "down": ((0, 1.15), (1.1, -0.85), (-1.1, -0.85)),
        "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
        "cross": ((-1, -0.4), (-0.4, -0.4), (-0.4, -1), (0.4, -1), (0.4, -0.4), (1, -0.4),
                  (1, 0.4), (0.4, 0.4), (0.4, 1), (-0.4, 1), (-0.4, 0.4), (-1, 0.4)),
    }  # fmt: skip
    points = " ".join(f"{x + r * dx:.1f},{y + r * dy:.1f}" for dx, dy in shapes[kind])
    return f'<polygon points="{points}" {style}/>'


def legend(titles: Sequence[str]) -> str:
    """The series with their marks, as a line of HTML."""
    items = [
        f'<span class="key"><svg width="14" height="14">{mark(MARKS[i % 7], 7, 7, COLOURS[i % 7])}</svg>'
        f"{escape(title)}</span>"
        for i, title in enumerate(titles)
    ]
    return f'<p class="legend">{"".join(items)}</p>'


def rows(names: Sequence[str], series: Sequence[Row], axis: Axis, label: str, left: int = 190) -> str:
    """One row for each name, with one mark for each series and a line for its interval.

    Args:
        names: of the rows.
        series: name -> figure, one mapping for each series.
        axis: of the figures.
        label: a description of the plot for screen readers.
        left: width of the names in pixels.
    """
    step = max(22, 9 * len(series) + 8)
    width, top, bottom = 720, 8, 44
    height = top + step * len(names) + bottom
    right = width - 20
    parts = [_grid(axis, left, right, top, height - bottom)]
    for k, name in enumerate(names):
        y0 = top + step * k
        if k % 2 == 0:
            parts.insert(0, f'<rect x="0" y="{y0}" width="{width}" height="{step}" fill="#f6f6f4"/>')
        parts.append(
            f'<text x="{left - 10}" y="{y0 + step / 2 + 4:.1f}" text-anchor="end">{escape(name)}</text>'
        )
        for i, values in enumerate(series):
            if name not in values:
                continue
            y = y0 + step * (i + 1) / (len(series) + 1)
            parts.append(_interval(values[name], axis, left, right, y, i))
    return _svg(width, height, parts, label)


def scatter(
    points: Sequence[tuple[Interval, Interval] | None],
    x: Axis,
    y: Axis,
    label: str,
    width: int = 720,
    height: int = 380,
) -> str:
    """One mark for each series at (mean, mean), with lines for both intervals; None leaves a series out."""
    left, right, top, bottom = 70, width - 20, 14, height - 50
    parts = [_grid(x, left, right, top, bottom)]
    for tick in y.ticks():
        at = y.at(tick / y.scale, bottom, top)
        parts.append(f'<path d="M{left} {at:.1f}H{right}" stroke="{_FAINT}"/>')
        parts.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{tick:.{y.digits}f}</text>')
    middle = (top + bottom) / 2
    turned = f'text-anchor="middle" transform="rotate(-90 18 {middle})"'
    parts.append(f'<text x="18" y="{middle}" {turned}>{escape(y.title)}</text>')
    there = [(i, point) for i, point in enumerate(points) if point is not None]
    for i, (across, up) in there:
        colour = COLOURS[i % 7]
        cx, cy = x.at(across["mean"], left, right), y.at(up["mean"], bottom, top)
        x0, x1 = (x.at(end, left, right) for end in ends(across))
        y0, y1 = (y.at(end, bottom, top) for end in ends(up))
        parts.append(
            f'<path d="M{x0:.1f} {cy:.1f}H{x1:.1f}M{cx:.1f} {y0:.1f}V{y1:.1f}" stroke="{colour}" '
            'stroke-width="1.5" fill="none" opacity=".65"/>'
        )
    for i, (across, up) in there:
        cx, cy = x.at(across["mean"], left, right), y.at(up["mean"], bottom, top)
        parts.append(mark(MARKS[i % 7], cx, cy, COLOURS[i % 7], 6.0))
    return _svg(width, height, parts, label)


def ends(estimate: Interval) -> tuple[float, float]:
    """Low and high end of the interval; the mean twice where there is no interval."""
    low, high = (estimate["mean"] if end is None else end for end in (estimate["low"], estimate["high"]))
    return low, high


def _interval(estimate: Interval, axis: Axis, left: float, right: float, y: float, i: int) -> str:
    x, x0, x1 = (axis.at(value, left, right) for value in (estimate["mean"], *ends(estimate)))
    colour = COLOURS[i % 7]
    line = f'<path d="M{x0:.1f} {y:.1f}H{x1:.1f}" stroke="{colour}" stroke-width="1.5" opacity=".65"/>'
    return line + mark(MARKS[i % 7], x, y, colour, 4.5)


def _grid(axis: Axis, left: float, right: float, top: float, bottom: float) -> str:
    parts = []
    for tick in axis.ticks():
        at = axis.at(tick / axis.scale, left, right)
        parts.append(f'<path d="M{at:.1f} {top}V{bottom}" stroke="{_FAINT}"/>')
        parts.append(
            f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:.{axis.digits}f}</text>'
        )
    parts.append(
        f'<text x="{(left + right) / 2}" y="{bottom + 36}" text-anchor="middle">{escape(axis.title)}</text>'
    )
    return "".join(parts)


def _svg(width: float, height: float, parts: Sequence[str], label: str) -> str:
    label = f'role="img" aria-label="{escape(label, quote=True)}"'
    box = f'class="plot" viewBox="0 0 {width} {height}" fill="{_INK}"'
    return f'<svg {box} {label} xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
