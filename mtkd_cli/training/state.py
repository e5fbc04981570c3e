"""The state of a training: how it is saved to a checkpoint and restored.

Random numbers and the learning rate are functions of the step, so neither generators nor schedules are saved.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from mtkd_cli.recipe.schema import Train
from mtkd_cli.safe_loading import weights
from mtkd_cli.training.checkpoint import Checkpoint
from mtkd_cli.training.optimizer import create_optimizer
from mtkd_cli.training.selection import Measurement, RankedEvaluation, Selection


@dataclass(frozen=True)
class Evaluation:
    """The validation of ``module``: the task's metrics, and the measurement that the selection compares."""

    measurement: Measurement
    metrics: dict[str, float]
    module: nn.Module


@dataclass
class Training:
    """A training between two optimizer steps.

    Attributes:
        done: number of completed optimizer steps.
        averaged: moving average of the weights; None without ``train.ema``.
        selection: best evaluations so far.
        recent: measurements in the smoothing window.
        curve: one row per evaluation.
        loss_sums: sums of the task loss and of the distillation loss since the last row, ``[2]``.
    """

    module: nn.Module
    optimizer: Optimizer
    averaged: AveragedModel | None
    done: int = 0
    selection: Selection | None = None
    recent: list[Measurement] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    loss_sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    @classmethod
    def start(cls, module: nn.Module, settings: Train) -> Training:
        """Return the state before the first step."""
        return cls(module, create_optimizer(module, settings), _averaged_model(module, settings.ema))

    @property
    def module_to_evaluate(self) -> nn.Module:
        """The averaged module if there is one, else the module itself."""
        return self.module if self.averaged is None else self.averaged.module

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors, prefixed ``model``, ``average``, ``best``, ``top`` or ``optimizer``."""
        tensors = {f"model/{name}": tensor for name, tensor in self.module.state_dict().items()}
        if self.averaged is not None:
            tensors |= {f"average/{name}": tensor for name, tensor in self.averaged.state_dict().items()}
        for prefix, ranked in self._select().items():
            module: nn.Module = ranked.evaluation.module
            tensors |= {f"{prefix}/{name}": tensor for name, tensor in module.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            values = {name: value for name, value in state.items() if isinstance(value, Tensor)}
            tensors |= {f"optimizer/{number}/{name}": value for name, value in values.items()}
        return tensors

    def metadata(self) -> dict[str, Any]:
        """Return the rest of the state, for JSON."""
        return {
            "done": self.done,
            "selection": {name: _ranked_as_dict(ranked) for name, ranked in self._select().items()},
            "recent": [measurement.as_dict() for measurement in self.recent],
            "curve": self.curve,
            "sums": self.loss_sums.tolist(),
        }

    def _select(self) -> dict[str, RankedEvaluation]:
        """Return the evaluations of the selection by their prefix in a checkpoint."""
        if self.selection is None:
            return {}
        top, candidate = self.selection.top, self.selection.candidate
        return {"best": candidate} if top is candidate else {"best": candidate, "top": top}

    def restore(self, checkpoint: Checkpoint, where: str) -> None:
        """Load the state from a checkpoint.

        Args:
            checkpoint: the checkpoint.
            where: its path, used in messages.

        Raises:
            DataError: the checkpoint belongs to another model.
        """
        tensors, metadata = checkpoint.tensors, checkpoint.metadata
        weights.load_into(self.module, _remove_prefix(tensors, "model"), where)
        if self.averaged is not None:
            weights.load_into(self.averaged, _remove_prefix(tensors, "average"), where)
        _restore_optimizer(self.optimizer, _remove_prefix(tensors, "optimizer"))
        selected = {}
        for prefix, values in metadata.get("selection", {}).items():
            module = copy.deepcopy(self.module).eval()
            weights.load_into(module, _remove_prefix(tensors, prefix), where)
            selected[prefix] = _ranked_from_dict(values, module)
        self.selection = (
            Selection(selected.get("top", selected["best"]), selected["best"]) if selected else None
        )
        self.recent = [Measurement.from_dict(values) for values in metadata.get("recent", [])]
        self.done, self.curve = metadata["done"], list(metadata["curve"])
        self.loss_sums = np.array(metadata["sums"])


def _ranked_as_dict(ranked: RankedEvaluation) -> dict[str, Any]:
    losses = None if ranked.losses is None else ranked.losses.tolist()
    evaluation: Evaluation = ranked.evaluation
    return {
        "step": ranked.step,
        "score": ranked.score,
        "losses": losses,
        "distance": ranked.distance,
        "metrics": evaluation.metrics,
        "measurement": evaluation.measurement.as_dict(),
    }


def _ranked_from_dict(values: Mapping[str, Any], module: nn.Module) -> RankedEvaluation:
    losses = None if values["losses"] is None else np.array(values["losses"])
    evaluation = Evaluation(Measurement.from_dict(values["measurement"]), values["metrics"], module)
    return RankedEvaluation(values["step"], tuple(values["score"]), losses, values["distance"], evaluation)


def _averaged_model(module: nn.Module, decay: float) -> AveragedModel | None:
    if not decay:
        return None

    def average(averaged: Sequence[Tensor], current: Sequence[Tensor], done: Tensor | int) -> None:
        weight = 1 - ema_decay(int(done), decay)
        with torch.no_grad():
            for mean, new in zip(averaged, current, strict=True):
                mean.lerp_(new, weight)

    return AveragedModel(module, multi_avg_fn=average)


def ema_decay(done: int, decay: float) -> float:
    """Return the decay of the moving average after ``done`` steps: ``min(decay, (1 + done) / (10 + done))``.

    The average starts at the first step's weights; with a constant decay of 0.999 these would still make
    up 45 % of it after 800 steps. The warm-up is that of TensorFlow's ``ExponentialMovingAverage``.
    """
    return min(decay, (1 + done) / (10 + done))


def _remove_prefix(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with ``name/``, without that prefix."""
    prefix = f"{name}/"
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def _restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        number, _, name = path.partition("/")
        like = parameters[int(number)]
        if tensor.shape == like.shape:  # same memory layout as before, so that kernels give the same bits
            tensor = torch.empty_like(like, dtype=tensor.dtype, device="cpu").copy_(tensor)
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
