"""Every built-in strategy distils a recipe from beginning to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mtkd_cli.errors import UsageError
from mtkd_cli.plugin.registry import Registry

NEEDS_METADATA = "route"


def test_every_strategy_distils_and_its_ensemble_is_measured(
    registry: Registry, distill: Callable[..., dict[str, Any]]
) -> None:
    found = {}
    for entry in registry.listing("strategies"):
        if (
            "classification" in (entry.spec.tasks or ("classification",))
            and entry.spec.name != NEEDS_METADATA
        ):  # type: ignore[attr-defined]
            report = distill(
                f"strategy={entry.spec.name}", "train.epochs=1", "train.lr=0.01", "student=mlp:4"
            )
            found[entry.spec.name] = report["scores"]
    assert {"agreement", "drop", "median", "stacking"} < set(found)
    accuracies = [teacher["accuracy"] for teacher in found["best"]["teachers"].values()]
    assert found["best"]["ensemble"]["accuracy"] in accuracies
    assert len({json.dumps(scores["student"]) for scores in found.values()}) > len(found) / 2


def test_routing_by_metadata_that_the_data_lack_is_refused(distill: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(UsageError, match="no metadata column 'folder'"):
        distill("strategy={name: route, by: folder, map: {}}")
