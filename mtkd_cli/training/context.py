"""What every phase of a run is given."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli import __version__
from mtkd_cli.data.dataset import Dataset, Split
from mtkd_cli.data.views import affine, view
from mtkd_cli.distributed import group
from mtkd_cli.distributed.devices import device_name, to_device
from mtkd_cli.interfaces import Task
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.training.evaluation import validate
from mtkd_cli.training.loop import Evaluation, Step
from mtkd_cli.training.progress import Progress


@dataclass(frozen=True)
class Context:
    """A resolved recipe, its data and task, and where it runs.

    Attributes:
        engine: versions, device, threads and processes: what decides the bits of a result besides the recipe.
    """

    recipe: Recipe
    parts: Resolved
    data: Dataset
    task: Task
    device: torch.device
    progress: Progress

    def views(
        self, split: Split, rows: NDArray[np.int64], number: Callable[[int], int]
    ) -> Callable[[NDArray[np.int64], int], Tensor]:
        """Return what a training is shown: the views of some of ``rows``, by epoch.

        Args:
            split: where the samples are.
            rows: the samples of the split that are trained on.
            number: the number of the view that an epoch shows.
        """
        recipe = self.recipe

        def shown(indices: NDArray[np.int64], epoch: int) -> Tensor:
            chosen = rows[indices]
            return view(
                split.samples.read(chosen),
                split.id_numbers[chosen],
                number(epoch),
                recipe.views.seed,
                recipe.augment,
                self.device,
            )

        return shown

    def labels(
        self, split: Split, rows: NDArray[np.int64], number: Callable[[int], int]
    ) -> Callable[[Step], Tensor]:
        """Return the labels of a training's steps, as the views of `views` show them; same arguments."""
        task, recipe = self.task, self.recipe
        targets = torch.from_numpy(split.samples.targets)

        def shown(step: Step) -> Tensor:
            chosen = rows[step.indices]
            target = to_device(targets[chosen], step.views.device)
            if not task.spatial:
                return target
            ids = split.id_numbers[chosen]
            places = affine(ids, number(step.epoch), recipe.views.seed, recipe.augment)
            return target if places is None else task.moved(target, places.to(target.device))

        return shown

    def validate(self, module: nn.Module) -> Evaluation:
        """Evaluate a module on the validation split."""
        return validate(module, self.task, self.data.val, self.data.train, self.device)

    @property
    def engine(self) -> dict[str, Any]:
        """Return what decides the bits of a result besides recipe and data."""
        return {
            "mtkd": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": device_name(self.device),
            "threads": torch.get_num_threads(),
            **({"processes": group.size()} if group.size() > 1 else {}),
        }
