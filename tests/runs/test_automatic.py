"""What ``auto`` becomes: labels stay true, an epoch has steps enough, and a run keeps what it began with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mtkd_cli.files import yaml12
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.load import load
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.recipe.schema import Augment, Recipe
from mtkd_cli.runs import automatic, view_count
from mtkd_cli.training.context import Context
from tests.fixtures.small_runs import Contexts, Distill

UNSET = ("augment=auto", "train.batch_size=auto")


def of_photos(run: Context) -> Context:
    """The run with images in color, as far as the choice looks at them."""
    shape = {"channels": 3, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2)}
    return replace(run, data=replace(run.data, input=replace(run.data.input, **shape)))


def augment_of(run: Context) -> Augment:
    return automatic.resolve_auto(run.parts, run.data, run.task).augment


def with_predictions(parts: Resolved, registry: Registry) -> Resolved:
    spec = registry.find("teachers", "predictions").spec
    return replace(parts, teachers=(replace(parts.teachers[0], spec=spec), *parts.teachers[1:]))


def test_digits_are_moved_a_little_and_never_mirrored(context: Contexts) -> None:
    run = context(*UNSET)
    assert run.recipe.augment.shift > 0
    assert not run.recipe.augment.flip
    assert run.recipe.augment.brightness == 0


def test_photos_are_mirrored_cropped_and_changed_in_color(context: Contexts) -> None:
    chosen = augment_of(of_photos(context(*UNSET)))
    assert chosen.flip
    assert chosen.crop < 1
    assert chosen.brightness > 0
    assert chosen.contrast > 0


def test_grayscale_images_stored_with_three_channels_are_not_mirrored(context: Contexts) -> None:
    run = context(*UNSET)
    gray = replace(run.data.input, channels=3, mean=(0.3,) * 3, std=(0.2,) * 3)
    assert not augment_of(replace(run, data=replace(run.data, input=gray))).flip


def test_tables_and_values_are_left_alone(context: Contexts) -> None:
    assert context("augment=auto", recipe="diabetes").recipe.augment == Augment()
    of_images = of_photos(context(*UNSET))
    of_images.task.logits = False  # its labels are values then
    assert augment_of(of_images) == Augment()


@pytest.mark.parametrize("recipe", ["digit-scenes-seg", "digit-scenes-det"])
def test_labels_with_places_get_moves_that_they_follow(
    context: Contexts, registry: Registry, recipe: str
) -> None:
    run = context("augment=auto", "data.scenes=20", "data.labels=10", recipe=recipe)
    assert run.recipe.augment.shift > 0
    assert (run.recipe.augment.rotate, run.recipe.augment.flip) == (0, False)
    by_id = with_predictions(run.parts, registry)
    assert automatic.resolve_auto(by_id, run.data, run.task).augment == Augment()
    _, reason = automatic.choose_augmentation(by_id, run.data, run.task)
    assert "only for the plain view" in reason


def test_what_a_recipe_says_is_taken_as_it_is(context: Contexts) -> None:
    run = context("augment={flip: true}", "train.batch_size=500", "fit.batch_size=7")
    assert run.recipe.augment == Augment(flip=True)
    assert run.recipe.train.batch_size == 500
    assert all(teacher.fit and teacher.fit.batch_size == 7 for teacher in run.recipe.teachers)
    assert automatic.describe_choices(run) == []
    (warning, *_) = automatic.batch_size_warnings(run)
    assert "train.batch_size 500 leaves 3 steps an epoch" in warning


def test_every_automatic_choice_is_told(context: Contexts) -> None:
    run = context(*UNSET)
    about = "; ".join(automatic.describe_choices(run))
    assert f"augment: {automatic.describe_augment(run.recipe.augment)} (grayscale images)" in about
    assert "train.batch_size: 32" in about or "train.batch_size: 64" in about
    assert "fit.batch_size: " in about
    assert automatic.batch_size_warnings(run) == []


def test_few_views_are_recorded_where_augmentation_is_chosen(context: Contexts) -> None:
    assert view_count.count_views(context(*UNSET, "train.epochs=40").recipe) == 4
    assert view_count.count_views(context(*UNSET, "train.epochs=40", "views=6").recipe) == 6
    assert view_count.count_views(context("augment.shift=0.1", "train.epochs=40").recipe) == 8
    assert view_count.count_views(context("augment=none", "train.epochs=40").recipe) == 1


def test_a_run_keeps_what_it_began_with(context: Contexts, registry: Registry) -> None:
    written = load("digits", UNSET, registry).recipe
    before = context("augment=none", "train.batch_size=64", "fit.batch_size=64").recipe.as_dict()
    again = automatic.apply_begun_values(written, before)
    assert again.augment == Augment()
    assert again.train.batch_size == 64
    assert [teacher.fit.batch_size for teacher in again.teachers if teacher.fit] == [64, 64, 64]
    assert automatic.apply_begun_values(written, None) == written
    settled = context(*UNSET, "train.epochs=40")
    resumed = automatic.apply_begun_values(settled.parts.recipe, settled.recipe.as_dict())
    assert resumed == settled.recipe
    chosen = load("digits", ("augment.flip=true",), registry).recipe
    assert (
        automatic.apply_begun_values(chosen, before).augment
        == Recipe.model_validate(chosen.as_dict()).augment
    )


def test_a_run_records_the_values_and_its_report_says_them(distill: Distill) -> None:
    report = distill(*UNSET, "teachers=[{model: 'mlp:8', fit: all}]", "views=1", name="r")
    recipe = yaml12.load(Path("runs/r/recipe.yaml").read_text(), "recipe.yaml")
    assert recipe["augment"]["shift"] > 0
    assert recipe["train"]["batch_size"] == report["batch_size"]
    assert recipe["teachers"][0]["fit"]["batch_size"] in (8, 16, 32, 64)
    assert report["augment"] == automatic.describe_augment(Augment.model_validate(recipe["augment"]))
    page = Path("runs/r/report.html").read_text()
    assert f"Augmentation: {report['augment']}; batch size {report['batch_size']}." in page


def test_describes_every_kind_of_change() -> None:
    wanted = Augment.model_validate({"flip": True, "shift": 0.1, "randaugment": {"operations": 3}})
    assert automatic.describe_augment(wanted) == "flip, shift 0.1, randaugment 3 x 0.3"
    assert automatic.describe_augment(Augment()) == "none"
