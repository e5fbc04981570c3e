"""Export a student to a file that runs without mtkd, and compare both on real samples."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
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
from mtkd_cli.inference.student import LoadedStudent
from mtkd_cli.interfaces import sides
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.interfaces.significant_digits import without_nan
from mtkd_cli.models.preprocess import Prepared
from mtkd_cli.safe_loading import weights
from mtkd_cli.safe_loading.quiet_logs import quiet
from mtkd_cli.training.evaluation import batches, measure

OPSET = 18
INPUT, OUTPUT = "inputs", "outputs"
TOLERANCE = 1e-4
"""Maximum difference to the student's outputs, relative to the largest of them (at least 1); values are
compared in standard units."""

ENDINGS = {"onnx": ".onnx", "pt2": ".pt2", "safetensors": ".safetensors"}

Run = Callable[[NDArray[Any]], Tensor]
"""Function from a batch of inputs to the outputs of an exported file."""


@dataclass(frozen=True)
class Exported:
    """An exported file, and its comparison with the student.

    Attributes:
        file: path of the file.
        difference: largest difference to the student's outputs; for values, in deviations of their target.
        samples: number of compared samples.
        scores: metrics of the file; None for an undefined one.
        student: metrics of the student on the same samples.
    """

    file: Path
    difference: float
    samples: int
    scores: dict[str, float | None]
    student: dict[str, float | None]

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes and the file's size for JSON."""
        return {**vars(self), "file": str(self.file), "bytes": self.file.stat().st_size}


class Shippable(nn.Module):
    """A student with its preprocessing: uint8 images ``[B, C, S, S]`` or table rows ``[B, F]`` to outputs."""

    def __init__(self, module: Prepared) -> None:
        super().__init__()
        self.student = module

    def forward(self, inputs: Tensor) -> Any:
        """Return the student's outputs."""
        return self.student(inputs if inputs.dim() == 2 else inputs.float() / 255)


def export(student: LoadedStudent, form: str, file: Path, split: Split, quantize: bool = False) -> Exported:
    """Export a student to a file. The file is written only if its outputs match the student's.

    Args:
        student: student of a run.
        form: ``onnx``, ``pt2`` (`torch.export`) or ``safetensors`` (weights with a description).
        file: path of the file.
        split: samples to compare.
        quantize: whether to convert weights to 8-bit integers; ``onnx`` only. The scores show the loss.

    Raises:
        UsageError: the file exists, or a package is missing.
        DataError: the outputs differ from the student's; has the difference.
    """
    if file.exists():
        raise UsageError(f"{file} exists", where="--output", hint="choose another file, or remove it")
    if quantize and form != "onnx":
        raise UsageError(f"{form} cannot be quantized", where="--quantize", hint="use --format onnx")
    module = Shippable(student.module).eval()
    rows = split.labeled
    with atomic.disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    with atomic.workplace(file) as folder:
        part = folder / f"part{ENDINGS[form]}"
        with quiet(), atomic.disk_errors(file):
            run = _write(student, module, form, part, _inputs(split, sample_rows(rows, 3)))
        boxes = needs_single_samples(student)
        own_answer = _one_at_a_time(student.answer) if boxes else student.answer
        scale = student.model.scale
        difference, largest = _compare(own_answer, run, split, boxes, scale)
        if not difference <= TOLERANCE * max(1.0, largest):
            raise DataError(
                f"the exported student differs by {difference:.3g}; its largest output is {largest:.3g}",
                where=str(file),
                hint="nothing was written; try another --format",
            )
        if quantize:
            part = _quantize(part, student)
            run = _load_onnx(part, needs_single_samples(student))
            difference, _ = _compare(own_answer, run, split, boxes, scale)
        scores = measure(_row_predictor(run, split), split, student.task).metrics
        own = measure(_row_predictor(own_answer, split), split, student.task).metrics
        with atomic.disk_errors(file):
            atomic.publish(part, file)
    return Exported(file, difference, len(rows), without_nan(scores), without_nan(own))


