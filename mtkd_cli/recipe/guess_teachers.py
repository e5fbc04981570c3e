"""Find the providers of the user's model files, and small models to start with as students."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mtkd_cli.errors import DataError, MtkdError, first_line, missing_path
from mtkd_cli.interfaces import FILL_IN, TeacherGuess
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.guess_data import fits
from mtkd_cli.safe_loading.checkpoint_facts import ENDINGS as WEIGHTS
from mtkd_cli.safe_loading.checkpoint_facts import checkpoint_facts
from mtkd_cli.specs import TeacherSpec, imported

FIT = "a teacher that was not trained for these classes needs fit: head, an untrained one fit: all"


def find_teacher(given: str, task: str, inputs: str, registry: Registry) -> TeacherGuess:
    """Return the teacher in a file or folder, with `FILL_IN` where the file does not say it.

    Args:
        given: path of a file or folder, or ``provider:model``.
        task: task of the recipe; ``""`` if it is not known.
        inputs: inputs of the data: ``"image"`` or ``"table"``.
        registry: the installed plugins.

    Raises:
        DataError: no such path, or no provider loads such files.
    """
    specs = [e.spec for e in registry.listing("teachers") if isinstance(e.spec, TeacherSpec)]
    provider, _, model = given.partition(":")
    path = Path(given)
    chosen = [spec for spec in specs if model and spec.name == provider and not path.exists()]
    if chosen:
        path = Path(model)
        if not (path.exists() and _loads(chosen[0], path)):
            checks = (FIT,) if chosen[0].trainable else ()
            return TeacherGuess({"model": given}, "as given", has_classes=True, checks=checks)
    elif not path.exists():
        raise missing_path(given, "--teacher")
    usable = [spec for spec in chosen or specs if fits(spec.tasks, task) and inputs in spec.inputs]
    found = [guess for spec in usable if _loads(spec, path) for guess in _guesses(spec, path, task)]
    if len(found) == 1:
        return found[0]
    if found:
        models = " or ".join(str(guess.settings["model"]) for guess in found)
        reasons = "; ".join(dict.fromkeys(guess.reason for guess in found))
        is_checkpoint = all("checkpoint" in guess.settings for guess in found)
        return TeacherGuess(
            {"model": FILL_IN, **({"checkpoint": given} if is_checkpoint else {})},
            reasons,
            {"model": f"several models fit: {models}"},
            outputs=found[0].outputs,
        )
    if path.is_file() and path.name.lower().endswith(WEIGHTS):
        return _without_architecture(path)
    endings = sorted({ending for spec in usable for ending in spec.endings} | set(WEIGHTS))
    raise DataError(
        f"no provider for {inputs} inputs loads such a file",
        f"--teacher {given}",
        f"known: {', '.join(endings)}; or give provider:model, see mtkd list teachers",
    )


def suggest_student(task: str, inputs: str, registry: Registry) -> str:
    """Return a small model that can be trained for a task; `FILL_IN` if no provider suggests one.

    Providers for this task have precedence, then those for these inputs only, then built-in ones.
    """
    entries = [
        (entry, entry.spec)
        for entry in registry.listing("teachers")
        if isinstance(entry.spec, TeacherSpec) and entry.spec.small
    ]
    fitting = [(e, s) for e, s in entries if fits(s.tasks, task) and inputs in s.inputs]
    fitting = [(e, s) for e, s in fitting if task or not s.tasks]
    ranked = sorted(
        fitting, key=lambda one: (not one[1].tasks, len(one[1].inputs), not one[0].plugin.builtin)
    )
    return ranked[0][1].small if ranked else FILL_IN


def teacher_names(given: Sequence[str]) -> list[str]:
    """Return a valid, unique name for each teacher, from the names of its file."""
    names: list[str] = []
    for text in given:
        last = text.rpartition(":")[2]
        stem = Path(last if re.search("[A-Za-z]", last) else text).name  # mlp:64-64 is mlp-64-64
        for ending in sorted(WEIGHTS, key=len, reverse=True):
            stem = stem.removesuffix(ending)
        stem = stem.rpartition(".")[0] or stem
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:90] or "teacher"
        same = sum(other == name or other.startswith(f"{name}-") for other in names)
        names.append(f"{name}-{same + 1}" if name in names else name)
    return names


def _loads(spec: TeacherSpec, path: Path) -> bool:
    """Whether a provider loads a file with such an ending, or a folder with such a file in it."""
    if path.is_dir():
        return any((path / name).is_file() for name in spec.endings if not name.startswith("."))
    return path.name.lower().endswith(tuple(e for e in spec.endings if e.startswith(".")) or ("\0",))


def _guesses(spec: TeacherSpec, path: Path, task: str) -> Sequence[TeacherGuess]:
    """Return what a provider recognizes; one that cannot read the file adds the reason to the checks."""
    plain = TeacherGuess(
        {"model": f"{spec.name}:{path}"}, f"{spec.name} loads {path.suffix or 'such folders'}"
    )
    if not spec.guess:
        return [plain]
    try:
        return list(imported(spec.guess)(path, task))
    except MtkdError as error:
        return [replace(plain, checks=(f"{error.what}; {error.hint}",))]
    except Exception as error:  # a plugin may raise anything
        return [replace(plain, checks=(f"{spec.name} cannot read it: {first_line(error)}",))]


def _without_architecture(path: Path) -> TeacherGuess:
    """Return a teacher whose weights are in a file that does not name a known architecture."""
    facts = checkpoint_facts(path)
    named = "; ".join(f"{key}: {name}" for key, name in facts.architectures.items())
    reason = (
        f"weights; the file says {named}" if named else "weights; the file does not name the architecture"
    )
    trust = "the file contains more than tensors, so it may need --trust-pickle; safetensors need no trust"
    return TeacherGuess(
        {"model": FILL_IN, "checkpoint": str(path)},
        reason,
        {"model": "architecture of these weights, as provider:model; mtkd list teachers has examples"},
        outputs=facts.outputs,
        needs_trust=facts.needs_trust,
        checks=(trust,) if facts.needs_trust else (),
    )
