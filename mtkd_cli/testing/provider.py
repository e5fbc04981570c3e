"""Check that a provider builds models that the engine can use."""

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
from mtkd_cli.testing.batches import numbers
from mtkd_cli.testing.broken import NotCheckedError, require

SIDE = 32
OUTPUTS = 5
NO_MODEL = "a-model-that-there-is-not"


def check_provider(factory: Callable[[], Any], spec: TeacherSpec, model: str | None = None) -> None:
    """Check a provider by one of its models, untrained.

    Args:
        factory: makes the provider.
        spec: its spec.
        model: ``provider:model`` or the part after the colon; default: the spec's example.

    Raises:
        BrokenRuleError: the first rule that is broken, and how.
        NotCheckedError: the model cannot be had here.
    """
    who = f"the provider {spec.name!r}"
    _requires(spec)
    _unknown(who, factory())
    name = (model or spec.example).removeprefix(f"{spec.name}:")
    if not name:
        raise NotCheckedError("it has no example; give one with model=")
    table = spec.inputs == ("table",)
    data = InputSpec(1 if table else SIDE, (0.5,) * 3, (0.25,) * 3, 3)
    request = ModelRequest(name, 3, data.size or 1, OUTPUTS, pretrained=False)
    try:
        built = factory().build(request)
    except MtkdError as error:
        raise NotCheckedError(f"{spec.name}:{name}: {error.what}") from error
    require(isinstance(built, Model), who, "build returns a Model", f"it returns a {type(built).__name__}")
    if not isinstance(built.module, nn.Module):
        raise NotCheckedError(f"{spec.name}:{name} answers without a module")
    if spec.by_id:
        _predictions(who, built)
    else:
        _answers(who, spec, built, data, table)


def _predictions(who: str, built: Model) -> None:
    said = built.predictions
    require(said is not None, who, "by_id: a model has predictions", "its model has none")
    counts = {len(said.keys), len(said.rows), len(said.lines)} if said else set()
    require(
        counts == {len(said.keys) if said else 0}, who, "a key and a line for each row", f"there are {counts}"
    )


def _answers(who: str, spec: TeacherSpec, built: Model, data: InputSpec, table: bool) -> None:
    views = (numbers(2, 3) if table else numbers(2, 3, SIDE, SIDE)) / 8 + 0.5
    full = replace(built, input=complete_input(built.input, Input(), data))
    module = with_preprocessing(full).eval()
    with torch.no_grad():
        first, second = module(views), module(views)
    require(
        isinstance(first, Tensor) and len(first) == len(views),
        who,
        "one answer for each sample",
        f"its model gives {tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__}",
    )
    require(torch.equal(first, second), who, "a model in eval mode repeats itself", "its model does not")
    require(bool(torch.isfinite(first).all()), who, "finite", "its model answers NaN or infinity")
    if built.head:
        names = dict(built.module.named_modules())
        require(built.head in names, who, "head names a layer", f"there is no {built.head!r}")
    trainable = any(parameter.requires_grad for parameter in built.module.parameters())
    require(
        trainable or not spec.trainable,
        who,
        "a provider of students builds what can be trained",
        "its model has no trainable parameter; say trainable=False",
    )


def _requires(spec: TeacherSpec) -> None:
    for name in spec.requires:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            raise NotCheckedError(f"{name} is not installed") from None


def _unknown(who: str, provider: Any) -> None:
    """Check that a model that there is not is an error of ours."""
    try:
        provider.build(ModelRequest(NO_MODEL, 3, SIDE, OUTPUTS, pretrained=False))
    except MtkdError:
        return
    except Exception as error:
        how = f"it raises {type(error).__name__}; raise mtkd_cli.errors.UsageError"
        require(False, who, "an unknown model is a UsageError or DataError", how)
    require(False, who, "an unknown model is a UsageError or DataError", "it builds one all the same")
