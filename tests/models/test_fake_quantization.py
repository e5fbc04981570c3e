"""Fake quantization rounds as its closed form says, and as ONNX Runtime rounds in the exported file."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from mtkd_cli.models.fake_quantization import Ranges, fake_quantize, freeze, measure_ranges
from mtkd_cli.models.onnx_program import content_of


class Net(nn.Module):
    """A 3 x 3, a depthwise and a 1 x 1 convolution, one without a bias, and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.pointwise = nn.Conv2d(8, 16, 1)
        self.hidden = nn.Linear(16, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs ``[B, 5]``."""
        features = torch.relu(self.depthwise(torch.relu(self.first(inputs))))
        pooled = torch.relu(self.pointwise(features)).mean(dim=(2, 3))
        return self.head(torch.relu(self.hidden(pooled)))


def rounded_net(samples: Tensor, float_head: bool = False) -> Net:
    net = Net().eval()
    with torch.no_grad():
        net.first.weight[0] = 0  # channels as BatchNorm leaves them: nothing but a bias
        net.first.weight[1] *= 1e-12
    fake_quantize(net, measure_ranges(net, samples.split(16)), float_head)
    return net


def test_weights_and_activations_are_rounded_by_the_closed_form() -> None:
    layer = nn.Linear(6, 4)
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    samples = 3 * torch.randn(50, 6)
    net = nn.Sequential(layer)
    fake_quantize(net, {"0": Ranges(2.0, 1.0)})  # narrower than the samples: some are clipped

    scale = weight.abs().amax(dim=1, keepdim=True) / 64
    rounded = (weight / scale).round() * scale
    inputs = (samples / (2 / 127)).round().clamp(-128, 127) * (2 / 127)
    unit = scale[:, 0] * (2 / 127)
    output = inputs @ rounded.T + (bias / unit).round() * unit
    expected = (output / (1 / 127)).round().clamp(-128, 127) * (1 / 127)
    # a sum that is added in another order may round to the other neighbor
    torch.testing.assert_close(net(samples), expected, rtol=0, atol=1.01 / 127)
    assert (net(samples) - expected).abs().mean() < 0.02 / 127


def test_gradients_pass_through_the_roundings_where_nothing_is_clipped() -> None:
    layer, samples = nn.Linear(6, 4), torch.randn(50, 6, requires_grad=True)
    plain = layer.weight.detach().clone()
    net = nn.Sequential(layer)
    fake_quantize(net, {"0": Ranges(1.0, 100.0)})
    net(samples).sum().backward()

    inputs = (samples.detach() * 127).round().clamp(-128, 127) / 127
    gradient = net[0].parametrizations.weight.original.grad  # type: ignore[union-attr]
    torch.testing.assert_close(gradient, inputs.sum(dim=0).expand(4, 6))
    scale = plain.abs().amax(dim=1, keepdim=True) / 64
    through = ((plain / scale).round() * scale).sum(dim=0).expand(50, 6)
    is_clipped = samples.detach().abs() > 128.5 / 127
    assert is_clipped.any()
    torch.testing.assert_close(samples.grad, through.masked_fill(is_clipped, 0))


@pytest.mark.parametrize("float_head", [False, True])
def test_the_file_rounds_in_onnx_runtime_as_the_module_rounds(float_head: bool) -> None:
    samples = torch.randn(64, 3, 12, 12)
    net = rounded_net(samples, float_head)
    with torch.no_grad():
        for parameter in net.parameters():  # as after training: the ranges are of other weights
            parameter += 0.05 * torch.randn_like(parameter)
        expected = net(samples).numpy()
    content, step = content_of(freeze(net), samples[:3].numpy(), single=False), np.abs(expected).max() / 127
    for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):  # in float32, and with kernels for integers
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        found = session.run(None, {"inputs": samples.numpy()})[0]
        assert np.abs(found - expected).max() <= 3 * step, "a value between two integers may go either way"
        assert (np.abs(found - expected) <= 0.01 * step).mean() > 0.99


def test_a_frozen_copy_leaves_the_module_as_it_was() -> None:
    samples = torch.randn(8, 3, 12, 12)
    net = rounded_net(samples)
    before = net(samples)
    freeze(net)
    assert torch.equal(net(samples), before)
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_ranges_are_those_of_all_batches_and_all_calls() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared, self.other, self.unused = (nn.Linear(2, 2, bias=False) for _ in range(3))

        def forward(self, inputs: Tensor) -> Tensor:
            """Return outputs ``[B, 2]``."""
            return self.shared(self.other(self.shared(inputs)))

    net = Twice().eval()
    for layer, factor in ((net.shared, 10.0), (net.other, -1.0)):
        layer.weight.data = factor * torch.eye(2)
    found = measure_ranges(net, [torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 0.25]])])
    assert found == {"other": Ranges(20.0, 20.0), "shared": Ranges(20.0, 200.0)}
    assert list(found) == ["other", "shared"], "the order of the last calls"


def test_a_float_head_and_unused_layers_are_not_rounded() -> None:
    samples = torch.randn(8, 3, 12, 12)
    rounded = {name.partition(".")[0] for name, _ in rounded_net(samples, float_head=True).named_buffers()}
    assert rounded == {"first", "depthwise", "pointwise", "hidden"}


def test_inputs_that_are_all_zero_stay_finite() -> None:
    net = nn.Sequential(nn.Linear(3, 2))
    fake_quantize(net, measure_ranges(net, [torch.zeros(4, 3)]))
    net[0].parametrizations.weight.original.data.zero_()  # type: ignore[union-attr]
    assert torch.isfinite(net(torch.randn(4, 3))).all()
