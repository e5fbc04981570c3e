"""Load the models of a recipe: build, fill with weights, put the right head on."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mtkd_cli import counter_rng
from mtkd_cli.asking import ROUNDED, refuse_unfit
from mtkd_cli.background import is_listed
from mtkd_cli.data.dataset import Dataset
from mtkd_cli.declared_classes import declared_classes
from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.files import hashing
from mtkd_cli.interfaces import Model, ModelRequest, Task
from mtkd_cli.preprocess import Prepared, complete
from mtkd_cli.recipe.resolve import ModelPart
from mtkd_cli.recipe.schema import Input, Student, Teacher
from mtkd_cli.safe_loading import weights
from mtkd_cli.safe_loading.local_code import source_hash


@dataclass(frozen=True)
class Facts:
    """What a model costs. Latency is that of one sample on the CPU, over repeated calls, in milliseconds.

    Of a model behind a file of predictions nothing is known: None.
    """

    parameters: int | None
    bytes: int | None
    latency_ms: float | None
    latency_p95_ms: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for a report."""
        return dataclasses.asdict(self)


def load_teacher(part: ModelPart, teacher: Teacher, data: Dataset, task: Task) -> Model:
    """Return a teacher with its weights, its head fitting the task if it will be fitted.

    Raises:
        DataError: no trained weights and no ``fit: all``, or weights that do not fit.
    """
    pretrained = teacher.pretrained if teacher.pretrained is not None else teacher.checkpoint is None
    where = f"teacher {teacher.name!r} ({teacher.model})"
    seed = teacher.fit.seed if teacher.fit else 0
    own = declared_classes(teacher, where, data.classes)
    if teacher.background and not task.numbered:
        raise UsageError("background: is for detectors", where, "leave it out; classes: names every output")
    listed = task.numbered and own is not None and is_listed(own, data.classes)
    outputs = len(own) - listed if own else task.outputs
    background = listed or teacher.background == "first"
    built = partial(_build, part, teacher.input, data, outputs, pretrained, seed)
    model = built(background)
    if model.predictions is not None:
        refuse_unfit(model.predictions, teacher, task, where)
    undecided = task.numbered and not background and teacher.background is None
    otherwise = partial(built, background=True) if undecided else None
    model = _with_checkpoint(model, teacher.checkpoint, where, part.trusted, otherwise)
    trained = model.trained or (teacher.pretrained is True and not model.partly)
    if not trained and not (teacher.fit and teacher.fit.train == "all"):
        raise DataError(
            f"{teacher.model} has no trained weights",
            where=where,
            hint="give a checkpoint:, or fit: all to train it here; pretrained: true if it brings its own",
        )
    if teacher.fit:
        if not any(parameter.requires_grad for parameter in model.module.parameters()):
            raise UsageError("it has nothing that can be trained", where=where, hint="leave its fit: out")
        if teacher.fit.train == "head" and (not model.head or task.elements):
            raise UsageError(
                f"{teacher.model} has no last layer that can be trained alone",
                where=where,
                hint="train all of it with fit: all",
            )
        model = with_outputs(model, task.outputs, where, teacher.fit.seed)
        model = replace(model, classes=data.classes, scale=task.scale)
    classes = own or model.classes
    wanted = complete(model.input, teacher.input, data.input)
    return replace(model, classes=classes, input=wanted, shaped=_shaped(task, teacher, where))


def _shaped(task: Task, teacher: Teacher, where: str) -> Callable[[Any], Any]:
    """Return what brings a teacher's answers to the task's form: probabilities become log-probabilities."""
    if teacher.outputs is not None and (teacher.outputs == "values") is task.logits:
        hint = "use logits or probabilities" if task.logits else "leave it out"
        raise UsageError(f"outputs: {teacher.outputs} is not for this task", where, hint)
    if teacher.outputs != "probabilities" and not (teacher.outputs is None and task.over_classes):
        return task.shaped
    if teacher.outputs is None:
        return lambda output: _no_probabilities(task.shaped(output), where)

    def shaped(output: Any) -> Any:
        probabilities = task.shaped(output).float()
        again = task.averageable(task.as_output(probabilities))
        if not torch.allclose(again, probabilities, atol=ROUNDED, rtol=0):
            low, high = probabilities.min().item(), probabilities.max().item()
            kind = "probabilities that sum to 1" if task.over_classes else "probabilities"
            raise DataError(
                f"the teacher's answers, from {low:.3g} to {high:.3g}, are no {kind}",
                where=where,
                hint="set outputs: logits, or leave it out",
            )
        return task.as_output(probabilities)

    return shaped


