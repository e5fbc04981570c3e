"""Train a student in a rung, from the weights of the rung before. Finished rungs are kept in the store.

Each rung has a whole schedule of its own, warm-up and cosine to zero (warm restarts, Loshchilov and Hutter,
2017). So students are compared after their learning rate has decayed, and a rung needs only the weights of
the one before.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mtkd_cli.distributed.threads import use_threads
from mtkd_cli.errors import TrainingError
from mtkd_cli.files import atomic
from mtkd_cli.interfaces.significant_digits import round_significant, without_nan
from mtkd_cli.recipe.schema import Train
from mtkd_cli.runs import preflight
from mtkd_cli.runs.automatic import show_choices
from mtkd_cli.runs.strategy_batches import fit_strategy, make_batches
from mtkd_cli.runs.students import MEMORY_HINT, build_trainable, plan_steps, resolve_kd_ratio
from mtkd_cli.runs.view_count import count_views
from mtkd_cli.safe_loading import weights
from mtkd_cli.search.halving import Rung
from mtkd_cli.stats.score import score_of
from mtkd_cli.store import content_store
from mtkd_cli.teachers.distillation_data import DistillationData, distillation_data
from mtkd_cli.teachers.identity import student_identity
from mtkd_cli.teachers.merged_distance import merged_distance
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.teachers.resolved_teacher import resolve_teachers
from mtkd_cli.training.checkpointing import Checkpointer
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import measure, row_predictor
from mtkd_cli.training.loop import train
from mtkd_cli.training.objectives import Batches, FromTeachers, Hints
from mtkd_cli.training.out_of_memory import memory_errors
from mtkd_cli.training.selection import SELECTION
from mtkd_cli.training.step_threads import choose_threads
from mtkd_cli.training.strategy import Strategy

KIND = "rungs"


@dataclass(frozen=True)
class Taught:
    """What all students of a search learn from.

    Attributes:
        data: training samples with the teachers' outputs.
        strategy: the fitted strategy.
        batches: builder of the strategy's input.
        key: everything that this depends on, besides the recipe.
    """

    data: DistillationData
    strategy: Strategy
    batches: Batches
    key: Mapping[str, Any]


@dataclass(frozen=True)
class RungResult:
    """A student after a rung.

    Attributes:
        rank: sort key on validation, larger is better, see `RankedEvaluation.score`.
        score: the primary metric on validation.
        interval: 95 % interval of the score; None with too few samples.
        loss: validation loss.
        key: content key of the student's weights.
        failed: error message of a training that failed; empty otherwise.
    """

    rank: tuple[float, ...]
    score: float | None = None
    interval: tuple[float, float] | None = None
    loss: float | None = None
    key: Mapping[str, Any] | None = None
    failed: str = ""


def prepare_taught(context: Context) -> Taught:
    """Record the teachers' outputs, once for all students, and fit the strategy."""
    preflight.refuse_few_samples(context, baselines=False)
    preflight.remark_missing_labels(context)
    show_choices(context)
    strategy, views = Strategy(context.parts.strategy), count_views(context.recipe)
    resolved = resolve_teachers(context)
    teachers = prepare_teachers(context, views, resolved)
    preflight.show_alignment(context, teachers)
    preflight.refuse_partial_label_spaces(context, strategy, teachers)
    fit_strategy(strategy, context, teachers)
    data = distillation_data(teachers, views, context)
    key = {
        "teachers": [teacher.key for teacher in resolved],
        "splits": [split.digest for split in (context.data.train, context.data.val)],
        "engine": context.engine,
        "selection": SELECTION,
    }
    return Taught(data, strategy, make_batches(context, data.split, teachers), key)


def rung_key(context: Context, taught: Taught, settings: Train, rungs: Sequence[Rung]) -> dict[str, Any]:
    """Return everything that a student after these rungs depends on."""
    identity = student_identity(context.parts.student, context.recipe.student)
    recipe = context.recipe.model_copy(update={"train": settings}).as_dict()
    recipe.pop("trackers", None)
    return {**taught.key, "student": identity, "recipe": recipe, "rungs": [rung.until for rung in rungs]}


