"""Earlier comparisons of the same methods: a comparison with added seeds is another look at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mtkd_cli.compare.grid import is_seed
from mtkd_cli.errors import MtkdError
from mtkd_cli.report import results
from mtkd_cli.report.comparison_result import Comparison, Row
from mtkd_cli.store import content_store

Seed = tuple[tuple[str, str], ...]
"""Key and value of each seed, sorted by key."""
Seeds = frozenset[Seed]

NOT_COMPARED = ("trackers", "store")
"""Sections of a recipe that do not change the student."""


def method_key(recipe: Mapping[str, Any]) -> str:
    """Return a digest of a resolved recipe without its seeds: what repeats with other seeds."""
    return content_store.digest({k: v for k, v in settings_of(recipe).items() if not is_seed(k)})


def settings_of(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that decide the student, by dotted key."""
    return dict(_flat({key: value for key, value in recipe.items() if key not in NOT_COMPARED}))


def _flat(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, part in value.items():
        if isinstance(part, dict):
            yield from _flat(part, f"{path}{key}.")
        else:
            yield f"{path}{key}", str(part)


def seen_before(root: Path, keys: Iterable[str], seeds: Seeds) -> Seeds:
    """Return the seeds with which the same methods were compared before.

    An earlier comparison counts if it has all the methods of this one. A repeated comparison (same methods,
    same seeds) gets the answer that it got the first time.

    Args:
        root: folder of the comparisons.
        keys: keys of the methods, see `method_key`.
        seeds: seeds of this comparison.
    """
    wanted, seen = frozenset(keys), set[Seed]()
    for earlier in _comparisons(root):
        methods, theirs = _methods(earlier), seeds_of(earlier.rows)
        before = {as_seed(seed) for seed in earlier.seeds_seen}
        if methods == wanted and theirs == seeds:
            return frozenset(before)
        if wanted and wanted <= methods:
            # with the same seeds it tells nothing new of these methods
            seen |= before if theirs == seeds else before | theirs
    return frozenset(seen)


def seeds_of(rows: Iterable[Row]) -> Seeds:
    """Return the seeds of all methods."""
    return frozenset(as_seed(seed) for row in rows if row.runs for seed in row.seeds)


def as_seed(seed: Mapping[str, str]) -> Seed:
    """Return a seed in a form that can be compared."""
    return tuple(sorted(seed.items()))


def _methods(comparison: Comparison) -> frozenset[str]:
    return frozenset(row.key for row in comparison.rows if row.key)


def _comparisons(root: Path) -> Iterator[Comparison]:
    """Yield the comparisons in a folder. Damaged files are skipped."""
    for path in sorted(root.glob(f"*/{results.COMPARISON}")):
        try:
            yield results.load(path)
        except (MtkdError, OSError):
            continue
