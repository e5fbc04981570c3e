"""Round weights and activations in training as an int8 file rounds them (quantization-aware training).

Inputs, weights, biases and outputs of each convolution and linear layer are rounded: PyTorch's
``fake_quantize`` operators, with straight-through gradients. A frozen copy has integers and is exported with
QuantizeLinear and DequantizeLinear nodes, so the file rounds as the training did.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

WEIGHT_MAX = 64
"""Largest integer of a weight: with 7 bits, the sum of two products fits into 16 bits. CPUs without VNNI
add in 16 bits, and would saturate."""
ACTIVATION_MIN, ACTIVATION_MAX = -128, 127
MIN_SCALE = 1e-12
"""Scale of weights that are all 0."""
BIAS_LIMIT = 2.0**28
"""Largest bias in units of its integer, which is ``scale of the input * scale of the weight``. Runtimes hold
it in 32 bits; the rest is for changes in training."""
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
INPUT, OUTPUT = "input_rounding", "output_rounding"


class Ranges(NamedTuple):
    """Largest magnitude of the input and of the output of a layer, over some samples."""

    input: float
    output: float


class RoundedWeight(nn.Module):
    """Parametrization of a weight ``[O, *]``: symmetric, with a scale for each output channel.

    Args:
        min_scale: least scale, so that the bias fits into 32 bits.
    """

    scale: Tensor
    integers: Tensor | None

    def __init__(self, min_scale: float) -> None:
        super().__init__()
        self.min_scale = max(min_scale, MIN_SCALE)
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("integers", None)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the rounded weight."""
        if self.integers is not None:
            return _dequantize(self.integers, self.scale, axis=0)
        scale = self.scale_of(weight)
        zeros = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zeros, 0, -WEIGHT_MAX, WEIGHT_MAX)

    def freeze(self, weight: Tensor) -> None:
        """Keep the integers of a weight, from now on."""
        scale, rounded = self.scale_of(weight), self(weight).detach()
        # [O] -> [O, 1, ...]
        self.integers = (rounded / scale.view(-1, *(1,) * (weight.dim() - 1))).round().to(torch.int8)
        self.scale = scale

    def scale_of(self, weight: Tensor) -> Tensor:
        """Return the scale of each output channel, ``[O]``."""
        # [O, *] -> [O]
        return (weight.detach().abs().flatten(1).amax(dim=1) / WEIGHT_MAX).clamp(min=self.min_scale)


class RoundedBias(nn.Module):
    """Parametrization of a bias ``[O]``: runtimes add it as an integer to the sums of products.

    Args:
        weight: the rounding of the layer's weight, and the weight.
        input_scale: scale of the layer's input.
    """

    scale: Tensor
    integers: Tensor | None

    def __init__(self, weight: tuple[RoundedWeight, Tensor], input_scale: float) -> None:
        super().__init__()
        self._weight = weight  # a tuple, so that it stays the layer's alone
        self.input_scale = input_scale
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("integers", None)

    def forward(self, bias: Tensor) -> Tensor:
        """Return the rounded bias."""
        if self.integers is not None:
            return _dequantize(self.integers, self.scale, axis=0)
        scale = self._scale()
        return bias + ((bias / scale).round() * scale - bias).detach()

    def freeze(self, bias: Tensor) -> None:
        """Keep the integers of a bias, from now on."""
        self.scale = self._scale()
        self.integers = (bias.detach() / self.scale).round().to(torch.int32)

    def _scale(self) -> Tensor:
        rounding, weight = self._weight
        return rounding.scale_of(weight) * self.input_scale


