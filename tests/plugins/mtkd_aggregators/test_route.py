"""Strategy `route`: choose teachers by a metadata column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mtkd_aggregators.route import Route
from mtkd_cli.errors import RecipeError, UsageError
from mtkd_cli.interfaces import AggregationBatch
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.load import load
from mtkd_cli.report import results
from mtkd_cli.runs import pipeline
from mtkd_cli.runs.folder import Run
from tests.fixtures.small_runs import Contexts

NAMES = ("a", "b", "c")


def batch(column: list[Any], name: str = "source") -> AggregationBatch:
    return AggregationBatch(
        outputs=tuple(torch.zeros(len(column), 2) for _ in NAMES),
        teacher_names=NAMES,
        sample_ids=tuple(map(str, range(len(column)))),
        temperature=1.0,
        progress=0.0,
        task=None,  # type: ignore[arg-type]
        metadata={name: np.array(column)},
    )


def test_routes_known_values_and_uses_all_for_others() -> None:
    route = Route("source", {"photo": "b", "sketch": ["a", "c"]})
    weights = route.weights(batch(["photo", "sketch", "film"]))
    expected = [[0, 1 / 2, 1 / 3], [1, 0, 1 / 3], [0, 1 / 2, 1 / 3]]
    torch.testing.assert_close(weights, torch.tensor(expected))


def test_accepts_numeric_values() -> None:
    assert Route("group", {1: "c"}).weights(batch([1, 2], "group"))[:, 0].tolist() == [0, 0, 1]  # type: ignore[dict-item]


@given(
    st.dictionaries(
        st.sampled_from("xyz"), st.lists(st.sampled_from(NAMES), min_size=1, max_size=5), max_size=3
    ),
    st.lists(st.sampled_from("xyzw"), min_size=1, max_size=6),
)
def test_weights_sum_to_1_for_any_map(map: dict[str, Any], column: list[str]) -> None:
    weights = Route("source", map).weights(batch(column))
    torch.testing.assert_close(weights.sum(0), torch.ones(len(column)))
    for sample, value in enumerate(column):
        asked = {name for name, weight in zip(NAMES, weights[:, sample], strict=True) if weight > 0}
        assert asked == set(map.get(value, NAMES))


@pytest.mark.parametrize(
    ("by", "map", "message", "hint"),
    [
        ("sourse", {}, "no metadata column 'sourse'", "did you mean 'source'?"),
        ("source", {"photo": "d"}, "maps 'photo' to 'd', which is not a teacher", "known: a, b, c"),
    ],
)
def test_rejects_unknown_column_or_teacher(by: str, map: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Route(by, map).fit(batch(["photo"]))
    assert caught.value.hint == hint


@pytest.mark.parametrize("names", [[], None, 3, ["a", 3]])
def test_rejects_invalid_teacher_names(names: Any) -> None:
    with pytest.raises(UsageError, match="is not a teacher name"):
        Route("source", {"photo": names})


def test_rejects_missing_or_invalid_map(registry: Registry) -> None:
    for options, message in (("by: folder", "'map' is missing"), ("by: folder, map: [a]", "must be dict")):
        with pytest.raises(RecipeError) as caught:
            load("digits", [f"strategy={{name: route, {options}}}"], registry)
        assert [message in problem.what for problem in caught.value.problems] == [True]


RECIPE = """
task: classification
data: {name: image-folder, path: data, size: 8, channels: 1, val: 0.25, test: 0.25}
fit: {epochs: 1}
teachers: [{name: of-photos, model: "mlp:4", fit: all}, {name: of-sketches, model: "mlp:4", fit: all}]
strategy: {name: route, by: folder, map: {photos: of-photos, sketches: of-sketches}}
student: mlp:4
train: {epochs: 1, batch_size: 8, lr: 1e-2}
"""


def test_routes_images_by_folder(context: Contexts) -> None:
    generator = np.random.default_rng(0)
    for label in ("cat", "dog"):
        for source in ("photos", "sketches"):
            Path("data", label, source).mkdir(parents=True)
            for number in range(8):
                pixels = generator.integers(0, 255, (8, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(Path("data", label, source, f"{number}.png"))
    Path("recipe.yaml").write_text(RECIPE)
    ready = context(recipe="recipe.yaml")
    assert set(ready.data.train.samples.metadata["folder"]) == {"photos", "sketches"}
    report = results.as_json(pipeline.distill(ready, Run("routed"), baseline=False))
    assert 0 <= report["scores"]["student"]["accuracy"] <= 1
