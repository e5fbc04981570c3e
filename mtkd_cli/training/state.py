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
from mtkd_cli.training.selection import Measurement, Selection, Standing


@dataclass(frozen=True)
class Evaluation:
    """A validation of ``module``: the task's metrics, and what the selection is made by."""

    measurement: Measurement
    metrics: dict[str, float]
    module: nn.Module


@dataclass
class Training:
    """A training between two optimizer steps.

    Attributes:
        done: optimizer steps made.
        averaged: the moving average of the weights, if there is one.
        selection: the evaluations that are kept so far.
        recent: the last measurements, of which scores are averaged.
        curve: one row for each evaluation.
        sums: of the task loss and of the distillation loss since the last row.
    """

    module: nn.Module
    optimizer: Optimizer
    averaged: AveragedModel | None
    done: int = 0
    selection: Selection | None = None
    recent: list[Measurement] = field(default_factory=list)
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
        for part, standing in self._kept().items():
            module: nn.Module = standing.evaluation.module
            found |= {f"{part}/{name}": tensor for name, tensor in module.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            kept = {name: value for name, value in state.items() if isinstance(value, Tensor)}
            found |= {f"optimizer/{number}/{name}": value for name, value in kept.items()}
        return found

    def facts(self) -> dict[str, Any]:
        """Return the rest of the state."""
        return {
            "done": self.done,
            "selection": {part: _standing_facts(standing) for part, standing in self._kept().items()},
            "recent": [measurement.as_dict() for measurement in self.recent],
            "curve": self.curve,
            "sums": self.sums.tolist(),
        }

    def _kept(self) -> dict[str, Standing]:
        """Return the standings of the selection by the name of their part of a checkpoint."""
        if self.selection is None:
            return {}
        kept = {"best": self.selection.chosen}
        return kept if self.selection.top is self.selection.chosen else {**kept, "top": self.selection.top}

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
        kept = {}
        for part, known in facts.get("selection", {}).items():
            module = copy.deepcopy(self.module).eval()
            weights.load_into(module, _below(tensors, part), where)
            kept[part] = _standing_of(known, module)
        self.selection = Selection(kept.get("top", kept["best"]), kept["best"]) if kept else None
        self.recent = [Measurement.of(known) for known in facts.get("recent", [])]
        self.done, self.curve, self.sums = facts["done"], list(facts["curve"]), np.array(facts["sums"])


def _standing_facts(standing: Standing) -> dict[str, Any]:
    losses = None if standing.losses is None else standing.losses.tolist()
    evaluation: Evaluation = standing.evaluation
    return {
        "step": standing.step,
        "score": standing.score,
        "losses": losses,
        "distance": standing.distance,
        "metrics": evaluation.metrics,
        "measurement": evaluation.measurement.as_dict(),
    }


def _standing_of(known: Mapping[str, Any], module: nn.Module) -> Standing:
    losses = None if known["losses"] is None else np.array(known["losses"])
    evaluation = Evaluation(Measurement.of(known["measurement"]), known["metrics"], module)
    return Standing(known["step"], tuple(known["score"]), losses, known["distance"], evaluation)


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
