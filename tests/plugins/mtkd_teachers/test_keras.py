"""Provider `keras`: files saved by Keras."""

from __future__ import annotations

import copy
import os
import threading
from pathlib import Path

import pytest
import torch

os.environ["KERAS_BACKEND"] = "torch"
import keras

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import Model, ModelRequest
from mtkd_teachers.keras import KerasProvider

VIEWS = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def save(*layers: keras.Layer, shape: tuple[int, ...] = (8, 8, 3)) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(shape), *layers])
    model.save("m.keras")
    return model


def dense() -> list[keras.Layer]:
    layers = keras.layers
    return [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(5)]


def build(name: str = "m.keras") -> Model:
    return KerasProvider().build(ModelRequest(name, 3, 8, 5, True))


def test_matches_keras_when_copied_and_in_threads() -> None:
    expected = save(*dense()).predict(VIEWS.permute(0, 2, 3, 1).numpy(), verbose=0)
    model = build()
    assert (model.input.size, model.input.channels, model.trained) == (8, 3, True)
    found = []

    def ask() -> None:
        with torch.inference_mode():
            found.extend([model.module(VIEWS), copy.deepcopy(model.module).train()(VIEWS)])

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert len(found) == 2
    for answer in found:
        torch.testing.assert_close(answer, torch.from_numpy(expected), atol=1e-5, rtol=1e-5)


def test_maps_are_channels_first() -> None:
    save(keras.layers.Conv2D(5, 1))
    assert build().module(VIEWS).shape == (2, 5, 8, 8)


def test_rejects_lambda_without_running_it() -> None:
    save(keras.layers.Lambda(lambda x: (Path("marker").touch(), x)[1]), *dense())
    Path("marker").unlink(missing_ok=True)
    with pytest.raises(DataError, match="cannot load the model") as caught:
        build()
    assert "ONNX" in caught.value.hint
    assert not Path("marker").exists()


def test_rejects_unsupported_files() -> None:
    for name, message in (
        ("m.h5", r"not a \.keras file"),
        ("gone.keras", "no file"),
        ("bad.keras", "cannot load the model"),
    ):
        Path("bad.keras").write_bytes(b"not a model")
        with pytest.raises(DataError, match=message):
            build(name)


def test_takes_images_that_are_not_square() -> None:
    save(keras.layers.Flatten(), shape=(4, 8, 3))
    assert build().input.size == (4, 8)


def test_rejects_other_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    save(*dense())
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(UsageError, match="backend jax") as caught:
        build()
    assert "KERAS_BACKEND=torch" in caught.value.hint
