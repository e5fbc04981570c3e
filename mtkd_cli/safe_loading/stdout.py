"""Keep stdout for results while third-party code runs."""

from __future__ import annotations

import contextlib
import sys
from contextlib import AbstractContextManager


def stdout_on_stderr() -> AbstractContextManager[object]:
    """Redirect stdout to stderr within the block, for the output of libraries and plugins."""
    return contextlib.redirect_stdout(sys.stderr)
