"""`mtkd doctor` finds problems before a run and changes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from mtkd_cli.doctor import environment
from mtkd_cli.doctor.contents import check_images
from tests.fixtures.command_line import Mtkd

if TYPE_CHECKING:
    from tests.conftest import PluginWriter

RNG = np.random.default_rng(0)
SMALL = ("teachers=[{model: 'mlp:8', name: t, fit: all}]", "student=mlp:4")


@pytest.fixture
def folder() -> Path:
    """Two classes of 60 small pictures, and 12 to test on, in split folders."""
    for split, count in (("train", 60), ("test", 12)):
        for label in ("cat", "dog"):
            for number in range(count):
                file = Path(f"pets/{split}/{label}/{number}.png")
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file)
    return Path("pets")


def found(result: Result) -> dict[str, dict[str, Any]]:
    """Return the findings by check, the worst of each."""
    rows = json.loads(result.stdout)["findings"]
    order = ["ok", "warn", "fail"]
    return {row["check"]: row for row in sorted(rows, key=lambda row: order.index(row["status"]))}


def examine(mtkd: Mtkd, folder: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    data = ("data=image-folder", f"data.path={folder}", "data.size=8")
    result = mtkd("doctor", "digits", *SMALL, *data, "--json")
    return result.exit_code, found(result)


def test_images_in_nested_folders_are_counted_once() -> None:
    for name in ("d/cat/a.png", "d/cat/b.png", "d/dog/a.png", "d/more/a.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(name)
    Path("d/dog/scan.TIF").write_bytes(b"II")
    part = SimpleNamespace(options={"path": "d", "unlabeled": str(Path("d/more").resolve()), "size": 8})
    ignored, found = check_images(part)  # type: ignore[arg-type]
    assert found.found == "all 4 images can be read"
    assert ignored.status == "warn"
    assert ignored.found.endswith("are ignored: d/dog/scan.TIF")


def test_valid_recipe_passes_and_leaves_no_files(mtkd: Mtkd, folder: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, rows = examine(mtkd, folder)
    assert code == 0
    assert {row["status"] for name, row in rows.items() if not name.startswith("plugin ")} == {"ok"}
    assert {"python", "torch", "store", "files", "duplicates", "teacher t", "student"} <= set(rows)
    assert sorted(tmp_path.rglob("*")) == before


def test_finds_every_damaged_image(mtkd: Mtkd, folder: Path) -> None:
    (folder / "train/cat/0.png").write_bytes(b"")
    (folder / "test/dog/1.png").write_text("no picture")
    code, rows = examine(mtkd, folder)
    assert code == 3
    assert rows["files"]["status"] == "fail"
    assert "train/cat/0.png" in rows["files"]["found"]
    assert "test/dog/1.png" in rows["files"]["found"]


def test_finds_test_images_in_training_data(mtkd: Mtkd, folder: Path) -> None:
    shutil.copy(folder / "test/cat/3.png", folder / "train/cat/renamed.png")
    code, rows = examine(mtkd, folder)
    assert (code, rows["leakage test"]["status"]) == (3, "fail")
    assert "test/cat/3.png" in rows["leakage test"]["found"]


def test_finds_conflicting_labels(mtkd: Mtkd, folder: Path) -> None:
    for number in range(60):
        shutil.copy(folder / f"train/cat/{number}.png", folder / f"train/dog/{number}.png")
    result = mtkd("doctor", "digits", *SMALL, "data=image-folder", f"data.path={folder}", "data.size=8")
    assert "same content, different labels" in " ".join(result.stdout.split())


def test_warns_about_few_labels_and_absent_classes(mtkd: Mtkd, folder: Path) -> None:
    for number in range(2, 60):
        (folder / f"train/dog/{number}.png").unlink()
    shutil.rmtree(folder / "test/dog")
    code, rows = examine(mtkd, folder)
    assert code == 0
    assert rows["labels"]["status"] == "warn"


def test_continues_after_teacher_fails_to_load(mtkd: Mtkd) -> None:
    teachers = "teachers=[{model: 'mlp:8', name: good, fit: all}, {model: 'mlp:9', name: bad}]"
    result = mtkd("doctor", "digits", teachers, "student=mlp:4", "--json")
    rows = found(result)
    assert result.exit_code == 3
    assert (rows["teacher bad"]["status"], rows["teacher good"]["status"]) == ("fail", "ok")
    assert "checkpoint" in rows["teacher bad"]["hint"]


def test_reports_broken_plugin(mtkd: Mtkd, plugin: PluginWriter) -> None:
    plugin("mtkd-broken", "raise RuntimeError('no good')")
    rows = found(mtkd("doctor", "--json"))
    assert rows["plugin mtkd-broken"]["status"] == "warn"
    assert rows["plugin mtkd-broken"]["hint"] == "mtkd uninstall mtkd-broken"


def test_fails_if_store_is_not_writable(mtkd: Mtkd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MTKD_STORE", str(tmp_path / "file"))
    result = mtkd("doctor", "--json")
    assert (result.exit_code, found(result)["store"]["status"]) == (3, "fail")


def test_warns_about_nearly_full_disk(mtkd: Mtkd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "LEAST_FREE", 10**18)
    assert found(mtkd("doctor", "--json"))["runs"]["status"] == "warn"


def test_unknown_recipe_is_a_usage_error(mtkd: Mtkd) -> None:
    assert mtkd("doctor", "digitz").exit_code == 2
    assert "check" in mtkd("doctor").stdout
