"""Find the folder of a run, an audit, a comparison or a search by its name."""

from __future__ import annotations

from pathlib import Path

from mtkd_cli.errors import UsageError, nearest
from mtkd_cli.report.results import KINDS

ROOTS = (Path("runs"), Path("audits"), Path("comparisons"), Path("searches"))


def result_folder(given: str) -> Path:
    """Return the folder of a result.

    Args:
        given: its path, or its name in ``runs/``, ``audits/``, ``comparisons/`` or ``searches/``.

    Raises:
        UsageError: there is no such folder, or several have the name.
    """
    folders = [folder for folder in (Path(given), *(root / given for root in ROOTS)) if folder.is_dir()]
    with_result = [folder for folder in folders if any((folder / name).is_file() for name in KINDS)]
    if Path(given) in with_result:
        return Path(given)
    found = with_result or folders[:1]
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} results are named {given!r}", "FOLDER", f"write {' or '.join(map(str, found))}"
        )
    if not found:
        known = sorted(path.name for root in ROOTS if root.is_dir() for path in root.iterdir())
        raise UsageError(
            f"no result {given!r}", "FOLDER", nearest(given, known) or "mtkd list runs shows the runs"
        )
    return found[0]
