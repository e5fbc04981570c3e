"""Look into model files that need no architecture, for ``mtkd init --teacher``. No code in them is run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mtkd_cli.errors import DataError, MtkdError, join_first
from mtkd_cli.interfaces import FILL_IN, TeacherGuess
from mtkd_cli.reading import read_regular
from mtkd_cli.safe_loading.optional_imports import need
from mtkd_teachers.onnx_metadata import class_names

SOFT = ("Softmax", "Sigmoid")
"""Operators whose outputs are probabilities."""

TOLERANCE = 1e-3
RANGE_CHECK = (
    "pixel values are 0 to 1 unless input: says otherwise; the file does not say how to normalize them"
)


def guess_onnx(path: Path, task: str) -> list[TeacherGuess]:
    """Return the model of an ONNX file, with what its graph says about the outputs."""
    need("onnx", "onnx", str(path))
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's errors have no common base class
        raise DataError("not an ONNX file", where=str(path), hint="export or download it again") from error
    names = [output.name for output in model.graph.output]
    settings: dict[str, Any] = {"model": f"onnx:{path}"}
    why: dict[str, str] = {}
    if len(names) > 1 and task != "detection":
        settings["model"] = f"onnx:{path}#{FILL_IN}"
        why["model"] = f"output to use, one of: {join_first(names)}"
    last = [node.op_type for node in model.graph.node if names and names[0] in node.output]
    if len(names) == 1 and last and last[0] in SOFT and task not in ("regression", "detection"):
        settings["outputs"] = "probabilities"
        why["outputs"] = f"the graph ends with {last[0]}"
    sizes = [dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim] if names else []
    image = any(len(value.type.tensor_type.shape.dim) == 4 for value in model.graph.input)
    has_classes = class_names({entry.key: entry.value for entry in model.metadata_props}) is not None
    return [
        TeacherGuess(
            settings,
            "an ONNX file",
            why,
            outputs=sizes[1] if len(names) == 1 and len(sizes) in (2, 4) and sizes[1] > 0 else None,
            has_classes=has_classes,
            checks=(RANGE_CHECK,) if image else (),
        )
    ]


def guess_exported(path: Path, task: str) -> list[TeacherGuess]:
    """Return the program of torch.export or TorchScript in an archive; none for files of weights."""
    from mtkd_teachers.exported import archive_kind

    try:
        kind = archive_kind(path)
    except DataError:
        return []
    return [TeacherGuess({"model": f"exported:{path}"}, kind, needs_trust=True, checks=(RANGE_CHECK,))]


def guess_keras(path: Path, task: str) -> list[TeacherGuess]:
    """Return the model of a Keras file."""
    softmax = "if the model ends with a softmax or sigmoid, add outputs: probabilities"
    return [TeacherGuess({"model": f"keras:{path}"}, "a Keras file", checks=(softmax, RANGE_CHECK))]


def guess_sklearn(path: Path, task: str) -> list[TeacherGuess]:
    """Return the estimator in a skops or joblib file."""
    is_safe = path.suffix.lower() == ".skops"
    reason = "a skops file" if is_safe else "a joblib file, which can run code when it is loaded"
    return [TeacherGuess({"model": f"sklearn:{path}"}, reason, has_classes=True, needs_trust=not is_safe)]


def guess_run(path: Path, task: str) -> list[TeacherGuess]:
    """Return the student of a run, given its folder."""
    return [TeacherGuess({"model": f"run:{path}"}, "the folder of a finished run", has_classes=True)]


def guess_hf(path: Path, task: str) -> list[TeacherGuess]:
    """Return the classifier in a folder that transformers wrote."""
    try:
        config = json.loads(read_regular(path / "config.json"))
    except (OSError, ValueError, RecursionError):
        return []
    if not isinstance(config, dict) or "model_type" not in config:
        return []
    reason = f"config.json says model_type: {config['model_type']}"
    return [TeacherGuess({"model": f"hf:{path}"}, reason, has_classes=True)]


def guess_predictions(path: Path, task: str) -> list[TeacherGuess]:
    """Return the predictions in a file, and whether they are probabilities."""
    from mtkd_teachers.predictions import READERS

    settings: dict[str, Any] = {"model": f"predictions:{path}"}
    try:
        keys, names, rows, _ = READERS[path.suffix](path)
    except MtkdError as error:
        return [TeacherGuess(settings, "a table of predictions", checks=(f"{error.what}; {error.hint}",))]
    why = {}
    if task == "regression":
        settings["outputs"], why["outputs"] = "values", "the task is regression"
    elif rows.ndim > 1 and len(rows) and (sums := _kind(rows, task)):
        settings["outputs"], why["outputs"] = "probabilities", sums
    reason = f"predictions for {len(keys):,} samples" + (f": {join_first(list(names))}" if names else "")
    outputs = rows.shape[1] if rows.ndim == 2 else None
    return [TeacherGuess(settings, reason, why, outputs=outputs, has_classes=bool(names))]


def _kind(rows: Any, task: str) -> str:
    """Return why outputs ``[N, C, *]`` are probabilities; ``""`` if they are not."""
    if task == "detection" or not np.nanmin(rows) >= 0 or not np.nanmax(rows) <= 1:
        return ""
    if task == "multilabel":
        return "all values are from 0 to 1"
    return "each row adds up to 1" if np.nanmax(abs(rows.sum(axis=1) - 1)) < TOLERANCE else ""
