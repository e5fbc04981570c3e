"""``mtkd init``: a built-in recipe as a commented file to edit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json
from mtkd_cli.errors import UsageError

SCHEMA = "mtkd-recipe.schema.json"


def init(
    recipe: Annotated[str, typer.Argument(help="Name of a built-in recipe: mtkd list recipes.")],
    path: Annotated[str, typer.Argument(help="File to write. Default: RECIPE.yaml here.")] = "",
    schema: Annotated[
        bool, typer.Option("--schema", help="Write the recipe's JSON schema beside it, for editors.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a built-in recipe to a file, comments included. Never overwrites."""
    with console.errors_shown(as_json):
        from mtkd_cli.plugin.registry import installed

        text = installed().find("recipes", recipe).spec.load()
        target = Path(path or f"{recipe.rpartition(':')[2]}.yaml")
        files = {target: text}
        if schema:
            import json

            from mtkd_cli.recipe.json_schema import json_schema

            files = {target: f"# yaml-language-server: $schema={SCHEMA}\n{text}"}
            files[target.with_name(SCHEMA)] = json.dumps(json_schema(), indent=2) + "\n"
        _write(files)
        if as_json:
            console.out_json({"written": [str(file) for file in files]})
            return
        for file in files:
            console.talk(f"wrote {file}")
        console.talk(f"edit it, then: mtkd distill {target}")


def _write(files: dict[Path, str]) -> None:
    """Write all files, or none if one of them is there already."""
    for path in files:
        if path.exists():
            raise UsageError(f"{path} exists", hint="give another path")
    for path, text in files.items():
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written: {error.strerror}", hint="give another path"
            ) from error
