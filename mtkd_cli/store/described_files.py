"""Describe the content of many files in one pass over their bytes; later, notice which of them changed.

Each file is read once, and a record about it is kept in a manifest of the store. Later, a file is read again
if its size, its time of modification or its time of change is another. The time of change cannot be set: on
local file systems it betrays an edit that keeps the size and resets the time of modification. Where it does
not (some network file systems, an edit of the disk itself), a random sample of S of N files, another one at
each start, finds such an edit with probability S / N. ``verify_all`` reads every file.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.files.file_listing import Listing, list_files
from mtkd_cli.files.parallel_read import read_each
from mtkd_cli.store import content_store, file_manifest
from mtkd_cli.store.file_manifest import Manifest

LOG = logging.getLogger("mtkd")

SAMPLE_FILES = 64
SAMPLE_BYTES = 2**28
"""The random sample ends at this size; it has at least one file."""

SAVE_SECONDS = 60
"""A killed process loses at most this much reading."""

SILENT_SECONDS = 3
"""Seconds of reading before it is mentioned."""

CLOCK_NS, COARSE_CLOCK_NS = 50_000_000, 2_000_000_000
"""Upper bounds on the resolution of times of change; the second one if they are in whole seconds."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Describer:
    """Describes files, and shows how far it is."""

    describe: Callable[[bytes], tuple[Any, ...]]
    say: Say

    def read(self, paths: Sequence[Path], rows: NDArray[np.int64], found: NDArray[Any]) -> Iterator[int]:
        """Fill ``found [R]`` with the records of the files at ``rows [R]``; yield how many are done."""

        def use(index: int, content: bytes) -> None:
            found[index] = tuple(
                np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
                for value in self.describe(content)
            )

        started = time.monotonic()
        next_line = started + SILENT_SECONDS
        for done in read_each(paths, rows, use):
            if (now := time.monotonic()) > next_line and done < len(rows):
                left = (now - started) * (len(rows) - done) / done
                self.say(
                    f"reading {len(rows):,} files once: {done:,} done, {max(1, round(left / 60))} min left"
                )
                next_line = now + SAVE_SECONDS
            yield done


def describe_files(
    paths: Sequence[Path],
    describe: Callable[[bytes], tuple[Any, ...]],
    dtype: np.dtype[Any],
    version: str,
    verify_all: bool = False,
    say: Say = LOG.info,
) -> NDArray[Any]:
    """Return a record about the content of each file, ``[N]``, see `mtkd_cli.interfaces.DataCache`.

    Args:
        paths: N files.
        describe: function from the content of a file to the fields of its record; several threads call it.
        dtype: structured type of a record.
        version: name and version of ``describe``.
        verify_all: whether to read every file, not only changed ones and a random sample.
        say: shows a line to the user.

    Raises:
        DataError: a file cannot be read; names the file.
    """
    if not len(paths):
        return np.empty(0, dtype)
    describer = _Describer(describe, say)
    listing = list_files(paths)
    key = file_manifest.key_of(listing.root, version, dtype)
    folder = content_store.folder_of(file_manifest.KIND, key)

    records, is_known = _look_up(folder, listing, dtype)
    again = np.flatnonzero(is_known) if verify_all else _draw_sample(is_known, listing.times[:, 0])
    is_wrong = _correct(records, again, listing, describer)
    if is_wrong:
        is_known[:] = False
        is_known[again] = True
    missing = len(paths) - np.count_nonzero(is_known)
    if is_wrong or missing:
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(DataError):  # a read-only store has no locks, and needs none
                stack.enter_context(content_store.lock_folder(folder))
            if not is_wrong:  # another process may have read the missing files in the meantime
                records, is_known = _look_up(folder, listing, dtype)
            if is_wrong or not is_known.all():
                _read_missing(records, is_known, listing, describer, key)
    content_store.touch(folder)
    if verify_all or missing + len(again) < len(paths):
        say(
            f"{len(paths):,} files in {listing.root or '.'}: {missing:,} new or changed, "
            f"{len(again):,} others read again to check them"
        )
    return records


