"""Fetch a teacher's recordings and fitted weights from the remote store, and copy new ones to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mtkd_cli.data.dataset import Split
from mtkd_cli.distributed import group
from mtkd_cli.store import content_store, recorded_outputs, remote
from mtkd_cli.teachers import recording
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher
from mtkd_cli.training.context import Context


def fetch_recorded(teacher: ResolvedTeacher, needed: Iterable[tuple[Split, int]], context: Context) -> None:
    """Fetch the arrays that are not complete in the local store. Only the first process does.

    Args:
        teacher: the teacher.
        needed: splits and view numbers.
        context: context of the run.
    """
    store = remote.configured() if group.is_first() else None
    for split, number in needed if store else ():
        key = recording.key(teacher.key, split, number, context.recipe, context.task)
        if store and not recorded_outputs.is_complete(key, len(split)):
            store.fetch("outputs", key, context.progress.say)


def send_recorded(keys: Iterable[Mapping[str, Any]], context: Context) -> None:
    """Copy complete arrays to the remote store. Only the first process does."""
    store = remote.configured() if group.is_first() else None
    for key in keys if store else ():
        if store:
            store.send("outputs", recorded_outputs.folder_of(key), context.progress.say)


def fetch_fitted(fit_key: Mapping[str, Any], context: Context) -> None:
    """Fetch fitted weights that are not in the local store. Only the first process does."""
    store = remote.configured() if group.is_first() else None
    if store and content_store.find("fitted", fit_key) is None:
        store.fetch("fitted", fit_key, context.progress.say)


def send_fitted(fit_key: Mapping[str, Any], context: Context) -> None:
    """Copy fitted weights to the remote store. Only the first process does."""
    store = remote.configured() if group.is_first() else None
    if store:
        store.send("fitted", content_store.folder_of("fitted", fit_key), context.progress.say)
