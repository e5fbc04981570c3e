"""Provider `hf`: detectors and segmenters, built from tiny configurations and saved to folders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers

from mtkd_cli.interfaces import DetectionTargets, Model, ModelRequest
from mtkd_teachers.hf import HfProvider
from mtkd_teachers.hf_detector import MIN_SCORE

SIDE, NAMES = 64, {0: "cat", 1: "dog", 2: "owl"}
IMAGES = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
SMALL = {
    "id2label": NAMES,
    "d_model": 16,
    "num_queries": 10,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
}
TRIPLE = {
    "encoder_hidden_dim": 16,
    "encoder_in_channels": [8, 8, 8],
    "decoder_in_channels": [16, 16, 16],
    "decoder_layers": 2,
    "num_denoising": 4,
}


def backbone(config: Any, *stages: str) -> Any:
    sizes = {"embedding_size": 8, "hidden_sizes": [8] * 4, "depths": [1] * 4, "layer_type": "basic"}
    return config(**sizes, out_features=list(stages))


def rt_detr() -> Any:
    inner = backbone(transformers.RTDetrResNetConfig, "stage2", "stage3", "stage4")
    config = transformers.RTDetrConfig(backbone_config=inner, **SMALL, **TRIPLE)
    return transformers.RTDetrForObjectDetection(config)


def d_fine() -> Any:
    inner = backbone(transformers.RTDetrResNetConfig, "stage2", "stage3", "stage4")
    config = transformers.DFineConfig(backbone_config=inner, decoder_n_points=[2, 2, 2], **SMALL, **TRIPLE)
    return transformers.DFineForObjectDetection(config)


def detr() -> Any:
    more = {"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None}
    inner = backbone(transformers.ResNetConfig, "stage4")
    config = transformers.DetrConfig(
        backbone_config=inner, encoder_layers=1, decoder_layers=1, **more, **SMALL
    )
    return transformers.DetrForObjectDetection(config)


def save(create: Callable[[], Any], processor: Any, **more: Any) -> Any:
    torch.manual_seed(0)
    model = create().eval()
    model.save_pretrained("folder")
    processor(size={"height": SIDE, "width": SIDE}, **more).save_pretrained("folder")
    return model


def build() -> Model:
    return HfProvider().build(ModelRequest("folder", 3, SIDE, 3, True))


@pytest.mark.parametrize("create", [rt_detr, d_fine, detr])
def test_boxes_are_those_of_the_processor(create: Callable[[], Any]) -> None:
    processor = transformers.DetrImageProcessor if create is detr else transformers.RTDetrImageProcessor
    plain = save(create, processor)
    model = build()
    assert (model.classes, model.outputs) == (("cat", "dog", "owl"), 3)
    assert model.input.size == SIDE
    assert (model.input.mean == (0.0, 0.0, 0.0)) == (create is not detr)  # only DETR normalizes
    with torch.no_grad():
        answer = model.module.eval()(IMAGES)
        expected = processor().post_process_object_detection(plain(IMAGES), threshold=MIN_SCORE)
    for rows, image in zip(answer, expected, strict=True):
        rows = rows[rows[:, 5] >= 0]
        order = image["scores"].argsort(descending=True, stable=True)
        torch.testing.assert_close(rows[:, 4], image["scores"][order])
        torch.testing.assert_close(rows[:, :4], image["boxes"][order].clamp(0, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("create", [rt_detr, d_fine, detr])
def test_trains_with_new_classes(create: Callable[[], Any], capfd: pytest.CaptureFixture[str]) -> None:
    save(create, transformers.RTDetrImageProcessor)
    model = build()
    assert model.resized is not None
    assert model.resized(3).module is model.module
    capfd.readouterr()
    other = model.resized(5)
    assert capfd.readouterr().err == ""
    targets = DetectionTargets(
        torch.tensor([[[0.1, 0.1, 0.5, 0.5]], [[0.2, 0.2, 0.6, 0.7]]]),
        torch.tensor([[4], [-1]]),
        torch.tensor([[1.0], [0.0]]),
    )
    loss = other.module.train()(IMAGES).loss(targets, 1.0)
    assert loss.shape == (2,)
    loss.mean().backward()
    assert all(p.grad.isfinite().all() for p in other.module.parameters() if p.grad is not None)
    with torch.no_grad():
        statistics = other.module(IMAGES)  # BatchNorm is estimated in training mode without gradients
        assert statistics.shape == other.module.eval()(IMAGES).shape
    same = model.module.state_dict()
    new = [name for name, value in other.module.state_dict().items() if value.shape != same[name].shape]
    assert new
    assert all("class" in name or "score" in name for name in new)


def test_segmenter_returns_maps_and_has_a_head() -> None:
    def segformer() -> Any:
        sizes = {"depths": [1] * 4, "hidden_sizes": [8, 8, 16, 16], "num_attention_heads": [1, 1, 2, 2]}
        config = transformers.SegformerConfig(decoder_hidden_size=16, id2label=NAMES, **sizes)
        return transformers.SegformerForSemanticSegmentation(config)

    plain = save(segformer, transformers.SegformerImageProcessor, image_mean=[0.1, 0.2, 0.3])
    model = build()
    assert (model.classes, model.head) == (("cat", "dog", "owl"), "inner.decode_head.classifier")
    assert model.input.mean == (0.1, 0.2, 0.3)
    with torch.no_grad():
        torch.testing.assert_close(model.module.eval()(IMAGES), plain(IMAGES).logits)
