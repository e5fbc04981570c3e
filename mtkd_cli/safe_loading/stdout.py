"""Keep stdout for results while code of others runs."""

from __future__ import annotations

import contextlib
import sys
from contextlib import AbstractContextManager


def stdout_on_stderr() -> AbstractContextManager[object]:
    """Within, what libraries and plugins print goes to stderr."""
    return contextlib.redirect_stdout(sys.stderr)
