"""Discover plugins: isolate failures, refuse duplicates, block what the user blocks."""

from __future__ import annotations

import functools
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Literal

from mtkd_cli.errors import UsageError, nearest_or_all, type_and_first_line
from mtkd_cli.plugin.validation import COMMANDS, hooks_of, refuse_twice, specs_of
from mtkd_cli.safe_loading.stdout import stdout_on_stderr
from mtkd_cli.specs import Spec

if TYPE_CHECKING:
    import typer

GROUP = "mtkd"
BUILTIN = "mtkd"
ONLY, WITHOUT = "MTKD_PLUGINS", "MTKD_DISABLE_PLUGINS"
HEAVY = ("torch", "torchvision", "timm", "tensorflow", "keras", "transformers", "sklearn", "scipy", "pandas")
"""Modules that take a second or more to import: a plugin that needs one to be listed slows every command."""


@dataclass(frozen=True)
class Plugin:
    """One entry point and what became of it.

    Attributes:
        name: the entry point's.
        distribution: the one that has it, in its normal form.
        version: the distribution's.
        status: ``broken`` plugins offer nothing, ``blocked`` ones are not loaded.
        error: why it is broken, in one line.
        registers: ``kind:name`` of what it offers.
        seconds: the time that loading took.
        heavy: the modules of `HEAVY` that its loading imported.
        module: the module with its hooks.
    """

    name: str
    distribution: str
    version: str
    status: Literal["ok", "broken", "blocked"] = "ok"
    error: str = ""
    registers: tuple[str, ...] = ()
    seconds: float = 0.0
    heavy: tuple[str, ...] = ()
    module: str = ""

    @property
    def builtin(self) -> bool:
        """Whether it is a part of mtkd."""
        return self.distribution == BUILTIN

    @property
    def remedy(self) -> str:
        """The command that gets rid of the plugin, or ``''`` for a built-in one."""
        return "" if self.builtin else f"mtkd uninstall {self.distribution}"


@dataclass(frozen=True)
class Registered:
    """A spec and the plugin it came from."""

    spec: Spec
    plugin: Plugin

    @property
    def full_name(self) -> str:
        """``distribution:name``, which says which of two plugins is meant."""
        return f"{self.plugin.distribution}:{self.spec.name}"


@dataclass(frozen=True)
class Registry:
    """Everything that the installed plugins offer, sorted by name."""

    plugins: tuple[Plugin, ...]
    entries: tuple[Registered, ...]
    command_hooks: tuple[tuple[Plugin, Callable[[typer.Typer], None]], ...] = ()

    def listing(self, kind: str) -> list[Registered]:
        """Return the entries of one kind, by name and then by distribution."""
        return [entry for entry in self.entries if entry.spec.kind == kind]

    def names(self, kind: str) -> list[str]:
        """Return the names of one kind, sorted."""
        return sorted({entry.spec.name for entry in self.listing(kind)})

    def find(self, kind: str, name: str) -> Registered:
        """Return the entry called ``name`` or ``distribution:name``.

        Raises:
            UsageError: nothing has that name (the nearest one is named), or two plugins do.
        """
        found = [entry for entry in self.listing(kind) if name in (entry.spec.name, entry.full_name)]
        if len(found) == 1:
            return found[0]
        if found:
            owners = [entry.full_name for entry in found]
            remedies = [entry.plugin.remedy for entry in found if entry.plugin.remedy]
            raise UsageError(
                f"{len(found)} plugins offer {name!r} in {kind}: {', '.join(owners)}",
                hint=f"write {' or '.join(owners)}, or remove one: {' or '.join(remedies)}",
            )
        raise UsageError(f"no {name!r} in {kind}", hint=nearest_or_all(name, self.names(kind)))

    def warnings(self) -> list[str]:
        """Return one line for each broken plugin and each name that two plugins offer."""
        lines = [
            f"plugin {p.name!r} of {p.distribution} {p.version} is broken: {p.error}"
            + (f" (remove it: {p.remedy})" if p.remedy else "")
            for p in self.plugins
            if p.status == "broken"
        ]
        same: dict[tuple[str, str], list[Registered]] = {}
        for entry in self.entries:
            same.setdefault((entry.spec.kind, entry.spec.name), []).append(entry)
        lines += [
            f"{kind}: {name!r} is offered by {len(entries)} plugins; "
            f"write {' or '.join(entry.full_name for entry in entries)}"
            for (kind, name), entries in same.items()
            if len(entries) > 1
        ]
        return lines + self._unknown_names()

    def _unknown_names(self) -> list[str]:
        """Return one line for each name in the environment that no third-party plugin has."""
        known = {name for p in self.plugins if not p.builtin for name in (p.name, p.distribution)}
        return [
            f"{variable} names {word!r}, which is no installed plugin; {nearest_or_all(word, known)}"
            for variable in (ONLY, WITHOUT)
            for word in _words(os.environ.get(variable, ""))
            if word != "*" and not {word, normal(word)} & known
        ]

    def add_commands(self, app: typer.Typer) -> list[str]:
        """Let plugins add commands to ``app``; return one line for each that fails.

        A plugin that fails, or adds a command whose name is taken, adds none.
        """
        failed = []
        for plugin, hook in self.command_hooks:
            commands, groups = list(app.registered_commands), list(app.registered_groups)
            before = _command_names(app)
            try:
                with stdout_on_stderr():
                    hook(app)
                names = _command_names(app)
                if taken := next((name for name in names if name in before and names.count(name) > 1), None):
                    raise ValueError(f"there is a command {taken!r} already")
            except (Exception, SystemExit) as error:
                app.registered_commands[:], app.registered_groups[:] = commands, groups
                failed.append(
                    f"plugin {plugin.name!r} of {plugin.distribution} {plugin.version} "
                    f"could not add its commands: {type_and_first_line(error)}"
                )
        return failed


