"""Installed strategies and losses with a given role or ability, for defaults and hints."""

from __future__ import annotations

from mtkd_cli.errors import join_first
from mtkd_cli.plugin.registry import Registry, load_registry
from mtkd_cli.specs import AggregatorSpec, LossSpec


def strategy_with(role: str, registry: Registry | None = None) -> str:
    """Return the name of the strategy with a role; a built-in one has precedence.

    Args:
        role: one of `mtkd_cli.specs.ROLES`.
        registry: plugins to choose from; default: the installed ones.

    Raises:
        LookupError: no strategy has the role.
    """
    entries = (registry or load_registry()).listing("strategies")
    named = [e for e in entries if isinstance(e.spec, AggregatorSpec) and e.spec.role == role]
    if not named:
        raise LookupError(f"no strategy has the role {role!r}")
    return sorted(named, key=lambda entry: not entry.plugin.builtin)[0].spec.name


def use_a_weighing_strategy(task: str = "", averages: bool = True) -> str:
    """Return a hint that lists strategies which weigh teachers.

    Args:
        task: name of the task; empty: strategies for all tasks.
        averages: whether outputs of the task may be averaged element by element.
    """
    names = [
        entry.spec.name
        for entry in load_registry().listing("strategies")
        if isinstance(entry.spec, AggregatorSpec) and _is_usable(entry.spec, task, averages)
    ]
    return f"use a strategy that weighs teachers: {join_first(names)}"


def _is_usable(spec: AggregatorSpec, task: str, averages: bool) -> bool:
    """Return whether a strategy weighs teachers, supports the task and has no required option."""
    fits = (averages or "averages" not in spec.needs) and (not spec.tasks or task in spec.tasks)
    return spec.weighs and fits and not any(option.required for option in spec.options)


def use_another_loss(task: str, every_logit: bool = True, any_label_space: bool = False) -> str:
    """Return a hint that lists suitable losses of a task; empty if there are none.

    Args:
        task: name of the task.
        every_logit: whether the logits of all classes are available.
        any_label_space: whether the loss must support teachers that know only some classes.
    """
    names = [
        entry.spec.name
        for entry in load_registry().listing("losses")
        if isinstance(entry.spec, LossSpec)
        and task in entry.spec.tasks
        and (every_logit or not entry.spec.needs_every_logit)
        and (not any_label_space or entry.spec.any_label_space)
    ]
    return f"set task.kd to {' or '.join(names)} and remove the task's other options" if names else ""
