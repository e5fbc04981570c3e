"""Draft a recipe for the user's data and teachers, and list what was guessed and what to check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtkd_cli.errors import UsageError, join_first, missing_path
from mtkd_cli.files import yaml12
from mtkd_cli.interfaces import FILL_IN, TeacherGuess
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.guess_data import FoundData, find_data_source
from mtkd_cli.recipe.guess_teachers import find_teacher, suggest_student, teacher_names
from mtkd_cli.recipe.placeholders import unfilled_keys
from mtkd_cli.recipe.schema import Data, Recipe, Train

COMMENT_COLUMN = 44
SHORT = 10
"""Maximum number of class names in one line."""

TEACHER_CHECK = (
    "mtkd doctor compares the teachers with chance and with other orders of classes and other inputs"
)


@dataclass(frozen=True)
class Draft:
    """A drafted recipe.

    Attributes:
        text: the recipe, with comments.
        guesses: what was guessed, as (key, value, reason).
        checks: sentences about what the user should check.
        fill_in: what the user must fill in, as (dotted key, what to write).
        trust: files that commands need ``--trust-pickle`` for.
    """

    text: str
    guesses: tuple[tuple[str, str, str], ...]
    checks: tuple[str, ...]
    fill_in: tuple[tuple[str, str], ...]
    trust: tuple[str, ...]


def draft_recipe(
    data: str,
    registry: Registry,
    *,
    unlabeled: str = "",
    teachers: Sequence[str] = (),
    task: str = "",
    student: str = "",
) -> Draft:
    """Look at the user's files and return a recipe for them. No code in the files is run.

    Args:
        data: folder or file of the data, or ``source:path``.
        registry: the installed plugins.
        unlabeled: folder or file of unlabeled samples, or ``""``.
        teachers: files or folders of models, or ``provider:model``.
        task: name of the task; ``""`` guesses it.
        student: ``provider:model``; ``""`` suggests a small one.

    Raises:
        DataError: a path does not exist, or is not recognized.
        UsageError: the data can be read in several ways, or the source takes no unlabeled samples.
    """
    found = find_data_source(data, task, registry)
    tasks = (task,) if task else found.guess.tasks
    known = tasks[0] if len(tasks) == 1 else ""
    models = [find_teacher(given, known, found.spec.inputs, registry) for given in teachers]
    named = list(zip(teacher_names(teachers), models, strict=True))
    suggested = suggest_student(known, found.spec.inputs, registry)
    lines = _Lines()
    _add_task(lines, found, tasks, bool(task))
    _add_data(lines, found, unlabeled)
    _add_teachers(lines, found, named)
    _add_strategy(lines)
    lines.add("student", student or suggested, "as given" if student else _student_reason(suggested))
    lines.text.append("")
    epochs = Train.model_fields["epochs"].default
    lines.comment(f"train: {{epochs: {epochs}}}", "the default; docs/recipes.md has all keys")
    header = [
        f"# Drafted by mtkd init from {_plain(data)}. Comments say what was guessed, and why.",
        *([f"# Replace {FILL_IN} first."] if FILL_IN in "\n".join(lines.text) else []),
        "",
    ]
    text = "\n".join([*header, *lines.text]) + "\n"
    trust = tuple(str(g.settings.get("checkpoint") or _file(g)) for _, g in named if g.needs_trust)
    return Draft(
        text,
        tuple(lines.guesses),
        _checks(found, named),
        tuple(zip(unfilled_keys(yaml12.load(text, "the draft")), lines.to_fill_in, strict=True)),
        trust,
    )


class _Lines:
    """Lines of the recipe, and the guesses in them."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.guesses: list[tuple[str, str, str]] = []
        self.to_fill_in: list[str] = []

    def add(self, key: str, value: Any, why: str = "", indent: str = "", label: str = "") -> None:
        """Add a line; with a reason, add a guess under ``label``, or what to fill in."""
        written = yaml12.dump_inline(value)
        self.text.append(_commented(f"{indent}{key}: {written}", why))
        if FILL_IN in written:
            self.to_fill_in.append(why)
        elif why:
            self.guesses.append((label or key, written, why))

    def comment(self, line: str, why: str = "", indent: str = "") -> None:
        """Add a line that is commented out."""
        self.text.append(_commented(f"{indent}# {_plain(line)}", why))


