"""Install and uninstall distributions with the running interpreter's pip. Loads no plugin."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtkd_cli.errors import PluginError, UsageError, nearest_or_all
from mtkd_cli.plugin.registry import (
    BUILTIN,
    ONLY,
    WITHOUT,
    Plugin,
    built_in_name,
    discover,
    entry_points,
    normalize_name,
)

VERBOSE = re.compile(r"-v+|--verbose")
"""Options of pip that ask for more output."""

SECONDS_TO_LOAD = 120
"""Timeout for loading newly installed plugins."""


def install(arguments: Sequence[str], verbose: bool = False) -> list[str]:
    """Run ``pip install`` and return the names of the distributions that it installed.

    Args:
        arguments: arguments of ``pip install``.
        verbose: whether to show the output of pip; else only if it fails. pip asks no questions then.

    Raises:
        UsageError: pip is not installed; the hint is the command for uv.
        PluginError: pip failed; its messages are on stderr.
    """
    verbose = verbose or any(VERBOSE.fullmatch(argument) for argument in arguments)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = [*([] if verbose else ["--no-input"]), "--report", str(report)]
        _pip("install", [*options, *arguments], arguments, verbose)
        found = json.loads(report.read_text(encoding="utf-8"))
    return sorted(normalize_name(item["metadata"]["name"]) for item in found["install"])


def uninstall(names: Sequence[str], verbose: bool = False) -> list[Plugin]:
    """Uninstall distributions with plugins, and return these plugins.

    Args:
        names: names of the distributions.
        verbose: whether to show the output of pip; else only if it fails.

    Raises:
        UsageError: a distribution has no plugin, or is mtkd itself; nothing is uninstalled then.
        PluginError: pip failed.
    """
    plugins = [plugin for _, plugin in entry_points() if not plugin.builtin]
    distributions = [normalize_name(name) for name in names]
    for name, word in zip(distributions, names, strict=True):
        if name == BUILTIN:
            raise UsageError(
                "mtkd cannot uninstall itself", hint=f"{shlex.quote(sys.executable)} -m pip uninstall mtkd"
            )
        if name not in {plugin.distribution for plugin in plugins}:
            raise UsageError(
                f"no distribution {word!r} with mtkd plugins is installed",
                hint=nearest_or_all(name, {plugin.distribution for plugin in plugins}),
            )
    _pip("uninstall", ["--yes", *distributions], distributions, verbose)
    return [plugin for plugin in plugins if plugin.distribution in distributions]


def offers_of(distributions: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of `mtkd plugins --json` for some distributions, from a separate process.

    The process loads only these plugins. If one hangs or ends the process, the result is empty.
    """
    environment = {key: value for key, value in os.environ.items() if key != WITHOUT}
    environment[ONLY] = ",".join(distributions)
    with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
        done = subprocess.run(
            [sys.executable, "-m", "mtkd_cli", "plugins", "--json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_TO_LOAD,
            env=environment,
        )
        rows = json.loads(done.stdout)
        return [row for row in rows if row["distribution"] in distributions]
    return []


def taken_names(offers: Sequence[dict[str, Any]]) -> list[str]:
    """Return a warning for each built-in name that new plugins use; see `offers_of`."""
    built_in = {(entry.spec.kind, entry.spec.name) for entry in discover(third_party=False).entries}
    offered = [
        (*item.partition(":")[::2], row["distribution"]) for row in offers for item in row["registers"]
    ]
    return [
        built_in_name(kind, name, [f"{distribution}:{name}"])
        for kind, name, distribution in offered
        if (kind, name) in built_in
    ]


def _pip(action: str, arguments: Sequence[str], shown: Sequence[str], verbose: bool) -> None:
    """Run pip; its output goes to stderr, at once if ``verbose``, else if it fails.

    Args:
        action: ``install`` or ``uninstall``.
        arguments: arguments of pip.
        shown: the arguments for messages.
        verbose: whether to show the output in any case.
    """
    if importlib.util.find_spec("pip") is None:
        python = shlex.quote(sys.executable)
        raise UsageError(
            "this Python has no pip",
            where=sys.executable,
            hint=f"uv pip {action} --python {python} {shlex.join(shown)}",
        )
    command = [sys.executable, "-m", "pip", action, "--disable-pip-version-check", *arguments]
    stdout, stderr = (2, None) if verbose else (subprocess.PIPE, subprocess.STDOUT)
    done = subprocess.run(command, stdout=stdout, stderr=stderr, check=False)  # noqa: S603
    if done.returncode:
        if not verbose:
            sys.stderr.write(done.stdout.decode(errors="backslashreplace"))
        raise PluginError(
            f"pip {action} {shlex.join(shown)} failed with {done.returncode}",
            where=sys.executable,
            hint="see the messages of pip above",
        )
