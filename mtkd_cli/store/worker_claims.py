"""Claims on folders of the store, in processes that share only the store: `mtkd record --worker`.

Locks do not reach other machines on every file system; claims do, see `mtkd_cli.files.claims`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtkd_cli.errors import DataError
from mtkd_cli.files import claims
from mtkd_cli.files.claims import DEFAULT_SECONDS, Claim, Claimant, taken
from mtkd_cli.files.lost_after import lost_after

SILENT_SECONDS = 3
"""Seconds to wait for another process before a message is shown."""

_claimant: Claimant | None = None


class ClaimLostError(DataError):
    """Another process has taken over, because this one was paused for too long."""


@contextmanager
def claiming() -> Iterator[Claimant]:
    """Claim every folder that this process locks within the block, and release all claims at its end.

    Raises:
        UsageError: ``MTKD_LOST_AFTER`` is not a number of seconds.
    """
    global _claimant
    with Claimant(lost_after(DEFAULT_SECONDS)) as _claimant:
        try:
            yield _claimant
        finally:
            _claimant = None


def claimant() -> Claimant | None:
    """Return what takes claims for this process; None if it is not a worker."""
    return _claimant


def claim_path(folder: Path) -> Path:
    """Return the path that is claimed for a folder."""
    return folder.with_name(f".{folder.name}.claim")


def poll_seconds(owner: Claimant) -> float:
    """Return the seconds between two looks at the claims of others."""
    return min(1.0, owner.seconds / 10)


@contextmanager
def hold(folder: Path, wait: bool) -> Iterator[Claim | None]:
    """Hold the claim on a folder within the block; yield None if this process is not a worker.

    Raises:
        BlockingIOError: a living process owns it, and ``wait`` is False.
        OSError: the store is not writable.
    """
    if _claimant is None:
        yield None
        return
    path = claim_path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    started, told = time.monotonic(), False
    while (claim := _claimant.take(path)) is None:
        if not wait:
            raise BlockingIOError(f"another process owns {path}")
        if not told and time.monotonic() - started > SILENT_SECONDS:
            logging.getLogger("mtkd").warning("another worker is making %s; waiting for it", folder)
            told = True
        time.sleep(poll_seconds(_claimant))
    with taken(_claimant, claim):
        yield claim


def require_held(folder: Path) -> None:
    """Raise if this process is a worker that has lost its claim on a folder.

    Raises:
        ClaimLostError: it has.
    """
    if _claimant is not None and not _claimant.holds(claim_path(folder)):
        raise lost_error(folder)


def has_living_owner(folder: Path) -> bool:
    """Whether a living worker has claimed a folder of the store, or anything in it. Asks any process.

    Args:
        folder: a complete, partial or unfinished folder.
    """
    on_folder = f".{_digest(folder)}.claim.*"
    return claims.has_living_owner(folder) or claims.has_living_owner(folder.parent, on_folder)


def remove_claims(folder: Path) -> None:
    """Remove the claims on a folder of the store that lost workers left; the caller holds its lock."""
    for file in folder.parent.glob(f".{_digest(folder)}.claim.*"):
        file.unlink(missing_ok=True)


def _digest(folder: Path) -> str:
    return folder.name.removeprefix(".").partition(".")[0]


def lost_error(folder: Path) -> ClaimLostError:
    """Return the error of a worker that has lost its claim on a folder."""
    return ClaimLostError(
        "this worker was paused, and another one has taken over its work",
        where=str(folder),
        hint="start it again; finished work is kept",
    )
