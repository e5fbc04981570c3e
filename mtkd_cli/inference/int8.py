"""Quantize an exported student, run it in ONNX Runtime, and compare it with the float32 file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.subset import sample_rows
from mtkd_cli.errors import DataError, MtkdError, first_line
from mtkd_cli.inference.int8_quantizer import quantize_dynamic, quantize_static, write_trained
from mtkd_cli.interfaces import Metric, Task
from mtkd_cli.interfaces.significant_digits import round_or_none, without_nan
from mtkd_cli.models.latency import measure_onnx
from mtkd_cli.stats.estimate import Difference
from mtkd_cli.stats.score import score_of
from mtkd_cli.training.evaluation import Measured, measure

KINDS = ("static", "dynamic", "qat")
FLOAT = "fp32"
CALIBRATION_SAMPLES, CALIBRATION_BATCH = 512, 32
"""Number of training samples that the ranges of activations are measured on."""

CPU_FACTS = Path("/proc/cpuinfo")
INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""Flags of CPUs that multiply 8-bit integers at once: VNNI and AMX of x86, dot products of Arm."""

Reader = Callable[[Split, NDArray[np.int64]], NDArray[Any]]
"""Function from a split and rows to the inputs of a file."""
Runner = Callable[[Path], Callable[[NDArray[Any]], Tensor]]
"""Function from a file to a function from inputs to outputs."""


@dataclass(frozen=True)
class Int8:
    """How a student is quantized.

    Attributes:
        kind: one of `KINDS`.
        train: training samples, of which some calibrate the ranges of activations.
        val: validation split; its labels decide whether too much is lost.
        max_loss: largest allowed loss of the primary metric, in its units; infinity: any.
        trained: student of quantization-aware training, from views to outputs; None unless the kind is
            ``qat``.
    """

    kind: str
    train: Split
    val: Split
    max_loss: float = math.inf
    trained: nn.Module | None = None


@dataclass(frozen=True)
class SplitScore:
    """A file on a split.

    Attributes:
        score: the primary metric; None if it is undefined.
        interval: 95 % interval of the score; None with too few samples.
        change: score minus that of the float32 file; None for that file itself.
        change_interval: 95 % interval of the change, over the same samples.
        samples: number of samples.
    """

    score: float | None
    interval: tuple[float, float] | None
    change: float | None
    change_interval: tuple[float, float] | None
    samples: int


