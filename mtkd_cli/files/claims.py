"""Claims of work by processes that share only a folder, also on file systems without locks.

A claim of ``NAME`` is a file ``NAME.0`` that its owner created exclusively. A thread rewrites it
regularly. If it is not rewritten for some time, its owner is lost, and the creator of ``NAME.1`` is the new
owner; then ``NAME.2``, and so on. No file is replaced, so exactly one process becomes the owner. An owner
that was only paused notices the next file. Ages compare times that the file system sets, never clocks of
machines.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mtkd_cli.files.lost_after import MAX_SECONDS, MIN_SECONDS

DEFAULT_SECONDS = 60.0
"""Default of `lost_after`: signs of life are written by a thread that waits for nothing."""
BEATS = 6
"""Signs of life in that time: all but the last may be late or missing."""


@dataclass(frozen=True)
class Claim:
    """A claim that this process has taken.

    Attributes:
        path: what is claimed, the path without the number.
        number: number of the claim's file.
        content: identification of the owner, and its `lost_after`.
    """

    path: Path
    number: int
    content: str

    @property
    def file(self) -> Path:
        """File of the claim."""
        return _file(self.path, self.number)

    def is_held(self) -> bool:
        """Whether no other process has taken the claim over."""
        try:
            mine = self.file.read_text(encoding="utf-8").startswith(self.content)
        except (OSError, ValueError):
            return False
        return mine and not _file(self.path, self.number + 1).exists()


class Claimant:
    """Takes claims for this process, and keeps them alive by a thread within the ``with`` block.

    Args:
        seconds: time without a sign of life after which this process counts as lost.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._held: dict[Path, Claim] = {}
        self._changing, self._ended, self._beat = threading.Lock(), threading.Event(), 0
        self._thread = threading.Thread(target=self._keep_alive, name="claims", daemon=True)

    def __enter__(self) -> Claimant:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for claim in list(self._held.values()):
            self.release(claim)

    def take(self, path: Path) -> Claim | None:
        """Claim ``path``, in a folder that exists; return None if a living process owns it.

        Raises:
            OSError: the folder is not writable, or does not exist.
        """
        number = 0
        while _file(path, number).exists():
            number += 1
        before = _file(path, number - 1)
        if number and not self._is_lost(before):
            return None
        owner = {
            "host": socket.gethostname(),
            "process": os.getpid(),
            "token": secrets.token_hex(8),
            "lost_after": self.seconds,
        }
        claim = Claim(path, number, json.dumps(owner))
        try:
            with claim.file.open("x", encoding="utf-8") as file:
                file.write(claim.content)
        except FileExistsError:
            return None
        # another process may have released an earlier file in the meantime, and own a later or a new one
        is_next = not _file(path, number + 1).exists() and (not number or self._is_lost(before))
        if not is_next:
            claim.file.unlink(missing_ok=True)
            return None
        with self._changing:
            self._held[claim.file] = claim
        return claim

    def release(self, claim: Claim) -> None:
        """Let others claim it."""
        self.leave(claim)
        if claim.is_held():
            for number in range(claim.number + 1):
                with contextlib.suppress(OSError):
                    _file(claim.path, number).unlink(missing_ok=True)

    def leave(self, claim: Claim) -> None:
        """Keep the file of a claim whose work is done: machines with cached listings do not do it again."""
        with self._changing:
            self._held.pop(claim.file, None)

    def holds(self, path: Path) -> bool:
        """Whether this process owns ``path``."""
        with self._changing:
            held = [claim for claim in self._held.values() if claim.path == path]
        return any(claim.is_held() for claim in held)

    def _is_lost(self, file: Path) -> bool:
        return _is_lost(file, self.seconds)

    def _keep_alive(self) -> None:
        while not self._ended.wait(self.seconds / BEATS):
            self._beat += 1
            with self._changing:
                held = list(self._held.values())
            for claim in held:
                # a lost claim is not revived; a file system that fails for a moment may work next time
                with contextlib.suppress(OSError):
                    if claim.is_held():
                        _rewrite(claim.file, f"{claim.content}\n{self._beat:012d}")


def has_living_owner(folder: Path, pattern: str = "*.claim.*") -> bool:
    """Whether a living process owns a claim in a folder, whose names match a pattern."""
    return any(not _is_lost(file, DEFAULT_SECONDS) for file in folder.glob(pattern))


def _is_lost(file: Path, default: float) -> bool:
    """Whether a claim was not rewritten within the time that its owner states; False if it is gone."""
    try:
        with file.open("rb") as opened:  # opening it makes a network file system ask the server
            changed = os.fstat(opened.fileno()).st_mtime
            try:
                seconds = float(json.loads(opened.read(4096).partition(b"\n")[0])["lost_after"])
            except (ValueError, KeyError, TypeError, RecursionError):  # its owner died while creating it
                seconds = default
        return _now(file.parent) - changed > min(max(seconds, MIN_SECONDS), MAX_SECONDS)
    except FileNotFoundError:
        return False


def _now(folder: Path) -> float:
    """Return the time of the file system of a folder: the time of a file that is written now."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".clock-") as file:
        file.write(b"0")
        file.flush()
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_mtime


def _rewrite(file: Path, content: str) -> None:
    """Rewrite a file in place: the file system sets its time, and a deleted file stays deleted."""
    with file.open("r+b") as opened:
        opened.write(content.encode())
        opened.flush()
        os.fsync(opened.fileno())


def _file(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


@contextlib.contextmanager
def taken(claimant: Claimant, claim: Claim) -> Iterator[Claim]:
    """Release a claim at the end of the block."""
    try:
        yield claim
    finally:
        claimant.release(claim)
