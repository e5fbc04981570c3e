"""A plot of score against cost, with a line through the students that no cheaper one beats."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mtkd_cli.report.svg import SERIES, WIDTH, Scale, axes, element, legend, number, picture, scale_of

LEFT, HEIGHT, BELOW = 52, 200, 40
DODGE = 9
"""Distance of points with the same cost, in pixels."""


@dataclass(frozen=True)
class CostPoint:
    """A student in the plot.

    Attributes:
        name: its name in the legend.
        cost: its cost, positive.
        score: its mean score.
        interval: interval of the mean score, if there is one.
    """

    name: str
    cost: float
    score: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class LogScale(Scale):
    """A logarithmic scale of positive values."""

    def at(self, value: float) -> float:
        """Return the position of a value."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.stop - self.start)

    @property
    def ticks(self) -> list[float]:
        """Round values: 1, 2, 5, 10, ...; powers of ten on a long scale, equal steps on a short one."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for steps in ((1, 2, 5), (1,)):
            values = [float(f"{step}e{power}") for power in range(first, last + 1) for step in steps]
            inside = [value for value in values if self.low <= value <= self.high]
            if len(inside) <= 6:
                break
        return inside if len(inside) > 1 else super().ticks


def cost_plot(title: str, points: Sequence[CostPoint], x_label: str, y_label: str, higher: bool) -> Markup:
    """Return the plot.

    Args:
        title: title for screen readers.
        points: the students.
        x_label: name of the cost, with its unit.
        y_label: name of the score.
        higher: whether a higher score is better.
    """
    keys, top = legend([point.name for point in points], 0)
    low, high = min(point.cost for point in points), max(point.cost for point in points)
    x = LogScale(low / 1.3, high * 1.3, LEFT, WIDTH - 8)
    ends = [end for point in points for end in (point.score, *(point.interval or ()))]
    y = scale_of(ends, top + 16 + HEIGHT, top + 16)
    parts = [*keys, *axes(x, y, x_label, y_label)]
    line = " ".join(f"{x.at(point.cost):.1f},{y.at(point.score):.1f}" for point in front(points, higher))
    parts.append(element("polyline", points=line, class_="line front"))
    same, drawn = Counter(point.cost for point in points), Counter[float]()
    for index, point in enumerate(points):
        # points with the same cost stand beside each other
        across = x.at(point.cost) + DODGE * (drawn[point.cost] - (same[point.cost] - 1) / 2)
        drawn[point.cost] += 1
        color = f"s{index % SERIES}"
        if point.interval:
            y1, y2 = (y.at(end) for end in point.interval)
            parts.append(element("line", x1=across, x2=across, y1=y1, y2=y2, class_=f"line {color}"))
        text = element("title", f"{point.name}: {number(point.score)} at {number(point.cost)}")
        parts.append(element("circle", text, cx=across, cy=y.at(point.score), r=4, class_=f"dot {color}"))
    return picture(title, top + 16 + HEIGHT + BELOW, *parts)


def front(points: Sequence[CostPoint], higher: bool) -> list[CostPoint]:
    """Return the points that no point with the same or a lower cost beats, the cheapest first."""
    sign = 1 if higher else -1
    found: list[CostPoint] = []
    for point in sorted(points, key=lambda p: (p.cost, -sign * p.score)):
        if not found or sign * point.score > sign * found[-1].score:
            found.append(point)
    return found
