"""A small run with everything in it, and all that it leaves behind, for those who disturb it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mtkd_cli.runs import metrics_log

RECIPE = (
    "digits",
    "data.labels=60",
    "fit={epochs: 3, labels: student, batch_size: 64}",
    "teachers=[{model: 'mlp:4', fit: all}, {model: 'convnet:4', fit: all}]",
    "train={epochs: 3, batch_size: 256}",
    "train.lr=[0.01, 0.02]",
    "student=convnet:4",
    "augment={shift: 0.1, randaugment: {operations: 1}, mixup: 0.5, cutmix: 1.0}",
    "views=2",
)
START = ("distill", *RECIPE, "--name", "run", "--threads", "1")
IMAGES = ("data.size=8", "data.channels=1", "data.cache=none", "data.labels=60")
"""Settings of image files that are decoded when they are needed."""
RESUME = ("distill", "--resume", "run")
FITS, STUDENT = 6, 15
"""Optimizer steps of both fits, and of one candidate of a student."""


def start_with_images(folder: Path, count: int) -> tuple[str, ...]:
    """Write so many digits as image files, and return the command that starts the run with them."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images[:count], digits.target, strict=False)):
        split = ("train", "train", "train", "val", "test")[number % 5]
        path = folder / split / str(label) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype("uint8")).save(path)
    data = (f"data={{name: image-folder, path: {folder}}}", *IMAGES)
    return ("distill", RECIPE[0], *data, *RECIPE[2:], "--name", "run", "--threads", "1")


def results(folder: Path, store: Path) -> dict[str, Any]:
    """Return what a run leaves behind, without times: bits of every training, rows, scores.

    The checkpoints hold weights, BatchNorm buffers, optimizer and best evaluation of each candidate.
    """
    found: dict[str, Any] = {
        "report": timeless(json.loads((folder / "report.json").read_text())),
        "rows": metrics_log.read(folder / "metrics.jsonl"),
    }
    files = [folder / "student.safetensors", *folder.glob("checkpoints/*/*/*.safetensors")]
    found |= {str(file.relative_to(folder)): file.read_bytes() for file in files}
    kept = [*store.glob("fitted/*/*.safetensors"), *store.glob("alone/*/*.safetensors")]
    kept += store.glob("outputs/*/outputs.npy")
    return found | {str(file.relative_to(store)): file.read_bytes() for file in kept}


TIMES = ("latency", "times_faster", "timing")
"""Beginnings of the keys of what was read from a clock."""


def timeless(value: Any) -> Any:
    """Return a report without what was read from a clock."""
    if isinstance(value, list):
        return [timeless(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: timeless(item) for key, item in value.items() if not key.startswith(TIMES)}
