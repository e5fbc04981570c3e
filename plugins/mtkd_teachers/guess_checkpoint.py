"""Recognize weights whose file names the architecture, for ``mtkd init --teacher``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mtkd_cli.interfaces import TeacherGuess
from mtkd_cli.safe_loading.checkpoint_facts import CheckpointFacts, checkpoint_facts

TIMM_KEYS = {"arch", "version"}
"""Keys that timm's train.py writes together."""


def guess_timm(path: Path, task: str) -> list[TeacherGuess]:
    """Return the model of timm that a file of weights names."""
    facts = checkpoint_facts(path)
    if not facts.architectures:
        return []
    import timm

    def is_known(name: str) -> bool:
        return bool(timm.is_model(name.partition(".")[0]))

    return _first("timm", path, facts, is_known)


def guess_torchvision(path: Path, task: str) -> list[TeacherGuess]:
    """Return the model of torchvision that a file of weights names, unless timm wrote the file."""
    facts = checkpoint_facts(path)
    if (
        not facts.architectures
        or set(facts.keys) >= TIMM_KEYS
        or "config.json: architecture" in facts.architectures
    ):
        return []
    from torchvision import models

    return _first("torchvision", path, facts, models.list_models().__contains__)


def _first(
    provider: str, path: Path, facts: CheckpointFacts, is_known: Callable[[str], bool]
) -> list[TeacherGuess]:
    for key, name in facts.architectures.items():
        if is_known(name):
            settings = {"model": f"{provider}:{name}", "checkpoint": str(path)}
            return [TeacherGuess(settings, f"the file says {key}: {name}", outputs=facts.outputs)]
    return []
