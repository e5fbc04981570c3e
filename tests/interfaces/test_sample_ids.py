"""Packed sample ids are the ids, and duplicates are found without a set of them."""

from __future__ import annotations

import numpy as np
import pytest

from mtkd_cli.interfaces import PackedIds, find_duplicate, take_ids
from mtkd_cli.interfaces import sample_ids as module

NAMES = ("a", "", "äöü", "x/y.png", "\U0001f600 3", "b")
PREFIXES = ("", "", "train/", "train/", "train/", "")


def packed() -> PackedIds:
    encoded = [name.encode() for name in NAMES]
    ends = np.cumsum([len(name) for name in encoded])
    text = np.frombuffer(b"".join(encoded), np.uint8)
    groups = np.array([0, 0, 1, 1, 1, 0], np.int32)
    return PackedIds(text, ends - [len(name) for name in encoded], ends, ("", "train/"), groups)


EXPECTED = tuple(prefix + name for prefix, name in zip(PREFIXES, NAMES, strict=True))


@pytest.mark.parametrize("block", [1, 2, 100])
def test_packed_ids_are_a_sequence_of_texts(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    ids = packed()
    assert tuple(ids) == EXPECTED
    assert len(ids) == 6
    assert [ids[i] for i in range(-6, 6)] == [*EXPECTED, *EXPECTED]
    assert ids[1:4] == EXPECTED[1:4]
    assert ids[::-2] == EXPECTED[::-2]
    assert ids[4:4] == ()
    assert "train/äöü" in ids
    assert ids.index("b") == 5
    assert ids == EXPECTED == ids == packed()
    assert ids != EXPECTED[:-1]
    assert ids != (*EXPECTED[:-1], "c")
    assert ids != list(EXPECTED)
    with pytest.raises(IndexError):
        ids[6]


@pytest.mark.parametrize("chosen", [[], [5, 0, 2, 2], [4, 3]])
def test_taken_ids_are_those_of_a_tuple(chosen: list[int]) -> None:
    rows = np.array(chosen, np.int64)
    taken = take_ids(packed(), rows)
    assert isinstance(taken, PackedIds)
    assert tuple(taken) == tuple(EXPECTED[i] for i in chosen) == take_ids(EXPECTED, rows)
    assert tuple(take_ids(taken, np.arange(len(rows))[::-1])) == tuple(EXPECTED[i] for i in chosen[::-1])


def test_the_first_duplicate_is_found() -> None:
    assert find_duplicate(("a", "b"), ("c",)) is None
    assert find_duplicate((), ()) is None
    assert find_duplicate(("a", "b", "a", "b")) == ((0, 2), (0, 0))
    assert find_duplicate(("a", "b"), (), ("c", "b", "a")) == ((2, 1), (0, 1))
    assert find_duplicate(packed(), ("x", "b")) == ((1, 1), (0, 5))


def test_equal_hashes_are_no_duplicates() -> None:
    class Same(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return 7

    ids = tuple(Same(f"{n}") for n in range(5))
    assert find_duplicate(ids) is None
    assert find_duplicate(ids, (ids[3],)) == ((1, 0), (0, 3))
