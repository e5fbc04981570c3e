"""Class names that a recipe declares for a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.recipe.schema import Teacher
from mtkd_cli.teachers.declared_classes import declared_classes


def declared(classes: Any, data: tuple[str, ...] | None = None) -> tuple[str, ...] | None:
    return declared_classes(Teacher(model="a:b", classes=classes), "teacher b", data)


def test_names_numbers_and_files() -> None:
    Path("names.txt").write_text("\ufeffcat\r\ndog\r\n")
    Path("names.json").write_text('["cat", "dog"]')
    assert declared(None) is None
    assert declared("names.txt") == declared("names.json") == declared(("cat", "dog")) == ("cat", "dog")
    assert declared((1, 0), ("cat", "dog")) == ("dog", "cat")


def test_rejects_unknown_numbers_and_files() -> None:
    with pytest.raises(DataError, match="classes: has the number 2, but the data has 2 classes"):
        declared((2,), ("cat", "dog"))
    with pytest.raises(DataError, match="cannot be read"):
        declared("gone.txt")
