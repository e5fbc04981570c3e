"""Check that a data source gives samples that the engine can use."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mtkd_cli.errors import MtkdError
from mtkd_cli.interfaces import DataCache, Samples, SourceData
from mtkd_cli.specs import DataSpec
from mtkd_cli.store.data_cache import StoreCache
from mtkd_cli.testing.broken import NotCheckedError, require


def check_data(factory: Callable[..., Any], spec: DataSpec) -> None:
    """Check a data source by loading it twice.

    Args:
        factory: makes the source, its options chosen; it is told ``task=`` if it takes that.
        spec: its spec.

    Raises:
        BrokenRuleError: the first rule that is broken, and how.
        NotCheckedError: its files are not here.
    """
    who = f"the data source {spec.name!r}"
    told = {"task": spec.tasks[0]} if spec.tasks and "task" in inspect.signature(factory).parameters else {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            first, second = (factory(**told).load(cache_in(Path(folder))) for _ in range(2))
        except MtkdError as error:
            raise NotCheckedError(error.what) from error
        right = isinstance(first, SourceData)
        require(right, who, "load returns SourceData", f"it returns a {type(first).__name__}")
        require(bool(first.classes), who, "classes have names", "there are none")
        require(len(set(first.classes)) == len(first.classes), who, "class names are unique", "some repeat")
        for name in ("train", "val", "test"):
            one, other = getattr(first, name), getattr(second, name)
            if one is not None:
                _samples(f"{who}, split {name}", one, spec, len(first.classes))
                _same(f"{who}, split {name}", one, other)


def cache_in(folder: Path) -> DataCache:
    """Return a cache for tests of a data source: ``Mine().load(cache_in(tmp_path))``.

    Args:
        folder: the cache's; what the source keeps by a key goes into the store, see ``MTKD_STORE``.
    """
    return StoreCache(folder)


def _samples(who: str, samples: Samples, spec: DataSpec, classes: int) -> None:
    count = len(samples.ids)
    rule = "a row for each id"
    require(count > 0, who, "it has samples", "it has none")
    require(len(set(samples.ids)) == count, who, "ids are unique", "some repeat")
    require(len(samples.targets) == count, who, rule, f"{count} ids, {len(samples.targets)} labels")
    rows = len(samples.inputs if samples.rows is None else samples.rows)
    require(rows == count, who, rule, f"{count} ids, {rows} inputs")
    for name, column in samples.metadata.items():
        require(len(column) == count, who, rule, f"{count} ids, {len(column)} values of {name}")
    shown = samples.read(slice(0, 2))
    got = f"{shown.dtype} {shown.shape}"
    if spec.inputs == "image":
        good = shown.dtype == np.uint8 and shown.ndim == 4
        require(good, who, "images are uint8 [M, C, H, W]", f"they are {got}")
    else:
        good = shown.dtype in (np.float64, np.float32) and shown.ndim == 2
        require(good, who, "tables are float64 or float32 [M, F]", f"they are {got}")
    targets = samples.targets
    if targets.dtype.kind in "iu" and targets.ndim == 1:
        inside = bool(((targets >= -1) & (targets < classes)).all())
        how = f"they are {targets.min()} to {targets.max()} of {classes} classes"
        require(inside, who, "labels are class numbers, -1 for none", how)


def _same(who: str, one: Samples, other: Samples) -> None:
    same = (
        one.ids == other.ids
        and np.array_equal(one.targets, other.targets, equal_nan=one.targets.dtype.kind == "f")
        and np.array_equal(one.read(slice(0, 64)), other.read(slice(0, 64)))
    )
    require(same, who, "loading twice gives the same", "it does not")
