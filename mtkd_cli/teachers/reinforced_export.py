"""Write recorded outputs as a reinforced data set, on which others can train without mtkd."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli import __version__
from mtkd_cli.data import mixing, views
from mtkd_cli.data.dataset import Split
from mtkd_cli.data.views import PLAIN
from mtkd_cli.errors import UsageError
from mtkd_cli.files import atomic, whole_folder
from mtkd_cli.interfaces import take_ids
from mtkd_cli.interfaces.missing_labels import has_label
from mtkd_cli.store.recorded_outputs import RecordedArray
from mtkd_cli.store.reinforced_card import card
from mtkd_cli.store.reinforced_rows import Block, ShardFormat, describe_fields, named_fields
from mtkd_cli.store.row_format import Layout
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.teachers.prepare import needed_arrays
from mtkd_cli.training.context import Context

FORMAT, VERSION = "mtkd reinforced data set", 1
METADATA, README = "metadata.json", "README.md"
BLOCK_BYTES = 2**24
"""Maximum size of the rows in memory at once, in bytes."""
MAX_BLOCK_ROWS = 4096


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: the folder.
        rows: number of rows: samples times views.
        shards: names of the files with rows.
        bytes: their size.
    """

    folder: Path
    rows: int
    shards: tuple[str, ...]
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {**asdict(self), "folder": str(self.folder)}


def export(
    folder: Path,
    shard_format: ShardFormat,
    teachers: Sequence[ReadyTeacher],
    view_count: int,
    shard_rows: int,
    context: Context,
) -> Exported:
    """Write the recorded outputs of teachers to a new folder, which appears when it is complete.

    Args:
        folder: path that does not exist, or an empty folder.
        shard_format: file format.
        teachers: prepared teachers, with all outputs recorded.
        view_count: number of recorded views of the training samples.
        shard_rows: maximum number of rows in a file.
        context: context of the run.

    Raises:
        UsageError: the folder has files.
        DataError: the disk is full, read-only or otherwise unusable.
    """
    require_new(folder)
    pairs = sorted(
        needed_arrays(context, view_count),
        key=lambda pair: ("train", "val", "test").index(pair[0].name),
    )
    shards: dict[str, dict[str, Any]] = {}
    with whole_folder.create(folder) as part:
        for split, number in pairs:
            arrays = {_prefix(index): _array(each, split, number) for index, each in enumerate(teachers)}
            for index, start in enumerate(range(0, len(split), shard_rows)):
                rows = range(start, min(start + shard_rows, len(split)))
                name = f"{split.name}-view{number}-{index:05d}{shard_format.ending}"
                writer = shard_format.open(part / name)
                try:
                    for block in _blocks(split, number, rows, arrays, context):
                        writer.write(block)
                finally:
                    writer.close()
                shards[name] = {"split": split.name, "view": number, "rows": len(rows)}
        metadata = _metadata(shard_format.ending, shards, teachers, view_count, context)
        atomic.write_json(part / METADATA, metadata)
        (part / README).write_text(card(metadata), encoding="utf-8")
        size = sum((part / name).stat().st_size for name in shards)
    return Exported(folder, sum(shard["rows"] for shard in shards.values()), tuple(shards), size)


def require_views(view_count: int | None) -> int:
    """Return the number of recorded views.

    Raises:
        UsageError: the recipe runs its teachers live.
    """
    if view_count is None:
        raise UsageError("views: live records no training samples", "views", "set views: 1 or more")
    return view_count


