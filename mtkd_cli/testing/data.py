"""Check that a data source returns valid samples."""

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
from mtkd_cli.testing.guesses import check_guess


def check_data(factory: Callable[..., Any], spec: DataSpec) -> None:
    """Check a data source by loading it twice.

    Args:
        factory: returns the source with its options; gets ``task=`` if it has this parameter.
        spec: spec of the source.

    Raises:
        BrokenRuleError: a rule is broken; names the first one.
        NotCheckedError: the files of the source are missing.
    """
    who = f"the data source {spec.name!r}"
    check_guess(who, spec)
    arguments = (
        {"task": spec.tasks[0]} if spec.tasks and "task" in inspect.signature(factory).parameters else {}
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            first, second = (factory(**arguments).load(cache_in(Path(folder))) for _ in range(2))
        except MtkdError as error:
            raise NotCheckedError(error.what) from error
        is_source_data = isinstance(first, SourceData)
        require(is_source_data, who, "load returns SourceData", f"it returns a {type(first).__name__}")
        require(bool(first.classes), who, "classes have names", "the list of classes is empty")
        require(
            len(set(first.classes)) == len(first.classes), who, "class names are unique", "it has duplicates"
        )
        for name in ("train", "val", "test"):
            one, other = getattr(first, name), getattr(second, name)
            if one is not None:
                _check_samples(f"{who}, split {name}", one, spec, len(first.classes))
                _check_equal(f"{who}, split {name}", one, other)


def cache_in(folder: Path) -> DataCache:
    """Return a cache for tests of a data source: ``Mine().load(cache_in(tmp_path))``.

    Args:
        folder: folder of the cache. Values kept by a key go into the store, see ``MTKD_STORE``.
    """
    return StoreCache(folder)


def _check_samples(who: str, samples: Samples, spec: DataSpec, classes: int) -> None:
    count = len(samples.ids)
    rule = "a row for each id"
    require(count > 0, who, "it has samples", "it is empty")
    require(len(set(samples.ids)) == count, who, "ids are unique", "it has duplicates")
    require(len(samples.targets) == count, who, rule, f"{count} ids, {len(samples.targets)} labels")
    rows = len(samples.inputs if samples.rows is None else samples.rows)
    require(rows == count, who, rule, f"{count} ids, {rows} inputs")
    for name, column in samples.metadata.items():
        require(len(column) == count, who, rule, f"{count} ids, {len(column)} values of {name}")
    require(len(samples.files) in (0, count), who, rule, f"{count} ids, {len(samples.files)} files")
    shown = samples.read(slice(0, 2))
    got = f"{shown.dtype} {shown.shape}"
    if spec.inputs == "image":
        is_valid = shown.dtype == np.uint8 and shown.ndim == 4
        require(is_valid, who, "images are uint8 [M, C, H, W]", f"they are {got}")
    else:
        is_valid = shown.dtype in (np.float64, np.float32) and shown.ndim == 2
        require(is_valid, who, "tables are float64 or float32 [M, F]", f"they are {got}")
    targets = samples.targets
    if targets.dtype.kind in "iu" and targets.ndim == 1:
        in_range = bool(((targets >= -1) & (targets < classes)).all())
        how = f"they are {targets.min()} to {targets.max()} of {classes} classes"
        require(in_range, who, "labels are class numbers, or -1 if missing", how)


def _check_equal(who: str, one: Samples, other: Samples) -> None:
    same = (
        tuple(one.ids) == tuple(other.ids)
        and np.array_equal(one.targets, other.targets, equal_nan=one.targets.dtype.kind == "f")
        and np.array_equal(one.read(slice(0, 64)), other.read(slice(0, 64)))
    )
    require(same, who, "loading twice returns the same samples", "the samples differ")
