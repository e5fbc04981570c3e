"""The built-in recipes."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import RecipeSpec


@hookimpl
def mtkd_register_recipes() -> list[RecipeSpec]:
    """Return the built-in recipes."""
    return [
        RecipeSpec(
            "diabetes",
            "A regression from a table, 60 labels, three small teachers; offline, seconds.",
            "mtkd_recipes:diabetes.yaml",
        ),
        RecipeSpec(
            "fashion-mnist",
            "Clothing, 600 labels and 59,400 images without, three teachers; half an hour on two cores.",
            "mtkd_recipes:fashion-mnist.yaml",
        ),
        RecipeSpec(
            "digits",
            "Scanned digits, 100 labels, three small teachers; offline, under a minute.",
            "mtkd_recipes:digits.yaml",
        ),
        RecipeSpec(
            "digit-scenes-det",
            "Boxes around scanned digits: 60 labelled scenes of 600, three detectors; offline, two minutes.",
            "mtkd_recipes:digit-scenes-det.yaml",
        ),
        RecipeSpec(
            "imagenet-teachers",
            "Your own folder of images, three ImageNet teachers with new heads, a pretrained small student.",
            "mtkd_recipes:imagenet-teachers.yaml",
        ),
        RecipeSpec(
            "digit-scenes-seg",
            "Scenes of digits, 60 of 600 with masks, three small U-Nets; offline, under two minutes.",
            "mtkd_recipes:digit-scenes-seg.yaml",
        ),
    ]