def require_new(folder: Path) -> None:
    """Raise if a folder has files.

    Raises:
        UsageError: it does, or it is a file.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"{folder} exists", "FOLDER", "remove it, or name another folder")


def _prefix(index: int) -> str:
    return f"t{index}"


def _array(teacher: ReadyTeacher, split: Split, number: int) -> RecordedArray:
    return teacher.arrays[split.name, PLAIN if teacher.by_id else number]


def _blocks(
    split: Split, number: int, rows: range, arrays: dict[str, RecordedArray], context: Context
) -> Iterator[Block]:
    """Yield the rows of a shard in blocks of limited size."""
    sample_bytes = sum(array.layout.dtype.itemsize for array in arrays.values())
    sample_bytes += math.prod(split.samples.targets.shape[1:]) * split.samples.targets.itemsize
    step = max(1, min(MAX_BLOCK_ROWS, BLOCK_BYTES // max(1, sample_bytes)))
    is_single_class = context.task.over_classes and split.samples.targets.ndim == 1
    for start in range(rows.start, rows.stop, step):
        chosen = np.arange(start, min(start + step, rows.stop))
        targets = np.asarray(split.samples.targets[chosen])
        yield Block(
            split.name,
            number,
            start,
            tuple(take_ids(split.samples.ids, chosen)),
            targets,
            has_label(targets),
            context.data.classes if is_single_class else (),
            _affine(split, chosen, number, context),
            _partners(split, chosen, number, context)
            if views.is_mixed(number, context.recipe.augment)
            else None,
            {prefix: named_fields(array.layout, array.rows[chosen]) for prefix, array in arrays.items()},
        )


def _affine(
    split: Split, rows: NDArray[np.int64], number: int, context: Context
) -> NDArray[np.float32] | None:
    """Return the map from view to sample, ``[B, 2, 3]``; None for plain samples and tables."""
    inputs, seed, augment = split.samples.inputs, context.recipe.views.seed, context.recipe.augment
    if number == PLAIN or inputs.ndim == 2:
        return None
    aspect = inputs.shape[2] / inputs.shape[3]
    found = views.compose(
        views.window_affine(split, rows, number, seed, augment),
        views.affine(split.id_numbers[rows], number, seed, augment, aspect),
    )
    identity = np.broadcast_to(np.eye(2, 3, dtype=np.float32), (len(rows), 2, 3))
    return identity if found is None else found.numpy().astype(np.float32)


def _partners(
    split: Split, rows: NDArray[np.int64], number: int, context: Context
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return the id of each sample's partner in a mixed view, and the sample's own share of the pixels."""
    seed, augment = context.recipe.views.seed, context.recipe.augment
    partners = mixing.partners(len(split), seed, number)[rows]
    sides = tuple(split.samples.inputs.shape[2:])
    share = mixing.own_share(split.id_numbers[rows], number, seed, augment, sides)
    ids = tuple(take_ids(split.samples.ids, partners))
    return ids, share.flatten(1).mean(dim=1).numpy() if sides else share.numpy()


def _metadata(
    ending: str,
    shards: dict[str, dict[str, Any]],
    teachers: Sequence[ReadyTeacher],
    view_count: int,
    context: Context,
) -> dict[str, Any]:
    """Return what is needed to read the rows, see the page docs/reinforced-data.md."""
    recipe, data = context.recipe, context.data
    return {
        "format": FORMAT,
        "version": VERSION,
        "mtkd": __version__,
        "ending": ending,
        "task": recipe.task.name,
        "classes": list(data.classes),
        "label_shape": list(data.train.samples.targets.shape[1:]),
        "views": {
            "train": view_count,
            "seed": recipe.views.seed,
            "augment": recipe.augment.model_dump(mode="json"),
        },
        "teachers": [
            {
                "prefix": _prefix(index),
                "name": teacher.name,
                "model": teacher.entry.model,
                "classes": teacher.facts["classes"],
                "outputs": {
                    split: {"layout": layout.as_dict(), "fields": describe_fields(layout)}
                    for split, layout in _layouts(teacher).items()
                },
                "plain_view_only": teacher.by_id,
            }
            for index, teacher in enumerate(teachers)
        ],
        "shards": shards,
    }


def _layouts(teacher: ReadyTeacher) -> dict[str, Layout]:
    """Return the layout of a teacher's arrays by split."""
    return {split: array.layout for (split, _), array in teacher.arrays.items()}
