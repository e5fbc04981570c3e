"""Parts of a run's page: the gallery, the bars, the weights, the calibration, the trials."""

from __future__ import annotations

import base64
import io
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report import results
from mtkd_cli.report.gallery import Gallery, GalleryAnswer, GalleryGroup, GallerySample
from mtkd_cli.report.gallery_section import MAX_BYTES, gallery_section
from mtkd_cli.report.model_card import model_card
from mtkd_cli.report.outcome import outcome_of
from mtkd_cli.report.run_page import run_page
from mtkd_cli.report.run_result import PrimaryMetric, RunResult, Training, Verdict, Weights
from mtkd_cli.report.score_bars import Bar, axis, score_bars
from mtkd_cli.report.timing import Timing, duration

from .conftest import EVIL, run_result

ANSWERS = {
    "student": GalleryAnswer(EVIL, 0.75, None, right=False),
    "ensemble": GalleryAnswer("b", 0.5, None, right=True),
}
SAMPLE = GallerySample(EVIL, EVIL, ANSWERS, {EVIL: EVIL, "age": 3.0})
GALLERY = Gallery(
    50, (GalleryGroup("student-wrong", 7, (SAMPLE, SAMPLE)),), ("image", "label"), {EVIL: "#ff0000"}
)


def with_gallery(gallery: Gallery = GALLERY) -> RunResult:
    return replace(run_result(), gallery=gallery)


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    """Two rows of two cells of 4 pixels: red, green; blue, white."""
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    for row, column, color in (
        (0, 0, (255, 0, 0)),
        (0, 1, (0, 255, 0)),
        (1, 0, (0, 0, 255)),
        (1, 1, (255,) * 3),
    ):
        pixels[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = color
    path = tmp_path / "gallery.png"
    Image.fromarray(pixels).save(path)
    return path


def test_gallery_is_escaped_and_its_pictures_are_in_the_page(sheet: Path) -> None:
    page = run_page(with_gallery(), "", None, sheet)
    assert EVIL not in page
    assert "7 of 50." in page
    assert "75 %" in page
    sources = re.findall(r'<img src="data:image/png;base64,([^"]+)"', page)
    colors = [Image.open(io.BytesIO(base64.b64decode(source))).getpixel((0, 0)) for source in sources]
    assert colors == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_gallery_survives_the_file(tmp_path: Path) -> None:
    result = replace(with_gallery(), timing=Timing("2026-01-02T03:04:05+00:00", 65.0), seed=3)
    results.write(tmp_path, result)
    assert results.load(tmp_path / "report.json") == result


def test_gallery_without_pictures_has_its_texts() -> None:
    page = run_page(with_gallery(), "", None)
    assert "<img" not in page
    assert "Teachers right, student wrong" in page


def test_gallery_pictures_are_bounded(tmp_path: Path) -> None:
    side, rows = 160, 100
    noise = np.random.default_rng(0).integers(0, 255, (rows * side, side, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "gallery.png")
    samples = tuple(replace(SAMPLE, id=str(row)) for row in range(rows))
    gallery = Gallery(rows, (GalleryGroup("all-wrong", rows, samples),), ("image",))
    section = gallery_section(gallery, "accuracy", tmp_path / "gallery.png")
    assert section is not None
    sizes = [sum(map(len, card.pictures.values())) for card in section.groups[0].cards]
    assert sum(sizes) <= MAX_BYTES
    assert sizes[0] > 0
    assert sizes[-1] == 0


def test_damaged_gallery_pictures_are_named(tmp_path: Path) -> None:
    (tmp_path / "gallery.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"gallery\.png is not a picture"):
        run_page(with_gallery(), "", None, tmp_path / "gallery.png")


@pytest.mark.parametrize(
    ("interval", "higher", "word"),
    [
        ((0.01, 0.1), True, "helped"),
        ((0.01, 0.1), False, "hurt"),
        ((-0.1, -0.01), True, "hurt"),
        ((-0.1, -0.01), False, "helped"),
        ((-0.1, 0.1), True, "no clear difference"),
        ((0.0, 0.1), True, "no clear difference"),
        (None, True, "no claim"),
    ],
)
def test_badge_claims_only_what_the_interval_shows(
    interval: tuple[float, float] | None, higher: bool, word: str
) -> None:
    metric = PrimaryMetric("accuracy", higher)
    verdict = Verdict("alone", 0.05, interval, "")
    assert outcome_of(verdict, metric) == word
    assert outcome_of(replace(verdict, baseline=None), metric) == "no baseline"
    result = replace(run_result(), metric=metric, verdict=verdict)
    kind = {"helped": "good", "hurt": "bad"}.get(word, "neutral")
    assert f'<p class="badge {kind}">{word.capitalize()}</p>' in run_page(result, "", None)
    assert f"**{word.capitalize()}.**" in model_card(result)


def test_the_students_bar_is_colored_and_intervals_are_drawn_to_scale() -> None:
    bars = {"student": Bar(0.96, "0.96", (0.95, 0.97)), "best": Bar(0.99, "0.99", (0.98, 1.0))}
    tree = ET.fromstring(score_bars("t", bars, "student"))
    assert [part.attrib["class"] for part in tree.findall("rect")] == ["bar best", "bar"]
    whiskers = [part.attrib for part in tree.findall("line") if part.attrib["class"] == "whisker"]
    wide = [float(part["x2"]) - float(part["x1"]) for part in whiskers if part["y1"] == part["y2"]]
    assert wide[0] == pytest.approx(wide[1], abs=0.1)
    texts = [part.text or "" for part in tree.findall("text")]
    assert any(text.startswith("The axis starts at 0.9") for text in texts)
    assert [part.attrib["class"] for part in tree.findall("line")].count("axis cut") == 1


@pytest.mark.parametrize(
    ("values", "low"),
    [([0.2, 0.9], 0.0), ([0.9, 0.9], 0.0), ([-1.0, 2.0], -1.0), ([math.nan], 0.0), ([0.0, 1.0], 0.0)],
)
def test_axis_starts_at_zero_unless_the_numbers_are_close(values: list[float], low: float) -> None:
    assert axis(values, 0, 1).low == low


def test_close_numbers_take_most_of_the_axis() -> None:
    scale = axis([0.95, 0.99], 0, 1)
    assert 0.9 < scale.low < 0.95
    assert scale.at(0.99) - scale.at(0.95) > 0.6


def test_constant_weights_are_one_sentence() -> None:
    curve = tuple(
        {"step": n, "accuracy": 0.5, "task_loss": 1, "kd_loss": 1, "weight/good": 0.7} for n in (1, 2)
    )
    curve = tuple({**row, f"weight/{EVIL}": 0.3} for row in curve)
    weights = Weights((0.7, 0.3), {"a": (0.7, 0.3), "b": (0.7, 0.3)})
    result = replace(run_result(), weights=weights, student=Training(curve=curve))
    page = run_page(result, "", None)
    assert "The weights are the same for all classes and throughout training." in page
    assert "weight of each teacher by class" not in page
    varying = replace(result, weights=replace(weights, per_class={"a": (0.8, 0.2), "b": (0.6, 0.4)}))
    page = run_page(varying, "", None)
    assert "weight of each teacher by class" in page
    assert "weights while training" not in page


def test_calibration_shows_its_counts() -> None:
    page = run_page(run_result(), "", None)
    rows = re.findall(r"<th scope=\"row\">(0\.\d\d)</th><td>([\d.]+)</td><td>(\d+)</td>", page)
    assert rows == [("0.55", "0.50", "4"), ("0.95", "0.90", "6")]


def test_trials_date_duration_and_seed_are_on_the_page(facts: dict[str, Any]) -> None:
    facts["student"] |= {
        "chosen": {"lr": 0.03, "weight_decay": 0.1},
        "trials": [
            {"lr": 0.01, "weight_decay": 0.1, "accuracy": 0.5, "val_loss": 0.7},
            {"lr": 0.03, "weight_decay": 0.1, "accuracy": 0.6, "val_loss": 0.6},
            {"lr": 9.0, "weight_decay": 0.1, "failed": "the loss is not finite"},
        ],
    }
    result = replace(run_result(facts), timing=Timing("2026-01-02T03:04:05+00:00", 125.0), seed=7)
    page = run_page(result, "", None)
    assert "Chosen learning rates: distilled 0.03. Seed: 7." in page
    assert "2026\N{NON-BREAKING HYPHEN}01\N{NON-BREAKING HYPHEN}02 03:04, 2 min 5 s" in page
    assert "failed: the loss is not finite" in page
    assert page.count("<td>yes</td>") == 1
    assert "2026-01-02 03:04" in model_card(result)


def test_durations_are_read_easily() -> None:
    assert [duration(s) for s in (4.23, 59.0, 125.0, 11040.0)] == ["4.2 s", "59 s", "2 min 5 s", "3 h 4 min"]
    assert Timing("2026-01-02T03:04:05+00:00", 4.0, resumed=True).in_words.endswith(
        "4.0 s since it was resumed"
    )


def test_numbers_have_the_digits_of_their_sample_size() -> None:
    value = 0.96481
    assert [format_number(value, samples=n) for n in (9, 99, 540, 10_000, 10**6)] == [
        "0.96",
        "0.96",
        "0.965",
        "0.9648",
        "0.9648",
    ]
    assert format_number(1.0, samples=540) == "1.000"
    assert format_number(58.931, samples=133) == "58.9"
    assert format_number(0.0123, 0.96, "+", 540) == "+0.012"
    assert format_number(-0.0001, 0.96, samples=540) == "0.000"
    assert format_number(math.nan, samples=5) == "undefined"
    assert format_number(3e-9, samples=540) == "3e-09"
