"""One HTML file without scripts and requests: the page of a run, an audit or a comparison."""

from __future__ import annotations

import base64
import importlib.resources
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2
from markupsafe import Markup, escape

from mtkd_cli.report.svg import SERIES, element


@dataclass(frozen=True)
class Tile:
    """One fact in large letters."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A plot of `mtkd_cli.report.charts`, or a picture of `embedded`, with what it shows."""

    drawing: Markup
    caption: str


@dataclass(frozen=True)
class Grid:
    """A table of texts; the first cell of a row names it. ``first``: the first row stands out.

    ``words``: its cells are sentences rather than numbers.
    """

    rows: Sequence[Sequence[str]]
    header: Sequence[str] = ()
    caption: str = ""
    first: bool = False
    words: bool = False


@dataclass(frozen=True)
class FindingCard:
    """A finding: its severity (``error``, ``warning`` or ``note``), a sentence, an action, text to copy."""

    severity: str
    sentence: str
    action: str = ""
    code: str = ""


@dataclass(frozen=True)
class CardRow:
    """A model's answer on a card; ``right`` is None where answers are not right or wrong."""

    name: str
    answer: str
    number: str
    right: bool | None


@dataclass(frozen=True)
class Card:
    """A sample: its id, label, table values, pictures by name, and the answers."""

    title: str
    label: str
    values: str
    pictures: Mapping[str, Markup]
    rows: Sequence[CardRow]


@dataclass(frozen=True)
class CardGroup:
    """Cards under a heading with a note."""

    title: str
    note: str
    cards: Sequence[Card]


@dataclass(frozen=True)
class Badge:
    """One or two words in a colored box; ``kind``: ``good``, ``bad`` or ``neutral``."""

    text: str
    kind: str


@dataclass(frozen=True)
class Section:
    """A part of a page: findings, sentences, tables, figures, groups of cards, blocks of code, in this order.

    ``colors``: names and CSS colors of a legend above the cards.
    """

    title: str
    text: Sequence[str] = ()
    grids: Sequence[Grid] = ()
    figures: Sequence[Figure] = ()
    code: Sequence[str] = ()
    groups: Sequence[CardGroup] = ()
    colors: Sequence[tuple[str, str]] = ()
    findings: Sequence[FindingCard] = ()


def page(
    title: str,
    subtitle: str,
    lead: str,
    tiles: Sequence[Tile],
    sections: Sequence[Section],
    badge: Badge | None = None,
) -> str:
    """Return the page as HTML. All texts are escaped; its policy forbids scripts and requests."""
    source = importlib.resources.files("mtkd_cli.report").joinpath("page.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["marked"] = mark_code
    return environment.from_string(source).render(
        title=title,
        subtitle=subtitle,
        lead=lead,
        tiles=tiles,
        sections=sections,
        badge=badge,
        series=SERIES,
    )


def mark_code(text: str) -> Markup:
    """Return an escaped sentence with text between backticks as code."""
    plain, *rest = re.split(r"`([^`]+)`", text)
    codes = (element("code", code) + escape(after) for code, after in zip(rest[::2], rest[1::2], strict=True))
    return escape(plain) + Markup("").join(codes)


def embed(content: bytes, description: str, kind: str = "png") -> Markup:
    """Return a picture inside the page, by default of a PNG file."""
    source = f"data:image/{kind};base64," + base64.b64encode(content).decode()
    tag = element("img", src=source, alt=description)
    return Markup(str(tag).removesuffix("</img>"))  # noqa: S704 - built and escaped by `element`
