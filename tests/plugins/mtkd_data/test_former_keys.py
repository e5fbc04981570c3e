"""Former spellings of the data sources' keys still work."""

from __future__ import annotations

from typing import Any

import pytest

from mtkd_cli.files import yaml12
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.former_keys import former_keys
from mtkd_cli.recipe.reader import read
from mtkd_cli.recipe.resolve import find_data, resolve
from mtkd_cli.recipe.schema import Data


def options(data: str, registry: Registry) -> dict[str, Any]:
    section = Data.model_validate(yaml12.load(data, "data"))
    return dict(find_data(section, registry, "data").options)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("{name: image-folder, path: d, unlabelled: more}", "more"),
        ("{name: coco, annotations: a, images: b, unlabelled: more}", "more"),
        ("{name: voc, path: d, unlabelled: more}", "more"),
        ("{name: mask-folder, path: d, unlabelled: more}", "more"),
        ("{name: voc-segmentation, path: d, unlabelled: true}", True),
        ("{name: table, path: d, target: y, unlabelled: more}", "more"),
    ],
)
def test_former_key_unlabelled(data: str, value: Any, registry: Registry) -> None:
    assert options(data, registry)["unlabeled"] == value


def test_former_key_unlabelled_warns(registry: Registry) -> None:
    data = "data={name: image-folder, path: d, unlabelled: more}"
    recipe, _ = read("digits", [data], registry)
    assert former_keys(resolve(recipe, registry, "digits")) == [
        "data.unlabelled is now called unlabeled; the former key still works"
    ]


def test_former_value_of_missing(registry: Registry) -> None:
    assert options("{name: mask-folder, path: d, missing: unlabelled}", registry)["missing"] == "unlabelled"
