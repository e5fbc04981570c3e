"""Find the plugins that a recipe names and check the options it gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mtkd_cli.errors import MtkdError, RecipeError, UsageError, nearest_or_all
from mtkd_cli.local_code import PREFIX, load_attribute
from mtkd_cli.plugins import Plugin, Registered, Registry
from mtkd_cli.read_recipe import RecipeKeyError
from mtkd_cli.recipe import Plug, Recipe
from mtkd_cli.specs import AggregatorSpec, DataSpec, Option, Spec, TaskSpec, TeacherSpec, TrackerSpec


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


@dataclass(frozen=True)
class ModelPart:
    """A provider and the model it is asked for."""

    spec: TeacherSpec
    plugin: Plugin
    model: str

    def create(self) -> Any:
        """Import and construct the provider."""
        return self.spec.load()()


@dataclass(frozen=True)
class Resolved:
    """A recipe whose every name has been found."""

    recipe: Recipe
    task: Part
    data: Part
    strategy: Part
    teachers: tuple[ModelPart, ...]
    student: ModelPart
    trackers: tuple[Part, ...]


def resolve(recipe: Recipe, registry: Registry, source: str) -> Resolved:
    """Return the recipe's parts.

    Raises:
        RecipeError: every unknown name, unknown option and misfit between the parts.

    """
    problems: list[MtkdError] = []

    def part(kind: str, key: str, plug: Plug, spec_type: type[Spec]) -> Part | None:
        try:
            entry, factory = _entry(kind, plug.name, registry, spec_type)
        except UsageError as error:
            problems.append(RecipeKeyError(error.what, f"{source}: {key}", error.hint))
            return None
        if entry.plugin.name == PREFIX:
            return Part(entry.spec, entry.plugin, plug.options, factory)
        options, wrong = check_options(plug.options, entry.spec.options, f"{source}: {key}")
        problems.extend(wrong)
        return Part(entry.spec, entry.plugin, options, factory)

    def model(reference: str, key: str) -> ModelPart | None:
        provider, colon, name = reference.partition(":")
        try:
            if not colon or not name:
                raise UsageError(
                    f"{reference!r} is no model", hint="write provider:model, e.g. timm:resnet18"
                )
            entry = registry.find("teachers", provider)
        except UsageError as error:
            problems.append(RecipeKeyError(error.what, f"{source}: {key}", error.hint))
            return None
        if not isinstance(entry.spec, TeacherSpec):
            raise TypeError(entry.spec)
        return ModelPart(entry.spec, entry.plugin, name)

    task = part("tasks", "task", recipe.task, TaskSpec)
    data = part("data", "data", recipe.data, DataSpec)
    strategy = part("strategies", "strategy", recipe.strategy, AggregatorSpec)
    teachers = [model(t.model, f"teachers.{i}.model") for i, t in enumerate(recipe.teachers)]
    student = model(recipe.student.model, "student.model")
    trackers = [part("trackers", f"trackers.{i}", t, TrackerSpec) for i, t in enumerate(recipe.trackers)]
    problems += _misfits(recipe, task, data, strategy, student, source)
    found = [task, data, strategy, *teachers, student, *trackers]
    if problems or any(p is None for p in found):
        raise RecipeError(source, problems)
    return Resolved(recipe, task, data, strategy, tuple(teachers), student, tuple(trackers))  # type: ignore[arg-type]


def check_options(
    given: Mapping[str, Any], known: tuple[Option, ...], where: str
) -> tuple[dict[str, Any], list[MtkdError]]:
    """Return the options with defaults filled in, and what is wrong with those given."""
    options = {option.name: option for option in known}
    problems: list[MtkdError] = []
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in options:
            problems.append(RecipeKeyError(f"unknown key {name!r}", where, nearest_or_all(name, options)))
            continue
        try:
            values[name] = _checked(value, options[name])
        except ValueError as error:
            problems.append(RecipeKeyError(f"{name}: {error}", f"{where}.{name}", options[name].summary))
    for option in known:
        if option.required and option.name not in given:
            problems.append(RecipeKeyError(f"the key {option.name!r} is missing", where, option.summary))
        values.setdefault(option.name, option.default)
    return values, problems


def _checked(value: Any, option: Option) -> Any:
    if value is None and not option.required:
        return None
    if option.type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, option.type) or (option.type is int and isinstance(value, bool)):
        raise ValueError(f"must be {option.type.__name__}, it is {value!r}")
    if option.choices and value not in option.choices:
        raise ValueError(f"must be one of {', '.join(option.choices)}, it is {value!r}")
    number: Any = value
    if option.minimum is not None and number < option.minimum:
        raise ValueError(f"must be at least {option.minimum:g}, it is {value!r}")
    if option.maximum is not None and number > option.maximum:
        raise ValueError(f"must be at most {option.maximum:g}, it is {value!r}")
    return value


def _entry(
    kind: str, name: str, registry: Registry, spec_type: type[Spec]
) -> tuple[Registered, Callable[[], Any]]:
    if not name.startswith(PREFIX):
        entry = registry.find(kind, name)
        return entry, entry.spec.load
    implementation = load_attribute(name)
    facts: dict[str, Any] = {
        key: tuple(getattr(implementation, key, ())) for key in ("needs", "tasks") if kind == "strategies"
    }
    summary = (implementation.__doc__ or "").strip().partition("\n")[0]
    spec = spec_type(name=name, summary=summary, factory=name, **facts)
    return Registered(spec, Plugin(PREFIX, "local file", "")), lambda: implementation


def _misfits(
    recipe: Recipe,
    task: Part | None,
    data: Part | None,
    strategy: Part | None,
    student: ModelPart | None,
    source: str,
) -> list[MtkdError]:
    problems: list[MtkdError] = []
    name = task.spec.name if task else ""
    for key, part in (("data", data), ("strategy", strategy)):
        if part and task and part.spec.tasks and name not in part.spec.tasks:
            problems.append(
                RecipeKeyError(
                    f"{part.spec.name!r} does not serve the task {name!r}",
                    f"{source}: {key}",
                    f"it serves {', '.join(part.spec.tasks)}",
                )
            )
    if student and not student.spec.trainable:
        problems.append(
            RecipeKeyError(
                f"{student.spec.name!r} cannot build students",
                f"{source}: student.model",
                "mtkd list teachers shows which can",
            )
        )
    names = [teacher.name for teacher in recipe.teachers]
    for index, teacher in enumerate(recipe.teachers):
        if teacher.name in names[:index]:
            problems.append(
                RecipeKeyError(
                    f"two teachers are called {teacher.name!r}",
                    f"{source}: teachers.{index}",
                    "give one another name:",
                )
            )
    return problems
