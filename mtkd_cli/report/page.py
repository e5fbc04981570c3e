"""A page of its own: one HTML file that needs no network and no script, for a run, an audit, a comparison."""

from __future__ import annotations

import base64
import importlib.resources
import re
from collections.abc import Sequence
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
class Card:
    """A finding: its severity (``error``, ``warning`` or ``note``), a sentence, an action, text to copy."""

    severity: str
    sentence: str
    action: str = ""
    code: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a page: cards, sentences, tables, figures, blocks of code, in this order."""

    title: str
    cards: Sequence[Card] = ()
    text: Sequence[str] = ()
    grids: Sequence[Grid] = ()
    figures: Sequence[Figure] = ()
    code: Sequence[str] = ()


def page(title: str, subtitle: str, lead: str, tiles: Sequence[Tile], sections: Sequence[Section]) -> str:
    """Return the page as HTML. Every text is escaped; the page forbids itself to load or run anything."""
    source = importlib.resources.files("mtkd_cli.report").joinpath("page.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["marked"] = marked
    return environment.from_string(source).render(
        title=title, subtitle=subtitle, lead=lead, tiles=tiles, sections=sections, series=SERIES
    )


def marked(text: str) -> Markup:
    """Return a sentence, escaped, in which what stands between backticks is code."""
    plain, *rest = re.split(r"`([^`]+)`", text)
    codes = (element("code", code) + escape(after) for code, after in zip(rest[::2], rest[1::2], strict=True))
    return escape(plain) + Markup("").join(codes)


def embedded(png: bytes, description: str) -> Markup:
    """Return a PNG picture inside the page."""
    source = "data:image/png;base64," + base64.b64encode(png).decode()
    tag = element("img", src=source, alt=description)
    return Markup(str(tag).removesuffix("</img>"))  # noqa: S704 - built and escaped by `element`
