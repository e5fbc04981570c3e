"""Export a student to a file that runs without mtkd, and compare both on real samples."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.subset import sample_rows
from mtkd_cli.errors import DataError, MtkdError, UsageError, first_line
from mtkd_cli.files import atomic
from mtkd_cli.inference.export_check import (
    Run,
    compare,
    inputs_of,
    on_frame,
    predictor,
    score,
)
from mtkd_cli.inference.int8 import Int8, Variant, quantized
from mtkd_cli.inference.on_frames import on_frames
from mtkd_cli.inference.student import LoadedStudent
from mtkd_cli.interfaces import sides
from mtkd_cli.interfaces.significant_digits import without_nan
from mtkd_cli.models import onnx_program
from mtkd_cli.models.onnx_program import FRAME, INPUT, OUTPUT, Shippable
from mtkd_cli.safe_loading import weights
from mtkd_cli.safe_loading.quiet_logs import quiet
from mtkd_cli.training.evaluation import batches

TOLERANCE = 1e-4
"""Maximum difference to the student's outputs, relative to the largest of them (at least 1); values are
compared in standard units."""

ENDINGS = {"onnx": ".onnx", "pt2": ".pt2", "safetensors": ".safetensors"}


@dataclass(frozen=True)
class Exported:
    """An exported file, and its comparison with the student.

    Attributes:
        file: path of the file.
        difference: largest difference to the student's outputs; for values, in deviations of their target.
        samples: number of compared samples.
        scores: metrics of the file; None for an undefined one.
        student: metrics of the student on the same samples.
        variants: the float32 file and its quantized copies; empty without quantization.
    """

    file: Path
    difference: float
    samples: int
    scores: dict[str, float | None]
    student: dict[str, float | None]
    variants: tuple[Variant, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes and the file's size for JSON."""
        facts = {**vars(self), "file": str(self.file), "bytes": self.file.stat().st_size}
        if not facts.pop("variants"):
            return facts
        return {**facts, "variants": [each.as_dict() for each in self.variants]}


def export(
    student: LoadedStudent,
    form: str,
    file: Path,
    split: Split,
    int8: Int8 | None = None,
    frames: bool = False,
) -> Exported:
    """Export a student to a file. The file is written only if its outputs match the student's.

    Args:
        student: student of a run.
        form: ``onnx``, ``pt2`` (`torch.export`) or ``safetensors`` (weights with a description).
        file: path of the file.
        split: samples to compare.
        int8: how to quantize the file; ``onnx`` only. The scores show the loss.
        frames: whether the file answers on the original image, whose size is then its second input.

    Raises:
        UsageError: the file exists, a package is missing, or the options contradict each other.
        DataError: the outputs differ from the student's; has the difference. Or the quantized file loses too
            much.
    """
    refuse_unfit(student, form, file, int8 is not None, frames)
    rows = split.labeled
    with atomic.disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    with atomic.workplace(file) as folder:
        part = folder / f"part{ENDINGS[form]}"
        with quiet(), atomic.disk_errors(file):
            run = _write(student, form, part, inputs_of(split, sample_rows(rows, 3)), frames)
        single = needs_single_samples(student)
        parts = np.split(rows, len(rows)) if single or frames else batches(rows)
        own = predictor(student.answer, split)
        if frames:
            own = partial(on_frame, own, split, student.task)
        found = predictor(run, split, frames)
        scale = student.model.scale
        difference, largest = compare(own, found, parts, single, scale)
        if not difference <= TOLERANCE * max(1.0, largest):
            raise DataError(
                f"the exported student differs by {difference:.3g}; its largest output is {largest:.3g}",
                where=str(file),
                hint="nothing was written; try another --format",
            )
        variants: list[Variant] = []
        if int8 is not None:
            part, variants = quantized(
                part, int8, split, student.task, inputs_of, lambda path: _load_rows(path, single), single
            )
            found = predictor(_load_onnx(part), split)
            difference, _ = compare(own, found, parts, single, scale)
        scores, student_scores = (score(each, parts, split, student.task, frames) for each in (found, own))
        with atomic.disk_errors(file):
            atomic.publish(part, file)
    return Exported(
        file, difference, len(rows), without_nan(scores), without_nan(student_scores), tuple(variants)
    )


def refuse_unfit(student: LoadedStudent, form: str, file: Path, int8: bool, frames: bool) -> None:
    """Raise if an export would fail after its work; arguments as `export` has them.

    Raises:
        UsageError: the file exists, a package is missing, or the options contradict each other.
    """
    if file.exists():
        raise UsageError(f"{file} exists", where="--output", hint="choose another file, or remove it")
    if form == "onnx":
        onnx_program.require_packages()
    if int8 and form != "onnx":
        raise UsageError(f"{form} cannot be quantized", where="--int8", hint="use --format onnx")
    if frames and (form == "safetensors" or not student.task.spatial):
        raise UsageError(
            f"{form} files of the task {student.facts['task']['name']} have no frames",
            where="--frames",
            hint="frames are for masks and boxes, in onnx and pt2 files",
        )
    if frames and int8:
        raise UsageError(
            "a quantized file cannot answer on the original image",
            where="--frames",
            hint="leave --int8 or --frames out",
        )


