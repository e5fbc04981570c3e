"""Measure the cost of a model: parameters, size, latency, and multiply-adds."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mtkd_cli.interfaces import Model
from mtkd_cli.models.latency import milliseconds_of, time_module
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.report.costs import Costs

STEP_PER_FORWARD = 3.0
"""Cost of a training step in forward passes: one forward, and a backward that costs two."""


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
        times = time_module(module.to(device), example.to(device))
    finally:
        module.to(home)
    median, slow = milliseconds_of(times)
    return Costs(
        parameters=parameters if is_known else None,
        bytes=size if is_known else None,
        latency_ms=median,
        latency_p95_ms=slow,
        device=device.type,
        threads=torch.get_num_threads() if device.type == "cpu" else None,
    )


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
