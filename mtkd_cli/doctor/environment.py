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

from mtkd_cli.doctor.finding import Finding, failing
from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.report.units import bytes_in_words
from mtkd_cli.store import content_store

LEAST_FREE = 2_000_000_000
"""Bytes below which a disk is called nearly full."""

SLOW_SECONDS = 0.5
"""What a plugin may take to load: it delays every command."""


def environment(registry: Registry) -> list[Finding]:
    """Return how the environment is."""
    findings = [Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")]
    with failing("torch", findings):
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
        yield Finding("cuda", "warn", "there is a driver, but torch sees no device", "install torch for CUDA")
    else:
        yield Finding("cuda", "ok", "no device; runs are on the CPU")


def free_memory() -> int | None:
    """Return the bytes that processes may still take, None where the system does not say."""
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    found = re.search(r"MemAvailable:\s+(\d+) kB", text)
    return int(found.group(1)) * 1024 if found else None


def _memory() -> Finding:
    free = free_memory()
    return Finding("memory", "ok", "not known here" if free is None else f"{bytes_in_words(free)} are free")


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())


def _disk(name: str, folder: Path) -> Finding:
    place = existing(folder)
    free = shutil.disk_usage(place).free
    told = f"{bytes_in_words(free)} are free in {folder}"
    if not place.is_dir() or not _writable(place):
        hint = "MTKD_STORE moves it" if name == "store" else "start mtkd in a folder of yours"
        return Finding(name, "fail", f"{place} cannot be written", hint)
    if free < LEAST_FREE:
        return Finding(name, "warn", told, "make room: mtkd store prune")
    return Finding(name, "ok", told)


def _writable(folder: Path) -> bool:
    """Whether a file can be made there; one without a name is, and is gone at once."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return os.access(folder, os.W_OK)
    except OSError:
        return False


def _plugins(registry: Registry) -> Iterator[Finding]:
    for plugin in registry.plugins:
        who = f"{plugin.distribution} {plugin.version}"
        if plugin.status == "broken":
            yield Finding(f"plugin {plugin.name}", "warn", f"{who}: {plugin.error}", plugin.remedy)
        elif plugin.seconds > SLOW_SECONDS or plugin.heavy:
            heavy = f", imports {', '.join(plugin.heavy)}" if plugin.heavy else ""
            told = f"{who} takes {plugin.seconds:.1f} s to load{heavy}"
            yield Finding(f"plugin {plugin.name}", "warn", told, "it delays every command")
    good = sum(plugin.status == "ok" for plugin in registry.plugins)
    yield Finding("plugins", "ok", f"{good} of {len(registry.plugins)} work")


def _extras() -> Iterator[Finding]:
    """Yield which extras are installed; that one is not is no fault."""
    wanted: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("mtkd") or []:
        name = re.match(r"[A-Za-z0-9._-]+", line)
        extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", line)
        if name and extra and extra.group(1) != "dev":
            wanted.setdefault(extra.group(1), []).append(name.group())
    for group, packages in sorted(wanted.items()):
        missing = [package for package in packages if not _has(package)]
        told = f"without {', '.join(missing)}: pip install 'mtkd[{group}]'" if missing else "installed"
        yield Finding(f"extra {group}", "ok", told)


def _has(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
