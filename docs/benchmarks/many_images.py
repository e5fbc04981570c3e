"""Start of a run on many small images in tar shards: from the process's start to the first batch, and memory.

    python docs/benchmarks/many_images.py --images 1280000 --folder many

The shards are written if the folder does not exist. Each start is a process: imports, the recipe, the
data, its splits, the student and its optimizer, and the views of the first batch of 64. What the step itself
needs depends on the student. The first start reads all bytes once.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SHARD = 10_000
VARIANTS = 500
CLASSES = 100
STARTED = time.time()


def write_shards(folder: Path, images: int, side: int) -> None:
    """Write tar shards of JPEG files; each file is different, and its class is a number."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    encoded = []
    for _ in range(VARIANTS):
        content = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(
            content, "JPEG", quality=50
        )
        encoded.append(content.getvalue())
    for first in range(0, images, SHARD):
        with tarfile.open(folder / f"train-{first // SHARD:05}.tar", "w") as shard:
            for number in range(first, min(first + SHARD, images)):
                picture = encoded[number % VARIANTS] + number.to_bytes(8, "little")
                for ending, content in (("jpg", picture), ("cls", str(number % CLASSES).encode())):
                    entry = tarfile.TarInfo(f"{number:08}.{ending}")
                    entry.size = len(content)
                    shard.addfile(entry, io.BytesIO(content))


def start(folder: str) -> None:
    """Load the data as `mtkd distill` does, and print the seconds to the first batch and the memory."""
    import torch

    from mtkd_cli.data.views import views_of
    from mtkd_cli.models.build import build_student
    from mtkd_cli.models.preprocess import with_preprocessing
    from mtkd_cli.recipe.load import load
    from mtkd_cli.runs.pipeline import load_data

    torch.set_num_threads(1)
    recipe = Path(folder).parent / "many.yaml"
    recipe.write_text(
        f"task: classification\ndata: {{name: webdataset, path: {folder}, size: 224, cache: none}}\n"
        "teachers: [{model: 'mlp:8', fit: all}]\nstudent: convnet:8-16-32\naugment: {flip: true}\n"
    )
    parts = load(str(recipe), [])
    data, task = load_data(parts)
    loaded = time.time()
    rows = np.random.default_rng(0).choice(len(data.train), 64, replace=False)
    student = with_preprocessing(build_student(parts.student, parts.recipe.student, data, task, 0))
    torch.optim.AdamW(student.parameters())  # imports a third of torch
    views = views_of(data.train, rows, 1, 0, parts.recipe.augment)
    print(
        json.dumps(
            {
                "samples": len(data.train) + len(data.val) + len(data.test),
                "outputs": task.outputs,
                "loaded": loaded - float(os.environ["STARTED"]),
                "first_batch": time.time() - float(os.environ["STARTED"]),
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "shape": list(views.shape),
            }
        )
    )


def main() -> None:
    """Write the shards, start three times, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=1_280_000)
    parser.add_argument("--side", type=int, default=16, help="side of an image, in pixels")
    parser.add_argument("--folder", type=Path, help="folder of the shards; default: a temporary one")
    parser.add_argument("--start", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.start:
        start(given.start)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary) / "many") / "shards"
        if not folder.exists():
            write_shards(folder, given.images, given.side)
        store = folder.parent / "store"
        shutil.rmtree(store, ignore_errors=True)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{given.images:,} images in {len(list(folder.iterdir()))} shards, {size / 2**20:,.0f} MiB\n")
        print("| start | data loaded | first batch | peak memory | kept in the store, of the shards |")
        print("| --- | --- | --- | --- | --- |")
        for number in range(1, 4):
            environment = {**os.environ, "MTKD_STORE": str(store), "STARTED": str(time.time())}
            command = [sys.executable, __file__, "--start", str(folder)]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            kept = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
            print(
                f"| {number} | {found['loaded']:.1f} s | {found['first_batch']:.1f} s | "
                f"{found['peak_mib']:,.0f} MiB | {kept / size:.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
