"""A function of yours that returns a torch module: ``python:my_models.py:build``."""

from __future__ import annotations

import inspect
from dataclasses import replace

from torch import nn

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_cli.safe_loading.local_code import load_attribute
from mtkd_teachers.torchvision_inside import declared, detector_in


class PythonProvider:
    """Calls a factory. It may take any of ``outputs``, ``channels``, ``size``, ``pretrained``, by name.

    It returns a module, or a `mtkd_cli.interfaces.Model` to declare more. The last linear layer
    is taken as the head.
    """

    def build(self, request: ModelRequest) -> Model:
        """Return what the factory makes."""
        factory = load_attribute(request.model)
        offered = {
            "outputs": request.outputs + request.background,
            "channels": request.channels,
            "size": request.size,
            "pretrained": request.pretrained,
        }
        try:
            taken = inspect.signature(factory).parameters
            any_name = any(p.kind is p.VAR_KEYWORD for p in taken.values())
            made = factory(**{name: value for name, value in offered.items() if any_name or name in taken})
        except Exception as error:
            raise DataError(
                f"the factory fails: {type(error).__name__}: {error}",
                where=f"python:{request.model}",
                hint="call it alone to see the whole error",
            ) from error
        if isinstance(made, Model):
            return declared(made)
        if not isinstance(made, nn.Module):
            raise DataError(
                f"the factory returns a {type(made).__name__}",
                where=f"python:{request.model}",
                hint="return a torch.nn.Module or a mtkd_cli.interfaces.Model",
            )
        trained = request.pretrained and (any_name or "pretrained" in taken)
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
