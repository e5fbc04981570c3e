"""Check that listing a plugin does not import its implementations."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from mtkd_cli.testing.broken import require

SCRIPT = """
import importlib, json, sys
from mtkd_cli.plugin.validation import COMMANDS, hooks_of, specs_of
from mtkd_cli.plugin.registry import HEAVY

own = sys.argv[1]
specs = [s for name, hook in hooks_of(importlib.import_module(own)).items() if name != COMMANDS
         for s in specs_of(name, hook)]
modules = {spec.factory.partition(":")[0] for spec in specs if spec.kind != "recipes"} - {own}
print(json.dumps(sorted(name for name in {*HEAVY, *modules} if name in sys.modules)))
"""
SECONDS = 120


def check_listing(module: str) -> None:
    """Import the module with the hooks in a separate process, and check what it imports.

    Args:
        module: name of the module with the hooks.

    Raises:
        BrokenRuleError: the module cannot be imported, or it imports an implementation or a heavy library.
    """
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", SCRIPT, module],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    who = f"the module {module!r}"
    last = (done.stderr.strip().splitlines() or [""])[-1]
    require(done.returncode == 0, who, "it can be listed", last)
    imported = json.loads(done.stdout.splitlines()[-1])
    require(not imported, who, "listing imports no implementation", f"it imports {', '.join(imported)}")
