"""File and line of a fault in a plugin."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any


def fault_location(error: BaseException, module: str, hook: Callable[..., Any] | None = None) -> str:
    """Return ``FILE:LINE`` of a fault in a plugin; ``FILE`` if no line is known; ``""`` if no file is.

    Args:
        error: the exception that loading the plugin raised.
        module: name of the module with the plugin's hooks.
        hook: the hook that mtkd called or whose result it refused, if any.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    files, folders = _sources(module)
    found = str(files[0]) if files else ""
    code = getattr(hook, "__code__", None)
    if code is not None:
        found = f"{code.co_filename}:{code.co_firstlineno}"
    trace = error.__traceback__
    while trace is not None:  # the innermost frame in the plugin's own code
        file = Path(trace.tb_frame.f_code.co_filename)
        if file in files or any(folder in file.parents for folder in folders):
            found = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _sources(module: str) -> tuple[list[Path], list[Path]]:
    """Return the file of a module's top-level package, and the folders of the package. Imports neither."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return [], []
    if spec is None:
        return [], []
    return [Path(spec.origin)] if spec.origin else [], [*map(Path, spec.submodule_search_locations or ())]
