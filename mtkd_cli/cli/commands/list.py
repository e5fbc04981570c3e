"""``mtkd list``: list what the installed plugins offer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json
from mtkd_cli.cli.tables import listing
from mtkd_cli.errors import UsageError, nearest_or_all
from mtkd_cli.specs import KINDS

if TYPE_CHECKING:
    from mtkd_cli.plugin.registry import Registered

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
    "recipes": {},
    "trackers": {},
}
"""Columns of each kind besides name, summary and plugin."""


def list_(
    kind: Annotated[str, typer.Argument(help=", ".join(KINDS) + ". Default: all.")] = "",
    as_json: Json = False,
) -> None:
    """List what the installed plugins offer.

    Lists strategies, tasks, distillation losses, teacher providers, data sources, recipes and trackers.
    """
    with console.report_errors(as_json):
        from mtkd_cli.plugin.registry import installed

        if kind and kind not in KINDS:
            raise UsageError(f"unknown kind {kind!r}", hint=nearest_or_all(kind, KINDS))
        registry = installed()
        console.warn(registry.warnings())
        kinds = [kind] if kind else list(KINDS)
        if as_json:
            found = {name: [row_of(entry) for entry in registry.listing(name)] for name in kinds}
            console.print_json(found[kind] if kind else found)
            return
        shown = [name for name in kinds if kind or registry.listing(name)]
        for name in shown:
            console.print_result(listing([_cells(entry) for entry in registry.listing(name)], title=name))
            if name != shown[-1]:
                console.print_result("")


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


def _cells(entry: Registered) -> dict[str, str]:
    row = row_of(entry)
    extra = {name: row[name] for name in EXTRA[entry.spec.kind]}
    owner = f"{row['plugin']} {row['version']}"
    return {"name": row["name"], "what it does": row["summary"], **extra, "plugin": owner}