def _no_probabilities(output: Any, where: str) -> Any:
    """Return answers that count as logits.

    Raises:
        DataError: they are distributions, and none so sure that it could be a one-hot answer.
    """
    if isinstance(output, Tensor) and bool(
        ((output > 0) & (output < 1)).all() and ((output.sum(dim=1) - 1).abs() < ROUNDED).all()
    ):
        raise DataError(
            "the teacher's answers look like probabilities, and count as logits",
            where=where,
            hint="set outputs: probabilities (or outputs: logits, if that is what they are)",
        )
    return output


def build_student(part: ModelPart, student: Student, data: Dataset, task: Task, seed: int) -> Model:
    """Return a student with initial weights from ``seed``, or trained ones, and the task's outputs."""
    model = _build(part, student.input, data, task.outputs, student.pretrained, seed)
    where = f"student ({student.model})"
    model = _with_checkpoint(model, student.checkpoint, where, part.trusted)
    model = with_outputs(model, task.outputs, where, seed)
    wanted = complete(model.input, student.input, data.input)
    return replace(model, classes=data.classes, input=wanted, scale=task.scale, shaped=task.shaped)


def prepared(model: Model) -> Prepared:
    """Return the model behind its own preprocessing."""
    module = model.module.to(memory_format=torch.channels_last) if model.channels_last else model.module
    return Prepared(module, model.input, model.scale, model.shaped)


def identity(part: ModelPart, teacher: Teacher, classes: tuple[str, ...] | None = None) -> dict[str, Any]:
    """Return everything that decides a teacher's weights and preprocessing, without loading it.

    Args:
        part: its provider.
        teacher: as the recipe has it.
        classes: the data's, which the numbers in ``classes:`` stand for.
    """
    import importlib.metadata

    files = _files_of(part)  # says which extra is missing
    versions = {name: importlib.metadata.version(name) for name in ("mtkd", *part.spec.requires)}
    return {
        "provider": f"{part.plugin.distribution}:{part.spec.name}",
        "versions": {**versions, part.plugin.distribution: part.plugin.version},
        "model": part.model,
        "source": source_hash(part.model) if part.spec.name == "python" else "",
        "files": files,
        "pretrained": teacher.pretrained,
        "checkpoint": _file_hash(teacher.checkpoint, teacher.name),
        "classes": declared_classes(teacher, teacher.name, classes),
        **({"background": teacher.background} if teacher.background else {}),
        "input": teacher.input.model_dump(mode="json"),
        "outputs": teacher.outputs,
        "fit": teacher.fit.model_dump(mode="json") if teacher.fit else None,
    }


def facts(model: Model, example: Tensor) -> Facts:
    """Measure a model on one view, ``[1, C, H, W]`` or ``[1, F]``."""
    if model.predictions is not None:
        return Facts(None, None, None, None)
    module = prepared(model).eval()
    times: list[float] = []
    with torch.inference_mode():
        module(example)
        began = time.perf_counter()
        while len(times) < 30 and (len(times) < 5 or time.perf_counter() - began < 0.3):
            started = time.perf_counter()
            module(example)
            times.append(time.perf_counter() - started)
    parameters, held = weights_of(model)
    return Facts(
        parameters=parameters,
        bytes=held,
        latency_ms=round(float(np.median(times)) * 1000, 4),
        latency_p95_ms=round(float(np.quantile(times, 0.95)) * 1000, 4),
    )


def weights_of(model: Model) -> tuple[int, int]:
    """Return how many parameters a model has, and the bytes of these and of its buffers."""
    if model.weights is not None:
        return model.weights
    parameters = list(model.module.parameters())
    held = sum(t.numel() * t.element_size() for t in [*parameters, *model.module.buffers()])
    return sum(p.numel() for p in parameters), held


def tail_of(model: Model) -> nn.Module:
    """Return what runs from the head on: what reaches the head goes in, outputs ``[B, C]`` come out.

    That is the head itself, and where it is a convolution (SqueezeNet), the layers after it too.
    """
    head = model.module.get_submodule(model.head)
    if not isinstance(head, nn.Conv2d):
        return head
    parent, _, name = model.head.rpartition(".")
    around = model.module.get_submodule(parent)
    after = list(around.named_children()) if isinstance(around, nn.Sequential) else []
    names = [child for child, _ in after]
    rest = [layer for _, layer in after[names.index(name) + 1 :]] if name in names else []
    return nn.Sequential(head, *rest, nn.Flatten(1))


