"""A model in an ONNX file, run by onnxruntime: ``onnx:model.onnx``, ``onnx:model.onnx#output``."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtkd_cli.errors import DataError, UsageError, first_line, missing_path, nearest_or_all
from mtkd_cli.interfaces import Model, ModelRequest
from mtkd_cli.safe_loading.optional_imports import need
from mtkd_teachers.exported_input import GraphInput
from mtkd_teachers.onnx_metadata import class_names, image_size

TYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
    "tensor(uint8)": torch.uint8,
}
"""Supported input types."""


class OnnxProvider:
    """Runs on the CPU. Images are from 0 to 1 unless the recipe has ``input:``."""

    def files(self, model: str) -> list[Path]:
        """Return the ONNX file and the files of its external weights.

        Raises:
            DataError: the file does not exist, is not an ONNX file, or has weights outside its folder.
        """
        need("onnx", "onnx", f"onnx:{model}")
        from onnx.external_data_helper import uses_external_data

        path = _path(model)
        external = {
            entry.value
            for tensor in _tensors(path)
            if uses_external_data(tensor)
            for entry in tensor.external_data
            if entry.key == "location"
        }
        return [path, *(_external_file(path, name) for name in sorted(external))]

    def build(self, request: ModelRequest) -> Model:
        """Return the model with the input and the class names that its file declares."""
        need("onnxruntime", "onnx", f"onnx:{request.model}")
        import onnxruntime

        files = self.files(request.model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # mtkd runs several batches at once
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(files[0], options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common base class
            raise DataError(
                f"onnxruntime cannot load the model: {first_line(error)}", where=str(files[0])
            ) from error
        module = _Session(session, _outputs(session, request), files[0])
        metadata = session.get_modelmeta().custom_metadata_map
        spec = module.spec
        return Model(
            module,
            replace(spec, size=spec.size or image_size(metadata)),
            classes=class_names(metadata),
            trained=True,
            channels_last=False,
            weights=_weights(files[0]),
        )


class _Session(nn.Module):
    """A torch module that runs an onnxruntime session."""

    def __init__(self, session: Any, outputs: list[str], path: Path) -> None:
        super().__init__()
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in TYPES or len(inputs[0].shape) not in (2, 4):
            given = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise DataError(
                f"the model takes {given}; a teacher takes one batch of images or table rows",
                where=str(path),
                hint="export it with one input of images, without the original sizes of the images",
            )
        self.session, self.outputs, self.name = session, outputs, inputs[0].name
        shape = tuple(size if isinstance(size, int) else None for size in inputs[0].shape)
        self.input = GraphInput(shape, TYPES[inputs[0].type])
        self.spec = self.input.spec(path)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Session:
        return self  # it has no mutable state

    def forward(self, views: Tensor) -> Any:
        """Return the output for ``[B, C, H, W]`` or ``[B, F]``; several outputs by name."""
        return self.input.run(self._run, views)

    def _run(self, part: Tensor) -> Any:
        answers = self.session.run(self.outputs, {self.name: part.detach().cpu().numpy()})
        tensors = [torch.from_numpy(answer) for answer in answers]
        return tensors[0] if len(tensors) == 1 else dict(zip(self.outputs, tensors, strict=True))


def _path(model: str) -> Path:
    path = Path(model.partition("#")[0])
    if not path.is_file():
        raise missing_path(path, f"onnx:{model}")
    return path


def _tensors(path: Path) -> list[Any]:
    """Return the tensors of a model; external ones without their values."""
    import onnx
    from onnx.external_data_helper import _get_all_tensors

    try:
        return list(_get_all_tensors(onnx.load(path, load_external_data=False)))
    except Exception as error:  # protobuf's errors have no common base class
        raise DataError("not an ONNX file", where=str(path), hint="export or download it again") from error


def _weights(path: Path) -> tuple[int, int]:
    """Return the number of weights, and the size of all tensors in bytes.

    Scalars and int64 tensors (shapes and indices) are not weights.
    """
    from onnx import TensorProto
    from onnx.helper import tensor_dtype_to_np_dtype

    sizes = [(t, math.prod(t.dims)) for t in _tensors(path)]
    count = sum(size for t, size in sizes if t.dims and t.data_type != TensorProto.INT64)
    return count, sum(size * tensor_dtype_to_np_dtype(t.data_type).itemsize for t, size in sizes)


def _external_file(path: Path, name: str) -> Path:
    """Return a file of external weights.

    Raises:
        DataError: the file does not exist, or is outside the folder of the ONNX file.
    """
    folder = path.resolve().parent
    file = (folder / name).resolve()
    if not file.is_relative_to(folder) or not file.is_file():
        raise DataError(
            f"the external weights {name!r} are not a file in the model's folder",
            where=str(path),
            hint="put the file into that folder, or export the model with embedded weights",
        )
    return file


def _outputs(session: Any, request: ModelRequest) -> list[str]:
    """Return the names of the outputs to use: one, or all tensors ``[B, *, *]`` of a detector.

    Raises:
        UsageError: the name is unknown, or there are several outputs and no name.
    """
    outputs = {output.name: output.shape for output in session.get_outputs()}
    names, model = list(outputs), request.model
    wanted = model.partition("#")[2]
    if wanted and wanted not in names:
        raise UsageError(
            f"the model has no output {wanted!r}", where=f"onnx:{model}", hint=nearest_or_all(wanted, names)
        )
    if request.detector and not wanted:
        # a detector may also return feature maps and masks
        return [name for name, shape in outputs.items() if len(shape) == 3] or names[:1]
    if not wanted and len(names) > 1:
        raise UsageError(
            f"the model has {len(names)} outputs: {', '.join(names)}",
            where=f"onnx:{model}",
            hint=f"choose one: onnx:{model}#{names[0]}",
        )
    return [wanted or names[0]]
