"""The context of a run: recipe, data, task and device, passed to every phase."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mtkd_cli import __version__
from mtkd_cli.data.dataset import Dataset, Split
from mtkd_cli.distributed import group
from mtkd_cli.distributed.devices import device_name
from mtkd_cli.distributed.threads import Threads, threads_of_option
from mtkd_cli.interfaces import Task
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.training.evaluation import validate
from mtkd_cli.training.loop import Evaluation
from mtkd_cli.training.progress import Progress
from mtkd_cli.training.training_data import TrainingData


@dataclass(frozen=True)
class Context:
    """A resolved recipe, its data and task, and the device it runs on.

    Attributes:
        recipe: the recipe.
        parts: the providers of its parts.
        data: training, validation and test data.
        task: the task.
        device: device of the computation.
        progress: display of the run.
        threads: CPU threads of this process.
    """

    recipe: Recipe
    parts: Resolved
    data: Dataset
    task: Task
    device: torch.device
    progress: Progress
    threads: Threads = field(default_factory=lambda: threads_of_option(0))

    def training_data(self, split: Split, rows: NDArray[np.int64], view_count: int | None) -> TrainingData:
        """Return the training data of some rows of a split.

        Args:
            split: split with the samples.
            rows: rows of the split to train on, ``[N]``.
            view_count: number of views that the epochs cycle through; None for a new view each epoch.
        """
        recipe = self.recipe
        return TrainingData(
            self.task, split, rows, view_count, recipe.views.seed, recipe.augment, self.device
        )

    def validate(self, module: nn.Module, distance: Callable[[nn.Module], float] | None = None) -> Evaluation:
        """Evaluate a module on the validation split; see `evaluation.validate`."""
        return validate(module, self.task, self.data.val, self.data.train, self.device, distance)

    @property
    def engine(self) -> dict[str, Any]:
        """Versions, device, threads and processes: what affects results besides recipe and data."""
        return {
            "mtkd": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": device_name(self.device),
            **self.threads.as_dict(),
            **({"processes": group.size()} if group.size() > 1 else {}),
        }
