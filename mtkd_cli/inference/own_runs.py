"""Recognize the runs of this user, whose local code may run again: their documents are signed.

The key is a random file of the user's, which no sender of a run folder has; a seal without a key anyone
can renew. The signature covers the document and the source of the code that it names, so neither another
document nor other code passes for what this user ran.
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
    """Return where this user's key is."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mtkd" / "key"


def signed(facts: Mapping[str, Any], code: Sequence[str]) -> dict[str, Any]:
    """Return a document with the hash of each piece of code that it names, and a signature.

    Without local code it is returned as it is; without a usable key it is not signed.
    """
    if not code:
        return dict(facts)
    found = {**facts, CODE: {reference: source_hash(reference) for reference in code}}
    key = _key(create=True)
    return found if key is None else {**found, SIGNATURE: _signature(found, key)}


def is_signed(facts: Mapping[str, Any]) -> bool:
    """Whether this user's key signed the document. Looks at no code."""
    key = _key(create=False)
    if key is None or not isinstance(facts.get(SIGNATURE), str):
        return False
    rest = {name: value for name, value in facts.items() if name != SIGNATURE}
    return hmac.compare_digest(facts[SIGNATURE].encode(), _signature(rest, key).encode())


def changed(facts: Mapping[str, Any], code: Sequence[str]) -> list[str]:
    """Return the code of a signed document whose source is no longer what it was."""
    known = facts.get(CODE) or {}
    return [
        reference
        for reference in code
        if not known.get(reference) or source_hash(reference) != known[reference]
    ]


def _signature(facts: Mapping[str, Any], key: bytes) -> str:
    return hmac.new(key, checksummed_json.seal(facts).encode(), hashlib.sha256).hexdigest()


def _key(create: bool) -> bytes | None:
    """Return the user's key; None if there is none, or others may read or write it."""
    path = key_file()
    if create and not path.exists():
        with contextlib.suppress(OSError):
            _create(path)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        private = stat.S_ISREG(about.st_mode) and not about.st_mode & 0o077 and about.st_uid == os.getuid()
        key = file.read(KEY_BYTES + 1) if private else b""
    return key if len(key) == KEY_BYTES else None


def _create(path: Path) -> None:
    """Write a new key, whole or not at all; one that another process wrote meanwhile stays."""
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
