"""A user's function that returns a torch module: ``python:my_models.py:build``."""

from __future__ import annotations

import inspect
from dataclasses import replace

from torch import nn

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_cli.safe_loading.local_code import load_attribute
from mtkd_teachers.torchvision_inside import detector_in, with_plain_input


class PythonProvider:
    """Calls a factory with those of ``outputs``, ``channels``, ``size`` and ``pretrained`` that it accepts.

    The factory returns a module, or a `mtkd_cli.interfaces.Model` that declares more. The head of a module
    is its last linear layer.
    """

    def build(self, request: ModelRequest) -> Model:
        """Return the factory's model.

        Raises:
            DataError: the factory fails, or does not return a module or `Model`.
        """
        factory = load_attribute(request.model)
        arguments = {
            "outputs": request.outputs + request.background,
            "channels": request.channels,
            "size": request.size,
            "pretrained": request.pretrained,
        }
        try:
            parameters = inspect.signature(factory).parameters
            accepts_any_name = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
            made = factory(
                **{name: value for name, value in arguments.items() if accepts_any_name or name in parameters}
            )
        except Exception as error:
            raise DataError(
                f"the factory fails: {type(error).__name__}: {error}",
                where=f"python:{request.model}",
                hint="call it in Python to see the full traceback",
            ) from error
        if isinstance(made, Model):
            return with_plain_input(made)
        if not isinstance(made, nn.Module):
            raise DataError(
                f"the factory returns a {type(made).__name__}",
                where=f"python:{request.model}",
                hint="return a torch.nn.Module or a mtkd_cli.interfaces.Model",
            )
        trained = request.pretrained and (accepts_any_name or "pretrained" in parameters)
        if detector := detector_in(made, request):
            return replace(detector, trained=trained)
        linear = [name for name, module in made.named_modules() if isinstance(module, nn.Linear)]
        return Model(
            made,
            InputSpec(),
            head=linear[-1] if linear else "",
            trained=trained,
            channels_last=False,
        )
