"""A sealed file is read as it was written, or not at all."""

from __future__ import annotations

import random
from pathlib import Path

from mtkd_cli.errors import DataError
from mtkd_cli.files import checksummed_json


def test_detects_every_flipped_bit() -> None:
    facts = {
        "recipe": {"train": {"epochs": 30, "lr": [0.1]}},
        "views": None,
        "teachers": {"a": {"hash": "0"}},
    }
    path, chance = Path("manifest.json"), random.Random(1)
    checksummed_json.write(path, facts)
    whole = path.read_bytes()
    for _ in range(100):
        content = bytearray(whole)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        try:
            assert checksummed_json.read(path) == facts
        except DataError:
            continue
