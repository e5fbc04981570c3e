"""Recognize runs made by this user, whose local code may run again, by a signature in ``student.json``.

The key is a random file in the user's configuration folder. The sender of a run folder does not have it,
while anyone can compute a checksum. The signature covers the document and the source of the code that it
names, so a changed document or changed code is not recognized.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtkd_cli.files import checksummed_json
from mtkd_cli.safe_loading.local_code import source_hash

CODE, SIGNATURE = "code", "signature"
KEY_BYTES = 32


def key_file() -> Path:
    """Return the path of this user's key."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mtkd" / "key"


def sign(facts: Mapping[str, Any], code: Sequence[str]) -> dict[str, Any]:
    """Return a document with the hashes of the code that it names, and a signature.

    A document without local code is returned unchanged. Without a usable key there is no signature.
    """
    if not code:
        return dict(facts)
    found = {**facts, CODE: {reference: source_hash(reference) for reference in code}}
    key = _read_key(create=True)
    return found if key is None else {**found, SIGNATURE: _signature(found, key)}


def is_signed(facts: Mapping[str, Any]) -> bool:
    """Whether this user's key signed the document. Does not check the code."""
    key = _read_key(create=False)
    if key is None or not isinstance(facts.get(SIGNATURE), str):
        return False
    rest = {name: value for name, value in facts.items() if name != SIGNATURE}
    return hmac.compare_digest(facts[SIGNATURE].encode(), _signature(rest, key).encode())


def list_changed_code(facts: Mapping[str, Any], code: Sequence[str]) -> list[str]:
    """Return the code references in a signed document whose source has changed."""
    hashes = facts.get(CODE) or {}
    return [
        reference
        for reference in code
        if not hashes.get(reference) or source_hash(reference) != hashes[reference]
    ]


def _signature(facts: Mapping[str, Any], key: bytes) -> str:
    return hmac.new(key, checksummed_json.seal(facts).encode(), hashlib.sha256).hexdigest()


def _read_key(create: bool) -> bytes | None:
    """Return the user's key; None if it does not exist, or others may read or write it."""
    path = key_file()
    if create and not path.exists():
        with contextlib.suppress(OSError):
            _create_key(path)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        is_private = stat.S_ISREG(about.st_mode) and not about.st_mode & 0o077 and about.st_uid == os.getuid()
        key = file.read(KEY_BYTES + 1) if is_private else b""
    return key if len(key) == KEY_BYTES else None


def _create_key(path: Path) -> None:
    """Write a new key atomically; keep the key of another process that is faster."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=".key.")  # readable by the user alone
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(part, path)
    finally:
        Path(part).unlink()
