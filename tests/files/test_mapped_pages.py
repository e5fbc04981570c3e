"""Pages of a mapped file are given back, and its content stays."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mtkd_cli.files.mapped_pages import release_pages


def resident_bytes(file: Path) -> int:
    """Return how many bytes of a mapped file are in the memory of this process."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.endswith(str(file)))
    return int(next(line for line in lines[start:] if line.startswith("Rss:")).split()[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pages_of_a_mapped_file_are_released(tmp_path: Path) -> None:
    kind = np.dtype([("digest", np.uint8, 32), ("size", np.int32)])
    np.zeros(200_000, kind).tofile(tmp_path / "facts")
    mapped = np.memmap(tmp_path / "facts", kind, "r")
    assert mapped["digest"].sum() == 0
    assert resident_bytes(tmp_path / "facts") > 6_000_000
    release_pages(mapped["digest"])  # a view of the map
    assert resident_bytes(tmp_path / "facts") < 500_000
    assert mapped["size"][-1] == 0


def test_changes_of_private_maps_and_other_arrays_are_kept(tmp_path: Path) -> None:
    np.zeros(10_000).tofile(tmp_path / "own")
    private = np.memmap(tmp_path / "own", np.float64, "c")
    private[:] = 3
    release_pages(private)
    assert (private == 3).all()
    release_pages(np.ones(3))
    release_pages(None)
