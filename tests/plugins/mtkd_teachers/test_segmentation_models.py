"""Segmentation models of torchvision and of segmentation-models-pytorch."""

from typing import Any

import pytest
import torch

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import ModelRequest
from mtkd_cli.models.head import with_outputs
from mtkd_teachers.smp import SmpProvider, parse_name
from mtkd_teachers.torchvision import TorchvisionProvider


def request(model: str, size: int = 64, channels: int = 3, outputs: int = 5) -> ModelRequest:
    return ModelRequest(model, channels, size, outputs, pretrained=False)


@pytest.mark.parametrize(
    ("name", "decoder", "encoder", "options"),
    [
        ("unet/resnet34", "unet", "resnet34", {}),
        (
            "Unet/resnet18?encoder_depth=3&decoder_channels=64-32-16",
            "unet",
            "resnet18",
            {"encoder_depth": 3, "decoder_channels": [64, 32, 16]},
        ),
        (
            "fpn/tu-mobilenetv3_small_100?decoder_dropout=0.1&encoder_weights=none&x=true",
            "fpn",
            "tu-mobilenetv3_small_100",
            {"decoder_dropout": 0.1, "encoder_weights": None, "x": True},
        ),
    ],
)
def test_parses_smp_names(name: str, decoder: str, encoder: str, options: dict[str, Any]) -> None:
    assert parse_name(name) == (decoder, encoder, options)


@pytest.mark.parametrize("channels", [1, 3])
def test_smp_rounds_size_up_to_stride(channels: int) -> None:
    name = "unet/resnet18?encoder_depth=3&decoder_channels=16-8-8"
    model = SmpProvider().build(request(name, 30, channels))
    assert (model.input.size, model.input.channels, model.trained) == (32, channels, False)
    assert model.module.eval()(torch.zeros(1, channels, 32, 32)).shape == (1, 5, 32, 32)
    other = with_outputs(model, 7, "here", seed=0)
    assert other.module.eval()(torch.zeros(1, channels, 32, 32)).shape[1] == 7


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("unet", "not decoder/encoder", "smp:unet/resnet34"),
        ("unet/resnet18?depth", "not decoder/encoder", "smp:unet/resnet34"),
        ("unetz/resnet18", "no decoder 'unetz'", "did you mean 'unet'"),
        ("unet/resnet19", "no encoder 'resnet19'", "did you mean"),
        ("unet/resnet18?encoder_dept=3", "no argument 'encoder_dept'", "did you mean 'encoder_depth'"),
        ("unet/resnet18?encoder_depth=9", "cannot build the model", "smp:unet/resnet34"),
    ],
)
def test_rejects_unknown_smp_parts(name: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        SmpProvider().build(request(name))
    assert hint in caught.value.hint


@pytest.mark.parametrize("name", ["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"])
def test_torchvision_models_return_maps(name: str) -> None:
    model = TorchvisionProvider().build(request(name))
    assert model.module.eval()(torch.zeros(1, 3, 64, 64))["out"].shape == (1, 5, 64, 64)
    other = with_outputs(model, 3, "here", seed=0).module
    assert other.eval()(torch.zeros(1, 3, 64, 64))["out"].shape == (1, 3, 64, 64)
    assert model.classes is None
    assert len(model.input.mean) == 3


def test_suggests_similar_segmentation_model() -> None:
    with pytest.raises(UsageError, match="no model") as caught:
        TorchvisionProvider().build(request("deeplabv4_resnet50"))
    assert "deeplabv3_resnet50" in caught.value.hint


def test_untrained_smp_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", asked)
    model = SmpProvider().build(request("unet/resnet18?encoder_depth=3&decoder_channels=16-8-8"))
    assert (model.input.mean, model.input.std) == ((), ())


def test_trained_encoder_is_not_a_trained_model() -> None:
    model = SmpProvider().build(request("unet/resnet18?encoder_depth=3&decoder_channels=16-8-8"))
    assert model.partly and not model.trained