def _add_task(lines: _Lines, found: FoundData, tasks: tuple[str, ...], is_given: bool) -> None:
    if len(tasks) == 1:
        reason = "as given" if is_given else found.guess.why.get("task", "")
        lines.add("task", tasks[0], reason or f"{found.spec.name} has labels for it")
    else:
        why = found.guess.why.get("task", "")
        lines.add("task", FILL_IN, f"{' or '.join(tasks)}" + (f": {why}" if why else ""))
    lines.text.append("")


def _add_data(lines: _Lines, found: FoundData, unlabeled: str) -> None:
    guess = found.guess
    lines.text.append("data:")
    lines.add("name", found.spec.name, guess.reason, "  ", "data")
    options = dict(guess.options)
    why = dict(guess.why)
    if unlabeled and not Path(unlabeled).exists():
        raise missing_path(unlabeled, "--unlabeled", "file or folder")
    if unlabeled:
        takes = any(option.name == "unlabeled" and option.type is str for option in found.spec.options)
        if not takes:
            raise UsageError(
                f"the data source {found.spec.name} takes no folder of unlabeled samples",
                "--unlabeled",
                f"leave it out; mtkd show data {found.spec.name} lists its options",
            )
        options["unlabeled"], why["unlabeled"] = unlabeled, "as given"
    for key, value in options.items():
        lines.add(key, value, why.get(key, ""), "  ", f"data.{key}")
    for split, use in (("val", "selects the epoch and the learning rate"), ("test", "for the report")):
        if split not in guess.splits:
            share = Data.model_fields[split].default
            lines.add(split, share, "", "  ")
            lines.text[-1] = _commented(lines.text[-1], f"share of the labels; {use}")
    lines.text.append("")


def _add_teachers(lines: _Lines, found: FoundData, named: Sequence[tuple[str, TeacherGuess]]) -> None:
    lines.text.append("teachers:")
    for name, guess in named:
        lines.text.append(f"  - name: {yaml12.dump_inline(name)}")
        for key, value in guess.settings.items():
            why = guess.why.get(key, guess.reason if key == "model" else "")
            lines.add(key, value, why, "    ", f"teacher {name}" + (f": {key}" if key != "model" else ""))
        if not guess.has_classes and found.guess.classes and "classes" not in guess.settings:
            is_short = len(found.guess.classes) <= SHORT
            names = yaml12.dump_inline(list(found.guess.classes)) if is_short else "FILE"
            lines.comment(f"classes: {names}", "names of its outputs, in their order", "    ")
    if not named:
        lines.add("- model", FILL_IN, "provider:model; mtkd list teachers has examples", "  ")
    lines.text.append("")


def _add_strategy(lines: _Lines) -> None:
    default = Recipe.model_fields["strategy"].default.name
    why = "the default: teachers with better validation scores count more; docs/choosing-a-strategy.md"
    lines.comment(f"strategy: {default}", why)
    lines.text.append("")
    lines.guesses.append(("strategy", default, f"{why}; mtkd audit compares it with others"))


def _student_reason(suggested: str) -> str:
    if suggested == FILL_IN:
        return "provider:model; mtkd list teachers shows which can be students"
    return "a small model to start with; mtkd list teachers shows others"


def _checks(found: FoundData, named: Sequence[tuple[str, TeacherGuess]]) -> tuple[str, ...]:
    """Return what to check about the data, then about each teacher."""
    checks = [*found.guess.checks]
    classes = found.guess.classes
    for name, guess in named:
        checks += [f"{name}: {check}" for check in guess.checks]
        if guess.has_classes or not classes:
            continue
        if guess.outputs not in (None, len(classes)):
            checks.append(
                f"{name}: it has {guess.outputs} outputs, the data {len(classes)} classes: set classes: to "
                "the names of its outputs, or fit: head to replace its last layer"
            )
        else:
            order = join_first(classes)
            checks.append(f"{name}: are its outputs in this order: {order}? If not, set classes:")
    return (*checks, TEACHER_CHECK) if named else tuple(checks)


def _file(guess: TeacherGuess) -> str:
    return str(guess.settings["model"]).partition(":")[2]


def _commented(line: str, why: str) -> str:
    return f"{line:<{COMMENT_COLUMN}}  # {_plain(why)}" if why else line


def _plain(text: str) -> str:
    """Return the text in one line, without characters that end a comment."""
    return "".join(c if c.isprintable() else " " for c in text)
