"""The built-in recipes."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import RecipeSpec


@hookimpl
def mtkd_register_recipes() -> list[RecipeSpec]:
    """Return the built-in recipes."""
    return [
        RecipeSpec(
            "digits",
            "Scanned digits, 100 labels, three small teachers; offline, under a minute.",
            "mtkd_recipes:digits.yaml",
        ),
    ]
