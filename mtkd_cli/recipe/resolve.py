"""Find the plugins that a recipe names and validate their options."""

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
from mtkd_cli.safe_loading.global_state import keep_global_state
from mtkd_cli.safe_loading.local_code import PREFIX, load_attribute
from mtkd_cli.specs import KINDS, TeacherSpec

SECTIONS = {"task": "tasks", "data": "data", "strategy": "strategies", "trackers": "trackers"}
"""Kind of the plugin that each section names."""


@dataclass(frozen=True)
class Part:
    """A spec, its plugin, and its options in the recipe, defaults included."""

    spec: Any
    plugin: Plugin
    options: Mapping[str, Any]
    factory: Callable[[], Any]

    def create(self, **more: Any) -> Any:
        """Import the implementation and construct it with ``more`` and its options."""
        with keep_global_state(f"{self.spec.kind} {self.spec.name}", draws=True):
            return self.factory()(**more, **self.options)

    def takes(self, name: str) -> bool:
        """Whether the implementation has a parameter with this name."""
        return name in inspect.signature(self.factory()).parameters


@dataclass(frozen=True)
class ModelPart:
    """A provider, the name of one of its models, and permissions.

    Attributes:
        trusted: files that may run code while they are loaded, see `mtkd_cli.recipe.trusted_files`.
        trust_code: whether Python code that earlier runs name may run.
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
    """A recipe with its plugins.

    Attributes:
        name: stem of the recipe file, or name of the built-in recipe; used for result folders.
        verify_all: whether to read all files of the data again, see `mtkd_cli.store.described_files`.
    """

    recipe: Recipe
    task: Part
    data: Part
    strategy: Part
    teachers: tuple[ModelPart, ...]
    student: ModelPart
    trackers: tuple[Part, ...]
    name: str = ""
    verify_all: bool = False


class _Finder:
    """Finds plugins by name and collects the problems."""

    def __init__(self, registry: Registry, source: str) -> None:
        self.registry, self.source = registry, source
        self.problems: list[MtkdError] = []

    def part(self, key: str, name: str, options: Mapping[str, Any]) -> Part | None:
        """Return the plugin of the section ``key`` with its options; None if invalid."""
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
        checked, problems = check_options(options, entry.spec.options, where, beside=own)
        self.problems += problems
        return Part(entry.spec, entry.plugin, checked, entry.spec.load)

    def model(self, key: str, reference: str) -> ModelPart | None:
        """Return the provider of ``provider:model``, which may follow ``distribution:``; None if invalid."""
        provider, _, model = reference.partition(":")
        second, _, rest = model.partition(":")
        qualified = f"{provider}:{second}"
        if any(entry.full_name == qualified for entry in self.registry.listing("teachers")):
            provider, model = qualified, rest
        try:
            if not model:
                raise UsageError(
                    f"{reference!r} is not a model",
                    hint="write provider:model; mtkd list teachers shows examples",
                )
            entry = self.registry.find("teachers", provider)
        except UsageError as error:
            self.add(key, error)
            return None
        if not isinstance(entry.spec, TeacherSpec):
            raise TypeError(entry.spec)
        return ModelPart(entry.spec, entry.plugin, model)

    def add(self, key: str, error: UsageError) -> None:
        """Record an error as a problem of the key."""
        self.problems.append(RecipeKeyError(error.what, f"{self.source}: {key}", error.hint))


def resolve(recipe: Recipe, registry: Registry, source: str) -> Resolved:
    """Return the recipe with its plugins.

    Raises:
        RecipeError: a name or an option is unknown, or parts are incompatible; has all problems.

    """
    find = _Finder(registry, source)
    task = find.part("task", recipe.task.name, recipe.task.options)
    data = find.part("data", recipe.data.name, recipe.data.options)
    strategy = find.part("strategy", recipe.strategy.name, recipe.strategy.options)
    teachers = [find.model(f"teachers.{i}.model", t.model) for i, t in enumerate(recipe.teachers)]
    student = find.model("student.model", recipe.student.model)
    trackers = [find.part(f"trackers.{i}", t.name, t.options) for i, t in enumerate(recipe.trackers)]
    problems = [
        *find.problems,
        *_incompatibilities(recipe, task, data, strategy, [*teachers, student], source),
    ]
    if problems:
        raise RecipeError(source, problems)
    return Resolved(recipe, task, data, strategy, tuple(teachers), student, tuple(trackers))  # type: ignore[arg-type]


def strategies_for(task: str, registry: Registry, source: str) -> list[Part]:
    """Return the strategies that support a task, with default options; skip those with required options."""
    found = []
    for entry in registry.listing("strategies"):
        find = _Finder(registry, source)
        part = find.part("strategy", entry.full_name, {})
        if part and not find.problems and (not part.spec.tasks or task in part.spec.tasks):
            found.append(part)
    return found


def find_data(data: Data, registry: Registry, source: str) -> Part:
    """Return the data source of a recipe's ``data`` section, with its options.

    Raises:
        RecipeError: no such source, or an option is invalid.
    """
    find = _Finder(registry, source)
    part = find.part("data", data.name, data.options)
    if part is None or find.problems:
        raise RecipeError(source, find.problems)
    return part


def find_model(reference: str, registry: Registry, source: str) -> ModelPart:
    """Return the provider of ``provider:model``.

    Raises:
        RecipeError: no such provider.
    """
    find = _Finder(registry, source)
    part = find.model("model", reference)
    if part is None:
        raise RecipeError(source, find.problems)
    return part


def unknown_names(raw: Mapping[str, Any], registry: Registry, source: str) -> list[MtkdError]:
    """Return the unknown names and options in a recipe that does not match the schema.

    They are reported together with the schema's problems. Malformed sections are skipped, and no local
    code runs.
    """
    find, full = _Finder(registry, source), expand(dict(raw))
    plugs = [(section, full.get(section)) for section in ("task", "data", "strategy")]
    plugs += [(f"trackers.{i}", plug) for i, plug in enumerate(_list_items(full.get("trackers")))]
    for key, plug in plugs:
        if (
            isinstance(plug, dict)
            and isinstance(plug.get("name"), str)
            and not plug["name"].startswith(PREFIX)
        ):
            own = Data.model_fields if key == "data" else Plug.model_fields
            find.part(key, plug["name"], {name: value for name, value in plug.items() if name not in own})
    models = [(f"teachers.{i}.model", model) for i, model in enumerate(_list_items(full.get("teachers")))]
    for key, model in (*models, ("student.model", full.get("student"))):
        if isinstance(model, dict) and isinstance(model.get("model"), str):
            find.model(key, model["model"])
    return find.problems


def _list_items(value: Any) -> list[Any]:
    """Return a list unchanged, and no items for any other value."""
    return value if isinstance(value, list) else []


def local_references(recipe: Recipe) -> list[str]:
    """Return the references to local code (``python:...``) in a recipe."""
    plugs = [recipe.task.name, recipe.data.name, recipe.strategy.name, *(t.name for t in recipe.trackers)]
    models = [*(teacher.model for teacher in recipe.teachers), recipe.student.model]
    return list(dict.fromkeys(name for name in (*plugs, *models) if name.startswith(PREFIX)))


def _local_part(section: str, name: str, options: Mapping[str, Any], where: str) -> Part:
    """Return a part with a local implementation, whose options are the parameters of its constructor.

    Raises:
        UsageError: the code cannot be loaded, or its constructor does not accept these options.

    """
    implementation = load_attribute(name)
    more: dict[str, Any] = {"data": None, "loss": None} if section == "task" else {}
    try:
        if section == "data" and "task" in inspect.signature(implementation).parameters:
            more = {"task": ""}
        inspect.signature(implementation).bind(**more, **options)
        attributes = ("needs", "tasks") if section == "strategy" else ()
        facts: dict[str, Any] = {key: tuple(getattr(implementation, key, ())) for key in attributes}
        summary = (implementation.__doc__ or "").strip().partition("\n")[0]
        spec = KINDS[SECTIONS[section]](name=name, summary=summary, factory=name, **facts)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{name} does not accept these options: {error}", where, "change the keys here, or the class"
        ) from error
    return Part(spec, Plugin(PREFIX, "local file", ""), dict(options), lambda: implementation)


def _incompatibilities(
    recipe: Recipe,
    task: Part | None,
    data: Part | None,
    strategy: Part | None,
    models: list[ModelPart | None],
    source: str,
) -> list[MtkdError]:
    """Return the problems of incompatible parts; ``models`` are the teachers and, last, the student."""
    problems: list[MtkdError] = []

    def add(what: str, key: str, hint: str) -> None:
        problems.append(RecipeKeyError(what, f"{source}: {key}", hint))

    for key, part in (("data", data), ("strategy", strategy)):
        if part and task and part.spec.tasks and task.spec.name not in part.spec.tasks:
            add(
                f"{part.spec.name!r} does not support the task {task.spec.name!r}",
                key,
                f"it supports {', '.join(part.spec.tasks)}",
            )
    is_supported = strategy and task and (not strategy.spec.tasks or task.spec.name in strategy.spec.tasks)
    if strategy and task and is_supported and "averages" in strategy.spec.needs and not task.spec.averages:
        add(
            f"{strategy.spec.name!r} averages outputs, which {task.spec.name!r} does not support",
            "strategy",
            use_a_weighing_strategy(task.spec.name, averages=False),
        )
    keys = [*(f"teachers.{i}.model" for i in range(len(recipe.teachers))), "student.model"]
    for key, model in zip(keys, models, strict=True):
        if model and task and model.spec.tasks and task.spec.name not in model.spec.tasks:
            add(
                f"models of {model.spec.name!r} do not support the task {task.spec.name!r}",
                key,
                f"they support {', '.join(model.spec.tasks)}",
            )
        if model and data and data.spec.inputs not in model.spec.inputs:
            add(
                f"models of {model.spec.name!r} do not accept {data.spec.inputs} inputs",
                key,
                f"they accept {' or '.join(model.spec.inputs)} inputs",
            )
    student = models[-1]
    if student and not student.spec.trainable:
        add(
            f"{student.spec.name!r} cannot build students",
            "student.model",
            "mtkd list teachers shows which providers can",
        )
    for index, teacher in enumerate(recipe.teachers):
        for key in ("classes", "map"):
            if teacher.fit and getattr(teacher, key) is not None:
                add(
                    f"the teacher {teacher.name!r} has both fit and {key}",
                    f"teachers.{index}.{key}",
                    f"remove {key}: a fitted teacher has the data's classes; or remove fit",
                )
    names = [teacher.name for teacher in recipe.teachers]
    for index, name in enumerate(names):
        if name in names[:index]:
            add(f"duplicate teacher name {name!r}", f"teachers.{index}", "set name: for one of them")
    return problems
