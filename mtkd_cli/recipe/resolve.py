"""Find the plugins that a recipe names and check the options it gives them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtkd_cli.errors import MtkdError, RecipeError, RecipeKeyError, UsageError
from mtkd_cli.plugin.alternatives import use_a_weighing_strategy
from mtkd_cli.plugin.registry import Plugin, Registry
from mtkd_cli.recipe.options import check_options
from mtkd_cli.recipe.schema import Data, Plug, Recipe
from mtkd_cli.recipe.shorthand import expand
from mtkd_cli.safe_loading.local_code import PREFIX, load_attribute
from mtkd_cli.specs import KINDS, TeacherSpec

SECTIONS = {"task": "tasks", "data": "data", "strategy": "strategies", "trackers": "trackers"}
"""Kind of the plugin that each section names."""


@dataclass(frozen=True)
class Part:
    """A spec, its plugin, and the options that the recipe gives it, defaults included."""

    spec: Any
    plugin: Plugin
    options: Mapping[str, Any]
    factory: Callable[[], Any]

    def create(self, **more: Any) -> Any:
        """Import the implementation and construct it with its options."""
        return self.factory()(**more, **self.options)

    def takes(self, name: str) -> bool:
        """Whether the implementation is to be told so: it has a parameter of that name."""
        return name in inspect.signature(self.factory()).parameters


@dataclass(frozen=True)
class ModelPart:
    """A provider and the model it is asked for.

    Code that may run for it, see `mtkd_cli.recipe.trusted_files`.
    """

    spec: TeacherSpec
    plugin: Plugin
    model: str
    trusted: frozenset[Path] = frozenset()
    trust_code: bool = False

    def create(self) -> Any:
        """Import and construct the provider."""
        return self.spec.load()()


@dataclass(frozen=True)
class Resolved:
    """A recipe whose every name has been found.

    Attributes:
        name: the stem of the recipe's file, or the name of a built-in recipe; names result folders.
    """

    recipe: Recipe
    task: Part
    data: Part
    strategy: Part
    teachers: tuple[ModelPart, ...]
    student: ModelPart
    trackers: tuple[Part, ...]
    name: str = ""


class _Finder:
    """Looks names up and collects what is wrong with them."""

    def __init__(self, registry: Registry, source: str) -> None:
        self.registry, self.source = registry, source
        self.problems: list[MtkdError] = []

    def part(self, key: str, name: str, options: Mapping[str, Any]) -> Part | None:
        """Return the plugin that the section ``key`` names, with its options."""
        section = key.partition(".")[0]
        where = f"{self.source}: {key}"
        try:
            if name.startswith(PREFIX):
                return _local_part(section, name, options, where)
            entry = self.registry.find(SECTIONS[section], name)
        except UsageError as error:
            self.add(key, error)
            return None
        own = Data.model_fields if section == "data" else Plug.model_fields
        checked, wrong = check_options(options, entry.spec.options, where, beside=own)
        self.problems += wrong
        return Part(entry.spec, entry.plugin, checked, entry.spec.load)

    def model(self, key: str, reference: str) -> ModelPart | None:
        """Return the provider of ``provider:model`` or ``distribution:provider:model``."""
        provider, _, model = reference.partition(":")
        second, _, rest = model.partition(":")
        qualified = f"{provider}:{second}"
        if any(entry.full_name == qualified for entry in self.registry.listing("teachers")):
            provider, model = qualified, rest
        try:
            if not model:
                raise UsageError(
                    f"{reference!r} is no model", hint="write provider:model; mtkd list teachers has examples"
                )
            entry = self.registry.find("teachers", provider)
        except UsageError as error:
            self.add(key, error)
            return None
        if not isinstance(entry.spec, TeacherSpec):
            raise TypeError(entry.spec)
        return ModelPart(entry.spec, entry.plugin, model)

    def add(self, key: str, error: UsageError) -> None:
        """Note an error as a problem of the key."""
        self.problems.append(RecipeKeyError(error.what, f"{self.source}: {key}", error.hint))


def resolve(recipe: Recipe, registry: Registry, source: str) -> Resolved:
    """Return the recipe's parts.

    Raises:
        RecipeError: every unknown name, unknown option and misfit between the parts.

    """
    find = _Finder(registry, source)
    task = find.part("task", recipe.task.name, recipe.task.options)
    data = find.part("data", recipe.data.name, recipe.data.options)
    strategy = find.part("strategy", recipe.strategy.name, recipe.strategy.options)
    teachers = [find.model(f"teachers.{i}.model", t.model) for i, t in enumerate(recipe.teachers)]
    student = find.model("student.model", recipe.student.model)
    trackers = [find.part(f"trackers.{i}", t.name, t.options) for i, t in enumerate(recipe.trackers)]
    problems = [*find.problems, *_misfits(recipe, task, data, strategy, [*teachers, student], source)]
    if problems:
        raise RecipeError(source, problems)
    return Resolved(recipe, task, data, strategy, tuple(teachers), student, tuple(trackers))  # type: ignore[arg-type]


def strategies_for(task: str, registry: Registry, source: str) -> list[Part]:
    """Return every strategy that serves a task with its defaults; one with a required key is left out."""
    found = []
    for entry in registry.listing("strategies"):
        find = _Finder(registry, source)
        part = find.part("strategy", entry.full_name, {})
        if part and not find.problems and (not part.spec.tasks or task in part.spec.tasks):
            found.append(part)
    return found


def find_data(data: Data, registry: Registry, source: str) -> Part:
    """Return the data source that a section names, with its options.

    Raises:
        RecipeError: no such source, or options that it does not have.
    """
    find = _Finder(registry, source)
    part = find.part("data", data.name, data.options)
    if part is None or find.problems:
        raise RecipeError(source, find.problems)
    return part


def unknown_names(raw: Mapping[str, Any], registry: Registry, source: str) -> list[MtkdError]:
    """Return the names and options that no plugin has, in a recipe that breaks the schema.

    So one reading shows all that is wrong. What is not well formed is passed over; no local
    code is run.
    """
    find, full = _Finder(registry, source), expand(dict(raw))
    plugs = [(section, full.get(section)) for section in ("task", "data", "strategy")]
    plugs += [(f"trackers.{i}", plug) for i, plug in enumerate(_items(full.get("trackers")))]
    for key, plug in plugs:
        if (
            isinstance(plug, dict)
            and isinstance(plug.get("name"), str)
            and not plug["name"].startswith(PREFIX)
        ):
            own = Data.model_fields if key == "data" else Plug.model_fields
            find.part(key, plug["name"], {name: value for name, value in plug.items() if name not in own})
    models = [(f"teachers.{i}.model", model) for i, model in enumerate(_items(full.get("teachers")))]
    for key, model in (*models, ("student.model", full.get("student"))):
        if isinstance(model, dict) and isinstance(model.get("model"), str):
            find.model(key, model["model"])
    return find.problems


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def local_references(recipe: Recipe) -> list[str]:
    """Return what the recipe names of local code (``python:...``), which runs when it is used."""
    plugs = [recipe.task.name, recipe.data.name, recipe.strategy.name, *(t.name for t in recipe.trackers)]
    models = [*(teacher.model for teacher in recipe.teachers), recipe.student.model]
    return list(dict.fromkeys(name for name in (*plugs, *models) if name.startswith(PREFIX)))


def _local_part(section: str, name: str, options: Mapping[str, Any], where: str) -> Part:
    """Return a part whose implementation is local code; its constructor says what options it has.

    Raises:
        UsageError: the code cannot be loaded, or does not take these options.

    """
    implementation = load_attribute(name)
    more: dict[str, Any] = {"data": None, "loss": None} if section == "task" else {}
    try:
        if section == "data" and "task" in inspect.signature(implementation).parameters:
            more = {"task": ""}
        inspect.signature(implementation).bind(**more, **options)
        wanted = ("needs", "tasks") if section == "strategy" else ()
        facts: dict[str, Any] = {key: tuple(getattr(implementation, key, ())) for key in wanted}
        summary = (implementation.__doc__ or "").strip().partition("\n")[0]
        spec = KINDS[SECTIONS[section]](name=name, summary=summary, factory=name, **facts)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{name} does not fit: {error}", where, "change the keys here, or the class"
        ) from error
    return Part(spec, Plugin(PREFIX, "local file", ""), dict(options), lambda: implementation)


def _misfits(
    recipe: Recipe,
    task: Part | None,
    data: Part | None,
    strategy: Part | None,
    models: list[ModelPart | None],
    source: str,
) -> list[MtkdError]:
    """Return what does not fit together; ``models`` are the teachers and, last, the student."""
    problems: list[MtkdError] = []

    def add(what: str, key: str, hint: str) -> None:
        problems.append(RecipeKeyError(what, f"{source}: {key}", hint))

    for key, part in (("data", data), ("strategy", strategy)):
        if part and task and part.spec.tasks and task.spec.name not in part.spec.tasks:
            add(
                f"{part.spec.name!r} does not serve the task {task.spec.name!r}",
                key,
                f"it serves {', '.join(part.spec.tasks)}",
            )
    serves = strategy and task and (not strategy.spec.tasks or task.spec.name in strategy.spec.tasks)
    if strategy and task and serves and "averages" in strategy.spec.needs and not task.spec.averages:
        add(
            f"{strategy.spec.name!r} averages outputs number by number: not those of {task.spec.name!r}",
            "strategy",
            use_a_weighing_strategy(task.spec.name, averages=False),
        )
    keys = [*(f"teachers.{i}.model" for i in range(len(recipe.teachers))), "student.model"]
    for key, model in zip(keys, models, strict=True):
        if model and task and model.spec.tasks and task.spec.name not in model.spec.tasks:
            add(
                f"models of {model.spec.name!r} do not serve the task {task.spec.name!r}",
                key,
                f"they serve {', '.join(model.spec.tasks)}",
            )
        if model and data and data.spec.inputs not in model.spec.inputs:
            add(
                f"models of {model.spec.name!r} take no {data.spec.inputs} as input",
                key,
                f"they take {' or '.join(model.spec.inputs)}",
            )
    student = models[-1]
    if student and not student.spec.trainable:
        add(
            f"{student.spec.name!r} cannot build students",
            "student.model",
            "mtkd list teachers shows which can",
        )
    for index, teacher in enumerate(recipe.teachers):
        if teacher.fit and teacher.classes is not None:
            problems.append(
                RecipeKeyError(
                    f"the teacher {teacher.name!r} has both fit and classes",
                    f"{source}: teachers.{index}.classes",
                    "leave classes out: a teacher that is fitted answers in the data's classes",
                )
            )
    names = [teacher.name for teacher in recipe.teachers]
    for index, name in enumerate(names):
        if name in names[:index]:
            add(f"two teachers are called {name!r}", f"teachers.{index}", "give one of them another name:")
    return problems
