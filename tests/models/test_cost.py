"""What a model costs, and where its latency was measured."""

from __future__ import annotations

import pytest
import torch

from mtkd_cli.interfaces import InputSpec, Model
from mtkd_cli.models.cost import count_macs, measure_cost
from mtkd_cli.report.costs import Costs, together
from mtkd_cli.teachers.prepare import prepare_teachers
from tests.fixtures.small_runs import Contexts

CUDA = pytest.param(
    "cuda", marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")]
)


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_a_latency_is_measured_on_the_device_of_the_run(device: str) -> None:
    seen: list[str] = []
    layer = torch.nn.Linear(3, 2)
    layer.register_forward_hook(lambda _, given, __: seen.append(given[0].device.type))
    found = measure_cost(
        Model(layer, InputSpec(mean=(0.0,) * 3, std=(1.0,) * 3)), torch.zeros(1, 3), torch.device(device)
    )
    assert (found.parameters, found.bytes) == (8, 32)
    assert found.latency_ms is not None
    assert found.latency_p95_ms is not None
    assert 0 < found.latency_ms <= found.latency_p95_ms
    assert found.measured_on == (device, torch.get_num_threads() if device == "cpu" else None)
    assert set(seen) == {device}
    assert layer.weight.device.type == "cpu", "it is where it was"


def test_the_size_of_a_model_without_tensors_is_unknown() -> None:
    found = measure_cost(
        Model(torch.nn.Identity(), InputSpec(mean=(0.0,), std=(1.0,))), torch.zeros(1, 1), torch.device("cpu")
    )
    assert (found.parameters, found.bytes) == (None, None)
    assert found.latency_ms is not None
    known = Costs(8, 32, 1.0, 1.0)
    assert together([known, found]).bytes is None
    assert together([known, Costs(0, 0, 1.0, 1.0)]).bytes is None, "as earlier versions recorded it"


def test_teachers_are_measured_again_with_another_number_of_threads(context: Contexts) -> None:
    recipe = "teachers=[{model: 'mlp:8', name: t, fit: {epochs: 1}}]"

    def threads() -> int | None:
        (teacher,) = prepare_teachers(context(recipe), 0)
        return Costs(**teacher.facts["costs"]).threads

    before = torch.get_num_threads()
    try:
        for count in (1, 2, 1):
            torch.set_num_threads(count)
            assert threads() == count
    finally:
        torch.set_num_threads(before)


def test_multiply_adds_of_a_sample() -> None:
    convolution, norm = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8)
    module = torch.nn.Sequential(convolution, norm, torch.nn.Flatten(), torch.nn.Linear(8 * 5 * 5, 7))
    for samples in (1, 4):
        assert count_macs(module, torch.ones(samples, 3, 5, 5)) == 3 * 9 * 8 * 25 + 8 * 25 * 7
    assert module.training
    assert norm.training
    assert norm.num_batches_tracked == 0, "the pass does not change BatchNorm"
    assert count_macs(torch.nn.Identity().eval(), torch.ones(2, 3)) == 0
