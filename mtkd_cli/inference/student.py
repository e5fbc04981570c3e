"""The student of a finished run. Loading it needs only the run folder: no teachers, data or store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from mtkd_cli.errors import DataError, MtkdError, UsageError, nearest
from mtkd_cli.files import checksummed_json
from mtkd_cli.files.regular_file import read_regular
from mtkd_cli.inference.code_permission import permit
from mtkd_cli.inference.run_files import ROOT, STUDENT, weights_file
from mtkd_cli.inference.student_document import AGAIN, FORMAT, StudentDocument, parse_document
from mtkd_cli.interfaces import Model, ModelRequest, Placement, TableFormat, Task, TaskData, place, sides
from mtkd_cli.interfaces.missing_labels import missing_labels_like
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.interfaces.significant_digits import without_nan
from mtkd_cli.models.head import with_outputs
from mtkd_cli.models.preprocess import Prepared, with_preprocessing
from mtkd_cli.plugin.registry import Registry, load_registry
from mtkd_cli.reading import images
from mtkd_cli.recipe.options import check_options
from mtkd_cli.recipe.resolve import ModelPart, Part
from mtkd_cli.safe_loading import weights
from mtkd_cli.safe_loading.global_state import keep_global_state
from mtkd_cli.safe_loading.local_code import PREFIX, load_attribute, source_files
from mtkd_cli.specs import TeacherSpec
from mtkd_cli.training.context import Context

UNFINISHED = "check that the run has finished: mtkd distill writes this file at the end"


@dataclass(frozen=True)
class LoadedStudent:
    """A student with its weights, ready for prediction.

    Attributes:
        folder: the run folder.
        model: module with its weights, input specification, classes and scale.
        task: the task that defines its outputs.
        facts: content of ``student.json``, see `described`.
        trust_code: whether the user allowed local code of the run.
    """

    folder: Path
    model: Model
    task: Task
    facts: Mapping[str, Any]
    trust_code: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the outputs; the names of the values for a regression."""
        return tuple(self.facts["classes"])

    @property
    def takes(self) -> str:
        """``image`` or ``table``."""
        return str(self.facts["reads"]["kind"])

    @property
    def table_format(self) -> TableFormat | None:
        """Format of the table files that it was trained on, if it is known."""
        stored = self.facts["reads"].get("table")
        return TableFormat(**{**stored, "missing": tuple(stored["missing"])}) if stored else None

    @cached_property
    def module(self) -> Prepared:
        """The module with preprocessing, in eval mode, from views (values 0 to 1) to outputs."""
        return with_preprocessing(self.model).eval().requires_grad_(False)

    def read(self, file: str | Path) -> NDArray[np.uint8]:
        """Decode an image file like the training data, ``[C, H, W]`` uint8.

        Raises:
            DataError: the file cannot be decoded.
        """
        reads, path = self.facts["reads"], Path(file)
        try:
            return images.decode(path, sides(reads["size"]), reads["channels"], reads["fit"])
        except MemoryError:
            raise
        except Exception as error:
            raise DataError(
                f"the image cannot be read: {images.failure_reason(error, path)}",
                where=str(path),
                hint=f"use a {images.KINDS} file",
            ) from error

    def placement(self, size: tuple[int, int]) -> Placement:
        """Return where an image lies on the grid of the inputs.

        Args:
            size: width and height of the upright image, in pixels.
        """
        reads = self.facts["reads"]
        return place((size[1], size[0]), sides(reads["size"]), reads["fit"])

    def answer(self, inputs: NDArray[Any]) -> Tensor:
        """Return the outputs ``[B, C, *]`` for images ``[B, C, H, W]`` uint8, or table rows ``[B, F]``."""
        shown = torch.from_numpy(np.require(inputs, requirements=["C", "W"]))
        with torch.inference_mode():
            output: Tensor = self.module(shown if shown.dim() == 2 else shown.float().div_(255))
        return at_least_float32(output)


def describe_student(context: Context, model: Model, scores: Mapping[str, float]) -> dict[str, Any]:
    """Return the content of ``student.json``: everything that `load_student` needs besides the weights.

    An undefined score (R2 of a constant target) is None.
    """
    recipe, data, part = context.recipe, context.data, context.parts.student
    given, samples = recipe.student.input, data.train.samples
    kind = "table" if samples.inputs.ndim == 2 else "image"
    return {
        "format": FORMAT,
        "model": recipe.student.model,
        "provider": _full_name(part),
        "request": {
            "model": part.model,
            "channels": given.channels or data.input.channels or 3,
            "size": given.size or data.input.size or 224,
            "outputs": context.task.outputs,
        },
        "task": {"name": _full_name(context.parts.task), "options": dict(context.parts.task.options)},
        "loss": recipe.loss.model_dump(mode="json"),
        "data": recipe.data.model_dump(mode="json"),
        "classes": list(data.classes),
        "input": asdict(model.input),
        "scale": model.scale,
        "reads": {
            **{"kind": kind, "fit": data.fit, **asdict(data.input)},
            **({"table": asdict(data.table)} if data.table else {}),
        },
        "labels": {"shape": list(samples.targets.shape[1:]), "dtype": samples.targets.dtype.name},
        "test": without_nan(dict(scores)),
    }


def local_code(context: Context) -> list[str]:
    """Return the local code that ``student.json`` names: of the student's model, the task and the data."""
    student = context.parts.student
    names = (f"{student.spec.name}:{student.model}", context.recipe.task.name, context.recipe.data.name)
    return [name for name in names if name.startswith(PREFIX)]


