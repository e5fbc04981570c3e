"""Faster devices: the same learning, in the number format that a device has hardware for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mtkd_cli.distributed import devices
from mtkd_cli.distributed.devices import to_device
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training.acceleration import autocast, compiled, number_format

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_a_cpu_computes_in_float32_unless_asked_otherwise() -> None:
    assert number_format(Train(), CPU) is torch.float32
    assert number_format(Train(precision="bf16"), CPU) is torch.bfloat16


@pytest.mark.parametrize("native", [True, False])
def test_cuda_computes_in_bf16_only_if_it_has_hardware_for_it(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert number_format(Train(), CUDA) is (torch.bfloat16 if native else torch.float32)
    assert number_format(Train(precision="fp32"), CUDA) is torch.float32


def test_bf16_is_of_the_forward_pass_alone() -> None:
    layer = nn.Linear(4, 2)
    with autocast(Train(precision="bf16"), CPU):
        output = layer(torch.ones(3, 4))
    assert output.dtype is torch.bfloat16
    output.float().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.dtype is layer.weight.grad.dtype is torch.float32


def test_the_module_is_compiled_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda module: "compiled")
    layer = nn.Linear(1, 1)
    assert compiled(layer, Train()) is layer
    assert compiled(layer, Train(compile=True)) == "compiled"


def test_on_the_cpu_nothing_is_copied() -> None:
    tensor = torch.ones(3)
    assert to_device(tensor, CPU) is tensor


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_gets_the_same_numbers() -> None:
    tensor = torch.arange(5.0)
    assert devices.to_device(tensor, CUDA).cpu().tolist() == tensor.tolist()
