"""``mtkd init``: write a built-in recipe to a file, to edit it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json
from mtkd_cli.cli.completion import complete_recipe
from mtkd_cli.errors import UsageError

SCHEMA = "mtkd-recipe.schema.json"


def init(
    recipe: Annotated[
        str,
        typer.Argument(
            help="Name of a built-in recipe, see mtkd list recipes.", autocompletion=complete_recipe
        ),
    ],
    path: Annotated[
        str, typer.Argument(help="File to write. Default: RECIPE.yaml in the current folder.")
    ] = "",
    schema: Annotated[
        bool, typer.Option("--schema", help="Also write the JSON schema of recipes, for editors.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a built-in recipe to a file.

    Keeps the comments. Never overwrites a file.
    """
    with console.report_errors(as_json):
        from mtkd_cli.plugin.registry import load_registry

        text = load_registry().find("recipes", recipe).spec.load()
        target = Path(path or f"{recipe.rpartition(':')[2]}.yaml")
        files = {target: text}
        if schema:
            import json

            from mtkd_cli.recipe.json_schema import json_schema

            files = {target: f"# yaml-language-server: $schema={SCHEMA}\n{text}"}
            files[target.with_name(SCHEMA)] = json.dumps(json_schema(), indent=2) + "\n"
        _write(files)
        if as_json:
            console.print_json({"written": [str(file) for file in files]})
            return
        for file in files:
            console.print_status(f"wrote {file}")
        console.print_status(f"edit it, then run: mtkd distill {target}")


def _write(files: dict[Path, str]) -> None:
    """Write all files, or none if one of them exists."""
    for path in files:
        if path.exists():
            raise UsageError(f"{path} exists", hint="choose another path")
    for path, text in files.items():
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}", hint="choose another path") from error
