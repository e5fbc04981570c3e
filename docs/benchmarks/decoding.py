"""Training on JPEG files decoded on demand, against a DataLoader with the same decoder and against the cache.

    python docs/benchmarks/decoding.py

One small student, one optimizer step per batch; the three programs take turns. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mtkd_cli.data.dataset import Split
from mtkd_cli.interfaces import InputSpec, LossOptions, ModelRequest, Samples, TaskData
from mtkd_cli.reading import images
from mtkd_cli.reading.encoded_images import ImageFiles
from mtkd_cli.reading.image_reader import DecodeOptions
from mtkd_cli.recipe.schema import Augment
from mtkd_cli.store.data_cache import StoreCache
from mtkd_cli.training.loop import Step, shuffled_batches, steps_per_epoch
from mtkd_cli.training.training_data import TrainingData
from mtkd_data.image_cache import read_images
from mtkd_tasks.classification import Classification
from mtkd_teachers.convnet import ConvNetProvider
from mtkd_teachers.mlp import MlpProvider

CLASSES = ("a", "b", "c", "d")
BATCH = 32


def write_photos(folder: Path, count: int) -> list[Path]:
    """Write smooth JPEG images of the size of ImageNet's, about 50 kB each."""
    files = []
    for number in range(count):
        rng = np.random.default_rng(number)
        height, width = ((375, 500), (333, 500), (500, 400))[number % 3]
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = (smooth + rng.integers(-12, 13, smooth.shape)).clip(0, 255).astype(np.uint8)
        files.append(folder / f"{number:05}.jpg")
        Image.fromarray(noisy).save(files[-1], quality=85)
    return files


class Photos(Dataset[tuple[Tensor, int]]):
    """The files, decoded by the same function."""

    def __init__(self, files: list[Path], size: int) -> None:
        self.files, self.size = files, size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        content = io.BytesIO(self.files[index].read_bytes())
        return torch.from_numpy(images.decode(content, self.size, 3).copy()), index % len(CLASSES)


def make_student(name: str, size: int) -> nn.Module:
    """Return a student, such as ``convnet:8-16-32`` or ``mlp:8``."""
    torch.manual_seed(0)
    kind, widths = name.split(":")
    provider = {"convnet": ConvNetProvider, "mlp": MlpProvider}[kind]()
    return provider.build(ModelRequest(widths, 3, size, len(CLASSES), pretrained=False)).module


def train(student: nn.Module, batches: Iterator[tuple[Tensor, Tensor]]) -> float:
    """Return the samples per second of one epoch."""
    optimizer = torch.optim.SGD(student.parameters(), lr=0.01)
    started, samples = time.perf_counter(), 0
    for views, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(student(views), labels).backward()
        optimizer.step()
        samples += len(labels)
    return samples / (time.perf_counter() - started)


def of_mtkd(
    files: list[Path], size: int, cache: str, workers: int
) -> Callable[[], Iterator[tuple[Tensor, Tensor]]]:
    """Return the batches of mtkd's training."""
    store = StoreCache()
    options = DecodeOptions((size, size), 3, workers=workers, cache=cache)
    read = read_images(store, ImageFiles(files, store), options)
    targets = np.arange(len(files)) % len(CLASSES)
    samples: Samples = read.to_samples([file.name for file in files], targets)
    task = Classification(TaskData(CLASSES, targets, InputSpec(size, channels=3)), LossOptions())
    data = TrainingData(
        task, Split("train", samples, ""), np.arange(len(files)), 1, 0, Augment(), torch.device("cpu")
    )

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        epoch = zip(
            range(steps_per_epoch(len(files), BATCH)), shuffled_batches(len(files), BATCH, 0), strict=False
        )
        steps = (Step(number, 0, 0.0, indices) for number, (_, indices) in epoch)
        for step in data.with_views(steps):
            yield step.views, data.labels(step).target

    return batches


def of_loader(files: list[Path], size: int, workers: int) -> Callable[[], Iterator[tuple[Tensor, Tensor]]]:
    """Return the batches of a DataLoader with worker processes that stay."""
    loader = DataLoader(
        Photos(files, size), BATCH, shuffle=True, num_workers=workers, persistent_workers=True
    )

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for pixels, labels in loader:
            yield pixels.float().div_(255), labels

    return batches


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=768)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--student", default="convnet:8-16-32", help="convnet:WIDTHS or mlp:WIDTHS")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        files = write_photos(Path(folder), given.images)
        programs = {
            "DataLoader": of_loader(files, given.size, given.workers),
            "mtkd, on demand": of_mtkd(files, given.size, "none", given.workers),
            "mtkd, cache on disk": of_mtkd(files, given.size, "disk", given.workers),
        }
        speeds: dict[str, list[float]] = {name: [] for name in programs}
        for round_number in range(given.rounds + 1):
            for name, batches in programs.items():
                speed = train(make_student(given.student, given.size), batches())
                if round_number:  # the first round starts worker processes and fills caches
                    speeds[name].append(speed)
        print(f"{given.student}, {given.images} images, {given.size} px, {given.workers} workers")
        print(f"torch {torch.__version__}\n")
        print("| program | samples per second | share of the DataLoader |")
        print("| --- | --- | --- |")
        for name, found in speeds.items():
            shares = [a / b for a, b in zip(found, speeds["DataLoader"], strict=True)]
            spread = statistics.stdev(shares) if len(shares) > 1 else 0.0
            print(f"| {name} | {statistics.mean(found):.0f} | {statistics.mean(shares):.2f} ± {spread:.2f} |")


if __name__ == "__main__":
    main()