def describe_export(student: LoadedStudent) -> dict[str, Any]:
    """Return a description of the file for its users: task, classes, input and output."""
    facts = student.facts
    reads = facts["reads"]
    table = student.takes == "table"
    shape = ["batch", len(reads["columns"])] if table else ["batch", reads["channels"], *sides(reads["size"])]
    return {
        "task": facts["task"]["name"].rpartition(":")[2],
        "classes": list(student.classes),
        "input": {
            "name": INPUT,
            "shape": [1 if needs_single_samples(student) and size == "batch" else size for size in shape],
            "type": "float64" if table else "uint8",
            "channels": None if table else {1: "grey", 3: "RGB"}.get(reads["channels"]),
            "fit": None if table else reads["fit"],
            "columns": reads["columns"],
            "normalisation": "inside the graph",
        },
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


def _write(student: LoadedStudent, module: nn.Module, form: str, part: Path, example: NDArray[Any]) -> Run:
    """Write the file and return a function that runs it."""
    if form == "safetensors":
        metadata = {
            "mtkd": json.dumps({**student.facts, **{"about": describe_export(student)}}, sort_keys=True)
        }
        weights.write(part, student.model.module.state_dict(), metadata)
        return _load_safetensors(part, student)
    single = needs_single_samples(student)
    given = torch.from_numpy(np.ascontiguousarray(example[:1] if single else example))
    dynamic = None if single else {INPUT: {0: torch.export.Dim.DYNAMIC}}
    metadata = {"mtkd": json.dumps(describe_export(student))}
    try:
        program = torch.export.export(module, (given,), dynamic_shapes=dynamic, strict=False)
        if form == "pt2":
            content = io.BytesIO()  # torch's own writer ends the process when the disk is full
            torch.export.save(program, content, extra_files={"mtkd.json": metadata["mtkd"]})
            part.write_bytes(content.getbuffer())
            return _load_pt2(part, single)
        _require_packages("onnx", "onnxscript", "onnxruntime")
        onnx_program = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            external_data=False,
        )
        if onnx_program is None:
            raise DataError("the exporter returned no model", where=str(part))
        for node in onnx_program.model.graph.all_nodes():  # remove paths of source files
            node.metadata_props.clear()
            node.doc_string = None
        onnx_program.model.metadata_props.update(metadata)
        onnx_program.save(part)
    except (MtkdError, OSError):
        raise
    except Exception as error:  # an exporter may raise anything
        reason = first_line(error)
        raise DataError(
            f"the student cannot be exported to {form}: {reason}",
            student.facts["model"],
            "try another --format",
        ) from error
    return _load_onnx(part, single)


def _quantize(part: Path, student: LoadedStudent) -> Path:
    """Write a copy of the file with 8-bit weights of linear and convolution layers, and return its path."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    small = part.with_name(f"small{part.suffix}")
    with quiet():
        quantize_dynamic(
            part, small, weight_type=QuantType.QUInt8, op_types_to_quantize=["MatMul", "Gemm", "Conv"]
        )
        model = onnx.load(small)
        if not any(entry.key == "mtkd" for entry in model.metadata_props):
            onnx.helper.set_model_props(model, {"mtkd": json.dumps(describe_export(student))})
            onnx.save(model, small)
    return small


def _load_onnx(part: Path, single: bool) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(part, providers=["CPUExecutionProvider"])

    def run(inputs: NDArray[Any]) -> Tensor:
        return torch.from_numpy(session.run([OUTPUT], {INPUT: np.ascontiguousarray(inputs)})[0])

    return _one_at_a_time(run) if single else run


def _load_pt2(part: Path, single: bool) -> Run:
    module = torch.export.load(part).module()

    def run(inputs: NDArray[Any]) -> Tensor:
        with torch.inference_mode():
            output: Tensor = module(torch.from_numpy(np.ascontiguousarray(inputs)))
        return output

    return _one_at_a_time(run) if single else run


def _load_safetensors(part: Path, student: LoadedStudent) -> Run:
    """Return a function that runs the student with the weights of the file."""
    import copy
    from dataclasses import replace

    tensors, _ = weights.read(part)
    module = copy.deepcopy(student.model.module)
    weights.load_into(module, tensors, str(part))
    return replace(student, model=replace(student.model, module=module)).answer


def _inputs(split: Split, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return the inputs of samples for an exported student; table rows ``[B, F]`` in float64."""
    inputs = split.samples.read(rows)
    return inputs.astype(np.float64) if inputs.ndim == 2 else inputs


def _one_at_a_time(run: Run) -> Run:
    """Return a function that runs a batch one sample at a time."""
    return lambda inputs: torch.cat([run(inputs[index : index + 1]) for index in range(len(inputs))])


def _row_predictor(run: Run, split: Split) -> Callable[[NDArray[np.int64]], Tensor]:
    return lambda rows: at_least_float32(run(_inputs(split, rows)))


def _compare(
    own: Run,
    other: Run,
    split: Split,
    boxes: bool,
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None,
) -> tuple[float, float]:
    """Return the largest difference between the outputs of two functions, and the largest output of ``own``.

    With a scale, both are in standard units: otherwise the tolerance would be too loose for values far from
    zero, and too strict for tiny ones. Boxes are compared in any order, because rounding may swap boxes with
    nearly equal scores.
    """
    difference = largest = 0.0
    for part in batches(split.labeled):
        inputs = _inputs(split, part)
        expected, found = own(inputs), other(inputs)
        if expected.shape != found.shape:
            raise DataError(
                f"the export has outputs of shape {tuple(found.shape)}, the student {tuple(expected.shape)}",
                where="export",
                hint="try another --format",
            )
        if scale is not None:
            mean, deviation = (torch.tensor(values, dtype=torch.float64) for values in scale)
            expected, found = ((answer - mean) / deviation for answer in (expected, found))
        if boxes:
            # [B, M, M]: distance of each pair of boxes; each box must have a near one on the other side
            distance = torch.cdist(expected, found, p=torch.inf)
            gap = max(distance.amin(dim=1).max().item(), distance.amin(dim=2).max().item())
        else:
            gap = (expected - found).abs().max().item()
        difference, largest = max(difference, gap), max(largest, expected.abs().max().item())
        if not np.isfinite(gap):
            return gap, largest
    return difference, largest


def _require_packages(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"ONNX needs {', '.join(missing)}", "--format onnx", "pip install 'mtkd[onnx]'")
