"""The context of a run: recipe, data, task and device, passed to every phase."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
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
from mtkd_cli.store.own_key import key_of_run
from mtkd_cli.training.evaluation import validate
from mtkd_cli.training.loop import Evaluation
from mtkd_cli.training.process_changes import ProcessChanges
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
        process_changes: changes of the number of processes; None if there were none.
    """

    recipe: Recipe
    parts: Resolved
    data: Dataset
    task: Task
    device: torch.device
    progress: Progress
    threads: Threads = field(default_factory=lambda: threads_of_option(0))
    process_changes: ProcessChanges | None = None

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

    def key_of_run(self, kind: str, key: Mapping[str, Any]) -> dict[str, Any]:
        """Return the key of a trained result in the store, see `mtkd_cli.store.own_key`."""
        return key_of_run(kind, key, self.process_changes.run if self.process_changes else "")

    @property
    def engine(self) -> dict[str, Any]:
        """Versions, device, threads and processes: what affects results besides recipe and data."""
        return {
            "mtkd": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": device_name(self.device),
            **self.threads.as_dict(),
            **({"processes": group.began_size()} if group.began_size() > 1 else {}),
        }
