"""What metrics are called where people read; files and programs keep the metrics' own names."""

from __future__ import annotations

from mtkd_cli.interfaces import Metric
from mtkd_cli.plugin.registry import load_registry
from mtkd_cli.specs import TaskSpec


def spelt(metric: str) -> str:
    """Return a metric's name in reports, from the installed tasks.

    In ``rmse price``, the metric of one target, the first word is the metric.
    """
    name, space, target = metric.partition(" ")
    return _labels().get(name, Metric(name).shown) + space + target


def _labels() -> dict[str, str]:
    """Return the labels by metric; a built-in task overrides a third-party one."""
    entries = sorted(load_registry().listing("tasks"), key=lambda entry: entry.plugin.builtin)
    specs = [entry.spec for entry in entries if isinstance(entry.spec, TaskSpec)]
    return {metric.name: metric.shown for spec in specs for metric in spec.metrics}
