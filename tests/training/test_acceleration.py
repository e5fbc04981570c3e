"""Number formats, compilation and transfers to a device."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mtkd_cli.distributed import devices
from mtkd_cli.distributed.devices import to_device
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training.acceleration import autocast, compile_if_requested, number_format

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_cpu_uses_float32_by_default() -> None:
    assert number_format(Train(), CPU) is torch.float32
    assert number_format(Train(precision="bf16"), CPU) is torch.bfloat16


@pytest.mark.parametrize("native", [True, False])
def test_cuda_uses_bf16_only_with_native_support(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert number_format(Train(), CUDA) is (torch.bfloat16 if native else torch.float32)
    assert number_format(Train(precision="fp32"), CUDA) is torch.float32


def test_bf16_applies_to_forward_pass_only() -> None:
    layer = nn.Linear(4, 2)
    with autocast(Train(precision="bf16"), CPU):
        output = layer(torch.ones(3, 4))
    assert output.dtype is torch.bfloat16
    output.float().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.dtype is layer.weight.grad.dtype is torch.float32


def test_compiles_only_if_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda module: "compiled")
    layer = nn.Linear(1, 1)
    assert compile_if_requested(layer, Train()) is layer
    assert compile_if_requested(layer, Train(compile=True)) == "compiled"


def test_to_device_does_not_copy_on_cpu() -> None:
    tensor = torch.ones(3)
    assert to_device(tensor, CPU) is tensor


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_to_device_keeps_values_on_cuda() -> None:
    tensor = torch.arange(5.0)
    assert devices.to_device(tensor, CUDA).cpu().tolist() == tensor.tolist()
