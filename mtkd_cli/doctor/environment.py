"""Check the environment: interpreter, torch, devices, disks, plugins, extras."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mtkd_cli.doctor.finding import Finding, collect_failures
from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.report.units import bytes_in_words
from mtkd_cli.store import content_store

LEAST_FREE = 2_000_000_000
"""Free bytes below which a disk is nearly full."""

SLOW_SECONDS = 0.5
"""Load time in seconds above which a plugin is slow: it delays every command."""


def check_environment(registry: Registry) -> list[Finding]:
    """Check the interpreter, torch, memory, disks, plugins and extras."""
    findings = [Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")]
    with collect_failures("torch", findings):
        findings += _torch()
    findings.append(_memory())
    findings += [_disk("store", content_store.root()), _disk("runs", ROOT)]
    findings += _plugins(registry)
    findings += _extras()
    return findings


def _torch() -> Iterator[Finding]:
    import torch

    yield Finding("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        yield Finding("cuda", "ok", f"{torch.version.cuda}: {', '.join(names)}")
    elif shutil.which("nvidia-smi") and Path("/proc/driver/nvidia/version").exists():
        yield Finding(
            "cuda", "warn", "a driver is installed, but torch finds no device", "install torch with CUDA"
        )
    else:
        yield Finding("cuda", "ok", "no CUDA device; runs use the CPU")


def free_memory() -> int | None:
    """Return the available memory in bytes, or None if the system does not report it."""
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    found = re.search(r"MemAvailable:\s+(\d+) kB", text)
    return int(found.group(1)) * 1024 if found else None


def _memory() -> Finding:
    free = free_memory()
    return Finding("memory", "ok", "unknown" if free is None else f"{bytes_in_words(free)} free")


def nearest_existing(path: Path) -> Path:
    """Return the path itself if it exists, else its nearest existing parent."""
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())


def _disk(name: str, folder: Path) -> Finding:
    path = nearest_existing(folder)
    free = shutil.disk_usage(path).free
    summary = f"{bytes_in_words(free)} free in {folder}"
    if not path.is_dir() or not _is_writable(path):
        hint = "set MTKD_STORE to another folder" if name == "store" else "start mtkd in a writable folder"
        return Finding(name, "fail", f"{path} is not writable", hint)
    if free < LEAST_FREE:
        return Finding(name, "warn", summary, "free space with: mtkd store prune")
    return Finding(name, "ok", summary)


def _is_writable(folder: Path) -> bool:
    """Whether a file can be created in the folder; an unnamed temporary file is created and removed."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return os.access(folder, os.W_OK)
    except OSError:
        return False


def _plugins(registry: Registry) -> Iterator[Finding]:
    for plugin in registry.plugins:
        who = f"{plugin.distribution} {plugin.version}"
        if plugin.status == "broken":
            yield Finding(f"plugin {plugin.name}", "warn", f"{who}: {plugin.fault}", plugin.remedy)
        elif plugin.seconds > SLOW_SECONDS or plugin.heavy:
            heavy = f", imports {', '.join(plugin.heavy)}" if plugin.heavy else ""
            summary = f"{who} takes {plugin.seconds:.1f} s to load{heavy}, which delays every command"
            yield Finding(f"plugin {plugin.name}", "warn", summary, "import heavy modules only where needed")
    good = sum(plugin.status == "ok" for plugin in registry.plugins)
    yield Finding("plugins", "ok", f"{good} of {len(registry.plugins)} work")


def _extras() -> Iterator[Finding]:
    """Yield which extras are installed. A missing extra is ``ok``."""
    extras: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("mtkd") or []:
        name = re.match(r"[A-Za-z0-9._-]+", line)
        extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", line)
        if name and extra and extra.group(1) != "dev":
            extras.setdefault(extra.group(1), []).append(name.group())
    for group, packages in sorted(extras.items()):
        missing = [package for package in packages if not _is_installed(package)]
        summary = f"{', '.join(missing)} missing: pip install 'mtkd[{group}]'" if missing else "installed"
        yield Finding(f"extra {group}", "ok", summary)


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
