"""Hints list suitable entries of the installed plugins; flags of the built-in plugins are correct."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mtkd_cli.plugin.alternatives import strategy_with, use_a_weighing_strategy, use_another_loss
from mtkd_cli.plugin.registry import Registry

if TYPE_CHECKING:
    from tests.conftest import PluginWriter

MINE = """
@hookimpl
def mtkd_register_aggregators():
    return [AggregatorSpec("aaa", "One line.", "nowhere:Mine"{more})]

@hookimpl
def mtkd_register_losses():
    return [LossSpec("mine", "One line.", "nowhere:mine", tasks=("classification",), needs_every_logit=False)]
"""


def test_weighs_is_false_for_strategies_that_combine(registry: Registry) -> None:
    for entry in registry.listing("strategies"):
        assert entry.spec.weighs == (not hasattr(entry.spec.load(), "combine")), entry.spec.name


def test_hints_include_third_party_entries(plugin: PluginWriter) -> None:
    plugin("mine", MINE.format(more=""))
    assert use_a_weighing_strategy().startswith("use a strategy that weighs teachers: aaa, agreement, ")
    assert "set task.kd to kl or mine and" in use_another_loss("classification", every_logit=False)
    assert "set task.kd to kl and" in use_another_loss("classification", any_label_space=True)
    assert use_another_loss("regression") == ""


@pytest.mark.parametrize(
    "more", [", weighs=False", ', tasks=("segmentation",)', ', options=(Option("o", int, required=True),)']
)
def test_hints_exclude_entries_that_would_be_refused(plugin: PluginWriter, more: str) -> None:
    plugin("mine", MINE.format(more=more))
    assert "aaa" not in use_a_weighing_strategy("regression")
    assert "agreement" not in use_a_weighing_strategy(averages=False)


def test_built_in_strategy_keeps_its_role(plugin: PluginWriter) -> None:
    plugin("mine", MINE.format(more=', role="best-teacher"'))
    assert (strategy_with("best-teacher"), strategy_with("uniform")) == ("best", "mean")
    with pytest.raises(LookupError):
        strategy_with("worst-teacher")
