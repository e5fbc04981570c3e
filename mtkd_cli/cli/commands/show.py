"""``mtkd show``: show the options, formula and paper of one entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.commands.list import row_of
from mtkd_cli.cli.common_options import Json
from mtkd_cli.cli.completion import complete_entry
from mtkd_cli.cli.tables import table
from mtkd_cli.errors import UsageError, nearest, nearest_or_all
from mtkd_cli.specs import KINDS, LossSpec, Option, RecipeSpec, Spec

if TYPE_CHECKING:
    from mtkd_cli.plugin.registry import Registered, Registry

SINGULAR = {
    "strategy": "strategies",
    "task": "tasks",
    "loss": "losses",
    "teacher": "teachers",
    "recipe": "recipes",
    "tracker": "trackers",
}


def show(
    kind_or_name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|KIND",
            autocompletion=complete_entry,
            help="Name, as in mtkd list, or a kind: strategy, task, loss, teacher, data, recipe or tracker.",
        ),
    ],
    name: Annotated[
        str, typer.Argument(metavar="NAME", autocompletion=complete_entry, help="Name, after a kind.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Show the details of one listed entry.

    Prints its options, and its formula and paper if it has any; of a recipe, the file itself.
    """
    with console.report_errors(as_json):
        from mtkd_cli.plugin.registry import load_registry

        registry = load_registry()
        console.warn(registry.warnings())
        kind, name = (kind_or_name, name) if name else (_kind_of(registry, kind_or_name), kind_or_name)
        plural = SINGULAR.get(kind, kind)
        if plural not in KINDS:
            raise UsageError(f"unknown kind {kind!r}", hint=nearest_or_all(kind, [*SINGULAR, "data"]))
        entry = registry.find(plural, name)
        if as_json:
            console.print_json(describe(entry))
        elif isinstance(entry.spec, RecipeSpec):
            typer.echo(entry.spec.load(), nl=False)
        else:
            _print(entry)


def _kind_of(registry: Registry, name: str) -> str:
    """Return the kind of the entries with a name.

    Raises:
        UsageError: no kind or several have the name, or it is a kind.
    """
    kinds = [
        kind
        for kind in KINDS
        if any(name in (entry.spec.name, entry.full_name) for entry in registry.listing(kind))
    ]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        singular = {plural: kind for kind, plural in SINGULAR.items()}
        commands = [f"mtkd show {singular.get(kind, kind)} {name}" for kind in kinds]
        raise UsageError(
            f"{len(kinds)} kinds have {name!r}: {', '.join(kinds)}", hint=f"write {' or '.join(commands)}"
        )
    plural = SINGULAR.get(name, name)
    if plural in KINDS:
        raise UsageError("the name is missing", where="NAME", hint=f"mtkd list {plural} shows the names")
    names = {entry.spec.name for entry in registry.entries}
    raise UsageError(f"no entry {name!r}", hint=nearest(name, names) or "mtkd list shows all names")


def describe(entry: Registered) -> dict[str, Any]:
    """Return the full description of an entry as a JSON object, without importing its implementation."""
    spec = entry.spec
    fields = row_of(entry)
    fields |= {key: getattr(spec, key) for key in ("formula", "paper") if getattr(spec, key, "")}
    if isinstance(spec, RecipeSpec):
        return {**fields, "text": spec.load()}
    options = [
        {
            "name": o.name,
            "type": o.type.__name__,
            "default": o.default,
            "required": o.required,
            "summary": o.summary,
            "minimum": o.minimum,
            "maximum": o.maximum,
            "choices": list(o.choices),
        }
        for o in options_of(spec)
    ]
    return {**fields, "implementation": spec.factory, "options": options}


def options_of(spec: Spec) -> tuple[Option, ...]:
    """Return the options by their keys in a recipe."""
    return spec.recipe_options if isinstance(spec, LossSpec) else spec.options


def _print(entry: Registered) -> None:
    from rich.table import Table

    fields = describe(entry)
    fields.pop("options")
    shown = Table(show_header=False, box=None, pad_edge=False)
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column(overflow="fold")
    for key, value in fields.items():
        shown.add_row(key, console.cell(value))
    console.print_result(shown)
    if options := options_of(entry.spec):
        rows = [_row(option) for option in options]
        console.print_result(
            table(rows, ["option", "type", "default", "allowed", "meaning"], title="\noptions")
        )


def _row(option: Option) -> list[str]:
    low, high = option.minimum, option.maximum
    if low is not None and high is not None:
        allowed = f"{low:g} to {high:g}"
    elif low is not None:
        allowed = f">= {low:g}"
    else:
        allowed = f"<= {high:g}" if high is not None else ", ".join(option.choices)
    default = "required" if option.required else "-" if option.default is None else str(option.default)
    return [option.name, option.type.__name__, default, allowed, option.summary]
