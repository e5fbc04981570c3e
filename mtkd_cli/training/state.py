"""What the state of a training is, and how it goes into a checkpoint and comes back.

Everything random is a function of the step, and so is the learning rate: no generator and no schedule
has to be saved.
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
from mtkd_cli.training.optimizer import optimizer_of


@dataclass(frozen=True)
class Evaluation:
    """A validation of ``module``.

    ``rank`` orders validations, larger is better: the primary metric, then minus the loss; see `Metric.rank`.
    """

    rank: tuple[float, ...]
    metrics: dict[str, float]
    module: nn.Module


@dataclass
class Training:
    """A training between two optimizer steps.

    Attributes:
        done: optimizer steps made.
        averaged: the moving average of the weights, if there is one.
        best: the best evaluation so far.
        curve: one row for each evaluation.
        sums: of the task loss and of the distillation loss since the last row.
    """

    module: nn.Module
    optimizer: Optimizer
    averaged: AveragedModel | None
    done: int = 0
    best: Evaluation | None = None
    curve: list[dict[str, float]] = field(default_factory=list)
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    @classmethod
    def of(cls, module: nn.Module, settings: Train) -> Training:
        """Return a training that has not begun."""
        return cls(module, optimizer_of(module, settings), _averaged(module, settings.ema))

    @property
    def evaluated(self) -> nn.Module:
        """What an evaluation looks at: the average of the weights where there is one."""
        return self.module if self.averaged is None else self.averaged.module

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor of the state, below ``model``, ``average``, ``best`` and ``optimizer``."""
        found = {f"model/{name}": tensor for name, tensor in self.module.state_dict().items()}
        if self.averaged is not None:
            found |= {f"average/{name}": tensor for name, tensor in self.averaged.state_dict().items()}
        if self.best is not None:
            found |= {f"best/{name}": tensor for name, tensor in self.best.module.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            kept = {name: value for name, value in state.items() if isinstance(value, Tensor)}
            found |= {f"optimizer/{number}/{name}": value for name, value in kept.items()}
        return found

    def facts(self) -> dict[str, Any]:
        """Return the rest of the state."""
        best = self.best and {"rank": self.best.rank, "metrics": self.best.metrics}
        return {"done": self.done, "best": best, "curve": self.curve, "sums": self.sums.tolist()}

    def restore(self, checkpoint: Checkpoint, where: str) -> None:
        """Take over the state of a checkpoint.

        Raises:
            DataError: it is one of another model.
        """
        tensors, facts = checkpoint.tensors, checkpoint.facts
        weights.load_into(self.module, _below(tensors, "model"), where)
        if self.averaged is not None:
            weights.load_into(self.averaged, _below(tensors, "average"), where)
        _restore_optimizer(self.optimizer, _below(tensors, "optimizer"))
        if facts["best"]:
            module = copy.deepcopy(self.module).eval()
            weights.load_into(module, _below(tensors, "best"), where)
            self.best = Evaluation(tuple(facts["best"]["rank"]), facts["best"]["metrics"], module)
        self.done, self.curve, self.sums = facts["done"], list(facts["curve"]), np.array(facts["sums"])


def _averaged(module: nn.Module, decay: float) -> AveragedModel | None:
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


def _below(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    start = f"{part}/"
    return {name[len(start) :]: tensor for name, tensor in tensors.items() if name.startswith(start)}


def _restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        number, _, name = path.partition("/")
        like = parameters[int(number)]
        if tensor.shape == like.shape:  # laid out in memory as before: the same loops, the same bits
            tensor = torch.empty_like(like, dtype=tensor.dtype, device="cpu").copy_(tensor)
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
