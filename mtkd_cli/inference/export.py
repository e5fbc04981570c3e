"""Export a student to a file that runs without mtkd, checked against the student on real samples."""

from __future__ import annotations

import importlib.util
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
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.interfaces.significant_digits import without_nan
from mtkd_cli.models.preprocess import Prepared
from mtkd_cli.safe_loading import weights
from mtkd_cli.safe_loading.quiet_logs import quiet
from mtkd_cli.training.evaluation import batches, measure

OPSET = 18
INPUT, OUTPUT = "inputs", "outputs"
TOLERANCE = 1e-4
"""Largest allowed difference to the student, as a share of its largest answer (of 1 at least); values are
compared in standard units."""

ENDINGS = {"onnx": ".onnx", "pt2": ".pt2", "safetensors": ".safetensors"}

Run = Callable[[NDArray[Any]], Tensor]
"""Answers a batch as the exported file does."""


@dataclass(frozen=True)
class Exported:
    """What was written, and how it compares on the samples that it was checked on.

    Attributes:
        file: where.
        difference: largest difference of an output to the student's; of values in deviations of their target.
        samples: number of samples.
        scores: metrics of the file, as it was written; None for one that is undefined.
        student: metrics of the student, on the same samples.
    """

    file: Path
    difference: float
    samples: int
    scores: dict[str, float | None]
    student: dict[str, float | None]

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {**vars(self), "file": str(self.file), "bytes": self.file.stat().st_size}


class Shippable(nn.Module):
    """A student with everything inside: bytes ``[B, C, S, S]``, or a table's rows ``[B, F]``, to outputs."""

    def __init__(self, module: Prepared) -> None:
        super().__init__()
        self.student = module

    def forward(self, inputs: Tensor) -> Any:
        """Return the student's outputs."""
        return self.student(inputs if inputs.dim() == 2 else inputs.float() / 255)


def export(student: LoadedStudent, form: str, file: Path, split: Split, quantize: bool = False) -> Exported:
    """Write a student to a file, which is there only if it answers as the student does.

    Args:
        student: a run's.
        form: ``onnx``, ``pt2`` (`torch.export`) or ``safetensors`` (weights and how to use them).
        file: where to write.
        split: the samples that are compared.
        quantize: whether weights become 8-bit integers; ``onnx`` only. Then the scores tell the loss.

    Raises:
        UsageError: the file exists, or a package is missing.
        DataError: the file does not answer as the student does; says by how much.
    """
    if file.exists():
        raise UsageError(f"{file} exists", where="--output", hint="give another file, or remove it")
    if quantize and form != "onnx":
        raise UsageError(f"{form} cannot be quantised", where="--quantize", hint="use --format onnx")
    module = Shippable(student.module).eval()
    rows = split.labelled
    with atomic.disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    with atomic.workplace(file) as folder:
        part = folder / f"part{ENDINGS[form]}"
        with quiet(), atomic.disk_errors(file):
            run = _write(student, module, form, part, _inputs(split, sample_rows(rows, 3)))
        boxes = one_by_one(student)
        own_answer = _each(student.answer) if boxes else student.answer
        scale = student.model.scale
        difference, largest = _compared(own_answer, run, split, boxes, scale)
        if not difference <= TOLERANCE * max(1.0, largest):
            raise DataError(
                f"the exported student differs by {difference:.3g}, its largest answer is {largest:.3g}",
                where=str(file),
                hint="nothing was written; try another --format",
            )
        if quantize:
            part = _quantized(part, student)
            run = _onnx(part, one_by_one(student))
            difference, _ = _compared(own_answer, run, split, boxes, scale)
        scores = measure(_answering(run, split), split, student.task).metrics
        own = measure(_answering(own_answer, split), split, student.task).metrics
        with atomic.disk_errors(file):
            atomic.publish(part, file)
    return Exported(file, difference, len(rows), without_nan(scores), without_nan(own))


