"""The built-in recipes."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import RecipeSpec


@hookimpl
def mtkd_register_recipes() -> list[RecipeSpec]:
    """Return the built-in recipes."""
    return [
        RecipeSpec(
            "diabetes",
            "Regression from a table: 60 labels, three small teachers; offline, takes seconds.",
            "mtkd_recipes:diabetes.yaml",
        ),
        RecipeSpec(
            "fashion-mnist",
            "Clothing: 600 labels, 59,400 unlabeled images, three teachers; half an hour on two cores.",
            "mtkd_recipes:fashion-mnist.yaml",
        ),
        RecipeSpec(
            "digits",
            "Scanned digits: 100 labels, three small teachers; offline, one to two minutes.",
            "mtkd_recipes:digits.yaml",
        ),
        RecipeSpec(
            "digit-scenes-det",
            "Boxes around scanned digits: 60 of 600 scenes labeled, three detectors; offline, two minutes.",
            "mtkd_recipes:digit-scenes-det.yaml",
        ),
        RecipeSpec(
            "imagenet-teachers",
            "Your own folder of images: three ImageNet teachers with new heads, a small pretrained student.",
            "mtkd_recipes:imagenet-teachers.yaml",
            own_data=True,
        ),
        RecipeSpec(
            "image-folder",
            "Template for your own folder of images per class: two small teachers, a smaller student.",
            "mtkd_recipes:image-folder.yaml",
            own_data=True,
        ),
        RecipeSpec(
            "table",
            "Template for your own CSV or Parquet table, classification or regression: two small teachers.",
            "mtkd_recipes:table.yaml",
            own_data=True,
        ),
        RecipeSpec(
            "coco",
            "Template for your own boxes in COCO format: two small detectors, a smaller student.",
            "mtkd_recipes:coco.yaml",
            own_data=True,
        ),
        RecipeSpec(
            "mask-folder",
            "Template for your own images and masks: two small U-Nets, a smaller student.",
            "mtkd_recipes:mask-folder.yaml",
            own_data=True,
        ),
        RecipeSpec(
            "digit-scenes-merge",
            "Merge three detectors that know different digits into one that knows all. Data included.",
            "mtkd_recipes:digit-scenes-merge.yaml",
        ),
        RecipeSpec(
            "digits-merge",
            "Merge three classifiers that know different digits into one that knows all. Data included.",
            "mtkd_recipes:digits-merge.yaml",
        ),
        RecipeSpec(
            "digit-scenes-seg",
            "Masks of scanned digits: 60 of 600 scenes labeled, three small U-Nets; offline, two minutes.",
            "mtkd_recipes:digit-scenes-seg.yaml",
        ),
    ]
