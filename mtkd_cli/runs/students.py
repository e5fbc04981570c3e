"""Train the student once for each candidate and keep the best, with or without teachers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mtkd_cli.data.views import PLAIN, views_of
from mtkd_cli.distributed.threads import use_threads
from mtkd_cli.errors import TrainingError
from mtkd_cli.interfaces import Model
from mtkd_cli.models.build import build_student
from mtkd_cli.models.feature_projectors import Guided
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.recipe.schema import Augment
from mtkd_cli.safe_loading import weights
from mtkd_cli.teachers.distillation_data import DistillationData
from mtkd_cli.teachers.merged_distance import merged_distance
from mtkd_cli.training.acceleration import convert_sync_batchnorm_if_requested
from mtkd_cli.training.checkpointing import Checkpointer
from mtkd_cli.training.context import Context
from mtkd_cli.training.hyperparameter_search import (
    Trial,
    best_trial,
    candidates,
    describe_candidate,
    next_beyond_range,
)
from mtkd_cli.training.loop import Losses, Step, Trained, steps_per_epoch, train
from mtkd_cli.training.objectives import Batches, FromTeachers, Hints
from mtkd_cli.training.out_of_memory import memory_errors
from mtkd_cli.training.step_threads import choose_threads
from mtkd_cli.training.strategy import Strategy
from mtkd_cli.training.training_data import TrainingData

MEMORY_HINT = "lower train.batch_size, record teachers that are live, or take a smaller student"


@dataclass(frozen=True)
class TrainedStudent:
    """A student at its best validation.

    Attributes:
        model: the student with its weights, on the CPU.
        settings: the learning rate and weight decay that were chosen.
        trials: one row for each candidate.
        curve: rows of the chosen candidate.
        note: a remark on its training for the report.
    """

    model: Model
    settings: dict[str, float]
    trials: tuple[dict[str, Any], ...]
    curve: tuple[dict[str, float], ...]
    note: str = ""


def plan_steps(context: Context) -> tuple[int, int]:
    """Return the number of optimizer steps, and of steps between evaluations, of every student of the run."""
    settings = context.recipe.train
    each = steps_per_epoch(len(context.data.train), settings.batch_size)
    return each * settings.epochs, each


def train_student(
    context: Context,
    data: DistillationData,
    strategy: Strategy,
    batches: Batches,
    checkpoints: Path | None = None,
) -> TrainedStudent:
    """Train the student on labels and merged teachers.

    Args:
        context: the run.
        data: training samples with the teachers' outputs.
        strategy: the fitted strategy.
        batches: builder of the strategy's input.
        checkpoints: folder of the checkpoints; None: write none.
    """
    loss = context.recipe.loss
    hints = Hints(data.teacher_features, loss.features) if data.features else None
    objective = FromTeachers(data, strategy, batches, loss.temperature, resolve_kd_ratio(context), hints)
    sizes = [teacher.size for teacher in data.features]
    distance = merged_distance(data, strategy, batches, context)
    return train_best_candidate(context, data, objective, "distill", checkpoints, sizes, distance)


def resolve_kd_ratio(context: Context) -> float:
    """Return the recipe's kd_ratio; ``auto`` is higher if fewer than half of the samples have labels."""
    if context.recipe.loss.kd_ratio != "auto":
        return float(context.recipe.loss.kd_ratio)
    train = context.data.train
    return 0.9 if len(train.labeled) < len(train) / 2 else 0.5


def train_best_candidate(
    context: Context,
    data: TrainingData,
    objective: Callable[[Tensor, Step], Losses],
    name: str,
    checkpoints: Path | None,
    features: Sequence[int] = (),
    distance: Callable[[nn.Module], float] | None = None,
) -> TrainedStudent:
    """Train the student once for each candidate, and return the best one; see `training.selection`.

    If the best learning rate is at an edge of the range, rates beyond it are tried too. A candidate whose
    loss is not finite is dropped.

    Args:
        context: the run.
        data: training samples.
        objective: function from the student's output and the step to the losses.
        name: name of the phase.
        checkpoints: folder of the checkpoints; None: write none.
        features: size of the feature vectors of each teacher whose features are learned.
        distance: function that measures a student's distance to the merged teachers.

    Raises:
        TrainingError: the losses of all candidates are not finite.
    """
    recipe, progress = context.recipe, context.progress
    steps, every = plan_steps(context)
    model, tried = build_untrained(context), candidates(recipe.train)
    beside = f", {len(recipe.teachers)} live teachers" if recipe.views.count == "live" else ""
    validate = functools.partial(context.validate, distance=distance)
    trials: list[Trial] = []
    threads = 0
    with progress.phase(name, steps):
        for number, candidate in enumerate(tried, start=1):
            module = build_trainable(context, features)
            settings = candidate.model_copy(update={"batch_size": min(candidate.batch_size, len(data))})
            watcher = progress
            if len(tried) > 1:
                watcher = progress.candidate(number, len(tried), describe_candidate(candidate, recipe.train))
            keeper = Checkpointer(checkpoints / f"candidate-{number}", progress.say) if checkpoints else None
            threads = threads or choose_threads(context, name, module, data, settings.batch_size)
            try:
                with (
                    memory_errors(f"{name}, batches of {settings.batch_size}{beside}", MEMORY_HINT),
                    use_threads(threads),
                ):
                    trained = train(
                        module, data, objective, validate, settings, steps, every, watcher, keeper
                    )
                trials.append(Trial(candidate, trained))
            except TrainingError as error:
                trials.append(Trial(candidate, error))
                progress.say(f"candidate lr {candidate.lr[0]:g} failed: {error.what}")
            more = next_beyond_range(recipe.train, trials) if number == len(tried) else None
            if more is not None:
                tried.append(more)
                progress.say(f"{name}: the best lr is at the edge of train.lr; trying {more.lr[0]:g}, too")
        best, standing = best_trial(trials)
    best_module = standing.evaluation.module
    own = best_module.student if isinstance(best_module, Guided) else best_module
    state = {key.removeprefix("module."): value.cpu() for key, value in own.state_dict().items()}
    weights.load_into(model.module, state, name)
    rows = tuple(trial.as_dict() for trial in trials)
    curve = best.result.curve if isinstance(best.result, Trained) else ()
    return TrainedStudent(replace(model, trained=True), best.chosen, rows, curve)


def build_trainable(context: Context, features: Sequence[int] = ()) -> nn.Module:
    """Return the student as it is trained, on the run's device.

    Args:
        context: the run.
        features: size of the feature vectors of each teacher whose features are learned; the student gets a
            projector to each of them.

    Raises:
        UsageError: the student cannot learn features, or the device does not support the recipe.
    """
    model = build_untrained(context)
    module: nn.Module = with_preprocessing(model)
    if features:
        split = context.data.val
        example = views_of(split, slice(2), PLAIN, 0, Augment())
        module = Guided(model, features, example, context.recipe.train.seed)
    return convert_sync_batchnorm_if_requested(
        module.to(context.device), context.recipe.train, context.device
    )


def build_untrained(context: Context) -> Model:
    """Return the untrained student."""
    model = build_student(
        context.parts.student,
        context.recipe.student,
        context.data,
        context.task,
        context.recipe.train.seed,
    )
    context.progress.remark(model.notes, about="student")
    return model
