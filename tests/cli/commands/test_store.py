"""`mtkd record` and `mtkd store`: record once, look, verify, prune."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

from tests.fixtures.command_line import mtkd

SMALL = (
    "data.labels=60",
    "fit.epochs=1",
    "teachers=[{model: 'mlp:8', fit: all}, {model: 'mlp:4', fit: all}]",
    "augment={}",
)


@pytest.fixture
def recorded() -> None:
    result = mtkd("record", "digits", *SMALL, "--json", "--threads", "1")
    assert result.exit_code == 0
    assert [teacher["arrays"] for teacher in json.loads(result.stdout)["teachers"]] == [3, 3]


@pytest.mark.usefixtures("recorded")
def test_what_was_recorded_is_listed_verified_and_pruned() -> None:
    listed = json.loads(mtkd("store", "list", "--json").stdout)["items"]
    assert sum(item["kind"] == "outputs" for item in listed) == 6
    assert "mlp:8, train view 0" in mtkd("store", "list").stdout

    compared = json.loads(mtkd("store", "verify", "digits", *SMALL, "--json").stdout)["compared"]
    assert len(compared) == 6
    assert all(row["same"] for row in compared)

    gc.collect()  # what this process has read is held until it forgets it
    assert mtkd("store", "prune", "--megabytes", "0").exit_code == 0
    assert json.loads(mtkd("store", "list", "--json").stdout)["items"] == []


@pytest.mark.usefixtures("recorded")
def test_a_damaged_array_is_named_and_the_exit_code_says_so(tmp_path: Path) -> None:
    array = next((tmp_path / "store" / "outputs").glob("*/outputs.npy"))
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    result = mtkd("store", "verify")
    assert result.exit_code == 3
    assert "1 damaged" in result.stderr
    assert "recorded again" in result.stderr


def test_pruning_must_be_told_what_may_go() -> None:
    result = mtkd("store", "prune")
    assert result.exit_code == 2
    assert "--days" in result.stderr
