"""The inputs of each training step: views, labels and teachers' outputs.

A mixed view shows a sample and its partner, which is another of the training samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.data import mixing
from mtkd_cli.data.dataset import Split
from mtkd_cli.data.inputs import are_in_memory
from mtkd_cli.data.views import affine, compose, is_mixed, read_inputs, view, window_affine
from mtkd_cli.distributed.devices import to_device
from mtkd_cli.interfaces import Labels, Task
from mtkd_cli.recipe.schema import Augment
from mtkd_cli.training.loop import Step
from mtkd_cli.training.read_ahead import read_ahead
from mtkd_cli.training.view_cache import ViewCache


@dataclass(frozen=True)
class TrainingData:
    """N samples of a split; the indices of a `Step` count them from 0.

    Attributes:
        task: task of the labels.
        split: split with the samples.
        rows: rows of the samples in the split, ``[N]``.
        view_count: number of recorded views that the epochs cycle through; None for a new view each epoch.
        view_seed: seed of the views.
        augment: augmentation of the views.
        device: device of the returned tensors.
        cache: what small views give; never shared with a copy, which may have other samples or views.
    """

    task: Task
    split: Split
    rows: NDArray[np.int64]
    view_count: int | None
    view_seed: int
    augment: Augment
    device: torch.device
    cache: ViewCache = field(default_factory=ViewCache, init=False, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def settings(self) -> dict[str, Any]:
        """Return the arguments that make an equal object, without its cache."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.init}

    @property
    def live_teachers(self) -> tuple[nn.Module, ...]:
        """Teachers that run in every step; none by default."""
        return ()

    @property
    def keeps_outputs(self) -> bool:
        """Whether the teachers' outputs on whole views, as far as they were asked for, are kept in memory."""
        return False

    def view_number(self, epoch: int) -> int:
        """Return the number of the view used in an epoch."""
        return epoch + 1 if self.view_count is None else epoch % self.view_count

    def with_views(self, steps: Iterable[Step]) -> Iterator[Step]:
        """Yield each step with its views; files are read and decoded ahead."""
        if are_in_memory(self.split.samples):
            for step in steps:
                yield replace(step, views=self._kept_views(step))
            return
        for step, inputs in read_ahead(self._read, steps):
            yield replace(step, views=self._view(step, inputs))

    def views(self, step: Step) -> Tensor:
        """Return the views of a step's samples, ``[B, C, H, W]``."""
        return self._view(step, self._read(step))

    def _kept_views(self, step: Step) -> Tensor:
        """Return the views of a step's samples, whose inputs are in memory."""
        return self.kept_rows("views", self.view_number(step.epoch), step, self.views)

    def kept_rows(self, what: str, number: int, step: Step, compute: Callable[[Step], Tensor]) -> Tensor:
        """Return what a function gives for a step's samples, ``[B, *]``, from the cache if it is small.

        Args:
            what: what it is, the same for all views.
            number: number of the view.
            step: the current step.
            compute: the function; the row of a sample does not depend on the other samples.
        """

        def rows(indices: NDArray[np.int64]) -> Tensor:
            return compute(replace(step, indices=indices))

        return self.cache.rows((what, number), step.indices, len(self), rows)

    def partners(self, step: Step) -> NDArray[np.int64] | None:
        """Return the indices of the partners of a step's samples, ``[B]``; None if no view is mixed."""
        number = self.view_number(step.epoch)
        if not is_mixed(number, self.augment):
            return None
        return mixing.partners(len(self), self.view_seed, number)[step.indices]

    def own_share(self, step: Step) -> Tensor:
        """Return the share of each sample in the elements of its mixed view, ``[B, *]``."""
        ids, number = self.split.id_numbers[self.rows[step.indices]], self.view_number(step.epoch)
        sides = self.split.samples.inputs.shape[2:]
        share = to_device(mixing.own_share(ids, number, self.view_seed, self.augment, sides), self.device)
        if self.task.spatial:
            return share
        # [B, H, W] or [B] -> [B, *], equal in all elements
        whole, elements = share.view(len(ids), -1).mean(dim=1), self.task.elements
        return whole.view(-1, *(1,) * len(elements)).expand(-1, *elements)

    def labels(self, step: Step) -> Labels:
        """Return the labels of a step's samples, transformed and mixed like their views."""
        if self.partners(step) is None:
            number = self.view_number(step.epoch)
            return Labels(
                self.kept_rows("labels", number if self.task.spatial else 0, step, self._moved_labels)
            )
        first, second = self._moved_labels(step).chunk(2)
        return self.task.mix_labels(first, second, self.own_share(step))

    def _moved_labels(self, step: Step) -> Tensor:
        """Return the labels of a step's samples, then those of their partners, transformed like the views."""
        rows = self._rows(step)
        labels = to_device(torch.from_numpy(self.split.samples.targets)[rows], self.device)
        return self._move(labels, rows, self.view_number(step.epoch)) if self.task.spatial else labels

    def _rows(self, step: Step) -> NDArray[np.int64]:
        """Return the rows of a step's samples, ``[B]``, followed by those of their partners if it has any."""
        partners = self.partners(step)
        return self.rows[step.indices if partners is None else np.concatenate([step.indices, partners])]

    def _read(self, step: Step) -> NDArray[Any]:
        number = self.view_number(step.epoch)
        return read_inputs(self.split, self._rows(step), number, self.view_seed, self.augment)

    def _view(self, step: Step, inputs: NDArray[Any]) -> Tensor:
        ids, number = self.split.id_numbers[self._rows(step)], self.view_number(step.epoch)
        return view(inputs, ids, number, self.view_seed, self.augment, self.device)

    def _move(self, labels: Tensor, rows: NDArray[np.int64], number: int) -> Tensor:
        """Return spatial labels of some rows in a view."""
        moves = self.moves(rows, number)
        return labels if moves is None else self.task.transform_labels(labels, moves.to(labels.device))

    def moves(self, rows: NDArray[np.int64], number: int) -> Tensor | None:
        """Return the affine map of a view to each sample, ``[B, 2, 3]``; None if nothing moves.

        Args:
            rows: rows of the samples, ``[B]``.
            number: number of the view.
        """
        height, width = self.split.samples.inputs.shape[2:]
        ids = self.split.id_numbers[rows]
        moves = affine(ids, number, self.view_seed, self.augment, height / width)
        return compose(window_affine(self.split, rows, number, self.view_seed, self.augment), moves)

    def teacher_outputs(self, step: Step) -> tuple[Tensor, ...]:
        """Return the teachers' aligned outputs on a step's views, K of ``[B, C, *]``; none by default."""
        return ()