class RoundedActivation(nn.Module):
    """Rounds a tensor: symmetric, with one scale.

    Args:
        largest: largest magnitude that is not clipped.
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(self, largest: float) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(largest / ACTIVATION_MAX or 1.0))
        self.register_buffer("zero_point", torch.tensor(0, dtype=torch.int32))
        self.is_frozen = False

    def forward(self, values: Tensor) -> Tensor:
        """Return the rounded values."""
        if not self.is_frozen:
            return torch.fake_quantize_per_tensor_affine(
                values, self.scale, self.zero_point, ACTIVATION_MIN, ACTIVATION_MAX
            )
        zero_point = self.zero_point.to(torch.int8)
        given = (values, self.scale, zero_point)
        integers = torch.onnx.ops.symbolic("QuantizeLinear", given, dtype=torch.int8, shape=values.shape)
        return _dequantize(integers, self.scale, zero_point)


def measure_ranges(module: nn.Module, batches: Iterable[Tensor]) -> dict[str, Ranges]:
    """Return the ranges of each layer that runs, by name, in the order in which they run.

    Layers with a parametrization of their own, as weight norm, are left out.

    Args:
        module: module in eval mode.
        batches: inputs of the module.
    """
    found: dict[str, Ranges] = {}

    def record(name: str, given: tuple[Tensor, ...], output: Tensor) -> None:
        own = Ranges(given[0].abs().max().item(), output.abs().max().item())
        before = found.pop(name, own)  # a layer that runs twice is where it runs last
        found[name] = Ranges(*map(max, own, before))

    hooks = [
        layer.register_forward_hook(lambda _, given, output, name=name: record(name, given, output))
        for name, layer in module.named_modules()
        if isinstance(layer, LAYERS) and not parametrize.is_parametrized(layer)
    ]
    with torch.no_grad():
        for batch in batches:
            module(batch)
    for hook in hooks:
        hook.remove()
    return found


def fake_quantize(module: nn.Module, ranges: Mapping[str, Ranges], float_head: bool = False) -> None:
    """Round inputs, weights and outputs of layers in place.

    Args:
        module: the module.
        ranges: ranges by name of the layer, from `measure_ranges`; other layers are not changed.
        float_head: whether the last layer that runs is not rounded.
    """
    names = list(ranges)
    for name in names[:-1] if float_head else names:
        layer, own = module.get_submodule(name), ranges[name]
        device = next(layer.parameters()).device
        rounding = RoundedActivation(own.input).to(device)
        layer.add_module(INPUT, rounding)
        layer.add_module(OUTPUT, RoundedActivation(own.output).to(device))
        _round_parameters(layer, rounding.scale.item())
        layer.register_forward_pre_hook(_round_input)
        layer.register_forward_hook(_round_output)


def _round_parameters(layer: nn.Module, input_scale: float) -> None:
    """Parametrize the weight and the bias of a layer, if it has one."""
    weight, bias = layer.weight, layer.bias
    largest = bias.detach().abs().max().item() if isinstance(bias, Tensor) else 0.0
    rounding = RoundedWeight(largest / input_scale / BIAS_LIMIT)
    parametrize.register_parametrization(layer, "weight", rounding)
    if isinstance(bias, Tensor) and isinstance(weight, Tensor):
        parametrize.register_parametrization(layer, "bias", RoundedBias((rounding, weight), input_scale))


def freeze(module: nn.Module) -> nn.Module:
    """Return a copy for the ONNX exporter: integers instead of weights, nodes instead of roundings.

    Its outputs in PyTorch have no meaning.
    """
    frozen = copy.deepcopy(module).eval().requires_grad_(False)
    for layer in list(frozen.modules()):
        if isinstance(layer, RoundedActivation):
            layer.is_frozen = True
        elif isinstance(layer, parametrize.ParametrizationList):
            for rounding in layer:
                if isinstance(rounding, RoundedWeight | RoundedBias):
                    rounding.freeze(layer.original)
    return frozen


def _round_input(layer: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (layer.get_submodule(INPUT)(given[0]), *given[1:])


def _round_output(layer: nn.Module, given: Any, output: Tensor) -> Tensor:
    rounded: Tensor = layer.get_submodule(OUTPUT)(output)
    return rounded


def _dequantize(integers: Tensor, scale: Tensor, *zero_point: Tensor, **attributes: Any) -> Tensor:
    return torch.onnx.ops.symbolic(
        "DequantizeLinear",
        (integers, scale, *zero_point),
        attrs=attributes,
        dtype=torch.float32,
        shape=integers.shape,
    )
