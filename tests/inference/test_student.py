"""A run's folder alone is enough to use its student, and what was changed in it is never used."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.files import checksummed_json
from mtkd_cli.inference.student import load_student


def rewritten(run: Path, **changes: Any) -> None:
    facts = checksummed_json.read(run / "student.json")
    checksummed_json.write(run / "student.json", {**facts, **changes})


def test_the_folder_alone_is_enough(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moved elsewhere, without the store, it gives the scores of the report."""
    moved = Path(shutil.move(run, tmp_path / "elsewhere"))
    monkeypatch.setenv("MTKD_STORE", str(tmp_path / "no-store"))
    student = load_student(moved)
    assert student.classes == tuple(map(str, range(10)))
    assert student.takes == "image"
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    right = (student.answer(images).argmax(dim=1).numpy() == digits.target).mean()
    scores = json.loads((moved / "report.json").read_text())["scores"]
    assert right == pytest.approx(scores["student"]["accuracy"], abs=0.05)
    assert not (tmp_path / "no-store").exists()


def test_a_run_is_found_by_its_name(run: Path) -> None:
    assert load_student("small").folder == load_student(run).folder == Path("runs/small")


def test_a_wrong_name_is_answered_with_the_runs_there_are(run: Path) -> None:
    with pytest.raises(UsageError, match="no run 'smal'") as caught:
        load_student("smal")
    assert caught.value.hint == "did you mean 'small'?"
    with pytest.raises(UsageError) as caught:
        load_student("flowers")
    assert caught.value.hint == "runs here: small"


def test_files_are_shown_as_in_training(run: Path) -> None:
    """A photograph is turned upright, its middle square taken and made grey."""
    photo = Image.fromarray(np.arange(20 * 40, dtype=np.uint8).reshape(20, 40).repeat(3).reshape(20, 40, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save("photo.png", exif=exif)
    pixels = load_student(run).read("photo.png")
    assert (pixels.shape, pixels.dtype) == ((1, 8, 8), np.uint8)
    upright = np.asarray(photo.rotate(-90, expand=True).convert("L").crop((0, 10, 20, 30)).resize((8, 8), 3))
    assert abs(pixels[0].astype(int) - upright).max() <= 4


def test_loading_draws_no_random_number_of_the_caller(run: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    load_student(run)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("name", ["student.json", "student.safetensors"])
def test_one_changed_byte_is_found(run: Path, name: str) -> None:
    original = (run / name).read_bytes()
    for place in np.random.default_rng(0).integers(0, len(original), 40):
        content = bytearray(original)
        content[place] ^= 1 << int(place) % 8
        (run / name).write_bytes(content)
        try:
            with pytest.raises(DataError):
                load_student(run)
        except BaseException:  # white space of the JSON is the one thing that means nothing
            assert json.loads(content) == json.loads(original)


@pytest.mark.parametrize("name", ["student.json", "student.safetensors"])
def test_a_missing_or_cut_file_is_named(run: Path, name: str) -> None:
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError) as cut:
        load_student(run)
    assert cut.value.where.endswith(name)
    (run / name).unlink()
    with pytest.raises(DataError) as missing:
        load_student(run)
    assert missing.value.hint


def test_a_json_bomb_is_refused(run: Path) -> None:
    (run / "student.json").write_text("[" * 200_000)
    with pytest.raises(DataError, match="cannot be read"):
        load_student(run)
    with (run / "student.json").open("wb") as file:
        file.truncate(checksummed_json.LARGEST_BYTES + 1)
    with pytest.raises(DataError, match="larger than"):
        load_student(run)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 99}, "format 99"),
        ({"request": {}}, "student.json is not valid"),
        ({"classes": None}, "student.json is not valid"),
    ],
)
def test_facts_that_describe_no_student_are_refused(run: Path, changes: dict[str, Any], said: str) -> None:
    rewritten(run, **changes)
    with pytest.raises(DataError, match=said):
        load_student(run)


def test_a_plugin_that_is_not_installed_is_named(run: Path) -> None:
    rewritten(run, provider="mtkd-lost:lost")
    with pytest.raises(UsageError, match="no 'mtkd-lost:lost' in teachers"):
        load_student(run)


def test_weights_of_another_architecture_are_refused(run: Path) -> None:
    facts = checksummed_json.read(run / "student.json")
    rewritten(run, request={**facts["request"], "model": "8-8"})
    with pytest.raises(DataError, match="do not fit"):
        load_student(run)


def test_the_weights_say_themselves_what_they_are(run: Path) -> None:
    """`student.safetensors` alone tells classes, input and task in its metadata."""
    from safetensors import safe_open

    with safe_open(run / "student.safetensors", framework="pt") as file:
        told = json.loads(file.metadata()["mtkd"])
    facts = checksummed_json.read(run / "student.json")
    digest = facts.pop("weights")
    assert told == facts
    assert hashlib.sha256((run / "student.safetensors").read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", ["student.json", "student.safetensors"])
def test_a_link_in_a_run_is_not_followed(run: Path, name: str, tmp_path: Path) -> None:
    elsewhere = (run / name).rename(tmp_path / name)
    (run / name).symlink_to(elsewhere)
    with pytest.raises(DataError, match="link"):
        load_student(run)
