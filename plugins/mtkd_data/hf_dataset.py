"""Images and labels in the files of the library `datasets`: Parquet, or saved as Arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_cli.reading.encoded_images import EncodedImages, ImageFiles
from mtkd_data import unlabeled_ids
from mtkd_data.arrow_columns import ImageColumns, choose_columns
from mtkd_data.arrow_images import arrow_images, has_contents, named_images, read_schema
from mtkd_data.decode_options import decode_options
from mtkd_data.indexed_images import open_images
from mtkd_data.label_texts import class_names
from mtkd_data.labeled_images import LabeledImages, to_source_data
from mtkd_data.saved_datasets import split_table_files, split_tables
from mtkd_data.split_files import UNLABELED, check_disjoint


class HfDataset:
    """Parquet or Arrow files with a column of images, and one of labels.

    The first start reads each file once and keeps an index of it. Then images are read at random from the
    files, if they are stored as they are, as `datasets` writes them. Images in compressed files are copied
    into the store. The library `datasets` is not needed.

    Args:
        path: folder that `datasets` saved, or folder, file or pattern of files, see
            `mtkd_data.split_files.split_files`.
        val_path: the same for the validation split; None: what is in ``path``.
        test_path: the same for the test split; None: what is in ``path``.
        unlabeled: the same for samples whose labels are not used; None: what is in ``path``.
        image: column of images; None: by its type.
        label: column of labels; None: the one that the features declare, or by its name.
        id: column of sample ids; None: the number of the row in its split.
        classes: class names, or one name of a file of them; None: those of the features, ``classes.txt``, or
            as found.
        decoding: size, channels, fit, on_bad_sample, workers and cache, see `decode_options`.
    """

    def __init__(
        self,
        path: str,
        val_path: str | None,
        test_path: str | None,
        unlabeled: str | None,
        image: str | None,
        label: str | None,
        id: str | None,  # noqa: A002 (key of the recipe)
        classes: list[Any] | None,
        **decoding: Any,
    ) -> None:
        self.path, self.more = path, {"val": val_path, "test": test_path, UNLABELED: unlabeled}
        self.image, self.label, self.id, self.classes = image, label, id, classes
        self.options = decode_options(**decoding)

    def load(self, cache: DataCache) -> SourceData:
        """Return the splits that have files; the recipe's fractions split off the others."""
        files = split_tables(self.path)
        for split, path in self.more.items():
            if path:
                key = f"data.{split}" if split == UNLABELED else f"data.{split}_path"
                files[split] = split_table_files(path, key)
        check_disjoint(files)
        columns = {
            file: self._columns(file, split == "train") for split, found in files.items() for file in found
        }
        unlabeled = files.pop(UNLABELED, [])
        splits = {}
        for split, found in files.items():
            prefix = f"{split}/" if len(files) > 1 else ""
            more = unlabeled if split == "train" else []
            splits[split] = self._images(cache, columns, found, more, prefix)
        names = columns[files["train"][0]].classes
        are_names = names is not None and not self.classes
        if not are_names:
            folder = Path(self.path) if Path(self.path).is_dir() else Path(self.path).parent
            names = class_names(self.classes, folder)
        return to_source_data(cache, splits, names, self.options, are_names)

    def _columns(self, file: Path, is_train: bool) -> ImageColumns:
        """Return the columns of a file; one that is not for training may have no labels."""
        schema = read_schema(file)
        if self.label is None or self.label in schema.names or is_train:
            return choose_columns(schema, file, self.image, self.label, self.id)
        found = choose_columns(schema, file, self.image, schema.names[0], self.id)
        return replace(found, label=None, classes=None)

    def _images(
        self,
        cache: DataCache,
        columns: Mapping[Path, ImageColumns],
        files: Sequence[Path],
        unlabeled: Sequence[Path],
        prefix: str,
    ) -> LabeledImages:
        """Return the images of a split, and after them those whose labels are not used."""
        listed = [*files, *unlabeled]
        encoded: EncodedImages
        if has_contents(files, columns):
            settings = {"source": "hf-dataset", "image": self.image, "label": self.label, "id": self.id}
            images = open_images(
                cache, listed, lambda file: arrow_images(file, columns[file]), settings, self.options.workers
            )
            encoded, names, labels = images, list(images.index.ids()), images.index.labels
            numbers = np.array(images.index.entries["label"])
            labeled = int(images.index.starts[len(files)])
        else:
            found = [named_images(file, columns[file]) for file in listed]
            rows = [row for in_file in found for row in in_file]
            encoded, names = ImageFiles([row.path for row in rows], cache), [row.name for row in rows]
            labels = tuple(dict.fromkeys(row.label for row in rows if row.label))
            number_of = {"": -1, **{label: number for number, label in enumerate(labels)}}
            numbers = np.array([number_of[row.label] for row in rows], np.int32)
            labeled = sum(map(len, found[: len(files)]))
        numbers[labeled:] = -1
        return LabeledImages(encoded, self._ids(names, labeled, prefix), labels, numbers)

    def _ids(self, names: list[str], labeled: int, prefix: str) -> tuple[str, ...]:
        own, more = names[:labeled], names[labeled:]
        if self.id is None:
            own, more = [str(row) for row in range(len(own))], [str(row) for row in range(len(more))]
        return (*(prefix + name for name in own), *(f"{unlabeled_ids.PREFIX}/{name}" for name in more))
