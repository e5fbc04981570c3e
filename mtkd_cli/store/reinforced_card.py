"""The README of a reinforced data set: what the fields mean, and how to train on it without mtkd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtkd_cli.store.reinforced_rows import MEANINGS
from mtkd_cli.store.row_format import Layout

ROW_FIELDS = (
    ("id", "sample id; for images in folders, the path of the file"),
    ("split", "`train`, `val` or `test`"),
    ("view", "number of the view: 0 is the untouched sample"),
    ("label", "label of the untouched sample; empty if it has none, or if the recipe hides it"),
    ("label_name", "name of its class"),
    (
        "affine",
        "map from view to sample, 2 x 3, in coordinates from -1 to 1, as `torch.nn.functional.affine_grid` "
        "takes it; empty for view 0",
    ),
    ("partner", "id of the sample that this one is mixed with by mixup or cutmix; empty if it is not mixed"),
    ("own_share", "share of the sample itself in a mixed view"),
)


def card(metadata: Mapping[str, Any]) -> str:
    """Return the README for the metadata of a data set."""
    shards, teachers = metadata["shards"], metadata["teachers"]
    rows = sum(shard["rows"] for shard in shards.values())
    is_tar = metadata["ending"] == ".tar"
    lines = [
        "# Reinforced data set",
        f"Outputs of {len(teachers)} teachers for {rows:,} rows in {len(shards)} files, recorded with "
        f"mtkd {metadata['mtkd']}. A row is one view of one sample. Task: `{metadata['task']}`.",
        "Samples are not included: find them by `id`. `metadata.json` has the class names, the settings of "
        "the views, and the layout of each teacher's outputs. `manifest.json` has the SHA-256 of every file.",
        "## Fields of a row",
        _container(is_tar),
        _table(("field", "meaning"), [(f"`{name}`", meaning) for name, meaning in ROW_FIELDS]),
        "## Teachers",
        _table(
            ("prefix", "teacher", "split", "outputs", "fields"),
            [_teacher_row(each, split) for each in teachers for split in each["outputs"]],
        ),
        _table(
            ("field", "meaning"),
            [(f"`{name}`", MEANINGS[name]) for name in _names_of(teachers)],
        ),
        "Class numbers count from 0 in the teacher's own `classes` in `metadata.json`; if there are none, in "
        "the `classes` of the data. Classes that are not listed share `rest` equally. Arrays are in C order.",
        "## Views",
        f"Training samples have {metadata['views']['train']} views, other samples view 0 only. Views from 1 "
        "on are random changes, given by `views` in `metadata.json`, the sample id and the view's number. "
        "`affine` is their geometry; changes of color are not listed. mtkd computes the same views again "
        "from these settings.",
    ]
    return "\n\n".join(lines) + "\n"


def _container(is_tar: bool) -> str:
    if is_tar:
        return (
            "Each row is a few files with one key: `KEY.json` with the fields below, and "
            "`KEY.PREFIX_FIELD.npy` with each field of each teacher."
        )
    return "Columns of the Parquet files; the fields of each teacher are in columns `PREFIX_FIELD`."


def _teacher_row(teacher: Mapping[str, Any], split: str) -> tuple[str, ...]:
    outputs = teacher["outputs"][split]
    layout = Layout.from_dict(outputs["layout"])
    shape = " x ".join(map(str, layout.shape))
    kept = f"{layout.top_k} largest of {shape}" if layout.top_k else shape
    plain = ", view 0 for every view" if teacher["plain_view_only"] else ""
    fields = ", ".join(f"`{field['name']}`" for field in outputs["fields"])
    name = _cell(f"{teacher['name']} ({teacher['model']})")
    return f"`{teacher['prefix']}`", name, split, kept + plain, fields


def _names_of(teachers: Any) -> list[str]:
    outputs = [outputs for teacher in teachers for outputs in teacher["outputs"].values()]
    return list(dict.fromkeys(field["name"] for each in outputs for field in each["fields"]))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(text: str) -> str:
    """Return a name that cannot break the table."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in text)
    return clean.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
