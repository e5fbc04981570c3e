"""A run leaves a picture of what everyone answers beside the labels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd_tasks.classification import Classification
from mtkd_tasks.grid import CELL, GAP, RIGHT, WRONG, Words, grid, image_of
from tests.fixtures.small_runs import Distill


def test_a_run_of_a_classification_shows_eight_samples_and_everyones_answers(distill: Distill) -> None:
    distill(baseline=True, name="shown")
    with Image.open(Path("runs/shown/predictions.png")) as picture:
        columns = len(["image", "label", "student", "ensemble"]) + 3 + 3  # baselines, teachers
        assert picture.width == columns * (CELL + GAP) + GAP
        assert (picture.height - CELL) // (CELL + GAP) == 7


def test_a_task_that_cannot_draw_loses_nothing(distill: Distill, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of ink")

    monkeypatch.setattr(Classification, "picture", fail)
    distill(name="blind")
    assert not Path("runs/blind/predictions.png").exists()
    assert Path("runs/blind/student.safetensors").exists()
    assert "out of ink" in Path("runs/blind/log.txt").read_text()


def test_right_and_wrong_answers_have_colours_of_their_own() -> None:
    picture = grid(["a", "b"], [[Words("MHE", right=True), Words("MHE", right=False)]])
    found = {tuple(colour) for colour in np.asarray(picture).reshape(-1, 3).tolist()}
    for wanted in (RIGHT, WRONG):
        assert tuple(bytes.fromhex(wanted[1:])) in found


def test_words_stay_in_their_column_and_pixels_stay_what_they_were() -> None:
    tile = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8).numpy()
    picture = np.asarray(grid(["w" * 99, "x"], [[Words("long " * 50), image_of(tile)]]))
    assert (picture[:, CELL + GAP : CELL + 2 * GAP] == 255).all()
    shown = picture[-CELL - GAP : -GAP, -CELL - GAP : -GAP]
    assert np.array_equal(shown[:: CELL // 8, :: CELL // 8].transpose(2, 0, 1), tile)
