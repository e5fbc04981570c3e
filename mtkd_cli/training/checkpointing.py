"""When a training is kept: at the end of an epoch, every few minutes, when it is stopped, when it is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mtkd_cli.distributed import group
from mtkd_cli.training import checkpoint
from mtkd_cli.training.checkpoint import Checkpoint
from mtkd_cli.training.state import Training

EVERY_SECONDS = 300.0
"""Longest time without a checkpoint, where epochs are longer."""
TIMES_ITS_COST = 20.0
"""Least time between checkpoints, in times of what the last one took: they cost at most 5 %."""


class Keeper:
    """Keeps the checkpoints of one training in one folder; of several processes, the first one does.

    Args:
        place: the folder.
        say: told what the user should know.
    """

    def __init__(self, place: Path, say: Callable[[str], None]) -> None:
        self.place, self._say = place, say
        self._kept, self._kept_at, self._cost = 0, time.monotonic(), 0.0

    def restore(self, training: Training) -> None:
        """Take over the newest checkpoint that is what was written, if there is one.

        Raises:
            DataError: every checkpoint is damaged.
        """
        found = group.broadcast(self._newest() if group.is_first() else None)
        if found is None:
            return
        training.restore(found, str(self.place))
        self._kept, self._kept_at = training.done, time.monotonic()

    def _newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is what was written; damaged ones are set aside."""
        found = checkpoint.newest(self.place)
        if found.checkpoint is None:
            return None
        for folder, reason in found.damaged.items():
            self._say(f"the checkpoint {folder} is damaged, the one before it is used: {reason}")
            checkpoint.set_aside(folder)
        return found.checkpoint

    def stepped(self, training: Training, epoch_ended: bool, last: bool) -> None:
        """Keep the training after a step if it is time; certainly after the ``last`` one of this process.

        Raises:
            DataError: the disk is full, read-only or otherwise unusable.
        """
        since, least = time.monotonic() - self._kept_at, TIMES_ITS_COST * self._cost
        due = since >= (least if epoch_ended else max(EVERY_SECONDS, least))
        if not group.is_first() or training.done == self._kept or not (due or last):
            return
        started = time.monotonic()
        checkpoint.write(self.place, training.done, training.tensors(), training.facts())
        self._kept, self._kept_at = training.done, time.monotonic()
        self._cost = self._kept_at - started

    def finished(self) -> None:
        """Remove all but the last checkpoint."""
        if group.is_first():
            checkpoint.keep_last(self.place, 1)
