"""Measure the cost of a model: parameters, size, latency, and multiply-adds."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mtkd_cli.interfaces import Model
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.report.costs import Costs

STEP_PER_FORWARD = 3.0
"""Cost of a training step in forward passes: one forward, and a backward that costs two."""
REPEATS, FEWEST, SECONDS = 30, 5, 0.3
"""Timed calls: at most, at least, and for about how long."""


def measure_cost(model: Model, example: Tensor, device: torch.device) -> Costs:
    """Measure the cost of a model.

    Args:
        model: the model; it is moved to the device and back.
        example: one view, ``[1, C, H, W]`` or ``[1, F]``.
        device: device on which the latency is measured.
    """
    if model.predictions is not None:
        return Costs()
    parameters, size = count_weights(model)
    is_known = size > 0  # a scikit-learn model has no tensors
    module = with_preprocessing(model).eval()
    home = next((tensor.device for tensor in module.parameters()), device)
    try:
        times = _seconds(module.to(device), example.to(device))
    finally:
        module.to(home)
    return Costs(
        parameters=parameters if is_known else None,
        bytes=size if is_known else None,
        latency_ms=round(float(np.median(times)) * 1000, 4),
        latency_p95_ms=round(float(np.quantile(times, 0.95)) * 1000, 4),
        device=device.type,
        threads=torch.get_num_threads() if device.type == "cpu" else None,
    )


def _seconds(module: nn.Module, example: Tensor) -> list[float]:
    """Return the duration of each timed call, in seconds; a first call warms up."""
    times: list[float] = []
    with torch.inference_mode():
        module(example)
        _synchronize(example.device)
        began = time.perf_counter()
        while len(times) < REPEATS and (len(times) < FEWEST or time.perf_counter() - began < SECONDS):
            started = time.perf_counter()
            module(example)
            _synchronize(example.device)
            times.append(time.perf_counter() - started)
    return times


def _synchronize(device: torch.device) -> None:
    """Wait until the device has finished: calls on CUDA return earlier."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def count_weights(model: Model) -> tuple[int, int]:
    """Return a model's number of parameters, and the size of its parameters and buffers in bytes."""
    if model.weights is not None:
        return model.weights
    parameters = list(model.module.parameters())
    size = sum(t.numel() * t.element_size() for t in [*parameters, *model.module.buffers()])
    return sum(p.numel() for p in parameters), size


def count_macs(module: nn.Module, example: Tensor) -> float:
    """Return the multiply-adds of one sample in a forward pass: of convolutions, matrices and attention.

    Args:
        module: the module; it is in eval mode during the pass, and in its present mode afterwards.
        example: a few inputs, ``[B, C, H, W]`` or ``[B, F]``, on the module's device.
    """
    was_training, counter = module.training, FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            module.eval()(example)
    finally:
        module.train(was_training)
    return float(counter.get_total_flops()) / 2 / len(example)
