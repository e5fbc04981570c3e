"""Recorded outputs are exported for others, and read back to the same bits."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F

from mtkd_cli.data import mixing, views
from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.store import row_format
from mtkd_cli.store.reinforced_parquet import ParquetFormat
from mtkd_cli.store.reinforced_rows import ShardFormat
from mtkd_cli.store.reinforced_tar import TarFormat
from mtkd_cli.teachers import prepare, reinforced_export
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.training.context import Context
from tests.fixtures.command_line import mtkd
from tests.fixtures.own_data import class_folders
from tests.fixtures.small_runs import SMALL, Contexts

FOLDER = Path("reinforced")
FORMATS = {"parquet": ParquetFormat(), "webdataset": TarFormat()}
DIGITS = ("data.labels=100", "fit={epochs: 1, labels: student}")
FEW = ("data.scenes=20", "data.test_scenes=10", "data.size=16", "data.labels=12", "fit.epochs=1")
FITTED = "teachers=[{name: one, model: 'convnet:4', fit: all}, {name: two, model: 'mlp:4', fit: all}]"
MULTILABEL = """
task: multilabel
data: {name: digit-scenes, scenes: 30, test_scenes: 10, labels: 20, size: 16}
teachers: [{name: one, model: "convnet:4", fit: all}]
strategy: mean
student: convnet:4
fit: {epochs: 1}
"""
CASES = {
    "labels": ("multilabel.yaml", ()),
    "logits": ("digits", (*DIGITS, FITTED)),
    "fp32": ("digits", (*DIGITS, FITTED, "store.precision=fp32")),
    "top-k": ("digits", (*DIGITS, FITTED, "store.top_k=3", "loss.temperature=1")),
    "values": ("diabetes", ("fit.epochs=1", "teachers=[{name: one, model: 'mlp:4', fit: all}]")),
    "maps": ("digit-scenes-seg", (*FEW, "teachers=[{name: one, model: 'unet:2', fit: all}]")),
    "boxes": ("digit-scenes-det", (*FEW, "teachers=[{name: one, model: 'tiny-fcos:8-1', fit: all}]")),
}


def write(context: Context, count: int, shards: ShardFormat, rows: int = 100) -> list[ReadyTeacher]:
    teachers = prepare.prepare_teachers(context, count)
    reinforced_export.export(FOLDER, shards, teachers, count, rows, context)
    return teachers


def read_back(names: Sequence[str]) -> str:
    entries = ", ".join(f"{{name: '{name}', model: 'predictions:{FOLDER}#{name}'}}" for name in names)
    return f"teachers=[{entries}]"


@pytest.mark.parametrize(
    ("name", "shards"),
    [*((name, "parquet") for name in CASES), *((name, "webdataset") for name in ("logits", "top-k", "maps"))],
)
def test_recording_is_read_back_to_the_same_bits(context: Contexts, name: str, shards: str) -> None:
    Path("multilabel.yaml").write_text(MULTILABEL)
    recipe, changes = CASES[name]
    before = write(context(*changes, "views=1", recipe=recipe), 1, FORMATS[shards])
    again = context(*changes, read_back([one.name for one in before]), "views=1", recipe=recipe)
    after = prepare.prepare_teachers(again, 1)
    for one, other in zip(before, after, strict=True):
        assert other.alignment.groups == one.alignment.groups
        assert other.alignment.known == one.alignment.known
        for place, array in one.arrays.items():
            assert other.arrays[place].layout == array.layout
            assert other.arrays[place].rows.tobytes() == array.rows.tobytes()
            old, new = one.recorded_outputs(*place), other.recorded_outputs(*place)
            torch.testing.assert_close(new, old, rtol=0, atol=0, equal_nan=True)


def rows_of(shards: str) -> list[dict[str, Any]]:
    """Read all rows without mtkd."""
    if shards == "parquet":
        return [row for path in sorted(FOLDER.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    rows: dict[str, dict[str, Any]] = {}
    for path in sorted(FOLDER.glob("*.tar")):
        with tarfile.open(path) as archive:
            for entry in archive:
                key, _, ending = entry.name.partition(".")
                content = archive.extractfile(entry).read()
                row = rows.setdefault(key, {})
                if ending == "json":
                    row |= json.loads(content)
                else:
                    row[ending.removesuffix(".npy")] = np.load(io.BytesIO(content)).tolist()
    return list(rows.values())


@pytest.mark.parametrize("shards", FORMATS)
def test_rows_are_readable_without_mtkd(context: Contexts, shards: str) -> None:
    run = context(*DIGITS, FITTED, "views=2", "augment={rotate: 10}")
    first, second = write(run, 2, FORMATS[shards])
    split, rows = run.data.train, rows_of(shards)
    assert len(rows) == 2 * len(split) + len(run.data.val) + len(run.data.test)
    train = {(row["id"], row["view"]): row for row in rows if row["split"] == "train"}
    for index in (0, 1, len(split) - 1):
        for number in (0, 1):
            row = train[split.samples.ids[index], number]
            for prefix, teacher in (("t0", first), ("t1", second)):
                logits = np.array(row[f"{prefix}_logits"], np.float32) + row[f"{prefix}_max_logit"]
                expected = teacher.arrays["train", number][[index]][0]
                np.testing.assert_array_equal(logits.astype(np.float32), expected.numpy())
            label = int(split.samples.targets[index])
            assert row["label"] == (label if label >= 0 else None)
            assert row["label_name"] == (run.data.classes[label] if label >= 0 else None)
            assert row.get("partner") is None
    metadata = json.loads((FOLDER / "metadata.json").read_text())
    assert metadata["classes"] == list(run.data.classes)
    assert metadata["views"]["augment"]["rotate"] == 10
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    for name, checksum in manifest.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == checksum
    assert set(manifest) == {path.name for path in FOLDER.iterdir()} - {"manifest.json"}
    assert "`t1` | two (mlp:4) | train | 10 | `max_logit`, `logits` |" in (FOLDER / "README.md").read_text()


def test_affine_gives_the_geometry_of_a_view(context: Contexts) -> None:
    run = context(*DIGITS, FITTED, "views=2", "augment={shift: 0.1, rotate: 10, zoom: 0.1}")
    write(run, 2, ParquetFormat())
    rows = {row["id"]: row for row in rows_of("parquet") if row["view"] == 1}
    split = run.data.train
    seen = views.views_of(split, slice(0, 4), 1, run.recipe.views.seed, run.recipe.augment)
    moves = torch.tensor([rows[name]["affine"] for name in split.samples.ids[:4]]).reshape(4, 2, 3)
    plain = torch.from_numpy(split.samples.read(slice(0, 4))).float() / 255
    grid = F.affine_grid(moves, list(plain.shape), align_corners=False)
    again = F.grid_sample(plain, grid, padding_mode="border", align_corners=False)
    torch.testing.assert_close(again, seen, rtol=0, atol=1e-5)


def test_mixed_views_name_the_partner_and_the_share(context: Contexts) -> None:
    run = context(*DIGITS, FITTED, "views=2", "augment={mixup: 0.5}")
    write(run, 2, ParquetFormat())
    split, seed = run.data.train, run.recipe.views.seed
    rows = {row["id"]: row for row in rows_of("parquet") if row["view"] == 1}
    partners = mixing.partners(len(split), seed, 1)
    for index in range(5):
        row = rows[split.samples.ids[index]]
        assert row["partner"] == split.samples.ids[partners[index]]
        other = int(np.flatnonzero(np.array(split.samples.ids) == row["partner"])[0])
        pixels = split.samples.read(np.array([index, other])).astype(np.float32) / 255
        view = views.views_of(split, slice(index, index + 1), 1, seed, run.recipe.augment)[0]
        mixed = row["own_share"] * pixels[0] + (1 - row["own_share"]) * pixels[1]
        np.testing.assert_allclose(view.numpy(), mixed, atol=1e-5)


def test_missing_outputs_stay_missing(context: Contexts, tmp_path: Path) -> None:
    """A teacher that is not finite on one sample, with ``store.on_nan: drop``."""
    run = context(*DIGITS, FITTED)
    ids = [name for split in run.data.splits for name in split.samples.ids]
    outputs = np.random.default_rng(0).normal(size=(len(ids), 10)).astype(np.float32)
    outputs[5] = np.nan
    np.savez(tmp_path / "gaps.npz", ids=ids, predictions=outputs)
    entry = f"teachers=[{{name: gaps, model: 'predictions:{tmp_path}/gaps.npz', outputs: logits}}]"
    drop = ("data.labels=100", "store.on_nan=drop", "views=1")
    before = write(context(*drop, entry), 1, TarFormat())[0]
    after = prepare.prepare_teachers(context(*drop, read_back(["gaps"])), 1)[0]
    assert after.arrays["train", 0].rows.tobytes() == before.arrays["train", 0].rows.tobytes()
    with pytest.raises(DataError, match="is missing"):
        prepare.prepare_teachers(context("data.labels=100", "views=1", read_back(["gaps"])), 1)


def test_top_k_is_refused_where_all_classes_are_needed(context: Contexts) -> None:
    recipe, changes = CASES["top-k"]
    write(context(*changes, "views=1", recipe=recipe), 1, ParquetFormat())
    with pytest.raises(UsageError, match=r"the 3 largest classes only; this recipe records all") as caught:
        prepare.prepare_teachers(context(*DIGITS, read_back(["one"]), "views=1"), 1)
    assert "store.top_k: 3" in caught.value.hint


def test_all_classes_are_reduced_where_fewer_are_recorded(context: Contexts) -> None:
    write(context(*DIGITS, FITTED, "views=1"), 1, ParquetFormat())
    few = context(*DIGITS, read_back(["one"]), "views=1", "store.top_k=3", "loss.temperature=1")
    assert prepare.prepare_teachers(few, 1)[0].arrays["train", 0].layout.top_k == 3


def test_recording_of_another_task_is_refused(context: Contexts) -> None:
    recipe, changes = CASES["values"]
    write(context(*changes, "views=1", recipe=recipe), 1, ParquetFormat())
    with pytest.raises(DataError, match="the recording has values, but the task needs classes"):
        prepare.prepare_teachers(context(*DIGITS, read_back(["one"]), "views=1"), 1)


@pytest.fixture
def exported(context: Contexts) -> Path:
    write(context(*DIGITS, FITTED, "views=1"), 1, TarFormat())
    return FOLDER


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: flip(next(folder.glob("val*.tar"))), "checksum does not match"),
        (lambda folder: next(folder.glob("train*.tar")).unlink(), "train-view0"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is damaged"),
        (lambda folder: (folder / "metadata.json").write_text("{}"), "not a reinforced data set"),
        (lambda folder: change(folder, '"version": 1', '"version": 2'), "version 2 of the format"),
        (lambda folder: change(folder, "val-view0", "../val-view0"), "it names"),
        (lambda folder: change(folder, '"float16"', '"object"'), "not numbers"),
    ],
)
def test_damage_is_an_error(context: Contexts, exported: Path, spoil: Any, says: str) -> None:
    spoil(exported)
    with pytest.raises(DataError, match=says):
        prepare.prepare_teachers(context(*DIGITS, read_back(["one"]), "views=1"), 1)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def change(folder: Path, old: str, new: str) -> None:
    text = (folder / "metadata.json").read_text()
    assert old in text
    (folder / "metadata.json").write_text(text.replace(old, new))


def test_a_teacher_must_be_named_if_there_are_several(context: Contexts, exported: Path) -> None:
    for model, says in (("reinforced", "has 2 teachers"), ("reinforced#three", "no teacher 'three'")):
        entry = f"teachers=[{{name: x, model: 'predictions:{model}'}}]"
        with pytest.raises(UsageError, match=says):
            prepare.prepare_teachers(context(*DIGITS, entry, "views=1"), 1)


@pytest.mark.parametrize("shards", FORMATS)
def test_names_with_odd_characters(context: Contexts, shards: str) -> None:
    names = ["a|b", "c, d", 'e"f', "\u00fc\u4e2d", " g "]
    class_folders(Path("photos"), names, 6)
    changes = ("data={name: image-folder, path: photos, size: 8}", "fit.epochs=1", "views=1")
    fitted = "teachers=[{name: one, model: 'convnet:2', fit: all}]"
    run = context(*changes, fitted, recipe="image-folder")
    before = write(run, 1, FORMATS[shards])[0]
    labels = {row["id"]: row["label_name"] for row in rows_of(shards)}
    assert {name for name in labels.values() if name} == set(run.data.classes)
    assert all(label is None or sample.startswith(f"{label}/") for sample, label in labels.items())
    after = prepare.prepare_teachers(context(*changes, read_back(["one"]), recipe="image-folder"), 1)[0]
    assert after.arrays["train", 0].rows.tobytes() == before.arrays["train", 0].rows.tobytes()


def test_other_splits_of_the_same_samples_are_read_back(context: Contexts) -> None:
    """A sample of the training split was validation when it was exported, in another layout."""
    many = (*DIGITS, "views=1", "store.top_k=auto", "loss.temperature=1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_format, "MANY_CLASSES", 10)
        patch.setattr(row_format, "AUTO_TOP_K", 3)
        before = write(context(*many, FITTED), 1, ParquetFormat())[0]
        assert [before.arrays[split, 0].layout.top_k for split in ("train", "val")] == [3, None]
        same = prepare.prepare_teachers(context(*many, read_back(["one"])), 1)[0]
        for place, array in before.arrays.items():
            assert same.arrays[place].rows.tobytes() == array.rows.tobytes()
        with pytest.raises(UsageError, match="this recipe records all"):  # for validation
            prepare.prepare_teachers(context(*many, "data.seed=1", read_back(["one"])), 1)
    few = (*many, "data.seed=1", "store.top_k=3")
    other = prepare.prepare_teachers(context(*few, read_back(["one"])), 1)[0]
    ids = {name: row for row, name in enumerate(other.task and context(*few).data.train.samples.ids)}
    old = context(*many).data
    for split in (old.train, old.val):
        rows = [row for row, name in enumerate(split.samples.ids) if name in ids]
        assert rows
        found = other.recorded_outputs("train", 0, [ids[split.samples.ids[row]] for row in rows])
        expected = before.recorded_outputs(split.name, 0, rows)
        best = expected.softmax(1).topk(3)
        got = found.softmax(1).gather(1, best.indices)
        torch.testing.assert_close(got, best.values, rtol=2e-3, atol=1e-3)


def test_command_writes_a_new_folder_only() -> None:
    command = ("store", "export", "out", "digits", *SMALL, *DIGITS, "views=1", "--threads", "1")
    done = mtkd(*command, "--format", "webdataset", "--shard-rows", "300", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["rows"] == 1797
    assert len(facts["shards"]) == len(list(Path("out").glob("*.tar"))) >= 6
    again = mtkd(*command)
    assert again.exit_code == 2
    assert "out exists" in again.stderr
    assert mtkd(*command[:2], "new", *command[3:], "--format", "csv").exit_code == 2
    assert mtkd(*command[:2], "new", *command[3:-3], "views=live").exit_code == 2
    assert not Path("new").exists()
