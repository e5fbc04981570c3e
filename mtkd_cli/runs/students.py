"""Train students: the distilled one, and the same one alone as its fair opponent."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.views import PLAIN, view
from mtkd_cli.files import hashing
from mtkd_cli.interfaces import Model
from mtkd_cli.models.build import build_student
from mtkd_cli.models.feature_projectors import Guided
from mtkd_cli.models.preprocess import prepared
from mtkd_cli.recipe.schema import Augment, Train
from mtkd_cli.safe_loading import weights
from mtkd_cli.store import content_store
from mtkd_cli.store.shared import keep_together
from mtkd_cli.teachers.features import of_each, recorded_features
from mtkd_cli.teachers.identity import student_identity
from mtkd_cli.teachers.outputs import ReadyTeacher, answers, train_view
from mtkd_cli.training.acceleration import synchronised
from mtkd_cli.training.checkpointing import Keeper
from mtkd_cli.training.context import Context
from mtkd_cli.training.hyperparameter_search import candidates, search
from mtkd_cli.training.loop import Losses, Step, Trained, steps_per_epoch, train
from mtkd_cli.training.objectives import Batches, FromLabels, FromTeachers, Hints
from mtkd_cli.training.out_of_memory import memory_errors
from mtkd_cli.training.strategy import Strategy

LESS = "lower train.batch_size, record teachers that are live, or take a smaller student"


@dataclass(frozen=True)
class TrainedStudent:
    """A student at its best validation.

    Attributes:
        model: the student with its weights, on the CPU.
        settings: the learning rate and weight decay that were chosen.
        trials: one row for each candidate that was tried.
        curve: the rows of the chosen candidate.
    """

    model: Model
    settings: dict[str, float]
    trials: tuple[dict[str, Any], ...]
    curve: tuple[dict[str, float], ...]


def plan_steps(context: Context) -> tuple[int, int]:
    """Return (optimizer steps in all, steps between evaluations) of every student of the run."""
    settings = context.recipe.train
    each = steps_per_epoch(len(context.data.train), settings.batch_size)
    return each * settings.epochs, each


def distilled(
    context: Context,
    teachers: list[ReadyTeacher],
    strategy: Strategy,
    batches: Batches,
    views: int | None,
    place: Path | None = None,
) -> TrainedStudent:
    """Train the student on labels and merged teachers, on every training sample.

    Args:
        context: the run.
        teachers: who teach.
        strategy: fitted, if it needs that.
        batches: makes what the strategy is given.
        views: recorded views, None for live ones.
        place: where checkpoints are kept; None keeps none.
    """
    split, recipe = context.data.train, context.recipe
    everything = np.arange(len(split))

    def number(epoch: int) -> int:
        return train_view(epoch, views)

    features = (
        recorded_features([t.resolved for t in teachers], views, context) if recipe.loss.features else ()
    )
    objective = FromTeachers(
        context.task,
        strategy,
        answers(context, teachers, views),
        batches,
        context.labels(split, everything, number),
        recipe.loss.temperature,
        kd_ratio(context),
        Hints(of_each(features), recipe.loss.features) if features else None,
    )
    sizes = [teacher.size for teacher in features]
    return _search(context, split, everything, number, objective, "distil", place, sizes)


def alone(context: Context) -> TrainedStudent:
    """Train the same student without teachers; kept and reused by every run that shares it.

    It has the same labels, live views, the same number of optimizer steps, the checkpoint chosen
    on validation and a search over the same candidates.
    """
    split = context.data.train
    rows = split.labelled

    def write(folder: Path) -> None:
        objective = FromLabels(context.task, context.labels(split, rows, _new_each_epoch))
        place = content_store.unfinished("alone", alone_key(context))
        student = _search(context, split, rows, _new_each_epoch, objective, "student alone", place)
        weights.write(folder / "student.safetensors", student.model.module.state_dict())
        facts = {"settings": student.settings, "trials": student.trials, "curve": student.curve}
        (folder / "facts.json").write_text(json.dumps(facts))

    folder = keep_together("alone", alone_key(context), write)
    facts = json.loads((folder / "facts.json").read_text())
    model = build(context)
    tensors, _ = weights.read(folder / "student.safetensors")
    weights.load_into(model.module, tensors, "student alone")
    return TrainedStudent(model, facts["settings"], tuple(facts["trials"]), tuple(facts["curve"]))


def _new_each_epoch(epoch: int) -> int:
    """Return the number of the live view that an epoch shows."""
    return train_view(epoch, None)


def kd_ratio(context: Context) -> float:
    """Return the recipe's kd_ratio; ``auto`` trusts teachers more where labels are few."""
    if context.recipe.loss.kd_ratio != "auto":
        return float(context.recipe.loss.kd_ratio)
    train = context.data.train
    return 0.9 if len(train.labelled) < len(train) / 2 else 0.5


