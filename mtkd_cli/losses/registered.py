"""Distillation losses by name, from the registry of plugins."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from mtkd_cli.errors import UsageError
from mtkd_cli.losses.distillation import DistillationLoss
from mtkd_cli.plugin.registry import load_registry
from mtkd_cli.specs import LossSpec


def registered_loss(name: str, task: str, options: Mapping[str, Any]) -> DistillationLoss:
    """Return a loss with its options set.

    Args:
        name: name of the loss, or ``distribution:name``.
        task: name of the task that uses the loss.
        options: values by their keys in a recipe (``dkd_alpha``). Missing options have their defaults;
            options of other losses are ignored.

    Raises:
        UsageError: no such loss, or the loss does not support the task.
    """
    spec = _spec_of(name)
    if task not in spec.tasks:
        raise UsageError(
            f"the loss {name!r} does not support the task {task!r}",
            "task.kd",
            f"it supports {', '.join(spec.tasks)}",
        )
    pairs = zip(spec.options, spec.recipe_options, strict=True)
    chosen = {own.name: options.get(key.name, own.default) for own, key in pairs}
    return DistillationLoss(
        functools.partial(spec.load(), **chosen),
        needs_every_logit=spec.needs_every_logit,
        any_label_space=spec.any_label_space,
        to_mixture=spec.to_mixture,
        whole_maps=spec.whole_maps,
    )


def _spec_of(name: str) -> LossSpec:
    spec = load_registry().find("losses", name).spec
    if not isinstance(spec, LossSpec):
        raise TypeError(spec)
    return spec
