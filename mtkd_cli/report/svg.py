"""The pieces of a plot: elements, scales, axes. Colors and fonts are the page's (see ``page.html``)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 440
LETTER = 6.4
"""Width of a letter of a label, about."""


def element(name: str, *content: object, **attributes: object) -> Markup:
    """Return one element; text and attributes are escaped, ``_`` in a name stands for ``-``."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"' for key, value in attributes.items()
    )
    inside = Markup("").join(escape(part) for part in content)
    return Markup(f"<{name}{given}>{inside}</{name}>")  # noqa: S704 - each part is escaped


def _short(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def picture(title: str, height: float, *parts: object) -> Markup:
    """Return an SVG picture of the page's width; ``title`` is text for screen readers."""
    return element(
        "svg",
        element("title", title),
        *parts,
        viewBox=f"0 0 {WIDTH} {_short(height)}",
        role="img",
        aria_label=title,
    )


@dataclass(frozen=True)
class Scale:
    """Maps values from ``low`` to ``high`` to places from ``start`` to ``stop``."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, value: float) -> float:
        """Return the position of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)

    @property
    def ticks(self) -> list[float]:
        """Round values on the scale, about five."""
        step = 10 ** math.floor(math.log10((self.high - self.low) / 4))
        step *= next(f for f in (1, 2, 5, 10) if (self.high - self.low) / (step * f) <= 5)
        first = math.ceil(self.low / step - 1e-9)
        return [float(f"{n * step:.12g}") for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def scale_of(values: Iterable[float], start: float, stop: float, margin: float = 0.05) -> Scale:
    """Return a scale that shows all of the finite values."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    room = (high - low) * margin or abs(high) * 0.1 or 1.0
    return Scale(low - room, high + room, start, stop)


def axes(x: Scale, y: Scale, x_label: str, y_label: str) -> list[Markup]:
    """Return grid lines, numbers and names of two axes."""
    bottom, left = y.start, x.start
    parts = []
    for value in y.ticks:
        at = y.at(value)
        parts.append(element("line", x1=left, x2=x.stop, y1=at, y2=at, class_="grid"))
        parts.append(element("text", number(value), x=left - 5, y=at + 4, text_anchor="end"))
    for value in x.ticks:
        parts.append(element("text", number(value), x=x.at(value), y=bottom + 16, text_anchor="middle"))
    middle = (left + x.stop) / 2
    parts.append(element("line", x1=left, x2=x.stop, y1=bottom, y2=bottom, class_="axis"))
    parts.append(element("text", x_label, x=middle, y=bottom + 33, text_anchor="middle", class_="name"))
    parts.append(element("text", y_label, x=2, y=y.stop - 8, class_="name"))
    return parts


def number(value: float) -> str:
    """Return a number as a plot shows it."""
    if not math.isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def alike(values: Sequence[float]) -> list[str]:
    """Return numbers with as many decimals each as the largest needs to have four digits."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if 0 < largest < 1e-6:
        return [f"{value:.4g}" if math.isfinite(value) else "-" for value in values]
    decimals = min(max(3 - math.floor(math.log10(largest)), 0), 9) if largest else 0
    return [f"{value:,.{decimals}f}" if math.isfinite(value) else "-" for value in values]


def fitting(text: str, letters: int) -> str:
    """Return a text of at most so many letters, its beginning and its end: names often differ in the end."""
    end = letters // 2
    return text if len(text) <= letters else text[: letters - 1 - end] + "…" + text[len(text) - end :]


def legend(names: Sequence[str], top: float) -> tuple[list[Markup], float]:
    """Return names in rows, the n-th in the color of series n, and the top of what follows."""
    parts, x = [], 0.0
    for index, name in enumerate(names):
        shown = fitting(name, 30)
        width = 22 + len(shown) * LETTER
        if x and x + width > WIDTH:
            x, top = 0.0, top + 17
        parts.append(
            element("line", x1=x, x2=x + 14, y1=top + 8, y2=top + 8, class_=f"line s{index % SERIES}")
        )
        parts.append(element("text", shown, x=x + 18, y=top + 12))
        x += width + 8
    return parts, top + 24


SERIES = 8
"""Colors of series that the page has."""
