"""Measure how long it takes to identify many small files, at the first start and at later ones.

python docs/benchmarks/manifest.py [--files 100000] [--work FOLDER]

Writes small files in class folders below a temporary folder, and describes them by SHA-256 and size, as the
sources of images do. Each start is a new process with the same store. Prints the table of manifest.md; the
files are deleted at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FIELDS = np.dtype([("sha256", np.uint8, 32), ("height", np.int32), ("width", np.int32)])
FILES_A_FOLDER = 1000
BYTES = 2000

STARTS = {
    "read each file, as before": "plain",
    "first start": "sample",
    "second start": "sample",
    "second start, one file changed": "touch",
    "`--verify all`": "all",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--work", help="folder for the temporary files; default: that of the system")
    parser.add_argument("--start", nargs=2, metavar=("HOW", "ROOT"), help="measure one start; internal")
    arguments = parser.parse_args()
    if arguments.start:
        measure(arguments.start[0], Path(arguments.start[1]))
    else:
        compare(arguments.files, arguments.work)


def compare(count: int, place: str | None) -> None:
    """Measure all starts and print the table."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        root = Path(folder) / "files"
        write_files(root, count)
        os.sync()
        rows = {name: start(root, how, Path(folder) / "store") for name, how in STARTS.items()}
        size = sum(path.stat().st_size for path in (Path(folder) / "store").rglob("*") if path.is_file())
    print(
        f"{count:,} files of {BYTES:,} bytes, {os.cpu_count()} cores, Python {platform.python_version()}, ",
        end="",
    )
    print(f"NumPy {np.__version__}; manifest: {size / 1e6:.1f} MB\n")
    print("| | time | CPU time | files read | memory | of it for the paths | for their description |")
    print("|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        before, paths, after = (row[key] / 1e6 for key in ("before", "paths", "peak"))
        print(
            f"| {name} | {row['seconds']:.2f} s | {row['cpu']:.2f} s | {row['read']:,} | {after:.0f} MB "
            f"| {paths - before:.0f} MB | {after - paths:.0f} MB |"
        )


def write_files(root: Path, count: int) -> None:
    """Write files with different contents."""
    for number in range(count):
        folder = root / f"class-{number // FILES_A_FOLDER:04}"
        if number % FILES_A_FOLDER == 0:
            folder.mkdir(parents=True)
        content = hashlib.shake_128(number.to_bytes(8, "little")).digest(BYTES)
        (folder / f"image-{number:08}.jpg").write_bytes(content)


def start(root: Path, how: str, store: Path) -> dict[str, float]:
    """Run one start in a new process, and return what it measured."""
    command = [sys.executable, str(Path(__file__).resolve()), "--start", how, str(root)]
    environment = {**os.environ, "MTKD_STORE": str(store)}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def measure(how: str, root: Path) -> None:
    """Describe all files and print time, number of files read, and memory in bytes."""
    from mtkd_cli.store.described_files import describe_files

    read: list[None] = []

    def describe(content: bytes) -> tuple[bytes, int, int]:
        read.append(None)
        return hashlib.sha256(content).digest(), len(content), 0

    before = memory()
    paths = [path for folder in sorted(root.iterdir()) for path in sorted(folder.iterdir(), key=str)]
    listed = memory()
    if how == "touch":
        os.utime(paths[len(paths) // 2])
    started, cpu = time.perf_counter(), time.process_time()
    if how == "plain":
        for path in paths:
            describe(path.read_bytes())
    else:
        describe_files(paths, describe, FIELDS, "1", verify_all=how == "all")
    taken = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    print(json.dumps({**taken, "read": len(read), "before": before, "paths": listed, "peak": memory()}))


def memory() -> int:
    """Return the peak of the resident memory in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
