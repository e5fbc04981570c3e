"""Measure how long a model takes for a batch, in eager PyTorch and in ONNX Runtime."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.models import onnx_program
from mtkd_cli.report.latency import ONNX_RUNTIME, PYTORCH, Latency

BATCHES = (1, 32)
"""Measured numbers of samples: an answer to one request, and a batch."""
WARM_UP_CALLS, WARM_UP_SECONDS = 10, 0.1
"""Calls before the timed ones: the first ones allocate memory and choose kernels."""
REPEATS, FEWEST, SECONDS = 100, 5, 0.3
"""Timed calls: at most, at least, and for about how long."""


def time_calls(call: Callable[[], object]) -> list[float]:
    """Return the duration of each timed call, in seconds, after a warm-up.

    Args:
        call: function that returns when its work is done.
    """
    began, warm = time.perf_counter(), 0
    while warm < 1 or (warm < WARM_UP_CALLS and time.perf_counter() - began < WARM_UP_SECONDS):
        call()
        warm += 1
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < REPEATS and (len(times) < FEWEST or time.perf_counter() - began < SECONDS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return times


def time_module(module: nn.Module, example: Tensor) -> list[float]:
    """Return the duration of each timed call of a module, in seconds, on the device of its example."""

    def call() -> None:
        module(example)
        if example.device.type == "cuda":  # calls on CUDA return before they have finished
            torch.cuda.synchronize(example.device)

    with torch.inference_mode():
        return time_calls(call)


def milliseconds_of(times: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile of times in seconds, in milliseconds."""
    return tuple(round(float(np.quantile(times, share)) * 1000, 4) for share in (0.5, 0.95))  # type: ignore[return-value]


def measure_pytorch(
    module: nn.Module, inputs: NDArray[np.generic], device: torch.device, batches: Sequence[int] = BATCHES
) -> list[Latency]:
    """Return the latencies of a module in eager PyTorch.

    Args:
        module: module in eval mode; it is moved to the device and back to the CPU.
        inputs: samples ``[N, ...]``; they are repeated where a batch has more.
        device: device of the measurement.
        batches: numbers of samples.
    """
    threads = torch.get_num_threads() if device.type == "cpu" else None
    try:
        module.to(device)
        examples = [torch.from_numpy(repeat(inputs, size)).to(device) for size in batches]
        timed = [time_module(module, example) for example in examples]
    finally:
        module.to("cpu")
    return [
        Latency(PYTORCH, size, *milliseconds_of(times), device.type, threads, len(times))
        for size, times in zip(batches, timed, strict=True)
    ]


def measure_onnx(
    file: onnx_program.Source, inputs: NDArray[np.generic], batches: Sequence[int] = BATCHES
) -> list[Latency]:
    """Return the latencies of an ONNX file in ONNX Runtime, on the CPU with as many threads as PyTorch.

    A file that takes one sample at a time, as that of a detector, is measured with one.

    Args:
        file: path or content of the file.
        inputs: samples ``[N, ...]``, of the type that the file takes.
        batches: numbers of samples.
    """
    threads = torch.get_num_threads()
    session = onnx_program.open_session(file, threads)
    found = []
    for size in [1] if onnx_program.takes_single_samples(session) else batches:
        feed = {onnx_program.INPUT: repeat(inputs, size)}
        times = time_calls(lambda feed=feed: session.run([onnx_program.OUTPUT], feed))  # type: ignore[misc]
        found.append(Latency(ONNX_RUNTIME, size, *milliseconds_of(times), "cpu", threads, len(times)))
    return found


def repeat(inputs: NDArray[np.generic], size: int) -> NDArray[np.generic]:
    """Return a batch of ``size`` samples, repeated where there are fewer."""
    return np.ascontiguousarray(inputs[np.arange(size) % len(inputs)])
