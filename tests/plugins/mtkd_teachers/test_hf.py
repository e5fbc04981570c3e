"""Provider `hf`: folders saved by transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Model, ModelRequest
from mtkd_teachers.hf import HfProvider

VIEWS = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("marker"),)  # type: ignore[return-value]


def save(folder: str) -> ViTForImageClassification:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = ViTConfig(image_size=16, patch_size=8, id2label={0: "a", 1: "b", 2: "c"}, **sizes)
    model = ViTForImageClassification(config).eval()
    model.save_pretrained(folder)
    processor = ViTImageProcessor(size={"height": 16, "width": 16}, image_mean=[0.1, 0.2, 0.3], resample=3)
    processor.save_pretrained(folder)
    return model


def build(name: str) -> Model:
    return HfProvider().build(ModelRequest(name, 3, 16, 3, True))


def test_returns_logits_classes_and_input() -> None:
    by_hand = save("vit")
    model = build("vit")
    with torch.no_grad():
        torch.testing.assert_close(model.module.eval()(VIEWS), by_hand(VIEWS).logits)
    assert (model.classes, model.trained) == (("a", "b", "c"), True)
    assert (model.input.size, model.input.mean) == (16, (0.1, 0.2, 0.3))
    assert (model.input.std, model.input.interpolation) == ((0.5, 0.5, 0.5), "bicubic")


def test_identity_depends_on_weights_and_configuration() -> None:
    save("vit")
    names = [path.name for path in HfProvider().files("vit")]
    assert names == ["config.json", "model.safetensors", "preprocessor_config.json"]


def test_rejects_pickle_unread() -> None:
    save("vit")
    Path("vit/model.safetensors").unlink()
    torch.save(Evil(), "vit/pytorch_model.bin")
    with pytest.raises(DataError, match="no weights in safetensors"):
        build("vit")
    assert not Path("marker").exists()


def test_never_runs_code_in_folder() -> None:
    save("vit")
    config = json.loads(Path("vit/config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C"}}
    Path("vit/config.json").write_text(json.dumps(config))
    Path("vit/evil.py").write_text("open('marker', 'w')")
    with pytest.raises(DataError, match="cannot load the model"):
        build("vit")
    assert not Path("marker").exists()


def test_offline_message_lists_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="neither cached") as caught:
        build("missing/model")
    assert "model.safetensors" in caught.value.hint


def test_missing_extra_message_has_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtkd_cli.safe_loading.optional_imports.find_spec", lambda name: None)
    with pytest.raises(DataError, match="transformers is required") as caught:
        HfProvider().files("vit")
    assert caught.value.hint == "pip install 'mtkd[hf]'"