def about(student: LoadedStudent) -> dict[str, Any]:
    """Return what a user of the file must know: classes, what goes in and what comes out."""
    facts = student.facts
    reads = facts["reads"]
    table = student.takes == "table"
    shape = ["batch", len(reads["columns"])] if table else ["batch", reads["channels"], *[reads["size"]] * 2]
    return {
        "task": facts["task"]["name"].rpartition(":")[2],
        "classes": list(student.classes),
        "input": {
            "name": INPUT,
            "shape": [1 if one_by_one(student) and size == "batch" else size for size in shape],
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


def one_by_one(student: LoadedStudent) -> bool:
    """Whether the exported file takes one sample at a time: what finds boxes depends on the image."""
    output = student.answer(
        np.zeros((1, *_shape(student)), np.float64 if student.takes == "table" else np.uint8)
    )
    return student.task.predictions(output, student.classes)[0].boxes is not None


def _shape(student: LoadedStudent) -> tuple[int, ...]:
    reads = student.facts["reads"]
    return (len(reads["columns"]),) if student.takes == "table" else (reads["channels"], *[reads["size"]] * 2)


def _write(student: LoadedStudent, module: nn.Module, form: str, part: Path, example: NDArray[Any]) -> Run:
    """Write the file and return what runs it."""
    if form == "safetensors":
        told = {"mtkd": json.dumps({**student.facts, **{"about": about(student)}}, sort_keys=True)}
        weights.write(part, student.model.module.state_dict(), told)
        return _reloaded(part, student)
    single = one_by_one(student)
    given = torch.from_numpy(np.ascontiguousarray(example[:1] if single else example))
    dynamic = None if single else {INPUT: {0: torch.export.Dim.DYNAMIC}}
    told = {"mtkd": json.dumps(about(student))}
    try:
        program = torch.export.export(module, (given,), dynamic_shapes=dynamic, strict=False)
        if form == "pt2":
            torch.export.save(program, part, extra_files={"mtkd.json": told["mtkd"]})
            return _pt2(part, single)
        _need("onnx", "onnxscript", "onnxruntime")
        made = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            external_data=False,
        )
        if made is None:
            raise DataError("the exporter returned no model", where=str(part))
        for node in made.model.graph.all_nodes():  # remove paths of source files
            node.metadata_props.clear()
            node.doc_string = None
        made.model.metadata_props.update(told)
        made.save(part)
    except (MtkdError, OSError):
        raise
    except Exception as error:  # an exporter meets what it does not know and raises almost anything
        reason = first_line(error)
        raise DataError(
            f"the student cannot be exported to {form}: {reason}",
            student.facts["model"],
            "try another --format",
        ) from error
    return _onnx(part, single)


def _quantized(part: Path, student: LoadedStudent) -> Path:
    """Return a file beside ``part`` with the weights of linear and convolution layers as 8-bit integers."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    small = part.with_name(f"small{part.suffix}")
    with quiet():
        quantize_dynamic(
            part, small, weight_type=QuantType.QUInt8, op_types_to_quantize=["MatMul", "Gemm", "Conv"]
        )
        model = onnx.load(small)
        if not any(entry.key == "mtkd" for entry in model.metadata_props):
            onnx.helper.set_model_props(model, {"mtkd": json.dumps(about(student))})
            onnx.save(model, small)
    return small


def _onnx(part: Path, single: bool) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(part, providers=["CPUExecutionProvider"])

    def run(inputs: NDArray[Any]) -> Tensor:
        return torch.from_numpy(session.run([OUTPUT], {INPUT: np.ascontiguousarray(inputs)})[0])

    return _each(run) if single else run


def _pt2(part: Path, single: bool) -> Run:
    module = torch.export.load(part).module()

    def run(inputs: NDArray[Any]) -> Tensor:
        with torch.inference_mode():
            output: Tensor = module(torch.from_numpy(np.ascontiguousarray(inputs)))
        return output

    return _each(run) if single else run


def _reloaded(part: Path, student: LoadedStudent) -> Run:
    """Return the student with the weights of the file."""
    import copy
    from dataclasses import replace

    tensors, _ = weights.read(part)
    module = copy.deepcopy(student.model.module)
    weights.load_into(module, tensors, str(part))
    return replace(student, model=replace(student.model, module=module)).answer


def _inputs(split: Split, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return the inputs of some samples; a table's rows in float64, as an exported student takes them."""
    inputs = split.samples.read(rows)
    return inputs.astype(np.float64) if inputs.ndim == 2 else inputs


def _each(run: Run) -> Run:
    """Return what answers a batch one sample at a time."""
    return lambda inputs: torch.cat([run(inputs[place : place + 1]) for place in range(len(inputs))])


def _answering(run: Run, split: Split) -> Callable[[NDArray[np.int64]], Tensor]:
    return lambda rows: at_least_float32(run(_inputs(split, rows)))


def _compared(
    own: Run,
    other: Run,
    split: Split,
    boxes: bool,
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None,
) -> tuple[float, float]:
    """Return the largest difference of two answers, and the largest number that ``own`` answers.

    Where there is a scale, both are in standard units: far from zero, or tiny, all answers are alike.
    Boxes are compared in any order: two whose scores differ by rounding change places.
    """
    difference = largest = 0.0
    for part in batches(split.labelled):
        inputs = _inputs(split, part)
        wanted, found = own(inputs), other(inputs)
        if wanted.shape != found.shape:
            raise DataError(
                f"the exported student answers {tuple(found.shape)}, the student {tuple(wanted.shape)}",
                where="export",
                hint="try another --format",
            )
        if scale is not None:
            mean, deviation = (torch.tensor(values, dtype=torch.float64) for values in scale)
            wanted, found = ((answer - mean) / deviation for answer in (wanted, found))
        if boxes:
            far = torch.cdist(wanted, found, p=torch.inf)
            gap = max(far.amin(dim=1).max().item(), far.amin(dim=2).max().item())
        else:
            gap = (wanted - found).abs().max().item()
        difference, largest = max(difference, gap), max(largest, wanted.abs().max().item())
        if not np.isfinite(gap):
            return gap, largest
    return difference, largest


def _need(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"ONNX needs {', '.join(missing)}", "--format onnx", "pip install 'mtkd[onnx]'")
