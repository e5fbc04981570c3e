"""Every teacher is asked about a few samples before any is fitted: what is wrong with one is said at once."""

from __future__ import annotations

import gc
import os
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mtkd_cli.errors import DataError, MtkdError
from mtkd_cli.interfaces import Model
from mtkd_cli.teachers import prepare
from mtkd_cli.training.context import Context
from tests.fixtures.command_line import mtkd
from tests.fixtures.small_runs import Contexts

ODD = """
import torch
from torch import nn
from mtkd_cli.interfaces import InputSpec, Model

class Odd(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x, 4 * torch.randn(len(x), 10, generator=torch.Generator().manual_seed(0)))

def of(answer):
    return lambda: Odd(answer)

nan = of(lambda x, z: z.masked_fill(torch.arange(len(z))[:, None] == 2, torch.nan))
infinite = of(lambda x, z: z * torch.inf)
eleven = of(lambda x, z: torch.cat([z, z[:, :1]], dim=1))
named = lambda: Model(Odd(lambda x, z: z), InputSpec(), classes=("cat", "dog"))
strangers = lambda: Model(Odd(lambda x, z: z[:, :2]), InputSpec(), classes=("cat", "dog"))
nothing = of(lambda x, z: None)
entries = of(lambda x, z: {"logits": z, "features": x})
pair = of(lambda x, z: (z, x))
text = of(lambda x, z: "five")
one = of(lambda x, z: z[:1])
maps = of(lambda x, z: z[:, :, None, None])
probabilities = of(lambda x, z: z.softmax(dim=1))
logits = of(lambda x, z: z)
def refuse(x, z):
    raise RuntimeError("the views are too small")

raises = of(refuse)
colour = lambda: nn.Sequential(nn.Conv2d(3, 10, 8), nn.Flatten())
wide = lambda: nn.Sequential(nn.Flatten(), nn.Linear(999, 10))
last = of(lambda x, z: torch.randn(len(x), 16, 16, 11))
first = of(lambda x, z: torch.randn(len(x), 11, 16, 16))
"""
FITTED = "{model: 'mlp:4', fit: all}"


@pytest.fixture(autouse=True)
def odd() -> None:
    Path("odd.py").write_text(ODD)


def with_odd(name: str, keys: str = "") -> str:
    return f"teachers=[{FITTED}, {{name: bad, model: 'python:odd.py:{name}', pretrained: true{keys}}}]"


def refused(context: Contexts, name: str, keys: str = "", *more: str, views: int | None = 1) -> MtkdError:
    """Return what is said of a recipe whose second teacher is odd; nothing was done for the first."""
    with pytest.raises(MtkdError) as caught:
        prepare.prepare_teachers(context(with_odd(name, keys), *more), views)
    assert "\n" not in caught.value.what
    assert "'bad'" in caught.value.what + caught.value.where
    store = Path(os.environ["MTKD_STORE"])
    assert not [*store.glob("fitted/*"), *store.glob("outputs/*")]
    return caught.value


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("nan", "answers NaN or infinity", "mean and std; store.on_nan: drop"),
        ("infinite", "answers NaN or infinity", "check its checkpoint"),
        ("eleven", "gives 11 outputs, the data has 10 classes", "classes:, or adapt it with fit: head"),
        ("named", "gives 10 outputs but has 2 class names", "name every output with classes:"),
        ("strangers", "knows none of the data's 10 classes", "its own are cat, dog; map them with map:"),
        ("nothing", "answers nothing (None)", "let its forward return a tensor"),
        (
            "entries",
            "gives a dict of logits, features; the task needs a tensor (samples, classes)",
            "one entry",
        ),
        ("pair", "gives a tuple of 2; the task needs a tensor (samples, classes)", "return one entry of it"),
        ("text", "gives a str; the task needs a tensor (samples, classes)", "made for this task?"),
        ("one", "gives (1, 10) for 4 samples; the task needs one answer for each", "made for this task?"),
        ("maps", "gives (4, 10, 1, 1); the task needs (samples, classes)", "it answers with maps: pool them"),
        ("probabilities", "look like probabilities, and count as logits", "set outputs: probabilities"),
        ("raises", "fails on inputs (4, 1, 8, 8): the views are too small", "its input: size"),
        ("colour", "fails on inputs (4, 1, 8, 8): ", "set input: {channels: 3}"),
        ("wide", "fails on inputs (4, 1, 8, 8): ", "set its input: size and channels"),
    ],
)
def test_what_is_wrong_with_a_teacher_is_said_before_another_is_fitted(
    context: Contexts, name: str, what: str, hint: str
) -> None:
    error = refused(context, name)
    assert what in error.what
    assert hint in error.hint


