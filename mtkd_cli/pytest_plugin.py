"""A pytest fixture for plugin authors; importing it imports no torch.

Put ``pytest_plugins = ["mtkd_cli.pytest_plugin"]`` into ``conftest.py``, then::

    def test_mine_keeps_every_rule(mtkd_check):
        mtkd_check("mine", tau=0.1)
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from mtkd_cli.errors import UsageError, nearest_or_all
from mtkd_cli.specs import Spec


@pytest.fixture
def mtkd_check() -> Callable[..., Any]:
    """Check what ``mtkd list`` calls by a name (with options), a spec, or a module with hooks.

    A broken rule fails the test and is named.
    """

    def check(subject: str | Spec | ModuleType, **options: Any) -> Any:
        from mtkd_cli import testing

        if isinstance(subject, ModuleType):
            return testing.check_plugin(subject)
        specs = [subject] if isinstance(subject, Spec) else _call(subject)
        return [testing.check(spec, options) for spec in specs]

    return check


def _call(name: str) -> list[Spec]:
    from mtkd_cli.plugin.registry import load_registry

    entries = load_registry().entries
    found = [entry.spec for entry in entries if name in (entry.spec.name, entry.full_name)]
    if not found:
        known = {entry.spec.name for entry in entries}
        raise UsageError(f"no plugin offers {name!r}", hint=nearest_or_all(name, known))
    return found
