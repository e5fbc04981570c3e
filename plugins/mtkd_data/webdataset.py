"""Images and labels in tar archives in WebDataset's format."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mtkd_cli.interfaces import DataCache, SourceData
from mtkd_data import unlabeled_ids
from mtkd_data.decode_options import decode_options
from mtkd_data.indexed_images import open_images
from mtkd_data.label_texts import class_names
from mtkd_data.labeled_images import LabeledImages, to_source_data
from mtkd_data.split_files import UNLABELED, check_disjoint, list_files, split_files
from mtkd_data.tar_images import tar_images

ENDINGS = (".tar",)


class WebDataset:
    """Tar archives, in which entries with the same name up to the first dot are a sample.

    The first start reads each shard once and keeps an index of it. Then samples are read at random from the
    shards, which are neither unpacked nor copied. The order of the samples is that of the shards. The id of a
    sample is the name of its image, so a folder and an archive of it have the same ids.

    Args:
        path: folder, file or pattern, see `mtkd_data.split_files.split_files`.
        val_path: folder, file or pattern of the validation shards; None: those in ``path``.
        test_path: folder, file or pattern of the test shards; None: those in ``path``.
        unlabeled: folder, file or pattern of shards whose labels are not used; None: those in ``path``.
        label: see `mtkd_data.tar_images.tar_images`.
        image: see `mtkd_data.tar_images.tar_images`.
        classes: class names, or one name of a file of them; None: ``classes.txt``, or as found.
        ids: ``entry``, or ``shard`` to put the shard's name in front.
        decoding: size, channels, fit, on_bad_sample, workers and cache, see `decode_options`.
    """

    def __init__(
        self,
        path: str,
        val_path: str | None,
        test_path: str | None,
        unlabeled: str | None,
        label: str | None,
        image: str | None,
        classes: list[Any] | None,
        ids: str,
        **decoding: Any,
    ) -> None:
        self.path, self.more = path, {"val": val_path, "test": test_path, UNLABELED: unlabeled}
        self.label, self.image = label, image.lower().lstrip(".") if image else None
        self.classes, self.ids = classes, ids
        self.options = decode_options(**decoding)

    def load(self, cache: DataCache) -> SourceData:
        """Return the splits that have shards; the recipe's fractions split off the others."""
        shards = split_files(self.path, ENDINGS)
        for split, path in self.more.items():
            if path:
                key = f"data.{split}" if split == UNLABELED else f"data.{split}_path"
                shards[split] = list_files(path, ENDINGS, key)
        check_disjoint(shards)
        unlabeled = shards.pop(UNLABELED, [])
        splits = {
            split: self._images(cache, split if len(shards) > 1 else "", found, unlabeled)
            if split == "train"
            else self._images(cache, split, found, [])
            for split, found in shards.items()
        }
        folder = Path(self.path) if Path(self.path).is_dir() else Path(self.path).parent
        return to_source_data(cache, splits, class_names(self.classes, folder), self.options)

    def _images(
        self, cache: DataCache, prefix: str, shards: list[Path], unlabeled: list[Path]
    ) -> LabeledImages:
        """Return the images of a split, and after them those whose labels are not used."""
        images = open_images(
            cache,
            [*shards, *unlabeled],
            partial(tar_images, label=self.label, image=self.image),
            {"source": "webdataset", "label": self.label, "image": self.image},
            self.options.workers,
        )
        index = images.index
        numbers = np.array(index.entries["label"])
        numbers[index.starts[len(shards)] :] = -1
        prefixes = []
        for number, shard in enumerate(index.shards):
            first = prefix if number < len(shards) else unlabeled_ids.PREFIX
            parts = (first, shard.stem if self.ids == "shard" else "")
            prefixes.append("".join(f"{part}/" for part in parts if part))
        return LabeledImages(images, index.ids(prefixes), index.labels, numbers)