def test_logits_declared_as_probabilities_are_refused_before_another_is_fitted(context: Contexts) -> None:
    error = refused(context, "logits", ", outputs: probabilities")
    assert "are no probabilities that sum to 1" in error.what
    assert "set outputs: logits" in error.hint


def test_live_teachers_are_asked_first_too(context: Contexts) -> None:
    refused(context, "nan", "", "views=live", views=None)


def test_maps_whose_classes_stand_last_are_refused_and_others_are_not(context: Contexts) -> None:
    def run(name: str) -> Context:
        small = (
            "data.scenes=12",
            "data.test_scenes=10",
            "data.size=16",
            "data.labels=8",
            "data.val=0.5",
            "student=unet:4",
        )
        bad = with_odd(name).replace("mlp:4", "unet:4")
        return context(*small, bad, "fit.epochs=1", recipe="digit-scenes-seg")

    with pytest.raises(DataError) as caught:
        prepare.prepare_teachers(run("last"), 0)
    assert "gives (4, 16, 16, 11), classes last; the task needs (samples, classes" in caught.value.what
    assert "permute(0, 3, 1, 2)" in caught.value.hint
    assert len(prepare.prepare_teachers(run("first"), 0)) == 2


def test_a_teacher_that_may_be_left_out_where_it_answers_nan_is_not_refused_for_it(context: Contexts) -> None:
    ready = prepare.prepare_teachers(context(with_odd("nan"), "store.on_nan=drop"), 1)
    assert ready[1].recorded("val", 0)[2].isnan().all()


def test_one_teacher_is_in_memory_at_a_time_and_none_if_all_is_recorded(
    context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[weakref.ref[nn.Module]] = []
    load = prepare.load_teacher

    def alone(*arguments: Any) -> Model:
        gc.collect()
        assert not [module for module in loaded if module() is not None]
        model: Model = load(*arguments)
        loaded.append(weakref.ref(model.module))
        return model

    monkeypatch.setattr(prepare, "load_teacher", alone)
    prepare.prepare_teachers(context("fit.epochs=1"), 1)
    assert len(loaded) == 6, "each was asked, then fitted and recorded"
    prepare.prepare_teachers(context("fit.epochs=1"), 1)
    assert len(loaded) == 6


def test_a_teacher_that_was_recorded_answers_as_before_when_it_is_asked_first(context: Contexts) -> None:
    """Asking draws no random number that a fit would miss."""
    first = [teacher.recorded("val", 0) for teacher in prepare.prepare_teachers(context(), 1)]
    one = [
        prepare.prepare_teachers(
            context(f"teachers=[{{model: '{model}', fit: {{train: all, epochs: 2, labels: all}}}}]"), 1
        )[0]
        for model in ("mlp:32", "convnet:8-16", "resnet:8-8")
    ]
    for together, alone in zip(first, one, strict=True):
        assert torch.equal(together, alone.recorded("val", 0))


def test_the_command_says_it_in_three_lines() -> None:
    done = mtkd("distill", "digits", with_odd("nothing"))
    assert done.exit_code == 3
    assert "Traceback" not in done.stderr
    assert "the teacher answers nothing (None)" in done.stderr
    assert "teacher 'bad'" in done.stderr
    planned = mtkd("distill", "digits", with_odd("one"), "--dry-run")
    assert planned.exit_code == 3
    assert "gives (1, 10) for 4 samples" in planned.stderr
