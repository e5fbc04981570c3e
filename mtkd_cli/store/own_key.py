"""Keys of results that only one run may use: those it trained in several numbers of processes.

Their bits depend on the step at which the number changed, so no other run may find them under the usual key.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from typing import Any

from mtkd_cli.distributed import group
from mtkd_cli.files import atomic
from mtkd_cli.store import content_store


def key_of_run(kind: str, key: Mapping[str, Any], run: str) -> dict[str, Any]:
    """Return the key of a result for a run: its own key, unless a result of the usual key exists.

    Args:
        kind: kind of content.
        key: the usual key.
        run: identifies the run; empty: the run uses the usual key.
    """
    own = {**key, "run": run}
    if run and (content_store.folder_of(kind, own).is_dir() or not content_store.find(kind, key)):
        return own
    return dict(key)


def continue_unfinished(kind: str, own: Mapping[str, Any]) -> None:
    """Copy the checkpoints of the usual key to those of a run's own key, unless it has some.

    Nothing is copied while another process trains the result of the usual key.

    Args:
        kind: kind of content.
        own: key from `key_of_run`.
    """
    key = {name: value for name, value in own.items() if name != "run"}
    old, new = content_store.unfinished_folder(kind, key), content_store.unfinished_folder(kind, own)
    if "run" not in own or not group.is_first() or new.exists() or not old.is_dir():
        return
    with (
        contextlib.suppress(BlockingIOError),
        content_store.lock_folder(old, wait=False),
        atomic.disk_errors(new),
        atomic.workplace(new) as work,
    ):
        shutil.copytree(old, work / "copy")
        (work / "copy").rename(new)
