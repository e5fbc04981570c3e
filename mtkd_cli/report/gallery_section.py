"""The gallery of a report as cards: a sample's picture, its label, and what each model answers."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report.gallery import (
    ALL_WRONG,
    LARGEST_ERRORS,
    STUDENT_BETTER,
    STUDENT_RIGHT,
    STUDENT_WORSE,
    STUDENT_WRONG,
    Gallery,
    GalleryAnswer,
    GalleryGroup,
    GallerySample,
)
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.page import Card, CardGroup, CardRow, Section, embed

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 1_000_000
"""Maximum size of all pictures of a page; further samples have none."""
MAX_ROWS = 10
"""Maximum number of models on a card."""
SMALL = 64
"""Side in pixels up to which pictures are PNG; larger ones are WebP."""

TITLES = {
    STUDENT_WRONG: ("Teachers right, student wrong", "The ensemble is right."),
    ALL_WRONG: ("All wrong", "The student, the ensemble and every teacher are wrong. Check the label."),
    STUDENT_RIGHT: ("Student right, ensemble wrong", "The student corrects its teachers."),
    STUDENT_WORSE: ("Student worse than the ensemble", "The largest differences first."),
    LARGEST_ERRORS: ("Largest errors", "The best answer of all models is far off. Check the label."),
    STUDENT_BETTER: ("Student better than the ensemble", "The largest differences first."),
}


def gallery_section(gallery: Gallery | None, metric: str, sheet: Path | None) -> Section | None:
    """Return the section of the gallery; None without samples.

    Args:
        gallery: the samples.
        metric: name of the primary metric.
        sheet: file with the pictures, see `Gallery.pictures`; None if there is none.

    Raises:
        DataError: the file is not a picture.
    """
    if gallery is None or not gallery.groups:
        return None
    rows = iter(_pictures(gallery, sheet))
    groups = [
        CardGroup(
            TITLES.get(group.kind, (group.kind, ""))[0],
            _note(group, gallery.examined),
            [_card(sample, next(rows, {})) for sample in group.samples],
        )
        for group in gallery.groups
    ]
    answers = [answer for sample in gallery.samples for answer in sample.answers.values()]
    number = spelt(metric) + " on this sample alone"
    if any(answer.confidence is not None for answer in answers):
        number = "confidence"
    text = [
        f"Samples of the test split; {gallery.examined:,} were examined. The number beside an answer is its "
        f"{number}. `report.json` has these samples too."
    ]
    return Section("Samples to look at", text=text, groups=groups, colors=list(gallery.colors.items()))


def _note(group: GalleryGroup, examined: int) -> str:
    count = f"{group.count:,} of {examined:,}"
    note = TITLES.get(group.kind, ("", ""))[1]
    if group.kind == LARGEST_ERRORS:
        count = f"{len(group.samples)} largest of {examined:,}"
    return f"{count}. {note}"


def _card(sample: GallerySample, pictures: Mapping[str, Markup]) -> Card:
    rows = [_row(who, answer) for who, answer in sample.answers.items()]
    if len(rows) > MAX_ROWS:
        rows = [*rows[:MAX_ROWS], CardRow(f"and {len(rows) - MAX_ROWS} more", "", "", None)]
    values = [
        f"{name} {value if isinstance(value, str) else f'{value:.4g}'}"
        for name, value in sample.values.items()
    ]
    return Card(sample.id, sample.label, ", ".join(values), pictures, rows)


def _row(who: str, answer: GalleryAnswer) -> CardRow:
    if answer.confidence is not None:
        number = f"{100 * answer.confidence:.0f} %"
    elif answer.score is not None:
        number = format_number(answer.score, samples=100)
    else:
        number = ""
    return CardRow(who.removeprefix("teacher "), answer.text, number, answer.right)


def _pictures(gallery: Gallery, sheet: Path | None) -> list[dict[str, Markup]]:
    """Return the pictures of each sample, by name of the column."""
    if sheet is None or not gallery.pictures:
        return []
    from PIL import Image

    names, samples = gallery.pictures, gallery.samples
    try:
        with Image.open(sheet) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{sheet.name} is not a picture: {error}", where=str(sheet)) from error
    side = image.width // len(names)
    pictures = [
        {
            name: _embed(image.crop(_corners(x, y, side)), f"{name} of {sample.id}")
            for x, name in enumerate(names)
        }
        for y, sample in enumerate(samples)
    ]
    sizes = itertools.accumulate(sum(map(len, each.values())) for each in pictures)
    return [each if size <= MAX_BYTES else {} for each, size in zip(pictures, sizes, strict=True)]


def _corners(x: int, y: int, side: int) -> tuple[int, int, int, int]:
    return x * side, y * side, (x + 1) * side, (y + 1) * side


def _embed(image: Image, description: str) -> Markup:
    """Return a picture inside the page."""
    from PIL import features

    if image.width <= SMALL or not features.check("webp"):
        return embed(_encode(image, "PNG", optimize=True), description)
    # photos are smaller with loss, drawings and enlarged pixels without
    contents = [_encode(image, "WEBP", quality=80), _encode(image, "WEBP", lossless=True)]
    return embed(min(contents, key=len), description, "webp")


def _encode(image: Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()
