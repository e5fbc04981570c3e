"""Check everything that a plugin registers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from mtkd_cli.errors import MtkdError, UsageError, first_line, type_and_first_line
from mtkd_cli.plugin.registry import load_registry
from mtkd_cli.plugin.validation import COMMANDS, hooks_of, refuse_duplicates, specs_of
from mtkd_cli.recipe.options import check_options
from mtkd_cli.specs import (
    AggregatorSpec,
    DataSpec,
    LossSpec,
    RecipeSpec,
    Spec,
    TaskSpec,
    TeacherSpec,
    TrackerSpec,
)
from mtkd_cli.testing.broken import BrokenRuleError, NotCheckedError
from mtkd_cli.testing.data import check_data
from mtkd_cli.testing.listing import check_listing
from mtkd_cli.testing.loss import check_loss
from mtkd_cli.testing.provider import check_provider
from mtkd_cli.testing.strategy import check_strategy
from mtkd_cli.testing.task import check_task
from mtkd_cli.testing.tracker import check_tracker


def check_plugin(module: ModuleType) -> dict[str, str]:
    """Check a module with hooks and everything that it registers, with default options.

    Returns:
        For each kind and name (``strategies:mine``), what was checked, or why it was not checked.

    Raises:
        BrokenRuleError: a rule is broken; names the first one.
        TypeError, ValueError: a hook is invalid, see `mtkd_cli.plugin.validation`.
    """
    hooks = hooks_of(module)
    specs = [spec for name, hook in hooks.items() if name != COMMANDS for spec in specs_of(name, hook)]
    refuse_duplicates(specs)
    check_listing(module.__name__)
    done = {}
    for spec in specs:
        try:
            done[f"{spec.kind}:{spec.name}"] = check(spec)
        except NotCheckedError as error:
            done[f"{spec.kind}:{spec.name}"] = f"not checked: {error}"
    return done


def check(spec: Spec, options: Mapping[str, Any] | None = None) -> str:
    """Check one entry of a plugin.

    Args:
        spec: spec of the entry.
        options: options as in a recipe, with defaults for the others. A provider also takes ``model``.

    Returns:
        A short description of what it was checked on.

    Raises:
        BrokenRuleError: a rule is broken; names the first one.
        NotCheckedError: a required option, file or package is missing.
        UsageError: an option is unknown or invalid.
    """
    given = dict(options or {})
    if isinstance(spec, TeacherSpec):
        model = given.pop("model", None)
        _with_defaults(spec, given)
        check_provider(_load(spec), spec, model)
        return model or spec.example
    chosen = _with_defaults(spec, given)
    if isinstance(spec, RecipeSpec):
        _check_recipe(spec)
        return "read and resolved"
    if isinstance(spec, TaskSpec):
        check_task(spec, chosen)
        return "five classes or values"
    factory = functools.partial(_load(spec), **chosen)
    if isinstance(spec, AggregatorSpec):
        return ", ".join(check_strategy(factory, spec))
    if isinstance(spec, LossSpec):
        return check_loss(factory, spec)
    if isinstance(spec, DataSpec):
        check_data(factory, spec)
        return "loaded twice"
    if isinstance(spec, TrackerSpec):
        check_tracker(factory, spec)
        return "a short run"
    raise NotCheckedError(f"{spec.kind} have no checks")


def _load(spec: Spec) -> Any:
    try:
        return spec.load()
    except Exception as error:
        reason = f"{spec.factory}: {type_and_first_line(error)}"
        raise BrokenRuleError(f"{spec.name!r} breaks the rule 'it can be imported': {reason}") from error


def _with_defaults(spec: Spec, given: dict[str, Any]) -> dict[str, Any]:
    missing = [option.name for option in spec.options if option.required and option.name not in given]
    if missing:
        raise NotCheckedError(f"pass the required options: {' '.join(f'{name}=…' for name in missing)}")
    chosen, problems = check_options(given, spec.options, spec.name)
    if problems:
        raise UsageError(problems[0].what, problems[0].where, problems[0].hint)
    return chosen


def _check_recipe(spec: RecipeSpec) -> None:
    from mtkd_cli.files import yaml12
    from mtkd_cli.recipe.reader import validate
    from mtkd_cli.recipe.resolve import resolve

    try:
        resolve(validate(yaml12.load(spec.load(), spec.name), spec.name), load_registry(), spec.name)
    except (MtkdError, OSError) as error:
        problems = [problem.what for problem in getattr(error, "problems", ())] or [first_line(error)]
        raise BrokenRuleError(
            f"the recipe {spec.name!r} breaks the rule 'it can be read': {'; '.join(problems)}"
        ) from error
