"""Load an attribute of a local file or an installed module: ``my.py:Mine``, ``pkg.mod:Mine``."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from mtkd_cli.errors import UsageError, nearest_or_all, type_and_first_line
from mtkd_cli.safe_loading.global_state import keep_global_state
from mtkd_cli.safe_loading.stdout import stdout_on_stderr

PREFIX = "python:"


def load_attribute(reference: str) -> Any:
    """Return the attribute that ``FILE_OR_MODULE:ATTRIBUTE`` names. Runs the code of the module.

    Global settings that the code changes are restored, see `mtkd_cli.safe_loading.global_state`.

    Raises:
        UsageError: there is no such file, module or attribute, or the code raises.
    """
    module_name, _, attribute = reference.removeprefix(PREFIX).rpartition(":")
    if not module_name or not attribute:
        raise UsageError(f"{reference!r} does not name an attribute", hint="write python:FILE.py:NAME")
    with contextlib.suppress(ImportError):
        importlib.import_module("torch")  # first: its settings before the code runs are those to restore
    try:
        with keep_global_state(module_name), stdout_on_stderr():
            module = (
                _from_file(Path(module_name))
                if module_name.endswith(".py")
                else importlib.import_module(module_name)
            )
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"{module_name} cannot be imported: {type_and_first_line(error)}",
            where=reference,
            hint="run the file with python to see the full traceback",
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        raise UsageError(
            f"{module_name} has no {attribute!r}",
            where=reference,
            hint=nearest_or_all(attribute, [n for n in vars(module) if not n.startswith("_")]),
        ) from error


def source_hash(reference: str) -> str:
    """Return the SHA-256 of the source that a reference names, including imported files in its folder.

    For a module in a package, this imports the package to find the source.
    """
    name = reference.removeprefix(PREFIX).rpartition(":")[0]
    files = source_files(reference)
    if not name.endswith(".py"):
        with contextlib.suppress(ImportError, ValueError):
            found = importlib.util.find_spec(name)
            files = _imported_siblings(Path(found.origin)) if found and found.origin else []
    digest = hashlib.sha256()
    for source in files:
        digest.update(source.read_bytes())
    return digest.hexdigest() if files else ""


def source_files(reference: str) -> list[Path]:
    """Return the file that a reference names and the files in its folder that it imports.

    Empty if the reference names an installed module.
    """
    name = reference.removeprefix(PREFIX).rpartition(":")[0]
    return _imported_siblings(Path(name)) if name.endswith(".py") else []


def _imported_siblings(path: Path) -> list[Path]:
    return sorted(_closure(path.resolve())) if path.is_file() else []


def _closure(path: Path) -> set[Path]:
    """Return a file and all files in its folder that it imports, directly or indirectly."""
    found, new = {path}, [path]
    while new:
        try:
            tree = ast.parse(new.pop().read_bytes())
        except (SyntaxError, ValueError):
            continue
        names: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {
                    node.module or "",
                    *(f"{node.module or ''}.{a.name}".strip(".") for a in node.names),
                }
        for name in names:
            imported = path.parent / f"{name.rpartition('.')[2]}.py"
            if imported.is_file() and imported not in found:
                found.add(imported)
                new.append(imported)
    return found


def _from_file(path: Path) -> Any:
    if not path.is_file():  # reading a pipe or a device might never end
        raise FileNotFoundError(f"no file {path}")
    name = f"mtkd_local_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # as Python does for a script, so that it can import files in its folder
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(folder)
    return module
