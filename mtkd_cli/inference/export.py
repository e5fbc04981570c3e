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
from mtkd_cli.inference import openvino_file
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

INT8_TOLERANCE = 0.02
"""The same between two runtimes of one 8-bit file, where rounding moves some values to the next integer."""

ENDINGS = {"onnx": ".onnx", "pt2": ".pt2", "safetensors": ".safetensors", "openvino": openvino_file.ENDING}


@dataclass(frozen=True)
class Exported:
    """An exported file, and its comparison with the student.

    Attributes:
        file: path of the file; OpenVINO's weights are beside it.
        bytes: size of the file, with its weights.
        difference: largest difference to the student's outputs; for values, in deviations of their target.
        samples: number of compared samples.
        scores: metrics of the file; None for an undefined one.
        student: metrics of the student on the same samples.
        variants: the float32 file and its quantized copies; empty without quantization.
    """

    file: Path
    bytes: int
    difference: float
    samples: int
    scores: dict[str, float | None]
    student: dict[str, float | None]
    variants: tuple[Variant, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes for JSON."""
        facts = {**vars(self), "file": str(self.file)}
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
        form: ``onnx``, ``pt2`` (`torch.export`), ``safetensors`` (weights with a description) or
            ``openvino`` (converted from ONNX).
        file: path of the file.
        split: samples to compare.
        int8: how to quantize the file; ``onnx``, or ``openvino`` except ``static``. The scores show the loss.
        frames: whether the file answers on the original image, whose size is then its second input.

    Raises:
        UsageError: the file exists, a package is missing, or the options contradict each other.
        DataError: the outputs differ from the student's; has the difference. Or the quantized file loses too
            much.
    """
    refuse_unfit(student, form, file, "" if int8 is None else int8.kind, frames)
    openvino = form == "openvino"
    rows = split.labeled
    with atomic.disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    with atomic.workplace(file) as folder:
        graph = "onnx" if openvino else form
        part = folder / f"part{ENDINGS[graph]}"
        with quiet(), atomic.disk_errors(file):
            run = _write(student, graph, part, inputs_of(split, sample_rows(rows, 3)), frames)
        single = needs_single_samples(student)
        parts = np.split(rows, len(rows)) if single or frames else batches(rows)
        own = predictor(student.answer, split)
        if frames:
            own = partial(on_frame, own, split, student.task)
        found = predictor(run, split, frames)
        scale = student.model.scale
        difference = _require_equal(compare(own, found, parts, single, scale), TOLERANCE, file)
        variants: list[Variant] = []
        if int8 is not None:
            part, variants = quantized(
                part, int8, split, student.task, inputs_of, lambda path: _load_rows(path, single), single
            )
            found = predictor(_load_onnx(part), split)
            difference, _ = compare(own, found, parts, single, scale)
        if openvino:
            onnx = found
            part = openvino_file.convert(part)
            found = predictor(openvino_file.load(part), split, frames)
            compared = compare(own, found, parts, single, scale)
            if int8 is None:
                _require_equal(compared, TOLERANCE, file)
            else:
                rounded = compare(onnx, found, parts, single, scale)
                _require_equal(rounded, INT8_TOLERANCE, file, "the OpenVINO file differs from the ONNX file")
            difference, _ = compared
        scores, student_scores = (score(each, parts, split, student.task, frames) for each in (found, own))
        with atomic.disk_errors(file):
            publish = openvino_file.publish if openvino else atomic.publish
            publish(part, file)
        size = sum(path.stat().st_size for path in _paths(form, file))
    return Exported(
        file, size, difference, len(rows), without_nan(scores), without_nan(student_scores), tuple(variants)
    )


def _require_equal(
    compared: tuple[float, float],
    tolerance: float,
    file: Path,
    what: str = "the exported student differs",
) -> float:
    """Return the difference of `compare`.

    Raises:
        DataError: it exceeds the tolerance; has the difference.
    """
    difference, largest = compared
    if not difference <= tolerance * max(1.0, largest):
        raise DataError(
            f"{what} by {difference:.3g}; the largest output is {largest:.3g}",
            where=str(file),
            hint="nothing was written; try another --format",
        )
    return difference


def _paths(form: str, file: Path) -> list[Path]:
    """Return the paths of the files of an export."""
    return [file.with_suffix(openvino_file.WEIGHTS), file] if form == "openvino" else [file]


def refuse_unfit(student: LoadedStudent, form: str, file: Path, int8: str, frames: bool) -> None:
    """Raise if an export would fail after its work.

    Args:
        student: student of a run.
        form: as `export` has it.
        file: path of the file.
        int8: kind of the quantization; empty without.
        frames: as `export` has it.

    Raises:
        UsageError: the file exists, a package is missing, or the options contradict each other.
    """
    for path in _paths(form, file):
        if path.exists():
            raise UsageError(f"{path} exists", where="--output", hint="choose another file, or remove it")
    if form in ("onnx", "openvino"):
        onnx_program.require_packages(f"--format {form}")
    if form == "openvino":
        openvino_file.refuse_unfit(file, int8)
    elif int8 and form != "onnx":
        raise UsageError(f"{form} cannot be quantized", where="--int8", hint="use --format onnx")
    if frames and (form == "safetensors" or not student.task.spatial):
        raise UsageError(
            f"{form} files of the task {student.facts['task']['name']} have no frames",
            where="--frames",
            hint="frames are for masks and boxes, in onnx, openvino and pt2 files",
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
