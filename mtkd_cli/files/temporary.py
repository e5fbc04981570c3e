"""Temporary folders that do not outlive a killed process for long."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtkd_cli.files import atomic


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield an empty folder, which is removed at the end.

    If this process is killed, the next one of the same user that makes a temporary folder removes it.
    """
    with atomic.workplace(Path(tempfile.gettempdir()) / f"mtkd-{os.getuid()}") as folder:
        yield folder
