"""``mtkd list``: list what the installed plugins offer, and runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json
from mtkd_cli.cli.completion import complete_kind
from mtkd_cli.cli.tables import listing, table
from mtkd_cli.errors import UsageError, nearest_or_all
from mtkd_cli.specs import KINDS

if TYPE_CHECKING:
    from mtkd_cli.plugin.registry import Registered, Registry

EXTRA: dict[str, dict[str, Callable[[Any], str]]] = {
    "strategies": {
        "tasks": lambda s: ", ".join(s.tasks) or "all",
        "needs": lambda s: ", ".join(s.needs) or "-",
    },
    "tasks": {"decides by": lambda s: s.primary},
    "losses": {
        "tasks": lambda s: ", ".join(s.tasks),
        "logits": lambda s: "all" if s.needs_every_logit else "all or top-k",
        "partial label spaces": lambda s: "yes" if s.any_label_space else "no",
    },
    "teachers": {"example": lambda s: s.example, "student": lambda s: "yes" if s.trainable else "no"},
    "data": {"tasks": lambda s: ", ".join(s.tasks) or "all"},
    "recipes": {"needs your data": lambda s: "yes" if s.own_data else "no"},
    "trackers": {},
}
"""Columns of each kind besides name, summary and plugin."""


SHORT = ("teachers",)
"""Kinds whose further columns are always shown: they say how a recipe names the entry."""

RUNS = "runs"


def list_(
    kind: Annotated[
        str,
        typer.Argument(
            autocompletion=complete_kind, help=", ".join((*KINDS, RUNS)) + ". Default: names of all kinds."
        ),
    ] = "",
    long: Annotated[bool, typer.Option("--long", help="Show all columns: tasks, needs, plugin.")] = False,
    as_json: Json = False,
) -> None:
    """List what the installed plugins offer, or your runs.

    Lists strategies, tasks, distillation losses, teacher providers, data sources, recipes and trackers. The
    plugin of an entry is shown if it is not built in.
    """
    with console.report_errors(as_json):
        from mtkd_cli.plugin.registry import load_registry

        if kind == RUNS:
            _list_runs(as_json)
            return
        if kind and kind not in KINDS:
            raise UsageError(f"unknown kind {kind!r}", hint=nearest_or_all(kind, [*KINDS, RUNS]))
        registry = load_registry()
        console.warn(registry.warnings())
        kinds = [kind] if kind else list(KINDS)
        if as_json:
            found = {name: [row_of(entry) for entry in registry.listing(name)] for name in kinds}
            console.print_json(found[kind] if kind else found)
            return
        if not kind and not long:
            console.print_result(_overview(registry))
            console.print_status("mtkd list KIND describes them, mtkd show NAME describes one")
            return
        shown = [name for name in kinds if kind or registry.listing(name)]
        for name in shown:
            rows = [_cells(entry, registry, long) for entry in registry.listing(name)]
            console.print_result(listing(rows, title=name))
            if name != shown[-1]:
                console.print_result("")


def _list_runs(as_json: bool) -> None:
    from mtkd_cli.cli.render.runs import run_as_dict, runs_table
    from mtkd_cli.runs.listing import runs

    found = runs()
    if as_json:
        console.print_json([run_as_dict(run) for run in found])
    elif found:
        console.print_result(runs_table(found))
    else:
        console.print_status("no runs in runs/; start one: mtkd distill RECIPE")


def row_of(entry: Registered) -> dict[str, Any]:
    """Return one entry as a JSON object."""
    spec, plugin = entry.spec, entry.plugin
    extra = {name: column(spec) for name, column in EXTRA[spec.kind].items()}
    return {
        "name": spec.name,
        "summary": spec.summary,
        **extra,
        "plugin": plugin.distribution,
        "version": plugin.version,
    }


def _overview(registry: Registry) -> Any:
    """Return a table with the names of each kind."""
    kinds = {kind: registry.listing(kind) for kind in KINDS}
    rows = [
        [kind, ", ".join(f"{_name(entry, registry)}{_owner(entry)}" for entry in entries)]
        for kind, entries in kinds.items()
        if entries
    ]
    return table(rows, ["kind", "names"])


def _cells(entry: Registered, registry: Registry, long: bool) -> dict[str, str]:
    row = row_of(entry)
    kind = entry.spec.kind
    extra = {name: row[name] for name in EXTRA[kind]} if long or kind in SHORT else {}
    cells = {"name": _name(entry, registry), "what it does": row["summary"] + ("" if long else _owner(entry))}
    return {**cells, **extra, **({"plugin": f"{row['plugin']} {row['version']}"} if long else {})}


def _name(entry: Registered, registry: Registry) -> str:
    """Return the name that selects an entry."""
    return entry.full_name if registry.is_shadowed(entry) else entry.spec.name


def _owner(entry: Registered) -> str:
    """Return the plugin of an entry that is not built in, in brackets."""
    plugin = entry.plugin
    return "" if plugin.builtin else f" ({plugin.distribution} {plugin.version})"
