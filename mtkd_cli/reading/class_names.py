"""Read the class names in a file: one name per line, or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError
from mtkd_cli.reading.text_file import parse_json, read_text

HINT = 'write one name per line in UTF-8, or a JSON list of names: ["cat", "dog"]'


def read_class_names(file: Path) -> tuple[str, ...]:
    """Return the class names in a file, in order.

    The file has one name per line, or JSON: a list of names, or a mapping from numbers to names or from names
    to numbers, as ``id2label`` and ``label2id`` of Hugging Face.

    Raises:
        DataError: the file cannot be read, or is other JSON.
    """
    text = read_text(file, HINT).strip()
    if file.suffix.lower() != ".json" and not text.startswith(("[", "{")):
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    names = _names(parse_json(text, str(file), HINT))
    if names is None:
        raise DataError("the JSON is not a list of class names", str(file), HINT)
    return names


def _names(content: Any) -> tuple[str, ...] | None:
    """Return the names in a JSON value, None if it is something else."""
    if isinstance(content, dict):
        numbered = {name: number for name, number in content.items() if type(number) is int}
        by_number = {value: int(key) for key, value in content.items() if _is_number(key, value)}
        numbers = numbered or by_number
        if (
            not numbers
            or len(numbers) < len(content)
            or sorted(numbers.values()) != list(range(len(numbers)))
        ):
            return None
        content = sorted(numbers, key=numbers.__getitem__)
    if not isinstance(content, list) or not all(
        isinstance(name, str) or type(name) is int for name in content
    ):
        return None
    return tuple(str(name).strip() for name in content)


def _is_number(key: str, value: Any) -> bool:
    return isinstance(value, str) and key.isdecimal() and len(key) < 10
