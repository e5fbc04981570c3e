"""JSON files with their own SHA-256, which detects any changed byte."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError
from mtkd_cli.files import atomic
from mtkd_cli.files.regular_file import read_regular

LARGEST_BYTES = 64_000_000
"""Maximum size of a file in bytes; a larger one is not read."""

SEAL = "sha256"


def write(path: Path, facts: Mapping[str, Any]) -> None:
    """Write ``facts`` and their checksum."""
    atomic.write_json(path, {**facts, SEAL: seal(facts)})


def read(path: Path, hint: str = "") -> dict[str, Any]:
    """Return the facts of a file after verifying its checksum.

    Args:
        path: the file.
        hint: what to do if the file is invalid, for messages.

    Raises:
        DataError: the file does not exist, cannot be read, or has another checksum.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise DataError(f"{path.name} is larger than {LARGEST_BYTES:,} bytes", where=str(path), hint=hint)
        facts = json.loads(read_regular(path))
        found = facts.pop(SEAL, None) if isinstance(facts, dict) else None
        is_whole = found is not None and found == seal(facts)
    except FileNotFoundError as error:
        raise DataError(f"no file {path}", where=str(path.parent), hint=hint) from error
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise DataError(f"{path.name} cannot be read: {reason}", where=str(path), hint=hint) from error
    if not is_whole:
        raise DataError(f"{path.name} is damaged: its checksum does not match", where=str(path), hint=hint)
    return dict(facts)


def seal(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the facts, independent of the order of their keys."""
    plain = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(plain.encode()).hexdigest()
