"""Choose how many CPU threads a training step uses, by a rule: a timing would not repeat to the bit.

OpenMP threads wait for each other after every operation, and spin while they wait. Operations of small
networks are too short to gain from a second thread, and with another process on the machine they lose most
of their time in these waits. So a step uses one thread for every `MACS_PER_THREAD` multiply-adds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from mtkd_cli.distributed import group

MACS_PER_THREAD = 500_000_000
"""Multiply-adds of a training step for each of its threads; measured by docs/benchmarks/threads.py."""
AUTOMATIC = {"step_threads": "automatic"}
"""Entry in the description of an engine whose training steps may use fewer threads than its limit."""


@dataclass(frozen=True)
class Threads:
    """The CPU threads of this process.

    Attributes:
        limit: number of threads; those of a training step if it is not chosen automatically.
        automatic: whether training steps use fewer threads if they have little work.
    """

    limit: int
    automatic: bool = True

    def of_step(self, macs: float) -> int:
        """Return the number of threads of a training step with a number of multiply-adds."""
        return min(self.limit, max(1, int(macs / MACS_PER_THREAD))) if self.automatic else self.limit

    def as_dict(self) -> dict[str, Any]:
        """Return the entries that describe the threads in an engine."""
        return {"threads": self.limit, **(AUTOMATIC if self.automatic else {})}


def threads_of_option(given: int) -> Threads:
    """Return the threads for ``--threads``; 0: torch's number, or fewer for steps with little work."""
    return Threads(given, automatic=False) if given else Threads(_default_limit())


def threads_of_engine(engine: Mapping[str, Any]) -> Threads | None:
    """Return the threads of a run from its engine; None if unknown. Earlier versions had a fixed number."""
    automatic = engine.items() >= AUTOMATIC.items()
    return Threads(engine["threads"], automatic) if "threads" in engine else None


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Use a number of threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _default_limit() -> int:
    """Return torch's number of threads, or this process's share of the cores if there are several."""
    if group.size() == 1:
        return torch.get_num_threads()
    processes = int(os.environ.get("LOCAL_WORLD_SIZE") or group.size())
    return max(1, (os.cpu_count() or 1) // processes)
