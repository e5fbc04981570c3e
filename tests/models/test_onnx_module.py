"""A module in ONNX Runtime has the outputs of the module, or is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from mtkd_cli.errors import DataError
from mtkd_cli.models.onnx_module import to_onnx_module


@pytest.mark.parametrize("examples", [1, 4])
def test_has_the_outputs_of_the_module_for_any_batch_size(examples: int) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))
    module[1].running_var.uniform_(0.5, 2)
    converted, difference = to_onnx_module(module.eval(), torch.rand(examples, 3, 8, 8))
    assert difference < 1e-5
    for batch in (1, 3):
        images = torch.rand(batch, 3, 8, 8)
        for given in (images, images.to(memory_format=torch.channels_last)):
            torch.testing.assert_close(converted(given), module(images), rtol=1e-5, atol=1e-5)


def test_refuses_a_module_with_several_outputs() -> None:
    class Two(nn.Module):
        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"a": images, "b": images}

    with pytest.raises(DataError, match="returns a dict"):
        to_onnx_module(Two(), torch.rand(2, 3, 8, 8))


def test_refuses_a_module_that_cannot_be_converted() -> None:
    class InNumpy(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(np.sort(images.detach().numpy()))

    with pytest.raises(DataError, match="cannot be converted to ONNX"):
        to_onnx_module(InNumpy(), torch.rand(2, 3))


def test_refuses_outputs_that_differ() -> None:
    """A graph repeats the random numbers of its conversion, or draws others."""

    class Noisy(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images + torch.rand_like(images)

    with pytest.raises(DataError, match="differ"):
        to_onnx_module(Noisy(), torch.rand(2, 3))