@dataclass(frozen=True)
class Variant:
    """A file of the student: float32, or quantized.

    Attributes:
        kind: ``fp32``, ``dynamic``, ``static`` or ``qat``.
        bytes: size of the file; 0 if it could not be made.
        latency_ms: median latency of one sample in ONNX Runtime on this machine.
        threads: CPU threads of the latency.
        scores: the file on the splits ``val`` and ``test``.
        failed: why it could not be made or run; empty otherwise.
    """

    kind: str
    bytes: int = 0
    latency_ms: float | None = None
    threads: int | None = None
    scores: Mapping[str, SplitScore] | None = None
    failed: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes for JSON."""
        return dict(without_nan(asdict(self)))


def quantized(
    source: Path, int8: Int8, test: Split, task: Task, read: Reader, runner: Runner, single: bool
) -> tuple[Path, list[Variant]]:
    """Quantize a float32 file in every way, run every file, and return the wanted one and the facts.

    Args:
        source: the float32 file; the others are written beside it.
        int8: what is wanted.
        test: test split.
        task: the student's task.
        read: function from a split and rows to the inputs of a file.
        runner: function from a file to a function that runs it on any number of samples.
        single: whether the file takes one sample at a time.

    Raises:
        DataError: the wanted file cannot be made or run, or loses more than `Int8.max_loss`.
    """
    splits = {"val": int8.val, "test": test}
    baseline = _measure(source, splits, task, read, runner)
    variants = [_variant(FLOAT, source, baseline, baseline, splits, task, read)]
    for kind in ("dynamic", "static", *(["qat"] if int8.trained else [])):
        file = source.with_name(f"{kind}{source.suffix}")
        try:
            _quantize(source, file, kind, int8, task, read, single)
            found = _measure(file, splits, task, read, runner)
        except Exception as error:  # the quantizer and the runtime may raise anything
            if isinstance(error, MtkdError | MemoryError) or kind == int8.kind:
                raise _unfit(kind, error) from error
            variants.append(Variant(kind, failed=first_line(error)))
            continue
        variants.append(_variant(kind, file, found, baseline, splits, task, read))
    wanted = next(each for each in variants if each.kind == int8.kind)
    _refuse_loss(wanted, int8, task)
    return source.with_name(f"{int8.kind}{source.suffix}"), variants


def _unfit(kind: str, error: Exception) -> Exception:
    if isinstance(error, MtkdError | MemoryError):
        return error
    return DataError(
        f"ONNX Runtime cannot quantize this student ({kind}): {first_line(error)}",
        where="--int8",
        hint="nothing was written; try the other kind, or leave --int8 out",
    )


def _quantize(
    source: Path, file: Path, kind: str, int8: Int8, task: Task, read: Reader, single: bool
) -> None:
    rows = sample_rows(np.arange(len(int8.train)), CALIBRATION_SAMPLES)
    if kind == "dynamic":
        quantize_dynamic(source, file)
        return
    if kind == "qat" and int8.trained is not None:
        write_trained(source, file, int8.trained, read(int8.train, rows[:3]), single)
        return
    size = 1 if single else CALIBRATION_BATCH
    batches = [read(int8.train, rows[start : start + size]) for start in range(0, len(rows), size)]
    quantize_static(source, file, batches, float_head=not task.logits)


def _measure(
    file: Path, splits: Mapping[str, Split], task: Task, read: Reader, runner: Runner
) -> dict[str, Measured]:
    """Return a file on the labeled samples of each split that has some."""
    run = runner(file)

    def on(split: Split) -> Measured:
        return measure(lambda rows: run(read(split, rows)), split, task)

    return {name: on(split) for name, split in splits.items() if len(split.labeled)}


def _variant(
    kind: str,
    file: Path,
    found: Mapping[str, Measured],
    baseline: Mapping[str, Measured],
    splits: Mapping[str, Split],
    task: Task,
    read: Reader,
) -> Variant:
    (latency,) = measure_onnx(file, read(splits["test"], splits["test"].labeled[:1]), batches=(1,))
    scores = {
        name: _score(task, each, None if kind == FLOAT else baseline[name]) for name, each in found.items()
    }
    return Variant(kind, file.stat().st_size, latency.p50_ms, latency.threads, scores)


def _score(task: Task, found: Measured, baseline: Measured | None) -> SplitScore:
    score = score_of(task, found.statistics)
    own = score.estimate()
    change = None if baseline is None else score.minus(score_of(task, baseline.statistics))
    return SplitScore(
        round_or_none(found.metrics[task.primary.name]),
        _ends(own.low, own.high),
        None if change is None else _change(change),
        None if change is None else _ends(change.low, change.high),
        len(found.losses),
    )


def _change(found: Difference) -> float | None:
    return round_or_none(found.value)


def _ends(low: float, high: float) -> tuple[float, float] | None:
    ends = round_or_none(low), round_or_none(high)
    return None if ends[0] is None or ends[1] is None else (ends[0], ends[1])


def _refuse_loss(wanted: Variant, int8: Int8, task: Task) -> None:
    """Raise if the wanted file loses too much on validation, or on test if validation has no labels.

    Raises:
        DataError: has the loss.
    """
    if math.isinf(int8.max_loss) or not wanted.scores:
        return
    name = "val" if "val" in wanted.scores else "test"
    change = wanted.scores[name].change
    loss = math.nan if change is None else -change if task.primary.higher_is_better else change
    if not loss <= int8.max_loss:
        raise DataError(
            f"the {wanted.kind} int8 file loses {loss:.4g} {task.primary.name} on {name}; "
            f"{int8.max_loss:g} is allowed",
            where="--max-loss",
            hint="nothing was written; use the other kind of --int8, or allow more",
        )


def comparison_note(variants: Sequence[Variant], metric: Metric) -> str:
    """Return a remark if quantization-aware training did not beat the static file on validation.

    Empty if it did, or if one of the two was not measured there.
    """
    scores = [
        each.scores["val"].score
        for kind in ("qat", "static")
        for each in variants
        if each.kind == kind and each.scores and "val" in each.scores
    ]
    if len(scores) < 2 or None in scores:
        return ""
    trained, static = (metric.to_larger_better(score) for score in scores if score is not None)
    if trained > static:
        return ""
    return "qat is not better than static on validation; --int8 static gives that file"


def speed_note(facts: Path = CPU_FACTS) -> str:
    """Return a remark if this CPU has no instructions for 8-bit integers; empty if it has, or if unknown."""
    try:
        words = set(facts.read_text().split())
    except OSError:
        return ""
    if words & set(INSTRUCTIONS) or not words & {"flags", "Features"}:
        return ""
    return (
        "this CPU has no instructions for products of 8-bit integers (VNNI): int8 files are smaller, but no "
        "speed-up can be expected here"
    )
