"""When checkpoints are written: after an epoch, every few minutes, on interruption, and at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mtkd_cli.distributed import group
from mtkd_cli.training import checkpoint
from mtkd_cli.training.checkpoint import Checkpoint
from mtkd_cli.training.state import Training

MAX_INTERVAL_SECONDS = 300.0
"""Maximum time between checkpoints, in seconds, if epochs take longer."""
MIN_INTERVAL_RATIO = 20.0
"""Minimum time between checkpoints, as a multiple of the last one's duration: they cost at most 5 %."""


class Checkpointer:
    """Writes and restores the checkpoints of one training. Only the first of several processes writes.

    Args:
        folder: folder of the checkpoints.
        say: function that shows a line to the user.
        require_owner: function that raises if another process writes the checkpoints now.
    """

    def __init__(
        self, folder: Path, say: Callable[[str], None], require_owner: Callable[[], None] = lambda: None
    ) -> None:
        self.folder, self._say, self._require_owner = folder, say, require_owner
        self._saved_step, self._saved_at, self._duration = 0, time.monotonic(), 0.0

    def restore(self, training: Training) -> None:
        """Load the newest intact checkpoint, if there is one, in every process.

        Raises:
            DataError: every checkpoint is damaged.
        """
        found = group.broadcast(self._load_newest() if group.is_first() else None)
        if found is None:
            return
        training.restore(found, str(self.folder))
        self._saved_step, self._saved_at = training.done, time.monotonic()

    def _load_newest(self) -> Checkpoint | None:
        """Return the newest intact checkpoint; rename damaged ones."""
        found = checkpoint.load_newest(self.folder)
        if found.checkpoint is None:
            return None
        for folder, reason in found.damaged.items():
            self._say(f"the checkpoint {folder} is damaged, resuming from an older one: {reason}")
            checkpoint.set_aside(folder)
        return found.checkpoint

    def save_if_due(self, training: Training, epoch_ended: bool, last: bool) -> None:
        """Write a checkpoint if enough time has passed; always after the ``last`` step of this process.

        Raises:
            DataError: the disk is full, read-only or otherwise unusable.
        """
        elapsed, minimum = time.monotonic() - self._saved_at, MIN_INTERVAL_RATIO * self._duration
        is_due = elapsed >= (minimum if epoch_ended else max(MAX_INTERVAL_SECONDS, minimum))
        if not group.is_first() or training.done == self._saved_step or not (is_due or last):
            return
        started = time.monotonic()
        self._require_owner()
        checkpoint.write(self.folder, training.done, training.tensors(), training.metadata())
        self._saved_step, self._saved_at = training.done, time.monotonic()
        self._duration = self._saved_at - started

    def keep_last(self) -> None:
        """Remove all but the last checkpoint."""
        if group.is_first():
            self._require_owner()
            checkpoint.keep_last(self.folder, 1)
