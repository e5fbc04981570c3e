"""What every test starts from: an empty folder, an empty store, the built-in plugins only."""

from __future__ import annotations

import functools
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from mtkd_cli.__main__ import SPIN_COUNT
from mtkd_cli.plugin import registry as plugin_registry
from mtkd_cli.plugin.registry import Registry, discover

pytest_plugins = ["tests.fixtures.small_runs", "tests.fixtures.finished_run"]

PluginWriter = Callable[..., Path]

if "PYTEST_XDIST_WORKER" in os.environ:  # several tests share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)  # as `mtkd` does before torch is imported

# The same examples each time, and no failure because a machine is busy.
settings.register_profile(
    "mtkd", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("mtkd")


@pytest.fixture(autouse=True)
def clean_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has a folder and a store of its own, and plain output."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MTKD_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("MTKD_PLUGINS", "MTKD_DISABLE_PLUGINS", "COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    plugin_registry.load_registry.cache_clear()
    yield
    plugin_registry.load_registry.cache_clear()


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk() -> Iterator[None]:
    """Do not wait until files are on the disk: no test cuts the power, and small runs sync hundreds of times.

    Commands that a test starts as processes of their own sync as always.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # which also raises if the file is closed
        yield


@pytest.fixture(autouse=True)
def operators_of_onnx_once() -> None:
    """Let torch's exporter list its 500 operators once in a process, which is half of a small export.

    Where torch has no such function, or calls it in another way, it lists them each time.
    """
    module = sys.modules.get("torch.onnx._internal.exporter._registration")
    registry = getattr(module, "ONNXRegistry", None)
    if registry is None or not hasattr(registry, "from_torchlib") or hasattr(registry, "listed_once"):
        return
    list_operators = registry.from_torchlib
    registry.listed_once = functools.cache(lambda *options: list_operators(**dict(options[1:])))

    def list_once(*given: Any, **options: Any) -> Any:
        if given:
            return list_operators(*given, **options)
        return registry.listed_once("torchvision" in sys.modules, *options.items())  # it adds some

    registry.from_torchlib = staticmethod(list_once)


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """A test draws the same numbers alone and after others. Torch is not imported for those without it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The built-in plugins."""
    return discover(third_party=False)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginWriter]:
    """Write a distribution that is found as if pip had installed it.

    ``plugin("dist-name", "module text", point="name", version="1.0")``
    """
    modules: list[str] = []

    def write(distribution: str, text: str, point: str = "", version: str = "1.0") -> Path:
        site = tmp_path / "site"
        module = f"{distribution.replace('-', '_').lower()}_{len(modules)}"
        modules.append(module)
        info = site / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(HEADER + textwrap.dedent(text))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[mtkd]\n{point or distribution} = {module}\n")
        monkeypatch.syspath_prepend(str(site))
        plugin_registry.load_registry.cache_clear()
        return site

    yield write
    for module in modules:
        sys.modules.pop(module, None)


HEADER = """\
from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.interfaces import Metric
from mtkd_cli.specs import AggregatorSpec, DataSpec, LossSpec, Option, RecipeSpec, TaskSpec, TeacherSpec

"""
