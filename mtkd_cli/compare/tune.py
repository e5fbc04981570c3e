"""Tune the settings of each method on validation with optuna. Test scores are never used."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mtkd_cli.compare.grid import Cell
from mtkd_cli.errors import MtkdError, UsageError, nearest_or_all
from mtkd_cli.interfaces import Metric
from mtkd_cli.report.comparison_result import Tuned
from mtkd_cli.report.run_result import RunResult


@dataclass(frozen=True)
class Range:
    """Search range of a number.

    Attributes:
        low: smallest value.
        high: largest value.
        log: whether to search on a log scale.
    """

    low: float
    high: float
    log: bool = False


RANGES = {
    "loss.temperature": Range(1.0, 8.0, log=True),
    "loss.kd_ratio": Range(0.1, 1.0),
    "loss.label_smoothing": Range(0.0, 0.3),
    "train.lr": Range(1e-4, 1e-1, log=True),
    "train.weight_decay": Range(1e-5, 1e-1, log=True),
}


def ranges_of(keys: str) -> dict[str, Range]:
    """Return the search range of each key of ``loss.temperature,kd_ratio``. The last part of a key is enough.

    Raises:
        UsageError: a key cannot be tuned.
    """
    found = {}
    for key in filter(None, (key.strip() for key in keys.split(","))):
        full = [name for name in RANGES if key in (name, name.rpartition(".")[2])]
        if not full:
            raise UsageError(f"{key!r} cannot be tuned", where="--tune", hint=nearest_or_all(key, RANGES))
        found[full[0]] = RANGES[full[0]]
    return found


def require_optuna() -> None:
    """Raise if optuna is not installed.

    Raises:
        UsageError: optuna is not installed.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "--tune needs optuna", where="--tune", hint="install it: pip install 'mtkd[tune]'"
        ) from error


def tune(
    cell: Cell,
    ranges: Mapping[str, Range],
    trials: int,
    seed: int,
    validated: Callable[[Cell], tuple[float, ...]],
) -> Tuned:
    """Return the settings of a method with the best rank on validation, see `validation_rank`.

    The sampler is seeded, so a repeated search asks for the same trials, which are then finished runs.

    Args:
        cell: the method, with the seeds of the search.
        ranges: search range of each key.
        trials: number of trials.
        seed: seed of the search.
        validated: function that trains a cell and returns its rank on validation.

    Raises:
        MtkdError: every trial failed; the error of the last.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(3, trials // 3))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    rows: list[dict[str, Any]] = []
    found: list[tuple[tuple[float, ...], dict[str, Any]]] = []
    failure: MtkdError | None = None
    for _ in range(trials):
        trial = study.ask()
        chosen = {
            key: _format(trial.suggest_float(key, r.low, r.high, log=r.log)) for key, r in ranges.items()
        }
        try:
            rank = validated(with_settings(cell, chosen))
        except MtkdError as error:
            failure, rank = error, (-math.inf,)
        score, loss = rank[0], -rank[-1]
        facts = {"score": score, "loss": loss}
        rows.append({**chosen, **{n: v if math.isfinite(v) else None for n, v in facts.items()}})
        if math.isfinite(score):
            study.tell(trial, score)
            found.append((rank, rows[-1]))
        else:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
    if not found:
        raise failure or MtkdError("no trial has a score", where="--tune")
    _, best = max(found, key=lambda pair: pair[0])
    settings = {key: best[key] for key in ranges}
    return Tuned(dict(cell.method), settings, best["score"], best["loss"], tuple(rows))


def with_settings(cell: Cell, settings: Mapping[str, str]) -> Cell:
    """Return the cell with additional settings."""
    more = tuple(f"{key}={value}" for key, value in settings.items())
    return replace(cell, overrides=(*cell.overrides, *more))


def _format(value: float) -> str:
    """Return a number with the three digits that a recipe shows."""
    return f"{value:.3g}"


def validation_rank(report: RunResult) -> tuple[float, ...]:
    """Return the rank of a run's student on validation, larger is better. Test scores are not used.

    It is the best rank of its trials: minus the loss with few labels, otherwise the metric, then minus the
    loss. Runs of earlier versions have no ranks: theirs is the metric, then minus the loss if it is known.
    """
    metric = Metric(report.metric.name, report.metric.higher_is_better)
    ranks = [rank for trial in report.student.trials if (rank := _rank(trial, metric)) is not None]
    return max(ranks, default=(-math.inf,))


def _rank(trial: Mapping[str, Any], metric: Metric) -> tuple[float, ...] | None:
    """Return the rank of a trial; None if it failed. An undefined part ranks last."""
    if metric.name not in trial:
        return None
    if "rank" in trial:
        return tuple(-math.inf if math.isnan(part) else part for part in trial["rank"])
    return metric.rank(trial[metric.name], trial.get("val_loss", math.inf))
