"""Compare int8 files: dynamic, static, and after quantization-aware last epochs on recorded answers.

    python docs/benchmarks/int8.py --fashion FOLDER --seeds 3

Every file runs in ONNX Runtime. The control has as many more epochs without rounding, before it is quantized
as the static file. The latencies of a student's files are measured in turns.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from in_process import loaded
from tables import interval, spread, write

from mtkd_cli.inference import export
from mtkd_cli.inference.int8 import Int8, Variant, quantized, speed_note
from mtkd_cli.inference.student import LoadedStudent, load_student
from mtkd_cli.models.onnx_program import INPUT, OUTPUT, Shippable, content_of, open_session
from mtkd_cli.runs import pipeline, quantization_aware
from mtkd_cli.runs.folder import Run
from mtkd_cli.runs.quantization_aware import EPOCHS, train_quantized
from mtkd_cli.training.context import Context

HERE = Path(__file__).parent
CONTROL = "static, more epochs"
KINDS = ("fp32", "dynamic", "static", CONTROL, "qat")
FASHION = ("data.samples=5000", "fit.epochs=3", "train.epochs=20", "train.batch_size=64", "train.lr=1e-2")
CASES = {
    "digits": ("digits", "convnet:4-8", ("train.lr=1e-2",)),
    "fashion-mnist": ("fashion-mnist", "convnet:4-8-16", FASHION),
    "mobilenet": (
        "fashion-mnist",
        "timm:mobilenetv3_small_050",
        (*FASHION, "data.samples=3000", "train.lr=3e-3", "student.input.size=28"),
    ),
    "masks": ("digit-scenes-seg", "unet:8-16-24", ("train.epochs=20",)),
}
"""Recipe, student and settings of each case."""
ROUNDS, CALLS = 30, 10
"""Rounds of the latency, and calls of each file in a round."""


@dataclass(frozen=True)
class Files:
    """The files of one student: their scores on the test split, sizes, and latencies as shares of float32."""

    scores: dict[str, float]
    bytes: dict[str, int]
    latency: dict[str, float]


def measure(recipe: str, overrides: Iterable[str], work: Path) -> Files:
    """Distill a student, and return the facts of its files."""
    context = loaded(recipe, [*overrides])
    run = Run(f"benchmark-{time.time_ns()}")
    pipeline.distill(context, run, "none")
    student = load_student(run.folder)
    trained, more = train_quantized(student, context, EPOCHS), train_without_rounding(student, context)
    shutil.rmtree(run.folder)
    data, folder = context.data, work / "more"
    folder.mkdir()
    source, control = work / "fp32.onnx", folder / "fp32.onnx"
    export.export(student, "onnx", source, data.test)
    examples = export.inputs_of(data.test, data.test.labeled[:2])
    control.write_bytes(content_of(Shippable(more).eval(), examples, single=False))
    int8, float_int8 = (
        Int8("qat", data.train, data.val, trained=trained),
        Int8("static", data.train, data.val),
    )
    reads = data.test, student.task, export.inputs_of, export._load_onnx, False
    variants = quantized(source, int8, *reads)[1]
    found = next(each for each in quantized(control, float_int8, *reads)[1] if each.kind == "static")
    variants.append(replace(found, kind=CONTROL))
    files = {kind: work / f"{kind}.onnx" for kind in KINDS} | {CONTROL: folder / "static.onnx"}
    scores = {each.kind: _test_score(each) for each in variants}
    sizes = {each.kind: each.bytes for each in variants}
    return Files(scores, sizes, latency_shares(files, examples[:1]))


def train_without_rounding(student: LoadedStudent, context: Context) -> torch.nn.Module:
    """Return a copy of a student, trained as `train_quantized` does, but in float32."""
    with mock.patch.object(quantization_aware, "fake_quantize"):
        return train_quantized(student, context, EPOCHS)


def _test_score(variant: Variant) -> float:
    score = variant.scores["test"].score if variant.scores else None
    if score is None:
        raise ValueError(f"{variant.kind}: {variant.failed or 'no score'}")
    return score


def latency_shares(files: dict[str, Path], example: np.ndarray[Any, Any]) -> dict[str, float]:
    """Return the median latency of one sample, as a share of that of the float32 file; in turns."""
    sessions = {kind: open_session(file, threads=1) for kind, file in files.items()}
    times: dict[str, list[float]] = {kind: [] for kind in files}
    for _ in range(ROUNDS):
        for kind, session in sessions.items():
            for _ in range(CALLS):
                started = time.perf_counter()
                session.run([OUTPUT], {INPUT: example})
                times[kind].append(time.perf_counter() - started)
    medians = {kind: statistics.median(each) for kind, each in times.items()}
    return {kind: each / medians["fp32"] for kind, each in medians.items()}


def rows_of(recipe: str, student: str, found: list[Files]) -> list[list[str]]:
    """Return a row for each kind of file."""
    rows = []
    for kind in KINDS:
        scores = [each.scores[kind] for each in found]
        row = [recipe, student, kind, spread(scores)]
        for other in ("fp32", "static"):
            changes = [score - each.scores[other] for score, each in zip(scores, found, strict=True)]
            low, high = interval(changes)
            is_shown = kind != other and (other == "fp32" or kind in (CONTROL, "qat"))
            row.append(f"{statistics.mean(changes):+.4f} ({low:+.4f} to {high:+.4f})" if is_shown else "")
        size = statistics.mean(each.bytes[kind] for each in found)
        row += [f"{size / 1000:.1f} kB", f"{statistics.mean(each.latency[kind] for each in found):.2f}"]
        rows.append(row)
    return rows


def write_page(seeds: int, cases: Iterable[str], rows: list[list[str]]) -> None:
    """Write the page."""
    write(
        HERE / "int8.md",
        "What 8 bits cost",
        f"python docs/benchmarks/int8.py --fashion FOLDER --seeds {seeds} --cases " + " ".join(cases),
        ["recipe", "student", "file", "score", "minus fp32", "minus static", "size", "latency / fp32"],
        rows,
        "Test accuracy (masks: mIoU) in ONNX Runtime, mean ± standard deviation over training seeds; "
        f"differences with Student's 95 % interval over the seeds. *qat*: {EPOCHS} more epochs on the "
        f"recorded answers, with the roundings of the file; *{CONTROL}*: as many without rounding, then "
        "quantized as the static file. Latency: median of one sample on one thread, the files in turns. "
        + (f"Note: {speed_note()}." if speed_note() else ""),
    )


def main() -> None:
    """Run all cases, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fashion", required=True, help="folder of the four IDX files of Fashion-MNIST")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", default=[*CASES])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for case in arguments.cases:
        recipe, student, settings = CASES[case]
        place = [f"data.path={arguments.fashion}"] if recipe == "fashion-mnist" else []
        found = []
        for seed in range(arguments.seeds):
            with tempfile.TemporaryDirectory() as work:
                changes = [*place, f"student={student}", *settings, f"train.seed={seed}"]
                found.append(measure(recipe, changes, Path(work)))
            print(case, seed, found[-1], flush=True)
        rows += rows_of(recipe, student, found)
    write_page(arguments.seeds, arguments.cases, rows)


if __name__ == "__main__":
    main()
