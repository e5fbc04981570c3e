"""A plot of repeated measurements: points, mean, interval. The axis may not start at 0."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from markupsafe import Markup

from mtkd_cli.report.svg import LETTER, WIDTH, alike, element, fitting, number, picture, scale_of

ROW, NUMBERS = 24, 56
"""Height of a row, and width of the column of means at its end, in pixels."""


def strips(
    title: str,
    points: Mapping[str, Sequence[float]],
    means: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    best: Collection[str],
) -> Markup:
    """Return a row for each name: its points, its mean, and the interval of the mean.

    Args:
        title: title for screen readers.
        points: measurements of each name.
        means: mean of each name.
        intervals: interval of the mean, for some names.
        best: names whose means are drawn in color.
    """
    letters = max(min(max(map(len, means), default=0), 24), 4)
    left, bottom = letters * LETTER + 10, len(means) * ROW + 4
    everything = [
        value for values in (*points.values(), *intervals.values(), means.values()) for value in values
    ]
    x = scale_of(everything, left, WIDTH - NUMBERS)
    parts = []
    for value in x.ticks:
        place = x.at(value)
        parts.append(element("line", x1=place, x2=place, y1=0, y2=bottom, class_="grid"))
        parts.append(element("text", number(value), x=place, y=bottom + 16, text_anchor="middle"))
    parts.append(element("line", x1=left, x2=x.stop, y1=bottom, y2=bottom, class_="axis"))
    for place, (name, written) in enumerate(zip(means, alike(list(means.values())), strict=True)):
        middle = place * ROW + 12
        parts.append(element("text", fitting(name, letters), x=left - 6, y=middle + 4, text_anchor="end"))
        if name in intervals:
            low, high = (x.at(end) for end in intervals[name])
            parts.append(element("line", x1=low, x2=high, y1=middle, y2=middle, class_="whisker"))
        kind = "bar best" if name in best else "bar"
        mean = x.at(means[name])
        parts.append(element("rect", x=mean - 3, y=middle - 8, width=6, height=16, class_=kind))
        for value in points.get(name, ()):
            parts.append(element("circle", cx=x.at(value), cy=middle, r=2.5, class_="point"))
        parts.append(element("text", written, x=WIDTH - NUMBERS + 8, y=middle + 4))
    return picture(title, bottom + 24, *parts)
