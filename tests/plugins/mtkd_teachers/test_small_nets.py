"""Providers `convnet`, `resnet`, `mlp` and `unet`: sizes in the name, outputs, small images."""

from __future__ import annotations

import pytest
import torch

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import Model, ModelRequest
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_teachers.convnet import ConvNetProvider
from mtkd_teachers.mlp import MlpProvider
from mtkd_teachers.resnet import ResNetProvider
from mtkd_teachers.unet import UNetProvider

PROVIDERS = {"convnet": ConvNetProvider, "mlp": MlpProvider, "resnet": ResNetProvider}
NAMES = {"convnet": "4-8-8", "mlp": "16-8", "resnet": "8-4"}


def build(provider: str, name: str, channels: int = 3, size: int = 16) -> Model:
    model: Model = PROVIDERS[provider]().build(ModelRequest(name, channels, size, 5, False))
    return model


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("channels", "size"), [(1, 4), (3, 8), (1, 28), (3, 33)])
def test_outputs_and_head(provider: str, channels: int, size: int) -> None:
    model = build(provider, NAMES[provider], channels, size)
    images = torch.rand(3, channels, size, size)
    with torch.inference_mode():
        assert model.module.eval()(images).shape == (3, 5)
    head = model.module.get_submodule(model.head)
    assert isinstance(head, torch.nn.Linear)
    assert head.out_features == 5
    assert not model.trained


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("name", ["", "a", "8-", "-8", "0", "8--8", "8-0", "8.5", "99999", "²"])
def test_rejects_names_without_sizes(provider: str, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(provider, name)
    assert f"{provider}:" in caught.value.hint


@pytest.mark.parametrize("name", ["9-16", "2-16", "20", "20-16-8"])
def test_resnet_depth_is_6n_plus_2(name: str) -> None:
    with pytest.raises(UsageError, match="invalid depth and width"):
        build("resnet", name)


def test_known_parameter_counts() -> None:
    def count(model: Model) -> int:
        return sum(p.numel() for p in model.module.parameters())

    assert count(build("mlp", "4", channels=1, size=2)) == (4 * 4 + 4) + (4 * 5 + 5)
    assert count(build("convnet", "4", channels=1)) == 4 * 9 + 8 + (4 * 5 + 5)
    # He et al., table 6: ResNet-20 of width 16 has 0.27 million parameters with 10 classes.
    twenty = ResNetProvider().build(ModelRequest("20-16", 3, 32, 10, False))
    assert round(count(twenty) / 1e6, 2) == 0.27


@pytest.mark.parametrize("provider", PROVIDERS)
def test_all_parameters_have_gradients(provider: str) -> None:
    model = build(provider, NAMES[provider])
    model.module.train()(torch.rand(4, 3, 16, 16)).square().sum().backward()
    assert all(p.grad is not None for p in model.module.parameters())


def test_memory_format_changes_only_rounding() -> None:
    model = build("resnet", "8-4")
    images = torch.rand(2, 3, 16, 16)
    with torch.inference_mode():
        before = model.module.eval()(images)
        after = with_preprocessing(model).module.eval()(images)
    torch.testing.assert_close(after, before)


@pytest.mark.parametrize("size", [32, 33, 21])
def test_unet_returns_map_of_any_size(size: int) -> None:
    model = UNetProvider().build(ModelRequest("4-8-12", 1, size, 11, pretrained=False))
    assert model.module.eval()(torch.zeros(2, 1, size, size)).shape == (2, 11, size, size)
    assert model.head == "head"
