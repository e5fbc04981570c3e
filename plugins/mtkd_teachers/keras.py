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


class KerasProvider:
    """Images as they come, 0 to 1, unless the recipe's ``input:`` says more. Code in a file is never run."""

    def files(self, model: str) -> list[Path]:
        """Return the file.

        Raises:
            DataError: there is none, or it is of an older format, which may hold code.
        """
        path, where = Path(model), f"keras:{model}"
        if path.suffix != ".keras":
            raise DataError("it is no .keras file", where, "load it with Keras and save it as model.keras")
        if not path.is_file():
            raise missing_path(path, where)
        return [path]

    def build(self, request: ModelRequest) -> Model:
        """Return the model with the input that its file declares."""
        where = f"keras:{request.model}"
        need("keras", "keras", where)
        path = self.files(request.model)[0]
        refuse_bomb(path)
        keras = _keras(where)
        try:
            with keras.device("cpu"):
                inner = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises errors of many kinds
            raise DataError(
                f"Keras cannot load it: {first_line(error)}",
                where,
                "a Lambda layer or a class of your own is code and is not run: export the model to ONNX",
            ) from error
        spec = _input(getattr(inner, "input_shape", None), where)
        return Model(_Channels(inner, keras), spec, trained=True, channels_last=False)


class _Channels(nn.Module):
    """A Keras model, whose channels stand last, for images whose channels stand first."""

    def __init__(self, inner: nn.Module, keras: Any) -> None:
        super().__init__()
        self.inner = inner
        self.on = keras.device  # the backend would choose a device by itself

    def forward(self, views: Tensor) -> Tensor:
        """Return the output for ``[B, C, H, W]``; of a map, ``[B, C, H, W]`` too."""
        with self.on(str(views.device)):
            answer: Tensor = self.inner(views.permute(0, 2, 3, 1).contiguous(), training=False)
        return answer.permute(0, 3, 1, 2) if answer.dim() == 4 else answer


def _keras(where: str) -> Any:
    """Return Keras on torch, importing it so if nobody has imported it yet.

    Raises:
        UsageError: it runs on another backend already.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    import keras

    if keras.backend.backend() != "torch":
        raise UsageError(
            f"Keras is loaded already, on {keras.backend.backend()}",
            where,
            "set KERAS_BACKEND=torch before it is imported",
        )
    return keras


def _input(shape: Any, where: str) -> InputSpec:
    """Return the input of a shape ``(None, H, W, C)``, whose free dimensions are None."""
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] not in (1, 3):
        raise DataError(f"the model takes {shape}; a teacher takes images (None, H, W, 1 or 3)", where)
    if shape[1] != shape[2]:
        raise DataError(f"the model takes images of {shape[1]} x {shape[2]}; mtkd shows square ones", where)
    return InputSpec(size=shape[1], channels=shape[3], mean=(0.0,), std=(1.0,))
