"""Teachers answer the mixed image; what cannot be mixed is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mtkd_cli.data import mixing
from mtkd_cli.errors import UsageError
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.teachers import prepare
from mtkd_cli.teachers.distillation_data import distillation_data
from mtkd_cli.teachers.features import record_features
from mtkd_cli.teachers.mixed_views import require_mixable
from mtkd_cli.teachers.resolved_teacher import resolve_teachers
from mtkd_cli.training.context import Context
from mtkd_cli.training.loop import Step
from tests.fixtures.small_runs import Contexts

KEYS = ("views=2", "augment={mixup: 1.0, cutmix: 1.0}", "teachers=[{model: 'mlp:8', fit: all}]")


def mixed_images(run: Context) -> torch.Tensor:
    """Return view 1 of all training samples, mixed by hand."""
    split = run.data.train
    pixels = torch.from_numpy(split.samples.read(slice(None))).float() / 255
    partners = torch.from_numpy(mixing.partners(len(split), 0, 1).copy())
    share = mixing.own_share(split.id_numbers, 1, 0, run.recipe.augment, pixels.shape[2:])[:, None]
    return share * pixels + (1 - share) * pixels[partners]


def test_teachers_are_recorded_on_the_mixed_image(context: Contexts) -> None:
    run = context(*KEYS)
    (ready,) = prepare.prepare_teachers(run, 2)
    resolved = resolve_teachers(run)[0]
    model = prepare.load_teacher(resolved.part, resolved.entry, run.data, run.task)
    module = with_preprocessing(prepare.fit_teacher(model, resolved, run)).eval()
    with torch.inference_mode():
        expected = module(mixed_images(run))
    torch.testing.assert_close(ready.recorded_outputs("train", 1), expected, rtol=1e-3, atol=2e-3)
    assert (ready.recorded_outputs("train", 0) - expected).abs().mean() > 0.1


def test_recorded_and_live_outputs_are_equal(context: Contexts) -> None:
    """Epoch 1 of two recorded views and epoch 0 of live ones show view 1."""
    indices = np.array([4, 90, 2])
    run, live = context(*KEYS), context(*KEYS, "views=live")
    recorded = distillation_data(prepare.prepare_teachers(run, 2), 2, run)
    running = distillation_data(prepare.prepare_teachers(live, None), None, live)
    first, second = Step(0, 1, 0.0, indices), Step(0, 0, 0.0, indices)
    views = recorded.views(first)
    assert torch.equal(views, running.views(second))
    torch.testing.assert_close(views, mixed_images(run)[indices], rtol=0, atol=1e-6)
    (stored,) = recorded.teacher_outputs(first)
    (answered,) = running.teacher_outputs(Step(0, 0, 0.0, indices, views))
    torch.testing.assert_close(stored, answered, rtol=1e-3, atol=2e-3)


def test_features_are_those_of_the_mixed_image(context: Contexts) -> None:
    run = context(*KEYS, "loss.features=1")
    (features,) = record_features(resolve_teachers(run), 2, run)
    plain, mixed = (features.arrays[number][:] for number in (0, 1))
    assert (plain - mixed).abs().mean() > 0.01


def refused(run: Context, views: int | None = 2) -> UsageError:
    with pytest.raises(UsageError) as caught:
        require_mixable(resolve_teachers(run), views, run)
    return caught.value


def test_refuses_predictions_by_sample_id(context: Contexts) -> None:
    ids = tuple(f"digits-{number:04d}" for number in range(1797))
    np.savez("p.npz", ids=ids, predictions=np.zeros((1797, 10), np.float32))
    run = context("teachers=[{name: api, model: 'predictions:p.npz', outputs: logits}]", "augment.mixup=1")
    error = refused(run)
    assert "augment.mixup, teacher 'api'" in error.where
    require_mixable(resolve_teachers(run), 1, run)


def test_refuses_boxes(context: Contexts) -> None:
    run = context(
        "data.scenes=24",
        "data.test_scenes=10",
        "data.labels=12",
        "augment.mixup=1",
        recipe="digit-scenes-det",
    )
    assert refused(run).hint == "remove augment.mixup"


def test_refuses_cut_values(context: Contexts) -> None:
    run = context("augment={cutmix: 1}", recipe="diabetes")
    assert refused(run).hint == "remove it, or use augment.mixup"
    mixed = context("augment={mixup: 1}", recipe="diabetes")
    require_mixable(resolve_teachers(mixed), 2, mixed)


@pytest.mark.parametrize(
    ("kind", "header", "message"),
    [
        ("mixup", "color", "column 'color' has categories"),
        ("cutmix", "size", "the data is a table"),
    ],
)
def test_refuses_tables_that_cannot_be_mixed(context: Contexts, kind: str, header: str, message: str) -> None:
    values = ("red", "blue", "green") if header == "color" else ("0.5", "1.25", "7")
    rows = [f"{values[i % 3]},{i * 0.7},{'ab'[i % 2]}" for i in range(60)]
    Path("t.csv").write_text(f"{header},x,y\n" + "\n".join(rows) + "\n")
    run = context(
        "task=classification",
        "data={name: table, path: t.csv, target: y}",
        f"augment={{{kind}: 1}}",
        "data.labels=20",
        recipe="table",
    )
    assert message in refused(run).what
