"""Runs that go on in another number of processes than they began with.

The order of the samples, their batches and all random numbers stay those of the number that the run began
with, and so do content keys (`mtkd_cli.distributed.group.began_with`). Sums are added in another order, so
results are equal up to rounding, except for BatchNorm and dropout, which see the samples of one process. What
such a run trains is kept under keys of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ProcessChange:
    """One change of the number of processes.

    Attributes:
        before: number of processes before.
        processes: number of processes since then.
        point: how far the student was trained, in words.
    """

    before: int
    processes: int
    point: str

    @property
    def sentence(self) -> str:
        """The change, in words."""
        count = "1 process" if self.processes == 1 else f"{self.processes} processes"
        return f"continued with {count} instead of {self.before} from {self.point}"


@dataclass(frozen=True)
class ProcessChanges:
    """All changes of the number of processes of a run; at least one.

    Attributes:
        began: number of processes that the run began with.
        run: identifies the run in the keys of what it trained since then.
        changes: the changes, in order.
    """

    began: int
    run: str
    changes: tuple[ProcessChange, ...]

    @property
    def sentence(self) -> str:
        """All changes and what they mean, in words."""
        return (
            "; ".join(change.sentence for change in self.changes)
            + "; results are equal up to rounding, except for BatchNorm and dropout"
        )

    def as_list(self) -> list[dict[str, Any]]:
        """Return the changes for the manifest."""
        return [asdict(change) for change in self.changes]


def changes_of_run(
    begun: Mapping[str, Any] | None, name: str, processes: int, point: str
) -> ProcessChanges | None:
    """Return the changes of a run that is resumed in a number of processes; None if there were none.

    Args:
        begun: manifest of the run; None if it is new.
        name: name of the run.
        processes: number of processes that resume it.
        point: how far its student is trained, in words.
    """
    if begun is None:
        return None
    began: int = begun["engine"].get("processes", 1)
    earlier = [ProcessChange(**change) for change in begun.get("process_changes", ())]
    last = last_process_count(begun)
    if processes != last:
        earlier.append(ProcessChange(last, processes, point))
    return ProcessChanges(began, f"{name} {begun.get('started', '')}", tuple(earlier)) if earlier else None


def last_process_count(begun: Mapping[str, Any]) -> int:
    """Return the number of processes in which a run continued last, given its manifest."""
    changes: Sequence[Mapping[str, Any]] = begun.get("process_changes") or ()
    count: int = changes[-1]["processes"] if changes else begun["engine"].get("processes", 1)
    return count