def is_trained(key: Mapping[str, Any]) -> bool:
    """Whether a student after its rungs is in the store."""
    return content_store.find(KIND, key) is not None


def train_rung(
    context: Context,
    taught: Taught,
    settings: Train,
    rungs: Sequence[Rung],
    before: Mapping[str, Any] | None,
) -> RungResult:
    """Return a student after the last of some rungs; train it in that rung unless it is in the store.

    A stopped training resumes.

    Args:
        context: the run with this student.
        taught: what it learns from.
        settings: settings with one learning rate and one weight decay.
        rungs: the rungs so far; the last one is trained.
        before: content key of the student after the rung before; None in the first rung.
    """
    key = rung_key(context, taught, settings, rungs)
    folder = content_store.unfinished_folder(KIND, key)
    with content_store.fill_once(KIND, key) as empty:
        if empty is not None:
            try:
                module, facts = _train(context, taught, settings, rungs, before, folder)
                tensors = module.state_dict()
            except TrainingError as error:
                facts, tensors = {"failed": error.what}, {}
            weights.write(empty / "student.safetensors", {name: t.cpu() for name, t in tensors.items()})
            atomic.write_json(empty / "facts.json", facts)
    facts = json.loads((content_store.folder_of(KIND, key) / "facts.json").read_text())
    if "failed" in facts:
        return RungResult((-float("inf"),), failed=facts["failed"])
    rank = tuple(-float("inf") if part is None else part for part in facts["rank"])
    interval = None if facts["interval"] is None else (facts["interval"][0], facts["interval"][1])
    return RungResult(rank, facts["score"], interval, facts["loss"], key)


def _train(
    context: Context,
    taught: Taught,
    settings: Train,
    rungs: Sequence[Rung],
    before: Mapping[str, Any] | None,
    checkpoints: Path,
) -> tuple[nn.Module, dict[str, Any]]:
    loss, data, task = context.recipe.loss, taught.data, context.task
    sizes = [teacher.size for teacher in data.features]
    module = build_trainable(context, sizes)
    if before is not None:
        weights.load_into(module, _tensors_of(before), context.recipe.student.model)
    hints = Hints(data.teacher_features, loss.features) if data.features else None
    objective = FromTeachers(
        data, taught.strategy, taught.batches, loss.temperature, resolve_kd_ratio(context), hints
    )
    distance = merged_distance(data, taught.strategy, taught.batches, context)
    validate = functools.partial(context.validate, distance=distance)
    # other orders of the samples than in the rungs before
    size, seed = min(settings.batch_size, len(data)), settings.seed + 1000 * (len(rungs) - 1)
    settings = settings.model_copy(update={"batch_size": size, "seed": seed})
    threads = choose_threads(context, "search", module, data, size)
    with memory_errors(f"search, batches of {size}", MEMORY_HINT), use_threads(threads):
        trained = train(
            module,
            data,
            objective,
            validate,
            settings,
            rungs[-1].steps,
            plan_steps(context)[1],
            context.progress,
            Checkpointer(checkpoints, context.progress.say),
        )
    chosen = trained.selection.chosen
    evaluation = chosen.evaluation
    measured = measure(
        row_predictor(evaluation.module, context.data.val, context.device), context.data.val, task
    )
    found = score_of(task, measured.statistics).estimate()
    ends = without_nan({"low": round_significant(found.low), "high": round_significant(found.high)})
    facts = {
        "rank": list(chosen.score),
        "score": evaluation.metrics[task.primary.name],
        "interval": None if None in ends.values() else [ends["low"], ends["high"]],
        "loss": evaluation.measurement.loss,
    }
    return evaluation.module, without_nan(facts)


def _tensors_of(key: Mapping[str, Any]) -> dict[str, Tensor]:
    tensors, _ = weights.read(content_store.folder_of(KIND, key) / "student.safetensors")
    return tensors
