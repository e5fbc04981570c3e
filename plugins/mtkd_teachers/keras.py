"""A Keras 3 model, run on Keras's torch backend: ``keras:model.keras``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mtkd_cli.errors import DataError, UsageError, first_line, missing_path
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_cli.safe_loading.decompression_limits import refuse_bomb
from mtkd_cli.safe_loading.optional_imports import need
from mtkd_teachers.exported_input import size_of


class KerasProvider:
    """Never runs code in a file. Images are from 0 to 1 unless the recipe has ``input:``."""

    def files(self, model: str) -> list[Path]:
        """Return the file.

        Raises:
            DataError: the file does not exist, or has an older format, which may contain code.
        """
        path, where = Path(model), f"keras:{model}"
        if path.suffix != ".keras":
            raise DataError("not a .keras file", where, "load it with Keras and save it as model.keras")
        if not path.is_file():
            raise missing_path(path, where)
        return [path]

    def build(self, request: ModelRequest) -> Model:
        """Return the model with the input that its file declares."""
        where = f"keras:{request.model}"
        need("keras", "keras", where)
        path = self.files(request.model)[0]
        refuse_bomb(path)
        keras = _import_keras(where)
        try:
            with keras.device("cpu"):
                inner = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises many kinds of errors
            raise DataError(
                f"Keras cannot load the model: {first_line(error)}",
                where,
                "Lambda layers and custom classes are code and are not run; export the model to ONNX",
            ) from error
        spec = _input(getattr(inner, "input_shape", None), where)
        return Model(_ChannelsFirst(inner, keras), spec, trained=True, channels_last=False)


class _ChannelsFirst(nn.Module):
    """A channels-last Keras model with a channels-first interface."""

    def __init__(self, inner: nn.Module, keras: Any) -> None:
        super().__init__()
        self.inner = inner
        self.device_scope = keras.device  # otherwise the backend chooses a device

    def forward(self, views: Tensor) -> Tensor:
        """Return the output for ``[B, C, H, W]``: ``[B, outputs]``, or maps ``[B, outputs, H, W]``."""
        with self.device_scope(str(views.device)):
            answer: Tensor = self.inner(views.permute(0, 2, 3, 1).contiguous(), training=False)
        return answer.permute(0, 3, 1, 2) if answer.dim() == 4 else answer


def _import_keras(where: str) -> Any:
    """Return Keras with the torch backend; import it if necessary.

    Raises:
        UsageError: Keras was imported with another backend.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    import keras

    if keras.backend.backend() != "torch":
        raise UsageError(
            f"Keras was imported with the backend {keras.backend.backend()}",
            where,
            "set KERAS_BACKEND=torch before Keras is imported",
        )
    return keras


def _input(shape: Any, where: str) -> InputSpec:
    """Return the input for a shape ``(None, H, W, C)``; None stands for a dynamic dimension.

    Raises:
        DataError: the model does not take images of 1 or 3 channels.
    """
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] not in (1, 3):
        raise DataError(f"the model takes {shape}; a teacher takes images (None, H, W, 1 or 3)", where)
    return InputSpec(size=size_of(shape[1], shape[2], where), channels=shape[3], mean=(0.0,), std=(1.0,))
