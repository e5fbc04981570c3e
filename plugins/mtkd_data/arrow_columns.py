"""Find the columns of images, labels and ids in an Arrow schema, with the features of `datasets` in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError, UsageError, nearest_or_all

FEATURES = b"huggingface"
"""Key of the schema's metadata under which `datasets` writes the features."""

LABELS = ("label", "labels", "cls", "class", "target", "category")
"""Names of columns that are taken for the labels if the features name none."""


@dataclass(frozen=True)
class ImageColumns:
    """Columns of a table of images.

    Attributes:
        image: column of images: ``{bytes, path}``, or bytes.
        label: column of labels, or None.
        id: column of sample ids, or None.
        classes: names of the label's numbers, if the features state them.
    """

    image: str
    label: str | None
    id: str | None
    classes: tuple[str, ...] | None

    @property
    def names(self) -> list[str]:
        """All of the columns."""
        return list(dict.fromkeys(name for name in (self.image, self.label, self.id) if name))


def choose_columns(
    schema: Any, path: Path, image: str | None = None, label: str | None = None, id_column: str | None = None
) -> ImageColumns:
    """Return the columns of a ``pyarrow.Schema``; those that are not given are found by their types.

    Args:
        schema: the schema.
        path: file of the table, for messages.
        image: column of images.
        label: column of labels.
        id_column: column of sample ids.

    Raises:
        DataError: a column does not exist or has another type, or there is no column of images.
        UsageError: several columns are possible.
    """
    features = _features(schema)
    for key, name in (("image", image), ("label", label), ("id", id_column)):
        if name is not None and name not in schema.names:
            raise DataError(
                f"no column {name!r}", f"{path} (data.{key})", nearest_or_all(name, map(str, schema.names))
            )
    images = [name for name in schema.names if _is_image(schema.field(name).type)]
    declared = [name for name in images if _feature(features, name) == "Image"]
    image = image or _only(declared or images, "image", path)
    if image is None or image not in images:
        what = f"the column {image!r} has no images" if image else "there is no column of images"
        hint = "an image is bytes, or a struct of bytes and path, as datasets writes it"
        raise DataError(what, f"{path} (data.image)", hint)
    if label is None:
        declared = [name for name in schema.names if _feature(features, name) == "ClassLabel"]
        label = _only(declared or [name for name in schema.names if name.lower() in LABELS], "label", path)
    names = features.get(label or "", {}).get("names") if label else None
    classes = tuple(map(str, names)) if isinstance(names, list) else None
    return ImageColumns(image, label, id_column, classes)


def _features(schema: Any) -> Mapping[str, Any]:
    """Return the features by column, from the schema's metadata."""
    try:
        features = json.loads((schema.metadata or {})[FEATURES])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    if not isinstance(features, dict):
        return {}
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)}


def _feature(features: Mapping[str, Any], name: str) -> str:
    return str(features.get(name, {}).get("_type", ""))


def has_images(schema: Any) -> bool:
    """Whether a ``pyarrow.Schema`` has a column of images."""
    return bool([field.name for field in schema if _is_image(field.type)])


def _is_image(kind: Any) -> bool:
    """Whether a type can hold images: bytes, or a struct with a field ``bytes``."""
    import pyarrow

    if pyarrow.types.is_struct(kind):
        return any(field.name == "bytes" and _is_image(field.type) for field in kind)
    return bool(
        pyarrow.types.is_binary(kind)
        or pyarrow.types.is_large_binary(kind)
        or pyarrow.types.is_binary_view(kind)
    )


def _only(names: list[str], key: str, path: Path) -> str | None:
    """Return the only possible column, or None if there is none.

    Raises:
        UsageError: there are several.
    """
    if len(names) > 1:
        raise UsageError(
            f"several columns may be the {key}: {', '.join(names)}",
            str(path),
            f"set data.{key} to one of them",
        )
    return names[0] if names else None
