"""Plots of a report, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup

from mtkd_cli.report.svg import (
    LETTER,
    SERIES,
    WIDTH,
    Scale,
    alike,
    axes,
    element,
    fitting,
    legend,
    number,
    picture,
    scale_of,
)

LEFT, HEIGHT, BELOW = 46, 190, 40
MOST_NUMBERS = 12
"""Maximum number of columns of a matrix with numbers in its cells."""


def lines(
    title: str, series: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str
) -> Markup:
    """Return curves over a common axis, by name."""
    keys, top = legend(list(series), 0)
    points = [point for curve in series.values() for point in curve if math.isfinite(point[1])]
    x = scale_of((p[0] for p in points), LEFT, WIDTH - 8, margin=0.0)
    y = scale_of((p[1] for p in points), top + 16 + HEIGHT, top + 16)
    parts = [*keys, *axes(x, y, x_label, y_label)]
    for index, curve in enumerate(series.values()):
        path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in curve if math.isfinite(b))
        parts.append(element("polyline", points=path, class_=f"line s{index % SERIES}"))
        if len(curve) == 1 and path:
            a, b = curve[0]
            parts.append(element("circle", cx=x.at(a), cy=y.at(b), r=3, class_=f"dot s{index % SERIES}"))
    return picture(title, top + 16 + HEIGHT + BELOW, *parts)


def bars(
    title: str,
    values: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]] | None = None,
    higher_is_better: bool | None = None,
    chosen: str = "",
) -> Markup:
    """Return horizontal bars from 0, with intervals where given.

    The chosen one is in the accent color, or else the best ones; none where neither direction is better.
    """
    best = None if higher_is_better is None else best_of(values.values(), higher_is_better)
    numbers = alike(list(values.values()))
    letters = max(min(max(map(len, values), default=0), 24), 4)
    left, row = letters * LETTER + 10, 24
    ends = [end for pair in (intervals or {}).values() for end in pair]
    finite = [value for value in (*values.values(), *ends) if math.isfinite(value)] or [1.0]
    x = Scale(min(0.0, *finite, 0.0), max(0.0, *finite) or 1.0, left, WIDTH - 62)
    parts = []
    for index, (name, value) in enumerate(values.items()):
        top = index * row
        parts.append(element("text", fitting(name, letters), x=left - 6, y=top + 15, text_anchor="end"))
        ends_at = x.at(0)
        if math.isfinite(value):
            ends_at = max(x.at(value), x.at(0))
            begin = min(x.at(0), x.at(value))
            is_marked = name == chosen if chosen else value == best
            kind = "bar best" if is_marked else "bar"
            parts.append(
                element(
                    "rect",
                    x=begin,
                    y=top + 3,
                    width=max(abs(x.at(value) - x.at(0)), 1.0),
                    height=16,
                    class_=kind,
                )
            )
        if intervals and name in intervals:
            low, high = intervals[name]
            parts.append(
                element("line", x1=x.at(low), x2=x.at(high), y1=top + 11, y2=top + 11, class_="whisker")
            )
            ends_at = max(ends_at, x.at(high))
        parts.append(element("text", numbers[index], x=ends_at + 5, y=top + 15))
    return picture(title, len(values) * row + 4, *parts)


def best_of(values: Iterable[float], higher_is_better: bool) -> float | None:
    """Return the best of the finite values; None without finite values."""
    finite = [value for value in values if math.isfinite(value)]
    return (max if higher_is_better else min)(finite, default=None)


def matrix(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float]],
    whole: bool = False,
    across: bool = False,
) -> Markup:
    """Return a table of shaded cells; cells that are not finite are empty.

    Args:
        title: text for screen readers.
        rows: names of the rows.
        columns: names of the columns.
        values: of each row, one for each column.
        whole: numbers are counts.
        across: the shade of a cell is relative to the smallest and the largest of all cells; by
            default, as its share of its row's sum.
    """
    finite = [value for row in values for value in row if math.isfinite(value)] or [0.0]
    lowest, spread = min(finite), max(finite) - min(finite) or 1.0
    letters = max(min(max(map(len, rows), default=0), 16), 2)
    left = letters * LETTER + 8
    cell = min((WIDTH - left - 2) / max(len(columns), 1), 60.0)
    high = min(max(cell, 3.0), 24.0)
    slots = max(min(max(map(len, columns), default=0), 12), 1)
    named = high >= 9
    top = slots * LETTER * 0.75 + 12 if named else 4.0
    parts = []
    for index, name in enumerate(columns if named else ()):
        x = left + (index + 0.5) * cell
        parts.append(
            element(
                "text",
                fitting(name, slots),
                x=x,
                y=top - 6,
                transform=f"rotate(-40 {x:.1f} {top - 6:.1f})",
            )
        )
    for line, (name, row) in enumerate(zip(rows, values, strict=True)):
        y = top + line * high
        if named:
            parts.append(
                element("text", fitting(name, letters), x=left - 6, y=y + high / 2 + 4, text_anchor="end")
            )
        total = sum(value for value in row if math.isfinite(value)) or 1.0
        for index, value in enumerate(row):
            x = left + index * cell
            if not math.isfinite(value):
                continue
            share = (value - lowest) / spread if across else value / total
            hint = f"{name}, {columns[index]}: {number(value)}"
            parts.append(
                element(
                    "rect",
                    element("title", hint),
                    x=x,
                    y=y,
                    width=cell - 1,
                    height=high - 1,
                    class_="cell",
                    fill_opacity=0.04 + 0.56 * max(0.0, min(1.0, share)),
                )
            )
            if len(columns) <= MOST_NUMBERS and (value or not whole):
                text = f"{value:.0f}" if whole else f"{value:.2f}"
                parts.append(
                    element(
                        "text", text, x=x + cell / 2, y=y + high / 2 + 4, text_anchor="middle", class_="small"
                    )
                )
    return picture(title, top + len(rows) * high + 4, *parts)


def diagonal(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    x_label: str,
    y_label: str,
    dots: bool,
    radii: Mapping[str, Sequence[float]] | None = None,
) -> Markup:
    """Return points, or with ``dots=False`` curves, against the line on which both axes agree.

    Args:
        title: text for screen readers.
        series: points by name.
        x_label: name of the horizontal axis.
        y_label: name of the vertical axis.
        dots: whether points are not connected.
        radii: radius of each point, by name; None: all the same.
    """
    keys, top = legend(list(series), 0) if len(series) > 1 else ([], 0.0)
    values = [value for curve in series.values() for point in curve for value in point]
    span = scale_of(values, 0, 1, margin=0.03)
    x = Scale(span.low, span.high, LEFT, WIDTH - 8)
    y = Scale(span.low, span.high, top + 16 + HEIGHT * 1.3, top + 16)
    ends = {"x1": x.start, "y1": y.start, "x2": x.stop, "y2": y.stop}
    parts = [*keys, *axes(x, y, x_label, y_label), element("line", class_="ideal", **ends)]
    for index, (name, curve) in enumerate(series.items()):
        color = f"s{index % SERIES}"
        if not dots:
            path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in curve)
            parts.append(element("polyline", points=path, class_=f"line {color}"))
        sizes = radii[name] if radii else [2.5] * len(curve)
        parts += [
            element("circle", cx=x.at(a), cy=y.at(b), r=r, class_=f"dot {color}")
            for (a, b), r in zip(curve, sizes, strict=True)
        ]
    return picture(title, top + 16 + HEIGHT * 1.3 + BELOW, *parts)
