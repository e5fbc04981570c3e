"""The part of ``mtkd plugins check`` that needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mtkd_cli.errors import PluginError, UsageError, nearest_or_all, type_and_first_line
from mtkd_cli.plugin.registry import Plugin, Registered, Registry, load_registry, normalize_name
from mtkd_cli.recipe.reader import apply
from mtkd_cli.safe_loading.stdout import stdout_on_stderr
from mtkd_cli.testing import BrokenRuleError, NotCheckedError, check
from mtkd_cli.testing.listing import check_listing


def check_named(name: str, options: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row for each checked entry, and one for the listing of each plugin.

    Args:
        name: name of an entry (``mine`` or ``mtkd-mine:mine``), a plugin or a distribution.
        options: ``KEY=VALUE`` options of the entry.

    Raises:
        UsageError: the name or an option is unknown.
        PluginError: the plugin is broken or blocked.
    """
    registry = load_registry()
    entries = _find_entries(registry, name)
    given: dict[str, Any] = {}
    for option in options:
        apply(given, option)
    with stdout_on_stderr():
        owners = dict.fromkeys(entry.plugin for entry in entries)
        rows = [_row(plugin.name, "listing", plugin, lambda p=plugin: _check_listing(p)) for plugin in owners]
        rows += [_row(e.spec.name, e.spec.kind, e.plugin, lambda e=e: check(e.spec, given)) for e in entries]
    return rows


def _find_entries(registry: Registry, name: str) -> list[Registered]:
    found = [entry for entry in registry.entries if name in (entry.spec.name, entry.full_name)]
    found = found or [
        e for e in registry.entries if name == e.plugin.name or normalize_name(name) == e.plugin.distribution
    ]
    if found:
        return found
    for plugin in registry.plugins:
        if plugin.status != "ok" and (name == plugin.name or normalize_name(name) == plugin.distribution):
            reason = plugin.fault or "an environment variable blocks it"
            raise PluginError(f"the plugin {name!r} offers nothing: {reason}", hint=plugin.remedy)
    known = {entry.spec.name for entry in registry.entries} | {p.distribution for p in registry.plugins}
    raise UsageError(f"no plugin offers {name!r}", hint=nearest_or_all(name, known))


def _check_listing(plugin: Plugin) -> str:
    check_listing(plugin.module)
    return "a separate process"


def _row(name: str, kind: str, plugin: Plugin, call: Any) -> dict[str, Any]:
    try:
        result, message = "ok", call()
    except BrokenRuleError as error:
        result, message = "broken", str(error)
    except NotCheckedError as error:
        result, message = "not checked", str(error)
    except UsageError:
        raise
    except Exception as error:  # a plugin may raise anything
        result, message = "broken", type_and_first_line(error)
    return {
        "name": name,
        "kind": kind,
        "plugin": f"{plugin.distribution} {plugin.version}",
        "result": result,
        "said": message,
    }
