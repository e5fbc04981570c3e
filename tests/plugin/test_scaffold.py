"""`mtkd plugins new` writes a distribution that is right as it is."""

from __future__ import annotations

import importlib
import sys
import tomllib
from pathlib import Path

import pytest

from mtkd_cli.errors import UsageError
from mtkd_cli.plugin.scaffold import KINDS, new_plugin
from mtkd_cli.specs import API_VERSIONS
from mtkd_cli.testing import check_plugin

PLURAL = {"strategy": "strategies", "teacher": "teachers", "task": "tasks", "tracker": "trackers"}


@pytest.mark.parametrize("kind", KINDS)
def test_new_plugin_passes_checks(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_plugin(f"mtkd-brand.new_{kind}", kind, Path())
    module = f"mtkd_brand_new_{kind}"
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["mtkd"] == {f"brand-new-{kind}": module}
    assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*.*")) == [
        "README.md",
        f"{module}.py",
        "pyproject.toml",
        f"tests/test_{module}.py",
    ]
    assert not [file for file in folder.rglob("*.*") if "$" in file.read_text()]
    monkeypatch.syspath_prepend(str(folder.resolve()))
    try:
        done = check_plugin(importlib.import_module(module))
    finally:
        sys.modules.pop(module)
    assert list(done) == [f"{PLURAL.get(kind, kind)}:brand-new-{kind}"]
    assert "not checked" not in done.popitem()[1]
    assert API_VERSIONS[-1] == 1, "the templates are written for it"


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("mtkd-mine", "stratgy", "unknown kind 'stratgy'"),
        ("../mine", "strategy", "invalid distribution name"),
        ("mtkd-3d", "strategy", "invalid distribution name"),
        ("", "strategy", "invalid distribution name"),
        ("torch", "strategy", "the module 'torch' exists already"),
        ("json", "strategy", "the module 'json' exists already"),
        ("mtkd-there", "strategy", "mtkd-there exists"),
    ],
)
def test_rejects_invalid_new_plugin(name: str, kind: str, says: str) -> None:
    Path("mtkd-there").mkdir()
    with pytest.raises(UsageError, match=says):
        new_plugin(name, kind, Path())
    assert [str(path) for path in Path().rglob("*")] == ["mtkd-there"]