def _build(
    part: ModelPart,
    wanted: Input,
    data: Dataset,
    outputs: int,
    pretrained: bool,
    seed: int,
    background: bool = False,
) -> Model:
    counter_rng.seed_torch("initial weights", seed)
    channels = wanted.channels or data.input.channels or 3
    size = wanted.size or data.input.size or 224
    columns = data.input.columns
    if columns:
        channels, size = data.input.channels or len(columns), 1
    request = ModelRequest(
        part.model,
        channels,
        size,
        outputs,
        pretrained,
        columns,
        trusted=part.trusted,
        background=background,
        trust_code=part.trust_code,
    )
    model: Model = part.create().build(request)
    return model


def _with_checkpoint(
    model: Model,
    checkpoint: str | None,
    where: str,
    trusted: frozenset[Path],
    otherwise: Callable[[], Model] | None = None,
) -> Model:
    """Return the model with the weights of a file; ``otherwise`` builds what to take where only that fits."""
    if checkpoint is None:
        return model
    tensors, _ = weights.read(checkpoint, where, trusted=Path(checkpoint).resolve() in trusted)
    if otherwise is not None and not weights.has_shapes(model.module, tensors):
        other = otherwise()
        model = other if weights.has_shapes(other.module, tensors) else model
    head_weight = tensors.get(f"{model.head}.weight")
    if model.head and head_weight is not None and head_weight.dim() >= 2:
        model = with_outputs(model, head_weight.shape[0], where, seed=0)
    weights.load_into(model.module, tensors, f"{where}, {checkpoint}")
    return replace(model, trained=True)


def with_outputs(model: Model, outputs: int, where: str, seed: int) -> Model:
    """Return the model with a new head if the present one has another number of outputs."""
    if model.resized is not None:
        counter_rng.seed_torch("head", seed)
        return model.resized(outputs)
    if model.outputs is not None and model.outputs < outputs:
        raise UsageError(
            f"it has {model.outputs} classes besides the background; {outputs} are needed",
            where=where,
            hint=f"build it for {outputs} classes; torchvision counts the background as one more",
        )
    if not model.head:
        if model.classes and len(model.classes) != outputs:
            raise UsageError(
                f"it has {len(model.classes)} outputs and no single last layer that can be replaced",
                where=where,
                hint=f"choose another model, or weights trained with {outputs} outputs",
            )
        return model
    head = model.module.get_submodule(model.head)
    counter_rng.seed_torch("head", seed)
    new: nn.Module
    if isinstance(head, nn.Linear):
        if head.out_features == outputs:
            return model
        new = nn.Linear(head.in_features, outputs, bias=head.bias is not None)
    elif isinstance(head, nn.Conv2d):
        if head.out_channels == outputs:
            return model
        new = nn.Conv2d(
            head.in_channels,
            outputs,
            head.kernel_size,  # type: ignore[arg-type]
            head.stride,  # type: ignore[arg-type]
            head.padding,  # type: ignore[arg-type]
            bias=head.bias is not None,
        )
    elif isinstance(head, nn.Identity):
        new = nn.LazyLinear(outputs)
    else:
        raise UsageError(
            f"the head {model.head!r} is a {type(head).__name__}, which cannot be replaced", where=where
        )
    parent, _, name = model.head.rpartition(".")
    setattr(model.module.get_submodule(parent), name, new)
    if isinstance(new, nn.LazyLinear):
        _find_width(model)
    return replace(model, classes=None)


def _find_width(model: Model) -> None:
    """Run the model once, so that a head put where none was learns how many features reach it."""
    size, channels = model.input.size or 224, model.input.channels or 3
    training = model.module.training
    with torch.no_grad():
        model.module.eval()(torch.zeros(1, channels, size, size))
    model.module.train(training)


def _files_of(part: ModelPart) -> list[str]:
    """Return the hashes of the files that a model is made of, in the provider's order."""
    files = getattr(part.create(), "files", None)
    return [] if files is None else [_sha256(path) for path in files(part.model)]


def _file_hash(path: str | None, where: str) -> str:
    if path is None:
        return ""
    if not Path(path).is_file():
        raise DataError(
            f"no file {path}",
            where=f"teacher {where!r}: checkpoint" if where else "student: checkpoint",
            hint="a path is taken relative to where mtkd is started",
        )
    return _sha256(Path(path))


def _sha256(path: Path) -> str:
    try:
        return hashing.file_sha256(path)
    except OSError as error:
        raise DataError(
            f"the file cannot be read: {error.strerror}", str(path), "may you read it?"
        ) from error
