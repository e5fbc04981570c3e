"""A shared remote store of finished recordings: ``MTKD_STORE_REMOTE=s3://bucket/folder``, through fsspec.

The local store stays where it is: locks and memory maps need a file system. Each finished folder is copied
to the remote under ``KIND/DIGEST/``: its files, whose names end with their SHA-256, and then
``remote.json``, which lists them. So a half-written copy is not seen, and two machines that copy the same
folder do not harm each other. What is fetched is verified before it is used. A remote that fails is tried
again, then reported.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from mtkd_cli.errors import DataError, UsageError, first_line
from mtkd_cli.files import atomic, whole_folder
from mtkd_cli.files.hashing import file_sha256
from mtkd_cli.safe_loading.optional_imports import need
from mtkd_cli.store import content_store

VARIABLE = "MTKD_STORE_REMOTE"
LIST = "remote.json"
ATTEMPTS, RETRY_SECONDS = 3, 1.0
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""Names of files in a folder of the store: others, such as ``../x``, are refused."""

Say = Callable[[str], None]
Value = TypeVar("Value")


@dataclass(frozen=True)
class Remote:
    """A remote store.

    Attributes:
        files: its fsspec file system.
        root: its folder there.
        url: its address, for messages.
    """

    files: Any
    root: str
    url: str

    def fetch(self, kind: str, key: Mapping[str, Any], say: Say) -> bool:
        """Copy a finished folder into the local store; return whether it is there now.

        Args:
            kind: kind of content, see `mtkd_cli.store.inventory.KINDS`.
            key: its content key.
            say: shows a line if the remote fails.

        Raises:
            DataError: the local disk is full, read-only or otherwise unusable.
        """
        folder = content_store.folder_of(kind, key)
        try:
            content = self._try(lambda: self.files.cat_file(self._path(kind, folder.name, LIST)))
            if content is None:
                return False
            listed = _parse(content)
            with content_store.lock_folder(folder):
                return self._copy(kind, folder, listed, key)
        except _RemoteError as error:
            say(f"the remote store {self.url} failed: {error}; going on without it")
            return False

    def send(self, kind: str, folder: Path, say: Say) -> bool:
        """Copy a finished folder to the remote, unless it is there; return whether it is there now.

        Args:
            kind: kind of content.
            folder: a folder of the local store that is complete.
            say: shows a line if the remote fails.
        """
        try:
            path = self._path(kind, folder.name, LIST)
            if self._try(lambda: self.files.cat_file(path)) is not None:
                return True
            names = sorted(file.name for file in folder.iterdir() if NAME.fullmatch(file.name))
            checksums = {name: file_sha256(folder / name) for name in names}
            for name, checksum in checksums.items():
                target = self._path(kind, folder.name, f"{name}.{checksum}")
                self._try(partial(self.files.put_file, str(folder / name), target))
            content = json.dumps(checksums, indent=1).encode()
            self._try(lambda: self.files.pipe_file(path, content))
        except (_RemoteError, OSError) as error:
            say(f"the remote store {self.url} failed: {first_line(error)}; not copied: {folder}")
            return False
        return True

    def _copy(self, kind: str, folder: Path, listed: Mapping[str, str], key: Mapping[str, Any]) -> bool:
        part = whole_folder.partial_of(folder)
        with atomic.disk_errors(part):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            try:
                for name, checksum in listed.items():
                    self._get(kind, folder.name, name, checksum, part / name)
                _check_key(part, key)
                shutil.rmtree(folder, ignore_errors=True)
                part.rename(folder)
                atomic.sync_folder(folder.parent)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        return True

    def _get(self, kind: str, digest: str, name: str, checksum: str, target: Path) -> None:
        """Copy one file and verify it; a damaged copy is fetched again."""

        def get() -> bool:
            self.files.get_file(self._path(kind, digest, f"{name}.{checksum}"), str(target))
            if file_sha256(target) != checksum:
                raise OSError(f"{name} of {kind}/{digest} is damaged: its checksum does not match")
            return True

        if self._try(get) is None:
            raise _RemoteError(f"{name} of {kind}/{digest} is missing")
        atomic.sync_file(target)

    def _try(self, call: Callable[[], Value]) -> Value | None:
        """Call a function of the remote, again if it fails; None if what it reads does not exist."""
        for attempt in range(ATTEMPTS):
            try:
                return call()
            except FileNotFoundError:
                return None
            except Exception as error:  # each file system has errors of its own
                problem = first_line(error)
            if attempt + 1 < ATTEMPTS:
                time.sleep(RETRY_SECONDS * 2**attempt)
        raise _RemoteError(problem)

    def _path(self, kind: str, digest: str, name: str) -> str:
        return str(PurePosixPath(self.root, kind, digest, name))


class _RemoteError(Exception):
    """A remote that has failed several times, or has invalid content."""


def configured() -> Remote | None:
    """Return the remote store that ``MTKD_STORE_REMOTE`` names; None if it is not set.

    Raises:
        UsageError: it is not an address that fsspec knows.
        DataError: a library that it needs is not installed.
    """
    url = os.environ.get(VARIABLE, "")
    return connect(url) if url else None


@lru_cache(maxsize=4)
def connect(url: str) -> Remote:
    """Return the remote store of an address.

    Raises:
        UsageError: it is not an address that fsspec knows.
        DataError: a library that it needs is not installed.
    """
    need("fsspec", "remote", VARIABLE)
    from fsspec.core import url_to_fs

    try:
        files, root = url_to_fs(url)
    except ImportError as error:
        raise DataError(first_line(error), url, "install the library that it names") from error
    except Exception as error:
        raise UsageError(
            f"the remote store cannot be opened: {first_line(error)}",
            url,
            "set an address such as s3://bucket/folder",
        ) from error
    return Remote(files, root, url)


def _parse(content: bytes) -> dict[str, str]:
    """Return the checksum of each file of a folder.

    Raises:
        _RemoteError: the list is damaged, or has names that do not belong into a folder of the store.
    """
    try:
        listed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _RemoteError(f"{LIST} is damaged") from error
    if not isinstance(listed, dict) or content_store.KEY not in listed:
        raise _RemoteError(f"{LIST} is damaged")
    for name, checksum in listed.items():
        if not NAME.fullmatch(name) or not re.fullmatch("[0-9a-f]{64}", str(checksum)):
            raise _RemoteError(f"{LIST} names {name!r}")
    return {name: str(checksum) for name, checksum in listed.items()}


def _check_key(folder: Path, key: Mapping[str, Any]) -> None:
    """Raise if a folder is that of another key. In that of an array, ``samples`` is their number."""
    try:
        found = json.loads((folder / content_store.KEY).read_bytes())
        wanted = json.loads(json.dumps(dict(key)))
        same = all(found[name] == value for name, value in wanted.items() if name != "samples")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _RemoteError(f"{content_store.KEY} is damaged") from error
    if not same:
        raise _RemoteError(f"{content_store.KEY} is that of another folder")
