"""The section ``augment``, and what it contributes to the content keys of stored results."""

from typing import Any

import pytest

from mtkd_cli.recipe.augment import Augment

BEFORE = {
    "flip": False,
    "shift": 0.1,
    "rotate": 10.0,
    "zoom": 0.1,
    "crop": 1.0,
    "brightness": 0.0,
    "contrast": 0.0,
}
"""What a recipe of the first version wrote into its keys."""


@pytest.mark.parametrize("more", [{}, {"resized_crop": 1.0}, {"hue": 0.0, "randaugment": None}])
def test_later_keys_are_written_only_if_they_are_set(more: dict[str, Any]) -> None:
    assert Augment(shift=0.1, rotate=10, zoom=0.1, **more).model_dump(mode="json") == BEFORE


@pytest.mark.parametrize(
    "more", [{"resized_crop": 0.5}, {"randaugment": {"operations": 2, "magnitude": 0.3}}]
)
def test_a_key_that_is_set_is_written(more: dict[str, Any]) -> None:
    written = Augment(shift=0.1, rotate=10, zoom=0.1, **more).model_dump(mode="json")
    assert written == {**BEFORE, **more}
    assert Augment.model_validate(written) == Augment(shift=0.1, rotate=10, zoom=0.1, **more)
