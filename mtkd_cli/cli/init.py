"""``mtkd init``: a built-in recipe as a commented file to edit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.errors import UsageError


def init(
    recipe: Annotated[str, typer.Argument(help="Name of a built-in recipe: mtkd list recipes.")],
    path: Annotated[str, typer.Argument(help="File to write. Default: RECIPE.yaml here.")] = "",
    schema: Annotated[
        bool, typer.Option("--schema", help="Write the recipe's JSON schema beside it, for editors.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")] = False,
) -> None:
    """Write a built-in recipe to a file, comments included. Never overwrites."""
    with console.errors_shown(as_json):
        from mtkd_cli.plugins import discover

        text = discover().find("recipes", recipe).spec.load()
        target = Path(path or f"{recipe.rpartition(':')[2]}.yaml")
        written = [
            _write(
                target, f"# yaml-language-server: $schema=mtkd-recipe.schema.json\n{text}" if schema else text
            )
        ]
        if schema:
            import json

            from mtkd_cli.recipe import json_schema

            written.append(
                _write(
                    target.with_name("mtkd-recipe.schema.json"), json.dumps(json_schema(), indent=2) + "\n"
                )
            )
        if as_json:
            console.out_json({"written": [str(file) for file in written]})
            return
        for file in written:
            console.talk(f"wrote {file}")
        console.talk(f"edit it, then: mtkd distill {target}")


def _write(path: Path, text: str) -> Path:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} exists", hint="give another path") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="give another path") from error
    return path
