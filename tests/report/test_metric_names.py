"""One name for a metric wherever people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mtkd_cli.plugin.registry import load_registry
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.specs import TaskSpec

if TYPE_CHECKING:
    from tests.conftest import PluginWriter

MINE = """
@hookimpl
def mtkd_register_tasks():
    metrics = (Metric("dice", label="Dice"), Metric("map", label="MAP"), Metric("top_5"))
    return [TaskSpec("mine", "One line.", "nowhere:Mine", metrics=metrics)]
"""


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("accuracy", "accuracy"),
        ("map", "mAP"),
        ("miou", "mIoU"),
        ("pixel_accuracy", "pixel accuracy"),
        ("rmse", "RMSE"),
        ("rmse net_price", "RMSE net_price"),
        ("deviance", "deviance"),
    ],
)
def test_a_metric_is_called_what_papers_call_it_and_targets_keep_their_names(metric: str, name: str) -> None:
    assert spelt(metric) == name


def test_third_party_task_labels_its_metrics(plugin: PluginWriter) -> None:
    plugin("mine", MINE)
    assert [spelt(name) for name in ("dice", "dice liver", "top_5")] == ["Dice", "Dice liver", "top 5"]
    assert spelt("map") == "mAP", "built-in tasks override the label"


@pytest.mark.parametrize("name", load_registry().names("tasks"))
def test_built_in_tasks_list_their_primary_metric_first(name: str) -> None:
    spec = load_registry().find("tasks", name).spec
    assert isinstance(spec, TaskSpec)
    first = spec.metrics[0]
    assert spec.primary.startswith(
        f"{first.name} ({'higher' if first.higher_is_better else 'lower'} is better)"
    )
