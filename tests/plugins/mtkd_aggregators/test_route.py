"""`route` asks the teachers that a map names for a sample's source or group."""

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


def test_a_sample_asks_its_own_teacher_and_an_unknown_source_asks_all() -> None:
    route = Route("source", {"photo": "b", "sketch": ["a", "c"]})
    weights = route.weights(batch(["photo", "sketch", "film"]))
    expected = [[0, 1 / 2, 1 / 3], [1, 0, 1 / 3], [0, 1 / 2, 1 / 3]]
    torch.testing.assert_close(weights, torch.tensor(expected))


def test_a_group_may_be_a_number() -> None:
    assert Route("group", {1: "c"}).weights(batch([1, 2], "group"))[:, 0].tolist() == [0, 0, 1]  # type: ignore[dict-item]


@given(
    st.dictionaries(
        st.sampled_from("xyz"), st.lists(st.sampled_from(NAMES), min_size=1, max_size=5), max_size=3
    ),
    st.lists(st.sampled_from("xyzw"), min_size=1, max_size=6),
)
def test_any_map_gives_weights(map: dict[str, Any], column: list[str]) -> None:
    weights = Route("source", map).weights(batch(column))
    torch.testing.assert_close(weights.sum(0), torch.ones(len(column)))
    for sample, value in enumerate(column):
        asked = {name for name, weight in zip(NAMES, weights[:, sample], strict=True) if weight > 0}
        assert asked == set(map.get(value, NAMES))


@pytest.mark.parametrize(
    ("by", "map", "says", "hint"),
    [
        ("sourse", {}, "no column 'sourse'", "did you mean 'source'?"),
        ("source", {"photo": "d"}, "sends 'photo' to 'd', which is no teacher", "known: a, b, c"),
    ],
)
def test_a_column_or_a_teacher_that_there_is_not_is_refused_before_training(
    by: str, map: dict[str, Any], says: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        Route(by, map).fit(batch(["photo"]))
    assert caught.value.hint == hint


@pytest.mark.parametrize("names", [[], None, 3, ["a", 3]])
def test_what_is_no_name_of_a_teacher_is_refused(names: Any) -> None:
    with pytest.raises(UsageError, match="is no teacher"):
        Route("source", {"photo": names})


def test_the_map_must_be_one(registry: Registry) -> None:
    for options, says in (("by: folder", "'map' is missing"), ("by: folder, map: [a]", "must be dict")):
        with pytest.raises(RecipeError) as caught:
            load("digits", [f"strategy={{name: route, {options}}}"], registry)
        assert [says in problem.what for problem in caught.value.problems] == [True]


RECIPE = """
task: classification
data: {name: image-folder, path: data, size: 8, channels: 1, val: 0.25, test: 0.25}
fit: {epochs: 1}
teachers: [{name: of-photos, model: "mlp:4", fit: all}, {name: of-sketches, model: "mlp:4", fit: all}]
strategy: {name: route, by: folder, map: {photos: of-photos, sketches: of-sketches}}
student: mlp:4
train: {epochs: 1, batch_size: 8, lr: 1e-2}
"""


def test_images_are_routed_by_the_folder_that_they_lie_in(context: Contexts) -> None:
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
    report = pipeline.distill(ready, Run("routed"), baseline=False)
    assert 0 <= report["scores"]["student"]["accuracy"] <= 1
