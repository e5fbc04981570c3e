"""Recorded outputs are exact, never stale, and recorded only once."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mtkd_cli.data.views import affine, view
from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces.missing_outputs import has_nonfinite
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.store import content_store, inventory, recorded_outputs
from mtkd_cli.store import row_format as layout_module
from mtkd_cli.store.row_format import Layout
from mtkd_cli.teachers import prepare, recording
from mtkd_cli.teachers.inference import OutputFunction, outputs_by_view
from mtkd_cli.teachers.recording import RecordingJob
from mtkd_cli.teachers.resolved_teacher import resolve_teachers
from mtkd_cli.training.context import Context
from mtkd_cli.training.progress import Progress
from tests.fixtures.small_runs import Contexts


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout_module, "MAX_SHARD_SAMPLES", 128)


@pytest.fixture
def context(context: Contexts) -> Contexts:
    """Small runs with teachers of few labels: what a teacher knows does not matter here."""

    def make(*overrides: str, recipe: str = "digits") -> Context:
        few = ("fit.labels=student",) if recipe == "digits" else ()
        return context(*few, *overrides, recipe=recipe)

    return make


def live_answers(context: Context, index: int, number: int) -> torch.Tensor:
    teacher = resolve_teachers(context)[index]
    model = prepare.load_teacher(teacher.part, teacher.entry, context.data, context.task)
    model = prepare.fit_teacher(model, teacher, context)
    split = context.data.train
    views = view(
        split.samples.read(slice(None)),
        split.id_numbers,
        number,
        context.recipe.views.seed,
        context.recipe.augment,
    )
    with torch.inference_mode():
        return with_preprocessing(model).eval()(views)


@pytest.mark.parametrize("number", [0, 2])
def test_recorded_outputs_equal_live_outputs(context: Contexts, number: int) -> None:
    run = context("views=3", "fit.batch_size=64")
    for index, ready in enumerate(prepare.prepare_teachers(run, 3)):
        live = live_answers(run, index, number)
        torch.testing.assert_close(ready.recorded_outputs("train", number), live, rtol=1e-3, atol=2e-3)


def test_flipped_view_is_recorded_separately(context: Contexts) -> None:
    """Outputs for a flipped image are not those for the image, flipped or not."""
    run = context("views=2", "augment={flip: true}", "fit.labels=all")
    convnet, split = prepare.prepare_teachers(run, 2)[1], run.data.train
    places = affine(split.id_numbers, 1, run.recipe.views.seed, run.recipe.augment)
    assert places is not None
    flipped = places[:, 0, 0] < 0
    plain, seen = convnet.recorded_outputs("train", 0), convnet.recorded_outputs("train", 1)
    torch.testing.assert_close(seen, live_answers(run, 1, 1), rtol=1e-3, atol=2e-3)
    torch.testing.assert_close(seen[~flipped], plain[~flipped], rtol=1e-3, atol=2e-3)
    assert ((seen - plain)[flipped].abs().amax(dim=1) > 0.1).float().mean() > 0.9


def count_shards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    written: list[int] = []
    write = recorded_outputs.write_shard

    def counted(array: Any, shard: int, *rest: Any) -> None:
        write(array, shard, *rest)
        written.append(shard)

    monkeypatch.setattr(recorded_outputs, "write_shard", counted)
    return written


def test_any_difference_gives_another_array(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    small = ("teachers=[{model: 'mlp:8', fit: all}]", "views={count: 2, seed: 0}")
    first = context(*small)
    prepare.prepare_teachers(first, 2)
    written = count_shards(monkeypatch)
    for change, again in (
        ("train.seed=5", False),
        ("views.count=3", True),
        ("augment.rotate=20", True),
        ("augment.mixup=0.2", True),
        ("augment.randaugment={operations: 1}", True),
        ("views.seed=1", True),
        ("data.seed=1", True),
        ("teachers.0.input={mean: [0.1]}", True),
        ("store.precision=fp32", True),
        ("fit.seed=1", True),
    ):
        written.clear()
        prepare.prepare_teachers(context(*small, change), 3 if "count" in change else 2)
        assert bool(written) is again, change


def test_records_only_new_views(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    run = context("views=2")
    prepare.prepare_teachers(run, 2)
    written = count_shards(monkeypatch)
    prepare.prepare_teachers(context("views=3"), 3)
    assert len(written) == 3 * -(-len(run.data.train) // 128)


def test_resumes_after_last_complete_shard(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    run = context()
    whole = [ready.recorded_outputs("train", 0) for ready in prepare.prepare_teachers(run, 1)]
    monkeypatch.setenv("MTKD_STORE", "elsewhere")
    write = recorded_outputs.write_shard
    budget = [12]

    def dies(*arguments: Any) -> None:
        if not budget[0]:
            raise KeyboardInterrupt
        budget[0] -= 1
        write(*arguments)

    monkeypatch.setattr(recorded_outputs, "write_shard", dies)
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare_teachers(context(), 1)
    monkeypatch.setattr(recorded_outputs, "write_shard", write)
    written = count_shards(monkeypatch)
    resumed = prepare.prepare_teachers(context(), 1)
    needed = 3 * sum(-(-len(split) // 128) for split in run.data.splits)
    assert len(written) == needed - 12
    for one, other in zip(whole, resumed, strict=True):
        assert torch.equal(one, other.recorded_outputs("train", 0))


def test_records_damaged_shard_again(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    before = prepare.prepare_teachers(context(), 1)[0]
    right = before.recorded_outputs("train", 0).clone()
    file = before.arrays["train", 0].folder / "outputs.npy"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x40
    file.write_bytes(content)
    assert [item.folder for item in inventory.damaged_items()] == [file.parent]
    written = count_shards(monkeypatch)
    after = prepare.prepare_teachers(context(), 1)[0]
    assert len(written) == 1
    assert torch.equal(after.recorded_outputs("train", 0), right)
    assert not inventory.damaged_items()


@pytest.mark.parametrize("spoil", ["truncate", "no ledger", "half a line", "wrong key"])
def test_records_damaged_array_again(context: Contexts, spoil: str) -> None:
    before = prepare.prepare_teachers(context(), 1)[0]
    right = before.recorded_outputs("train", 0).clone()
    folder = before.arrays["train", 0].folder
    ledger = folder / "shards.jsonl"
    if spoil == "truncate":
        os.truncate(folder / "outputs.npy", 1000)
    elif spoil == "no ledger":
        ledger.unlink()
    elif spoil == "half a line":
        ledger.write_text(ledger.read_text()[:-30])
    else:
        (folder / "key.json").write_text("{}")
    assert torch.equal(prepare.prepare_teachers(context(), 1)[0].recorded_outputs("train", 0), right)


def job(name: str, ask: OutputFunction, run: Context, outputs: int = 10) -> RecordingJob:
    """Return the job to record the plain view of the training samples."""
    return RecordingJob(
        name,
        ask,
        Layout.for_recipe((outputs,), run.recipe, run.task),
        run.data.train,
        0,
        {"k": 1},
        recording.batch_size(8, run.device),
        run.device,
        keep_gaps=run.recipe.store.on_nan == "drop",
    )


class Poisoned(nn.Module):
    """Returns NaN for one image."""

    def __init__(self, picture: np.ndarray) -> None:
        super().__init__()
        self.picture = torch.from_numpy(picture).flatten() / 255

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        same = (views.flatten(1) == self.picture).all(1)
        return torch.zeros(len(views), 10).masked_fill(same[:, None], torch.nan)


def test_nan_error_names_teacher_and_sample(context: Contexts) -> None:
    run = context()
    split = run.data.train
    bad = outputs_by_view(Poisoned(split.samples.read(np.array([200]))), run.recipe, run.device)
    with pytest.raises(DataError, match="'bad' returned NaN") as caught:
        recording.record(job("bad", bad, run), Progress())
    assert split.samples.ids[200] in caught.value.where


@pytest.mark.parametrize("top_k", ["null", "3"])
def test_on_nan_drop_ignores_teacher(context: Contexts, top_k: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = context("store.on_nan=drop", f"store.top_k={top_k}")
    split, shown = run.data.train, []
    bad = outputs_by_view(Poisoned(split.samples.read(np.array([200]))), run.recipe, run.device)
    progress = Progress()
    monkeypatch.setattr(progress, "say", shown.append)
    array = recording.record(job("bad", bad, run), progress)
    assert has_nonfinite(array[:]).nonzero().flatten().tolist() == [200]
    assert shown == [
        f"teacher bad: non-finite outputs on 1 samples ({split.samples.ids[200]}); ignored on them"
    ]


def test_rejects_one_output_for_whole_batch(context: Contexts) -> None:
    run = context()

    class OneForAll(nn.Module):
        def forward(self, views: torch.Tensor) -> torch.Tensor:
            return torch.zeros(1, 10)

    with pytest.raises(DataError, match=r"'bad' returned \(1, 10\) for"):
        recording.record(job("bad", outputs_by_view(OneForAll(), run.recipe, run.device), run), Progress())


def test_resumed_recording_needs_no_additional_space(
    context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = context()
    ready = prepare.prepare_teachers(run, 1)[0]
    (ready.arrays["train", 0].folder / "shards.jsonl").unlink()
    monkeypatch.setattr(recording.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    assert torch.equal(
        prepare.prepare_teachers(run, 1)[0].recorded_outputs("train", 0), ready.recorded_outputs("train", 0)
    )


def test_rejects_recording_larger_than_disk(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(DataError, match=r"recording needs [\d,]+ bytes, but only 10 are free"):
        prepare.prepare_teachers(context(), 1)


def test_overflow_error_names_value(context: Contexts) -> None:
    run = context("store.precision=fp16", recipe="diabetes")

    class Far(nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return torch.full((len(rows), 1), 1e6)

    with pytest.raises(DataError, match=r"'far' returned 1e\+06; fp16 holds numbers up to 65504"):
        recording.record(
            job("far", outputs_by_view(Far(), run.recipe, run.device), run, outputs=1), Progress()
        )


def test_reports_rounding_of_earlier_recording(context: Contexts) -> None:
    shown: list[list[str]] = []
    for _ in range(2):
        run, lines = context(), []
        run.progress.say = lines.append
        ready = prepare.prepare_teachers(run, 1)
        shown.append([line for line in lines if line.startswith("rounding of recorded outputs")])
    assert len(shown[0]) == 1
    assert shown[0] == shown[1]
    rounding = ready[0].rounding
    assert rounding is not None
    assert 0 < rounding.error < 1e-3
    assert f"{ready[0].name}: probabilities rounded by at most {rounding.error:.1g}" in shown[0][0]


def test_losses_with_other_formats_record_separately(context: Contexts) -> None:
    small = ("data.scenes=20", "data.test_scenes=10", "data.size=16", "data.labels=12")
    keys = [
        recording.key({"w": 1}, run.data.train, 0, run.recipe, run.task)
        for run in (
            context(*small, change, recipe="digit-scenes-seg")
            for change in (
                "loss.temperature=1",
                "loss.temperature=2",
                "task={name: segmentation, kd: cwd}",
            )
        )
    ]
    assert [key["store"]["top_k"] for key in keys] == [4, None, None]


def test_recordings_of_earlier_versions_remain_valid(context: Contexts) -> None:
    """The digest was computed by the version in which ``augment`` had its first keys."""
    digits = "augment={shift: 0.1, rotate: 10, zoom: 0.1}"
    for change in (digits, digits.replace("}", ", resized_crop: 1}")):
        run = context("data.labels=100", change)
        key = recording.key({"w": 1}, run.data.train, 2, run.recipe, run.task)
        assert content_store.digest(key) == "57cc35bb309fb6a7a216354c9f4fddc7", change


def test_rejects_top_k_if_all_logits_are_needed(context: Contexts) -> None:
    with pytest.raises(UsageError, match="temperature 1"):
        context("store.top_k=3", "loss.temperature=2")
    with pytest.raises(UsageError, match="temperature 1"):
        context("store.top_k=3", "loss.temperature=2", recipe="digit-scenes-seg")
    run = context("store.top_k=3", "loss.temperature=1")
    assert prepare.prepare_teachers(run, 1)[0].recorded_outputs("val", 0).shape[1] == 10