def _look_up(folder: Path, listing: Listing, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the records in the manifest, ``[N]``, and whether the file is the one that was read, ``[N]``."""
    manifest = file_manifest.load(folder)
    if manifest is None or not len(manifest):
        return np.zeros(len(listing), dtype), np.zeros(len(listing), bool)
    rows = manifest.find(listing.hashes)
    is_known = (rows >= 0) & (manifest.times[rows] == listing.times).all(axis=1)
    return manifest.records[rows], is_known


def _draw_sample(is_known: NDArray[np.bool_], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return random indices of known files, others at each start: no result depends on them."""
    known = np.flatnonzero(is_known)
    drawn = known[random.SystemRandom().sample(range(len(known)), min(SAMPLE_FILES, len(known)))]
    count = np.searchsorted(np.cumsum(sizes[drawn]), SAMPLE_BYTES, side="right")
    return drawn[: max(1, int(count))]


def _correct(records: NDArray[Any], rows: NDArray[np.int64], listing: Listing, describer: _Describer) -> bool:
    """Read known files again and correct their records; warn and return True if any was wrong."""
    found = np.zeros(len(rows), records.dtype)
    for _ in describer.read(listing.paths, rows, found):
        pass
    wrong = rows[_differ(records[rows], found)]
    records[rows] = found
    if len(wrong):
        LOG.warning(
            "%d of %d files that were read again have other bytes than before, with the same size and times, "
            "e.g. %s; all files are read again",
            len(wrong),
            len(rows),
            listing.paths[wrong[0]],
        )
    return len(wrong) > 0


def _differ(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which records have other bytes in any field, ``[R]``. NaN equals NaN."""
    differ = np.zeros(len(one), bool)
    for name in one.dtype.names or ():
        first, second = (
            np.frombuffer(each[name].tobytes(), np.uint8).reshape(len(one), one.dtype[name].itemsize)
            for each in (one, other)
        )
        differ |= (first != second).any(axis=1)
    return differ


def _read_missing(
    records: NDArray[Any],
    is_known: NDArray[np.bool_],
    listing: Listing,
    describer: _Describer,
    key: dict[str, Any],
) -> None:
    """Describe the files that are not known yet. Save the manifest, also if reading fails in between."""
    rows = np.flatnonzero(~is_known)
    found = np.zeros(len(rows), records.dtype)
    _wait_for_clock(listing.times[rows, 2])
    count, saved = 0, time.monotonic()
    try:
        for done in describer.read(listing.paths, rows, found):
            records[rows[count:done]], is_known[rows[count:done]] = found[count:done], True
            count = done
            if time.monotonic() - saved > SAVE_SECONDS:
                _save(records, is_known, listing, key)
                saved = time.monotonic()
    finally:
        _save(records, is_known, listing, key)


def _wait_for_clock(changed: NDArray[np.int64]) -> None:
    """Wait until files that changed just now would get another time of change if they changed again.

    Args:
        changed: times of change in ns.
    """
    newest = int(changed.max(initial=0))
    resolution = COARSE_CLOCK_NS if newest % 1_000_000_000 == 0 else CLOCK_NS
    left = newest + resolution - time.time_ns()
    if 0 < left <= resolution:  # more: the clock of another machine, or a time in the future
        time.sleep(left / 1e9)


def _save(records: NDArray[Any], is_known: NDArray[np.bool_], listing: Listing, key: dict[str, Any]) -> None:
    """Save what is known about the listing, and about other files of the manifest that still exist."""
    keep = np.zeros(len(listing), bool)
    keep[np.unique(listing.hashes, return_index=True)[1]] = True  # a listing may have a file twice
    keep &= is_known
    manifest = Manifest(listing.join_names(keep), listing.times[keep], records[keep])
    before = file_manifest.load(content_store.folder_of(file_manifest.KIND, key))
    others = before.others(listing.root, listing.hashes) if before else None
    try:
        file_manifest.save(key, manifest, others)
    except DataError as error:
        LOG.warning("%s: the files will be read again at the next start", error.what)
