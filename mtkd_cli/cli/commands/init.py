"""``mtkd init``: write a built-in recipe, or one drafted for the user's files, to a file."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json
from mtkd_cli.cli.completion import complete_recipe
from mtkd_cli.errors import UsageError

if TYPE_CHECKING:
    from mtkd_cli.recipe.draft import Draft

SCHEMA = "mtkd-recipe.schema.json"


def init(
    recipe: Annotated[
        str,
        typer.Argument(
            help="Name of a built-in recipe, see mtkd list recipes. With --data: file to write.",
            autocompletion=complete_recipe,
        ),
    ] = "",
    path: Annotated[
        str, typer.Argument(help="File to write. Default: RECIPE.yaml in the current folder.")
    ] = "",
    data: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="Draft a recipe for this folder, table or JSON file. SOURCE:PATH chooses how to read it.",
        ),
    ] = "",
    unlabeled: Annotated[
        str, typer.Option(metavar="PATH", help="With --data: folder or table of unlabeled samples.")
    ] = "",
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="With --data: model file, run folder or PROVIDER:MODEL. May be given several times.",
        ),
    ] = None,
    task: Annotated[str, typer.Option(help="With --data: name of the task. Default: guessed.")] = "",
    student: Annotated[
        str,
        typer.Option(metavar="PROVIDER:MODEL", help="With --data: the student. Default: a small model."),
    ] = "",
    schema: Annotated[
        bool, typer.Option("--schema", help="Also write the JSON schema of recipes, for editors.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a built-in recipe, or one for your own files, to a file.

    With --data, looks at the files, writes a recipe with comments, and prints what it guessed, why, and
    what to check. Runs no code in the files. Never overwrites a file.
    """
    with console.report_errors(as_json):
        from mtkd_cli.plugin.registry import load_registry

        if not data:
            _refuse_without_data(
                recipe,
                [
                    ("--unlabeled", unlabeled),
                    ("--teacher", teacher),
                    ("--task", task),
                    ("--student", student),
                ],
            )
            text, draft = load_registry().find("recipes", recipe).spec.load(), None
            target = Path(path or f"{recipe.rpartition(':')[2]}.yaml")
        else:
            from mtkd_cli.recipe.draft import draft_recipe

            target = _target(recipe, path, data)
            _refuse_existing([target])
            draft = draft_recipe(
                data,
                load_registry(),
                unlabeled=unlabeled,
                teachers=teacher or (),
                task=task,
                student=student,
            )
            text = draft.text
        files = {target: text}
        if schema:
            import json

            from mtkd_cli.recipe.json_schema import json_schema

            files = {target: f"# yaml-language-server: $schema={SCHEMA}\n{text}"}
            files[target.with_name(SCHEMA)] = json.dumps(json_schema(), indent=2) + "\n"
        _write(files)
        if as_json:
            console.print_json({"written": [str(file) for file in files], **_as_json(target, draft)})
            return
        for file in files:
            console.print_status(f"wrote {file}")
        if draft is None:
            console.print_status(f"edit it, then run: mtkd distill {target}")
        else:
            _print(target, draft)


def _refuse_without_data(recipe: str, options: list[tuple[str, object]]) -> None:
    """Raise if there is no recipe, or an option that needs ``--data``."""
    for option, given in options:
        if given:
            raise UsageError(
                f"{option} needs --data", option, "mtkd init --data FOLDER --teacher FILE mine.yaml"
            )
    if not recipe:
        raise UsageError(
            "no recipe and no data",
            hint="mtkd init NAME, see mtkd list recipes; or mtkd init --data FOLDER --teacher FILE mine.yaml",
        )


def _target(recipe: str, path: str, data: str) -> Path:
    """Return the file to write a draft to.

    Raises:
        UsageError: there are two arguments, or the file does not end like a recipe.
    """
    from mtkd_cli.recipe.reader import SUFFIXES

    if path:
        raise UsageError(
            f"--data takes one argument, the file to write; {recipe!r} is another",
            "--data",
            f"leave out {recipe!r}",
        )
    target = Path(recipe or f"{Path(data.rpartition(':')[2]).resolve().stem}.yaml")
    if target.suffix not in SUFFIXES[:2]:
        raise UsageError(
            f"{target} is not the name of a recipe", hint=f"end it in {' or '.join(SUFFIXES[:2])}"
        )
    return target


def _commands(target: Path, draft: Draft) -> list[str]:
    """Return the next commands."""
    trust = "".join(f" --trust-pickle {shlex.quote(file)}" for file in draft.trust)
    name = shlex.quote(str(target))
    return [f"mtkd doctor {name}{trust}", f"mtkd distill {name} --dry-run{trust}"]


def _as_json(target: Path, draft: Draft | None) -> dict[str, object]:
    if draft is None:
        return {}
    return {
        "guessed": [dict(zip(("key", "value", "reason"), guess, strict=True)) for guess in draft.guesses],
        "check": list(draft.checks),
        "fill_in": [dict(zip(("key", "what"), entry, strict=True)) for entry in draft.fill_in],
        "next": _commands(target, draft),
    }


def _print(target: Path, draft: Draft) -> None:
    """Print what was guessed and why, what to fill in and to check, and the next commands."""
    console.print_status("guessed:")
    for key, value, reason in draft.guesses:
        console.print_status(f"  {key}: {value} ({reason})")
    to_fill_in = tuple(f"{key}: {what}" for key, what in draft.fill_in)
    for title, entries in (("check", draft.checks), ("fill in", to_fill_in)):
        if entries:
            console.print_status(f"{title}:")
        for entry in entries:
            console.print_status(f"  {entry}", style="yellow" if title == "fill in" else "")
    console.print_status("then run:")
    for command in _commands(target, draft):
        console.print_status(f"  {command}")


def _write(files: dict[Path, str]) -> None:
    """Write all files, or none if one of them exists."""
    _refuse_existing(files)
    for path, text in files.items():
        try:
            encoded = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise UsageError("a path or name is not valid UTF-8", str(path), "rename the file") from error
        try:
            with path.open("xb") as file:
                file.write(encoded)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}", hint="choose another path") from error


def _refuse_existing(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.exists():
            raise UsageError(f"{path} exists", hint="choose another path")
