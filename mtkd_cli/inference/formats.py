"""Write predictions as CSV and JSON lines, and masks as palette PNGs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtkd_cli.errors import UsageError
from mtkd_cli.files import atomic
from mtkd_cli.inference.predict import Answered

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Characters that start a formula in a spreadsheet."""

CORNERS = ("x1", "y1", "x2", "y2")


def safe(cell: str | float) -> str | float:
    """Return a cell that a spreadsheet does not run as a formula; numbers are rounded by `_round_float32`."""
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(FORMULA) else cell
    return _round_float32(cell)


def facts_of(answered: Answered, threshold: float, scores: bool = True) -> dict[str, Any]:
    """Return the prediction of a sample for JSON, with boxes in pixels of the upright image."""
    if answered.prediction is None:
        return {"file": answered.file, "error": answered.problem}
    prediction = answered.prediction
    found: dict[str, Any] = {"file": answered.file, **prediction.facts}
    if prediction.boxes is not None:
        found["boxes"] = [
            {"class": name, "score": score, "box": corners}
            for name, score, corners in boxes_in_pixels(answered, threshold)
        ]
    if scores and prediction.scores:
        found["scores"] = dict(prediction.scores)
    return {key: _to_json(value) for key, value in found.items()}


def boxes_in_pixels(answered: Answered, threshold: float) -> list[tuple[str, float, list[float]]]:
    """Return class, score and corners of the boxes whose score is at least the threshold."""
    prediction = answered.prediction
    if prediction is None or prediction.boxes is None:
        return []
    wide, high = answered.size
    return [
        (name, score, [_round_pixel(corner) for corner in (x1 * wide, y1 * high, x2 * wide, y2 * high)])
        for name, score, x1, y1, x2, y2 in prediction.boxes
        if score >= threshold
    ]


def _round_pixel(coordinate: float) -> float:
    """Round a coordinate to seven digits, the precision of float32."""
    return float(f"{coordinate:.7g}")


def json_line(answered: Answered, threshold: float) -> str:
    """Return one sample as a line of JSON, with the line break."""
    return json.dumps(facts_of(answered, threshold), ensure_ascii=False, allow_nan=False) + "\n"


def csv_rows(answered: Answered, threshold: float) -> list[list[str | float]]:
    """Return the cells of a sample: one row, or one row per box."""
    prediction = answered.prediction
    if prediction is None:
        return []
    file = safe(answered.file)
    if prediction.boxes is not None:
        boxes = boxes_in_pixels(answered, threshold)
        return [[file, safe(name), *map(safe, (score, *corners))] for name, score, corners in boxes]
    cells = [*prediction.facts.values(), *prediction.scores.values()]
    return [[file, *(safe(cell) for cell in cells)]]


def csv_heading(answered: Answered) -> list[str | float]:
    """Return the headings of `csv_rows`."""
    prediction = answered.prediction
    if prediction is None:
        return ["file"]
    if prediction.boxes is not None:
        return ["file", "class", "score", *CORNERS]
    return [safe(name) for name in ("file", *prediction.facts, *prediction.scores)]


def csv_line(cells: Sequence[str | float]) -> str:
    """Return cells as a line of CSV, with the line break."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def require_boxes(answers: Iterable[Answered], form: str) -> Iterator[Answered]:
    """Yield the answers.

    Raises:
        UsageError: a prediction is not boxes.
    """
    for answered in answers:
        if answered.prediction is not None and answered.prediction.boxes is None:
            raise UsageError(
                f"the student predicts no boxes, which the format {form} needs",
                "--format",
                "use csv or jsonl",
            )
        yield answered


def write_mask(mask: NDArray[np.uint8], answered: Answered, folder: Path) -> Path:
    """Write a mask of class numbers ``[H, W]`` as a PNG, and return its path.

    Raises:
        UsageError: the file exists.
    """
    picture = Image.frombytes("P", answered.size, np.ascontiguousarray(mask).tobytes())
    picture.putpalette(palette())
    content = io.BytesIO()
    picture.save(content, "PNG")
    path = folder / f"{Path(answered.file).stem}.png"
    if path.exists():
        raise UsageError(f"{path} exists", where="--masks", hint="choose another folder")
    with atomic.disk_errors(path):
        atomic.write_bytes(path, content.getvalue())
    return path


def palette() -> list[int]:
    """Return the 256 colors of Pascal VOC, which differ between neighboring numbers; 0 is black."""
    colors: list[int] = []
    for number in range(256):
        color = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                color[channel] |= ((number >> (3 * bit + channel)) & 1) << (7 - bit)
        colors += color
    return colors


def _to_json(value: Any) -> Any:
    """Return a value for JSON: floats rounded by `_round_float32`, non-finite ones as None."""
    if isinstance(value, dict):
        return {key: _to_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_to_json(inner) for inner in value]
    if not isinstance(value, float):
        return value
    return _round_float32(value) if math.isfinite(value) else None


def _round_float32(value: float) -> float:
    """Round a number to seven digits if float32 represents it exactly; return others unchanged."""
    return float(f"{value:.7g}") if math.isfinite(value) and float(np.float32(value)) == value else value