def _search(
    context: Context,
    split: Split,
    rows: NDArray[np.int64],
    number: Callable[[int], int],
    objective: Callable[[Tensor, Step], Losses],
    name: str,
    place: Path | None,
    features: Sequence[int] = (),
) -> TrainedStudent:
    recipe = context.recipe
    steps, every = plan_steps(context)
    model, views = build(context), context.views(split, rows, number)

    several = len(candidates(recipe.train)) > 1
    beside = f", {len(recipe.teachers)} live teachers" if recipe.views.count == "live" else ""

    def train_one(settings: Train, number: int) -> Trained:
        module = _trainable(build(context), features, context).to(context.device)
        module = synchronised(module, recipe.train, context.device)
        settings = settings.model_copy(update={"batch_size": min(settings.batch_size, len(rows))})
        watcher = context.progress.candidate(number) if several else context.progress
        keeper = Keeper(place / f"candidate-{number}", context.progress.say) if place else None
        with memory_errors(f"{name}, batches of {settings.batch_size}{beside}", LESS):
            return train(
                module, len(rows), views, objective, context.validate, settings, steps, every, watcher, keeper
            )

    with context.progress.phase(name, steps * len(candidates(recipe.train))):
        found = search(recipe.train, train_one, context.progress.say)
    trained = found.trained.best.module
    own = trained.student if isinstance(trained, Guided) else trained
    best = {key.removeprefix("module."): value.cpu() for key, value in own.state_dict().items()}
    weights.load_into(model.module, best, name)
    chosen = {"lr": found.settings.lr[0], "weight_decay": found.settings.weight_decay[0]}
    return TrainedStudent(replace(model, trained=True), chosen, found.trials, found.trained.curve)


def _trainable(model: Model, features: Sequence[int], context: Context) -> nn.Module:
    """Return the student as it is trained: with projectors to the teachers' features, if it learns them."""
    if not features:
        return prepared(model)
    split = context.data.val
    example = view(split.samples.read(slice(2)), split.id_numbers[:2], PLAIN, 0, Augment())
    return Guided(model, features, example, context.recipe.train.seed)


def build(context: Context) -> Model:
    """Return the untrained student."""
    return build_student(
        context.parts.student,
        context.recipe.student,
        context.data,
        context.task,
        context.recipe.train.seed,
    )


def alone_key(context: Context) -> dict[str, Any]:
    """Return everything that decides the student alone."""
    recipe, data = context.recipe, context.data
    return {
        "student": student_identity(context.parts.student, recipe.student),
        "splits": [data.train.digest, data.val.digest],
        "targets": [hashing.array_sha256(split.samples.targets) for split in (data.train, data.val)],
        "classes": data.classes,
        "task": recipe.task.model_dump(mode="json"),
        "loss": {"label_smoothing": recipe.loss.label_smoothing, "class_weights": recipe.loss.class_weights},
        "train": recipe.train.model_dump(mode="json"),
        "steps": plan_steps(context),
        "views": recipe.views.seed,
        "augment": recipe.augment.model_dump(mode="json"),
        "engine": context.engine,
    }
