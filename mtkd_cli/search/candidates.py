"""The candidates of a search: their names, and what each costs before it is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mtkd_cli.compare.grid import values_of
from mtkd_cli.errors import MtkdError, UsageError
from mtkd_cli.interfaces import Model
from mtkd_cli.models.cost import count_weights
from mtkd_cli.models.onnx_program import Shippable
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.report.search_result import Candidate
from mtkd_cli.report.units import bytes_in_words, milliseconds
from mtkd_cli.runs.latencies import example_inputs, measure_model
from mtkd_cli.runs.students import build_untrained
from mtkd_cli.training.context import Context


@dataclass(frozen=True)
class Budget:
    """The largest costs that a student may have; infinity: any.

    Attributes:
        latency_ms: median latency of one sample, in milliseconds.
        bytes: size of the weights and buffers.
    """

    latency_ms: float = math.inf
    bytes: float = math.inf


def parse_students(text: str) -> list[str]:
    """Return the models of ``timm:a,timm:b``, or of ``convnet:4-8,8-16``: the provider need not be repeated.

    Raises:
        UsageError: there is none, or one is given twice.
    """
    found: list[str] = []
    for value in filter(None, values_of(text)):
        provider = found[-1].rpartition(":")[0] if found else ""
        name = value if ":" in value or not provider else f"{provider}:{value}"
        if name in found:
            raise UsageError(f"{name} is given twice", where="--students", hint="remove one")
        found.append(name)
    if not found:
        raise UsageError("no students", where="--students", hint="for example timm:resnet18,timm:resnet34")
    return found


def with_student(context: Context, parts: Resolved) -> Context:
    """Return the run with the student of another recipe, which is otherwise the same."""
    recipe = context.recipe.model_copy(update={"student": parts.recipe.student})
    return replace(context, recipe=recipe, parts=replace(context.parts, recipe=recipe, student=parts.student))


def measure_candidate(name: str, context: Context, budget: Budget) -> Candidate:
    """Return what a student costs on this machine, and why it is rejected, if it is.

    The latency is the median of one sample in ONNX Runtime, or in eager PyTorch if ONNX Runtime is not
    installed or the student cannot be exported.

    Args:
        name: the model.
        context: the run with this student.
        budget: the largest costs.
    """
    try:
        model = build_untrained(context)
        costs = _measure(name, model, context)
    except MtkdError as error:
        return Candidate(name, rejected=f"cannot be built: {error.what}")
    return replace(costs, rejected="; ".join(_excess(costs, budget)))


def _measure(name: str, model: Model, context: Context) -> Candidate:
    parameters, size = count_weights(model)
    module = Shippable(with_preprocessing(model).requires_grad_(False))
    single = context.task.has_class_numbers  # the file of a detector takes one image
    inputs = example_inputs(context.data)
    measured = measure_model(name, module, inputs, context.device, single, batches=(1,))
    eager, *others = measured.latencies
    latency = others[0] if others else eager
    return Candidate(
        name,
        parameters=parameters or None,
        bytes=size or None,
        latency_ms=latency.p50_ms,
        latency_p95_ms=latency.p95_ms,
        engine=latency.engine,
    )


def _excess(costs: Candidate, budget: Budget) -> list[str]:
    reasons = []
    if (costs.latency_ms or 0) > budget.latency_ms:
        reasons.append(f"latency {milliseconds(costs.latency_ms)} > {milliseconds(budget.latency_ms)}")
    if (costs.bytes or 0) > budget.bytes:
        reasons.append(f"size {bytes_in_words(costs.bytes)} > {bytes_in_words(budget.bytes)}")
    return reasons


def measure_all(
    names: Sequence[str],
    context: Context,
    parts_of: Callable[[str], Resolved],
    budget: Budget,
) -> list[Candidate]:
    """Return the costs of all candidates.

    Args:
        names: the models.
        context: the run.
        parts_of: function from a model to the recipe with this student.
        budget: the largest costs.
    """
    found = []
    with context.progress.phase("measure students", len(names)):
        for name in names:
            found.append(measure_candidate(name, with_student(context, parts_of(name)), budget))
            context.progress.advance()
    return found
