"""What the metadata of an ONNX file say about its classes and its input. No code in them is run."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

LONGEST = 1_000_000
"""Maximum length of a text that is parsed."""


def class_names(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the class names: a list, or a mapping from class numbers, as JSON or as Python writes it.

    They are under ``classes``, under ``names`` (YOLO), or in the description that ``mtkd export`` writes.
    """
    own = _parse(metadata.get("mtkd", ""))
    described = own.get("classes") if isinstance(own, dict) else None
    for value in (_parse(metadata.get("classes", "")), _parse(metadata.get("names", "")), described):
        if isinstance(value, dict) and value:
            numbered = {int(key): name for key, name in value.items() if str(key).isdecimal()}
            value = [numbered.get(number) for number in range(len(value))]
        if isinstance(value, list) and value and all(isinstance(name, str | int) for name in value):
            return tuple(map(str, value))
    return None


def image_size(metadata: Mapping[str, str]) -> int | tuple[int, int] | None:
    """Return the size of the images that it was exported for, ``imgsz`` of YOLO's exports: side, or sides."""
    value = _parse(metadata.get("imgsz", ""))
    sides = list(value) if isinstance(value, list | tuple) else [value, value]
    if len(sides) != 2 or not all(isinstance(side, int) and 0 < side <= 65536 for side in sides):
        return None
    height, width = sides
    return height if height == width else (height, width)


def _parse(text: str) -> Any:
    """Return a JSON value or a Python literal; None for other text."""
    if not text or len(text) > LONGEST:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
