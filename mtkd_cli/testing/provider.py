"""Check that a teacher provider builds valid models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from typing import Any

import torch
from torch import Tensor, nn

from mtkd_cli.errors import MtkdError
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_cli.models.preprocess import complete_input, with_preprocessing
from mtkd_cli.recipe.schema import Input
from mtkd_cli.specs import TeacherSpec
from mtkd_cli.testing.batches import random_outputs
from mtkd_cli.testing.broken import NotCheckedError, require
from mtkd_cli.testing.guesses import check_guess

SIDE = 32
OUTPUTS = 5
UNKNOWN_MODEL = "no-such-model"


def check_provider(factory: Callable[[], Any], spec: TeacherSpec, model: str | None = None) -> None:
    """Check a provider with one of its models, without trained weights.

    Args:
        factory: returns the provider.
        spec: spec of the provider.
        model: ``provider:model``, or only the model; default: the spec's example.

    Raises:
        BrokenRuleError: a rule is broken; names the first one.
        NotCheckedError: the model or a required package is not available.
    """
    who = f"the provider {spec.name!r}"
    _check_requirements(spec)
    check_guess(who, spec)
    _check_unknown_model(who, factory())
    name = (model or spec.example).removeprefix(f"{spec.name}:")
    if not name:
        raise NotCheckedError("the spec has no example; pass model=")
    table = spec.inputs == ("table",)
    data = InputSpec(1 if table else SIDE, (0.5,) * 3, (0.25,) * 3, 3)
    request = ModelRequest(name, 3, data.size or 1, OUTPUTS, pretrained=False)
    try:
        built = factory().build(request)
    except MtkdError as error:
        raise NotCheckedError(f"{spec.name}:{name}: {error.what}") from error
    require(isinstance(built, Model), who, "build returns a Model", f"it returns a {type(built).__name__}")
    if not isinstance(built.module, nn.Module):
        raise NotCheckedError(f"{spec.name}:{name} is not a torch module")
    if spec.by_id:
        _check_predictions(who, built)
    else:
        _check_outputs(who, spec, built, data, table)


def _check_predictions(who: str, built: Model) -> None:
    predictions = built.predictions
    require(predictions is not None, who, "by_id: a model has predictions", "predictions is None")
    counts = {len(predictions.keys), len(predictions.rows), len(predictions.lines)} if predictions else set()
    require(
        counts == {len(predictions.keys) if predictions else 0},
        who,
        "a key and a line for each row",
        f"the numbers are {counts}",
    )


def _check_outputs(who: str, spec: TeacherSpec, built: Model, data: InputSpec, table: bool) -> None:
    shape = (2, 3) if table else (2, 3, SIDE, SIDE)
    views = random_outputs(*shape) / 8 + 0.5  # from 0 to 1
    full = replace(built, input=complete_input(built.input, Input(), data))
    module = with_preprocessing(full).eval()
    with torch.no_grad():
        first, second = module(views), module(views)
    require(
        isinstance(first, Tensor) and len(first) == len(views),
        who,
        "one output for each sample",
        f"its model returns {tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__}",
    )
    require(torch.equal(first, second), who, "a model in eval mode is deterministic", "its outputs differ")
    require(bool(torch.isfinite(first).all()), who, "finite", "its model returns NaN or infinity")
    if built.head:
        names = dict(built.module.named_modules())
        require(built.head in names, who, "head names a layer", f"the model has no layer {built.head!r}")
    trainable = any(parameter.requires_grad for parameter in built.module.parameters())
    require(
        trainable or not spec.trainable,
        who,
        "a provider of students builds trainable models",
        "its model has no trainable parameter; set trainable=False",
    )


def _check_requirements(spec: TeacherSpec) -> None:
    for name in spec.requires:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            raise NotCheckedError(f"{name} is not installed") from None


def _check_unknown_model(who: str, provider: Any) -> None:
    """Check that an unknown model name raises an `MtkdError`."""
    try:
        provider.build(ModelRequest(UNKNOWN_MODEL, 3, SIDE, OUTPUTS, pretrained=False))
    except MtkdError:
        return
    except Exception as error:
        how = f"it raises {type(error).__name__}; raise mtkd_cli.errors.UsageError"
        require(False, who, "an unknown model is a UsageError or DataError", how)
    require(False, who, "an unknown model is a UsageError or DataError", "it builds a model")