def describe_export(student: LoadedStudent, frames: bool = False) -> dict[str, Any]:
    """Return a description of the file for its users: task, classes, input and output."""
    facts = student.facts
    reads = facts["reads"]
    table = student.takes == "table"
    shape = ["batch", len(reads["columns"])] if table else ["batch", reads["channels"], *sides(reads["size"])]
    single = frames or needs_single_samples(student)
    return {
        "task": facts["task"]["name"].rpartition(":")[2],
        "classes": list(student.classes),
        "input": {
            "name": INPUT,
            "shape": [1 if single and size == "batch" else size for size in shape],
            "type": "float64" if table else "uint8",
            "channels": None if table else {1: "grey", 3: "RGB"}.get(reads["channels"]),
            "fit": None if table else reads["fit"],
            "columns": reads["columns"],
            "normalisation": "inside the graph",
        },
        "frame": {"name": FRAME, "shape": [2], "type": "int64"} if frames else None,
        "output": OUTPUT,
        "model": facts["model"],
        "test": facts["test"],
    }


def needs_single_samples(student: LoadedStudent) -> bool:
    """Whether the exported file takes one sample at a time, as detectors do: shapes depend on the image."""
    output = student.answer(
        np.zeros((1, *_input_shape(student)), np.float64 if student.takes == "table" else np.uint8)
    )
    return student.task.predictions(output, student.classes)[0].boxes is not None


def _input_shape(student: LoadedStudent) -> tuple[int, ...]:
    reads = student.facts["reads"]
    if student.takes == "table":
        return (len(reads["columns"]),)
    return reads["channels"], *sides(reads["size"])


def _write(student: LoadedStudent, form: str, part: Path, example: NDArray[Any], frames: bool) -> Run:
    """Write the file and return a function that runs it."""
    if form == "safetensors":
        metadata = {
            "mtkd": json.dumps({**student.facts, **{"about": describe_export(student)}}, sort_keys=True)
        }
        weights.write(part, student.model.module.state_dict(), metadata)
        return _load_safetensors(part, student)
    module: nn.Module = Shippable(student.module).eval()
    single = frames or needs_single_samples(student)
    sizes: tuple[Tensor, ...] = ()
    if frames:
        module, sizes = on_frames(module, student), (torch.tensor([32, 48]),)
    metadata = {"mtkd": json.dumps(describe_export(student, frames))}
    try:
        program = onnx_program.export_program(module, example, single, *sizes)
        if form == "pt2":
            content = io.BytesIO()  # torch's own writer ends the process when the disk is full
            torch.export.save(program, content, extra_files={"mtkd.json": metadata["mtkd"]})
            part.write_bytes(content.getbuffer())
            return _load_pt2(part)
        part.write_bytes(onnx_program.to_onnx(program, metadata))
    except (MtkdError, OSError):
        raise
    except Exception as error:  # an exporter may raise anything
        reason = first_line(error)
        raise DataError(
            f"the student cannot be exported to {form}: {reason}",
            student.facts["model"],
            "try another --format",
        ) from error
    return _load_onnx(part)


def _load_rows(part: Path, single: bool) -> Run:
    """Return a function that runs a file on any number of samples."""
    run = _load_onnx(part)
    if not single:
        return run
    return lambda inputs: torch.cat([run(inputs[index : index + 1]) for index in range(len(inputs))])


def _load_onnx(part: Path) -> Run:
    session = onnx_program.open_session(part)

    def run(*inputs: NDArray[Any]) -> Tensor:
        given = dict(zip((INPUT, FRAME), map(np.ascontiguousarray, inputs), strict=False))
        return torch.from_numpy(session.run([OUTPUT], given)[0])

    return run


def _load_pt2(part: Path) -> Run:
    module = torch.export.load(part).module()

    def run(*inputs: NDArray[Any]) -> Tensor:
        with torch.inference_mode():
            output: Tensor = module(*(torch.from_numpy(np.ascontiguousarray(each)) for each in inputs))
        return output

    return run


def _load_safetensors(part: Path, student: LoadedStudent) -> Run:
    """Return a function that runs the student with the weights of the file."""
    import copy
    from dataclasses import replace

    tensors, _ = weights.read(part)
    module = copy.deepcopy(student.model.module)
    weights.load_into(module, tensors, str(part))
    return replace(student, model=replace(student.model, module=module)).answer