@functools.cache
def installed() -> Registry:
    """Return `discover`'s answer, found once in this process."""
    return discover()


def discover(third_party: bool = True) -> Registry:
    """Load every plugin of the entry-point group ``mtkd``, each apart from the others.

    Args:
        third_party: False loads the built-in plugins only.

    The environment may narrow it: ``MTKD_PLUGINS=a,b`` loads of the third-party plugins only
    these (empty: none), ``MTKD_DISABLE_PLUGINS=a,b`` all but these (``*``: none). A name is an
    entry point's or a distribution's.
    """
    plugins: list[Plugin] = []
    entries: list[Registered] = []
    commands: list[tuple[Plugin, Callable[[typer.Typer], None]]] = []
    for point, found in entry_points():
        if not found.builtin and not third_party:
            continue
        if not found.builtin and _blocked(found):
            plugins.append(replace(found, status="blocked"))
            continue
        plugin, specs, command = _load(point, found)
        plugins.append(plugin)
        entries += [Registered(spec, plugin) for spec in specs]
        if command is not None:
            commands.append((plugin, command))
    entries.sort(key=lambda entry: (entry.spec.kind, entry.spec.name, entry.plugin.distribution))
    return Registry(tuple(plugins), tuple(entries), tuple(commands))


def entry_points() -> list[tuple[metadata.EntryPoint, Plugin]]:
    """Return the group's entry points, none of them loaded: built-in ones first, then by name."""
    distributions: dict[int, tuple[str, str]] = {}
    found = []
    for point in metadata.entry_points(group=GROUP):
        # Each look at a distribution's name parses its metadata again, so look once.
        key = id(point.dist)
        if key not in distributions:
            facts = point.dist.metadata if point.dist else {"Name": "unknown", "Version": "unknown"}
            distributions[key] = (normal(str(facts["Name"])), str(facts["Version"]))
        found.append((point, Plugin(point.name, *distributions[key], module=point.value)))
    return sorted(found, key=lambda pair: (not pair[1].builtin, pair[1].distribution, pair[1].name))


def _blocked(plugin: Plugin) -> bool:
    names = {plugin.name, plugin.distribution}
    only, without = os.environ.get(ONLY), os.environ.get(WITHOUT, "")
    if only is not None and not names & _named(only):
        return True
    return bool({*names, "*"} & _named(without))


def _named(text: str) -> set[str]:
    """Return the words of a list in the environment, as written and as a distribution's name."""
    return {name for word in _words(text) for name in (word, normal(word))}


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", text) if word]


def normal(name: str) -> str:
    """Return a distribution's name in its normal form: ``My_Plugin`` is ``my-plugin``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _load(
    point: metadata.EntryPoint, plugin: Plugin
) -> tuple[Plugin, list[Spec], Callable[[typer.Typer], None] | None]:
    """Load one plugin and collect its specs; any failure becomes a broken row."""
    started, there = time.perf_counter(), set(sys.modules)
    try:
        with stdout_on_stderr():
            hooks = hooks_of(point.load())
            specs = [
                spec for name, hook in hooks.items() if name != COMMANDS for spec in specs_of(name, hook)
            ]
        refuse_twice(specs)
    except (Exception, SystemExit) as error:
        return replace(plugin, status="broken", error=type_and_first_line(error)), [], None
    registers = [f"{spec.kind}:{spec.name}" for spec in specs] + (["commands"] if COMMANDS in hooks else [])
    heavy = tuple(name for name in HEAVY if name in sys.modules and name not in there)
    seconds = time.perf_counter() - started
    loaded = replace(plugin, registers=tuple(registers), seconds=seconds, heavy=heavy)
    return loaded, specs, hooks.get(COMMANDS)


def _command_names(app: typer.Typer) -> list[str]:
    """Return the names of the application's commands and groups in the order they were added."""
    from typer.main import get_command_name

    commands = [
        c.name or get_command_name(getattr(c.callback, "__name__", "")) for c in app.registered_commands
    ]
    groups = [
        g.name or (g.typer_instance.info.name if g.typer_instance else None) for g in app.registered_groups
    ]
    return [*commands, *(str(name) for name in groups)]