def _full_name(part: Part | ModelPart) -> str:
    """Return ``distribution:name`` of a plugin, or the reference to a local file."""
    name: str = part.spec.name
    return name if name.startswith(PREFIX) else f"{part.plugin.distribution}:{name}"


def load_student(
    run: str | Path, registry: Registry | None = None, *, trust_code: bool = False
) -> LoadedStudent:
    """Load the student of a run. Validates ``student.json`` before it imports anything.

    Args:
        run: run folder, or name of a run in ``runs/``.
        registry: available plugins; default: the installed ones.
        trust_code: whether local code of the run may run even if another user made the run.

    Raises:
        UsageError: no such run, or a plugin is not installed.
        DataError: a file is damaged or changed, or local code is not allowed to run.
    """
    folder = folder_of(run)
    facts, document = read_document(folder)
    tensors = _load_weights(weights_file(folder), document.weights)
    permit(document.model_code, facts, str(folder), trust_code)
    try:
        task = _build_task(document, registry or load_registry())
        model = _build_model(document, task, registry or load_registry(), str(folder))
    except (MtkdError, MemoryError):
        raise
    except Exception as error:  # a plugin may raise anything on invalid values
        raise DataError(
            f"the student in {STUDENT} cannot be built: {type(error).__name__} {error}",
            where=str(folder),
            hint=AGAIN,
        ) from error
    weights.load_into(model.module, tensors, str(folder))
    return LoadedStudent(folder, model, task, facts, trust_code)


def read_document(folder: Path) -> tuple[dict[str, Any], StudentDocument]:
    """Return ``student.json`` of a run, as a dict and as a validated document.

    Raises:
        DataError: the file is damaged, or not valid.
    """
    for path in (folder / STUDENT, weights_file(folder)):
        if path.is_symlink():
            raise DataError("links are not allowed in a run folder", where=str(path), hint=AGAIN)
    facts = checksummed_json.read(folder / STUDENT, hint=UNFINISHED)
    return facts, parse_document(facts, str(folder))


def student_files(run: str | Path) -> list[Path]:
    """Return the files that determine a student's outputs, including its local code. Does not run the code.

    Raises:
        UsageError: no such run.
        DataError: ``student.json`` is damaged.
    """
    folder = folder_of(run)
    _, document = read_document(folder)
    code = [file for name in document.model_code for file in source_files(name)]
    return [folder / STUDENT, weights_file(folder), *code]


def folder_of(run: str | Path) -> Path:
    """Return the folder of a run.

    Raises:
        UsageError: no such run.
    """
    for folder in (Path(run), ROOT / run):
        if folder.is_dir():
            return folder
    names = sorted(path.name for path in ROOT.iterdir() if path.is_dir()) if ROOT.is_dir() else []
    hint = f"runs here: {', '.join(names[-5:])}" if names else "mtkd distill creates one"
    raise UsageError(f"no run {str(run)!r}", where="RUN", hint=nearest(str(run), names) or hint)


def _load_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    try:
        content = read_regular(path)
    except OSError as error:
        raise DataError(
            f"the weights cannot be read: {error.strerror}", where=str(path), hint=AGAIN
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(
            "the weights changed since the run wrote them: their SHA-256 differs", where=str(path), hint=AGAIN
        )
    try:
        return safetensors.torch.load(content)
    except SafetensorError as error:
        raise DataError(f"not a safetensors file: {error}", where=str(path), hint=AGAIN) from error


def _build_task(document: StudentDocument, registry: Registry) -> Task:
    """Return the task of the run. Placeholder labels give it the shape and the scale of the run's labels."""
    name, options = document.task.name, dict(document.task.options)
    if name.startswith(PREFIX):
        factory = load_attribute(name)
    else:
        spec = registry.find("tasks", name).spec
        options, wrong = check_options(options, spec.options, STUDENT)
        if wrong:
            raise DataError(wrong[0].what, where=wrong[0].where, hint=AGAIN)
        factory = spec.load()
    labels, scale = document.labels, document.scale
    kind = labels.dtype if scale is None else np.float64  # distinguishes labels far from 0
    targets = missing_labels_like(np.empty((2, *labels.shape), kind))
    if scale is not None:
        mean, deviation = (np.array(values[: targets[0].size]) for values in scale)
        targets[:] = np.stack([mean - deviation, mean + deviation]).reshape(targets.shape)
    data = TaskData(document.classes, targets, document.reads)
    with keep_global_state(f"task {name}", draws=True):
        task: Task = factory(data=data, loss=document.loss.for_task, **options)
    return task


def _build_model(document: StudentDocument, task: Task, registry: Registry, where: str) -> Model:
    """Return the student's model, before its weights are loaded."""
    spec = registry.find("teachers", document.provider).spec
    if not (isinstance(spec, TeacherSpec) and spec.trainable):
        raise ValueError(f"{document.provider!r} cannot build students")
    saved = document.request
    request = ModelRequest(saved.model, saved.channels, saved.size, saved.outputs, pretrained=False)
    with torch.random.fork_rng(devices=[]):
        with keep_global_state(f"model {saved.model}", draws=True):
            built: Model = spec.load()().build(request)
        built = with_outputs(built, saved.outputs, where, seed=0)
    return replace(
        built,
        input=document.input,
        classes=document.classes,
        trained=True,
        scale=document.scale,
        to_task_shape=task.to_task_shape,
    )
