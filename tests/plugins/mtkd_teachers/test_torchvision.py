"""Provider `torchvision`: heads, preprocessing, auxiliary outputs, missing weights."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision import models

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import Model, ModelRequest
from mtkd_cli.models.head import tail_of
from mtkd_cli.models.preprocess import prepare, with_preprocessing
from mtkd_teachers import downloads
from mtkd_teachers.torchvision import TorchvisionProvider

ARCHITECTURES = (
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "mnasnet0_5",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "vit_b_32",
)


def build(name: str, pretrained: bool = False) -> Model:
    return TorchvisionProvider().build(ModelRequest(name, 3, 64, 10, pretrained))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_head_is_the_last_layer(name: str) -> None:
    model = build(name)
    seen: list[Tensor] = []
    model.module.get_submodule(model.head).register_forward_pre_hook(lambda _, i: seen.append(i[0]))
    module = with_preprocessing(model).eval()
    with torch.inference_mode():
        output = module(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
        assert output.shape == (2, 1000)
        torch.testing.assert_close(tail_of(model).eval()(seen[0]), output)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_drops_auxiliary_outputs(name: str) -> None:
    with torch.device("meta"):
        module = build(name).module.train()
        assert module(torch.rand(2, 3, 299, 299)).shape == (2, 1000)
    assert module.transform_input, "its weights were trained with it"


@pytest.mark.parametrize(
    "name", [n for n in ARCHITECTURES if n[:3] not in ("vit", "reg")] + ["efficientnet_b1"]
)
@pytest.mark.parametrize("side", [224, 320])
def test_preprocessing_matches_weights(name: str, side: int) -> None:
    preset = models.get_model_weights(name).DEFAULT.transforms()
    with torch.device("meta"):  # only the input matters, so skip the weights
        spec = build(name).input
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    difference = (prepare(images, spec) - preset(images)).abs()
    assert difference.mean() < 1e-3, "bicubic values beyond 0 and 1 are clamped, as PIL does"
    assert difference.quantile(0.9) < 1e-4


def test_classes_match_imagenet() -> None:
    classes = build("resnet18").classes
    assert classes is not None
    assert classes[:2] == ("tench", "goldfish")
    assert len(set(classes)) == 1000


def test_suggests_similar_model() -> None:
    with pytest.raises(UsageError, match="no model 'resnet5'") as caught:
        build("resnet5")
    assert "resnet50" in caught.value.hint


def test_missing_weights_message_names_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no server listens on this port
    with pytest.raises(DataError, match="cannot be downloaded") as caught:
        build("resnet18", pretrained=True)
    assert "resnet18-f37072fd.pth" in caught.value.hint
    assert str(tmp_path / "hub" / "checkpoints") in caught.value.hint


def test_download_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float | None] = []

    def download(*_: object, **__: object) -> None:
        waited.append(socket.getdefaulttimeout())
        raise TimeoutError

    monkeypatch.setattr(models, "get_model", download)
    before = socket.getdefaulttimeout()
    with pytest.raises(DataError, match="cannot be downloaded"):
        build("resnet18", pretrained=True)
    assert waited == [downloads.TIMEOUT]
    assert socket.getdefaulttimeout() == before


def test_loads_cached_weights_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    file = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    file.parent.mkdir(parents=True)
    like = models.squeezenet1_1()
    torch.save(like.state_dict(), file)
    model = build("squeezenet1_1", pretrained=True)
    assert model.trained
    torch.testing.assert_close(model.module.state_dict()["classifier.1.bias"], like.classifier[1].bias)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DataError, match="cannot be read") as caught:
        build("squeezenet1_1", pretrained=True)
    assert caught.value.where == str(file)


class Malicious:
    """Creates a marker file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("name", ["resnet18", "fcn_resnet50", "fasterrcnn_resnet50_fpn"])
@pytest.mark.parametrize("zipped", [True, False])
def test_never_unpickles_cached_file(
    name: str, zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    file = tmp_path / "hub" / "checkpoints" / models.get_model_weights(name).DEFAULT.url.rpartition("/")[2]
    file.parent.mkdir(parents=True)
    marker = tmp_path / "marker"
    torch.save({"a": Malicious(marker)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match="no code was run") as caught:
        build(name, pretrained=True)
    assert not marker.exists()
    assert caught.value.where == str(file)
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
