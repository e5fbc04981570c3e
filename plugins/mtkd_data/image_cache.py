"""Read encoded images: keep them decoded in memory or on disk, or decode them on demand."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from mtkd_cli.interfaces import DataCache, FrameLabels, Frames, PackedIds, Reader, Samples, WindowReader
from mtkd_cli.reading.encoded_images import EncodedImages
from mtkd_cli.reading.image_reader import DecodedOnDemand, DecodeOptions
from mtkd_cli.reading.images import FORMAT, KINDS
from mtkd_data.decode import decode_into, decode_to_file, unreadable

MOST_SKIPPED = 0.01
"""Maximum fraction of a split's images that may be skipped; one image may always be skipped."""

DISK_SHARE = 0.1
"""Largest share of the free disk space that decoded images may take by default."""

MEMORY_SHARE = 0.25
"""Largest share of the free memory that decoded images may take by default, if the disk is too small."""


@dataclass(frozen=True)
class SplitImages:
    """The readable images of a split.

    Attributes:
        inputs: reader of the images ``[M, C, H, W]``.
        rows: ``[M]``, rows of the readable images in the list of all.
        contents: ``[M, 32]``, see `Samples.contents`.
        sizes: ``[M, 2]``, height and width of the original images.
        options: how they are decoded.
        windows: reader of parts of the original images.
    """

    inputs: NDArray[np.uint8] | Reader
    rows: NDArray[np.int64]
    contents: NDArray[np.uint8]
    sizes: NDArray[np.int32]
    options: DecodeOptions
    windows: WindowReader

    def to_samples(
        self,
        ids: Sequence[str],
        targets: NDArray[Any],
        files: Sequence[Path] = (),
        metadata: Mapping[str, NDArray[Any]] | None = None,
        labels: FrameLabels | None = None,
    ) -> Samples:
        """Return the samples of the M readable images.

        Args:
            ids: ids of the M samples.
            targets: targets of the M samples.
            files: files of the M samples, or ``()``.
            metadata: columns of M values.
            labels: labels of the M samples on the original images.
        """
        return Samples(
            ids if isinstance(ids, PackedIds) else tuple(ids),
            self.inputs,
            targets,
            metadata or {},
            files=files,
            contents=self.contents,
            decoder=json.dumps(_decoding(self.options), sort_keys=True),
            frames=Frames(self.sizes, self.options.fit, labels),
            windows=self.windows,
        )


def read_images(cache: DataCache, encoded: EncodedImages, options: DecodeOptions) -> SplitImages:
    """Return the readable images; which cache is chosen does not change a bit of them.

    Args:
        cache: cache of decoded images.
        encoded: N encoded images.
        options: how to decode them, and where to keep them.

    Raises:
        DataError: an image cannot be read; with ``options.skip``, too many cannot.
    """
    facts = encoded.facts()
    bad = {int(row): f"not a whole {KINDS} image" for row in np.flatnonzero(facts["height"] == 0)}
    place = choose_cache(cache.folder, len(facts) * options.image_bytes, options.cache)
    max_bad = max(1, int(len(facts) * MOST_SKIPPED)) if options.skip else 0
    if place == "none":
        if len(bad) > max_bad:
            raise unreadable(encoded.name(row := sorted(bad)[max_bad]), bad[row], max_bad)
        readable = np.delete(np.arange(len(facts)), list(bad))
        inputs: NDArray[np.uint8] | Reader = DecodedOnDemand(encoded, options, readable)
    elif place == "memory":
        decoded, bad = decode_into(encoded, options, max_bad)
        readable, inputs = np.delete(np.arange(len(facts)), list(bad)), decoded
    else:
        decoded, bad = _kept_on_disk(cache, encoded, facts, options, max_bad)
        readable, inputs = np.delete(np.arange(len(facts)), list(bad)), decoded
    if bad:
        if not options.skip:
            raise unreadable(encoded.name(first := min(bad)), bad[first], 0)
        _report_skipped(encoded, bad)
    return SplitImages(
        inputs,
        readable,
        facts["sha256"][readable] if bad else facts["sha256"],  # all of them: without a copy
        np.stack([facts["height"], facts["width"]], axis=1)[readable],
        options,
        DecodedOnDemand(encoded, options, readable),
    )


def choose_cache(folder: Path, size: int, wanted: str = "auto") -> str:
    """Return where to keep decoded images: ``disk``, ``memory`` or ``none``.

    By default on disk, if they take at most a tenth of the free space there; else in memory, if they take at
    most a quarter of what is free; else nowhere.

    Args:
        folder: folder on the disk.
        size: size of the decoded images, in bytes.
        wanted: the recipe's ``data.cache``.
    """
    if wanted != "auto":
        return wanted
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if size <= DISK_SHARE * shutil.disk_usage(existing).free and os.access(existing, os.W_OK):
        return "disk"
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return "memory" if size <= MEMORY_SHARE * free else "none"


def _decoding(options: DecodeOptions) -> dict[str, Any]:
    """Return what determines the pixels of a file, for JSON."""
    height, width = options.grid
    return {
        "size": height if height == width else [height, width],
        "channels": options.channels,
        "decoder": FORMAT,
        "pillow": PIL.__version__,
        **({} if options.fit == "crop" else {"fit": options.fit}),
    }


def _kept_on_disk(
    cache: DataCache, encoded: EncodedImages, facts: NDArray[Any], options: DecodeOptions, max_bad: int
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    digests = "".join(digest.tobytes().hex() for digest in facts["sha256"])
    key = {"images": hashlib.sha256(digests.encode()).hexdigest(), **_decoding(options)}

    def write(folder: Path) -> None:
        bad = decode_to_file(encoded, folder / "images.npy", options, max_bad)
        (folder / "bad.json").write_text(json.dumps(bad))

    folder = cache.keep(key, write)
    bad = {int(row): why for row, why in json.loads((folder / "bad.json").read_text()).items()}
    return cache.mapped(folder / "images.npy"), bad


def _report_skipped(encoded: EncodedImages, bad: Mapping[int, str]) -> None:
    """Log the skipped images, also if an earlier run decoded them."""
    log = logging.getLogger("mtkd")
    log.warning("skipped %d of %d images that cannot be read:", len(bad), len(encoded))
    for row, why in sorted(bad.items()):
        log.warning("  %s: %s", encoded.name(row), why)
