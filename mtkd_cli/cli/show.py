"""``mtkd show``: one thing in full: its options, formula and paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.list import row_of
from mtkd_cli.errors import UsageError, nearest_or_all
from mtkd_cli.specs import KINDS, Option, RecipeSpec

if TYPE_CHECKING:
    from mtkd_cli.plugins import Registered

SINGULAR = {
    "strategy": "strategies",
    "task": "tasks",
    "teacher": "teachers",
    "recipe": "recipes",
    "tracker": "trackers",
}


def show(
    kind: Annotated[str, typer.Argument(help="strategy, task, teacher, data, recipe or tracker.")],
    name: Annotated[str, typer.Argument(help="Its name, as mtkd list prints it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.")] = False,
) -> None:
    """Show one strategy, task, teacher provider, data source, recipe or tracker."""
    with console.errors_shown(as_json):
        from mtkd_cli.plugins import discover

        plural = SINGULAR.get(kind, kind)
        if plural not in KINDS:
            raise UsageError(f"no kind {kind!r}", hint=nearest_or_all(kind, [*SINGULAR, "data"]))
        registry = discover()
        console.warn(registry.warnings())
        entry = registry.find(plural, name)
        if as_json:
            console.out_json(facts_of(entry))
        elif isinstance(entry.spec, RecipeSpec):
            typer.echo(entry.spec.load(), nl=False)
        else:
            _print(entry)


def facts_of(entry: Registered) -> dict[str, Any]:
    """Return everything known of an entry without importing it."""
    spec = entry.spec
    facts = row_of(entry)
    facts |= {key: getattr(spec, key) for key in ("formula", "paper") if getattr(spec, key, "")}
    if isinstance(spec, RecipeSpec):
        return {**facts, "text": spec.load()}
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
        for o in spec.options
    ]
    return {**facts, "implementation": spec.factory, "options": options}


def _print(entry: Registered) -> None:
    from rich.table import Table
    from rich.text import Text

    facts = facts_of(entry)
    facts.pop("options")
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for key, value in facts.items():
        table.add_row(key, Text(str(value)))
    console.out(table)
    if entry.spec.options:
        console.out(_options(entry.spec.options))


def _options(options: tuple[Option, ...]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title="\noptions",
        title_justify="left",
        title_style="bold",
        header_style="bold",
        show_edge=False,
        pad_edge=False,
    )
    for column in ("option", "type", "default", "range", "meaning"):
        table.add_column(column)
    for option in options:
        low, high = ("" if limit is None else f"{limit:g}" for limit in (option.minimum, option.maximum))
        limits = ", ".join(option.choices) or (f"{low or '...'} to {high or '...'}" if low or high else "")
        default = "required" if option.required else str(option.default)
        table.add_row(
            *(Text(c) for c in (option.name, option.type.__name__, default, limits, option.summary))
        )
    return table
