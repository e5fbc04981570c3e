"""Bars of scores with their intervals, on an axis that shows the differences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from mtkd_cli.report.svg import LETTER, WIDTH, Scale, element, fitting, number, picture

ROW, NUMBERS = 26, 58
"""Height of a row, and room for the numbers at its end."""
CLOSE = 0.5
"""The axis starts above 0 if the smallest number is at least this share of the largest."""


@dataclass(frozen=True)
class Bar:
    """A score: its value, its text, and its interval (low, high) if there is one."""

    value: float
    text: str
    interval: tuple[float, float] | None = None


def score_bars(
    title: str,
    bars: Mapping[str, Bar],
    colored: str,
) -> Markup:
    """Return a horizontal bar for each score, its interval if there is one, and the axis.

    If the axis does not start at 0, the picture says so and its left edge is dashed.

    Args:
        title: text for screen readers.
        bars: scores by name.
        colored: name of the bar in the accent color.
    """
    letters = max(min(max(map(len, bars), default=0), 24), 4)
    left, bottom = letters * LETTER + 10, len(bars) * ROW + 4
    ends = [end for bar in bars.values() for end in bar.interval or ()]
    x = axis([*(bar.value for bar in bars.values()), *ends], left, WIDTH - NUMBERS)
    zero = x.at(min(max(0.0, x.low), x.high))
    parts = []
    for value in x.ticks:
        at = x.at(value)
        parts.append(element("line", x1=at, x2=at, y1=0, y2=bottom, class_="grid"))
        parts.append(element("text", number(value), x=at, y=bottom + 16, text_anchor="middle"))
    for row, (name, bar) in enumerate(bars.items()):
        middle = row * ROW + 13
        parts.append(element("text", fitting(name, letters), x=left - 6, y=middle + 4, text_anchor="end"))
        parts.append(element("text", bar.text, x=WIDTH, y=middle + 4, text_anchor="end"))
        if math.isfinite(bar.value):
            begin, end = sorted((zero, x.at(bar.value)))
            kind = "bar best" if name == colored else "bar"
            width = max(end - begin, 1.0)
            parts.append(element("rect", x=begin, y=middle - 8, width=width, height=16, class_=kind))
        if bar.interval:
            low, high = map(x.at, bar.interval)
            parts.append(element("line", x1=low, x2=high, y1=middle, y2=middle, class_="whisker"))
            for end in (low, high):
                parts.append(element("line", x1=end, x2=end, y1=middle - 4, y2=middle + 4, class_="whisker"))
    starts_above_zero = x.low > 0
    edge = "axis cut" if starts_above_zero else "axis"
    parts.append(element("line", x1=zero, x2=zero, y1=0, y2=bottom, class_=edge))
    if starts_above_zero:
        note = f"The axis starts at {number(x.low)}, not at 0."
        parts.append(element("text", note, x=WIDTH, y=bottom + 34, text_anchor="end", class_="name"))
    return picture(title, bottom + (40 if starts_above_zero else 22), *parts)


def axis(values: list[float], start: float, stop: float) -> Scale:
    """Return a scale with all finite values: from 0, or from a round number below them if they are close."""
    finite = [value for value in values if math.isfinite(value)] or [1.0]
    low, high = min(finite), max(finite)
    if low <= 0 or high == low or low < CLOSE * high:
        return Scale(min(0.0, low), max(0.0, high) or 1.0, start, stop)
    room = 0.12 * (high - low)
    step = 10 ** math.floor(math.log10((high - low) / 4))
    return Scale(max(0.0, math.floor((low - room) / step) * step), high + room / 4, start, stop)
