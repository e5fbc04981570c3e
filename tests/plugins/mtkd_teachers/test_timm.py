"""Provider `timm`: heads, preprocessing, class names, missing weights."""

from __future__ import annotations

import socketserver
import threading

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import Tensor
from torchvision import models

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import Model, ModelRequest
from mtkd_cli.models.head import tail_of
from mtkd_cli.models.preprocess import prepare, with_preprocessing
from mtkd_teachers.timm import TimmProvider, imagenet_classes

ARCHITECTURES = (
    "convnext_atto",
    "densenet121",
    "mobilenetv3_small_050",
    "resnet18",
    "resnetv2_50x1_bit",  # its head is a convolution
    "swin_s3_tiny_224",
    "test_efficientnet",
    "test_vit",
    "tf_efficientnet_lite0",
)


def build(name: str, pretrained: bool = False, outputs: int = 10) -> Model:
    return TimmProvider().build(ModelRequest(name, 3, 64, outputs, pretrained))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_head_is_the_last_layer(name: str) -> None:
    model = build(name)
    seen: list[Tensor] = []
    model.module.get_submodule(model.head).register_forward_pre_hook(lambda _, i: seen.append(i[0]))
    with torch.inference_mode():
        output = with_preprocessing(model).eval()(torch.rand(1, 3, 32, 32))
        assert output.shape == (1, 1000)
        torch.testing.assert_close(tail_of(model).eval()(seen[0]), output)


def test_several_heads_get_task_outputs() -> None:
    model = build("deit_tiny_distilled_patch16_224", outputs=7)
    assert model.head == ""
    assert model.classes is None
    with torch.inference_mode():
        assert model.module.eval()(torch.zeros(1, 3, 224, 224)).shape == (1, 7)


@pytest.mark.parametrize(
    "name",
    ["resnet18", "resnet50", "tf_efficientnet_lite1", "tf_efficientnet_lite2", "convnext_atto", "mixnet_s"],
)
def test_preprocessing_matches_timm(name: str) -> None:
    with torch.device("meta"):
        spec = build(name).input
    config = resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8))
    image = noise.resize((300, 300), Image.Resampling.BILINEAR)  # as smooth as a photograph
    theirs = create_transform(**config, is_training=False)(image)
    ours = prepare(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255, spec)[0]
    assert ours.shape == theirs.shape
    step = 1 / 255 / min(spec.std)  # timm rounds to bytes between resizing and normalizing
    assert (ours - theirs).abs().max() < 2.5 * step


def test_class_names_match_torchvision() -> None:
    theirs = models.ResNet18_Weights.DEFAULT.meta["categories"]
    assert imagenet_classes() == tuple(theirs)
    assert build("resnet18").classes == tuple(theirs)


def test_other_classes_have_no_names() -> None:
    assert build("vit_tiny_patch16_224.augreg_in21k").classes is None


def test_suggests_similar_names() -> None:
    with pytest.raises(UsageError, match="no model 'resnet5O'") as caught:
        build("resnet5O")
    assert "resnet50" in caught.value.hint
    with pytest.raises(UsageError, match="no weights 'a1_in1'") as caught:
        build("resnet18.a1_in1")
    assert "a1_in1k" in caught.value.hint


def test_rejects_model_without_weights() -> None:
    with pytest.raises(DataError, match="no trained weights for efficientnet_b8"):
        build("efficientnet_b8", pretrained=True)


@pytest.mark.parametrize("offline", [True, False])
def test_contacts_hub_once_for_missing_weights(monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    asked: list[object] = []

    class Silent(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append(self.client_address)

    with socketserver.TCPServer(("127.0.0.1", 0), Silent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        with pytest.raises(DataError, match="not in timm's cache") as caught:
            build("resnet18", pretrained=True)
        server.shutdown()
    assert len(asked) == int(not offline)
    assert "model.safetensors of timm/resnet18.a1_in1k" in caught.value.hint
    assert offline == constants.HF_HUB_OFFLINE
