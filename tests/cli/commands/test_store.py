"""`mtkd record` and `mtkd store`: record once, look, verify, prune."""

from __future__ import annotations

import gc
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from mtkd_cli.store.data_cache import StoreCache
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
def test_lists_verifies_and_prunes_recordings() -> None:
    listed = json.loads(mtkd("store", "list", "--json").stdout)["items"]
    assert sum(item["kind"] == "outputs" for item in listed) == 6
    assert {item["model"] for item in listed} == {"mlp:8", "mlp:4"}
    shown = mtkd("store", "list", COLUMNS="200").stdout.splitlines()
    owners = [line for line in shown if line.startswith("teacher ")]
    sizes = {model: sum(i["bytes"] for i in listed if i["model"] == model) for model in ("mlp:8", "mlp:4")}
    assert [line.split()[1] for line in owners] == sorted(sizes, key=lambda model: -sizes[model])
    under = shown[shown.index(owners[0]) + 1 : shown.index(owners[1])]
    assert "outputs, train view 0" in under[0], "the largest item of the teacher"
    assert len(under) == sum(item["model"] == owners[0].split()[1] for item in listed)

    verified = mtkd("store", "verify", "digits", *SMALL, "--threads", "1", "--json")
    compared = json.loads(verified.stdout)["compared"]
    assert len(compared) == 6
    assert all(row["same"] for row in compared)

    gc.collect()  # what this process has read is held until it forgets it
    assert mtkd("store", "prune", "--megabytes", "0").exit_code == 0
    assert json.loads(mtkd("store", "list", "--json").stdout)["items"] == []


@pytest.mark.usefixtures("recorded")
def test_verify_reports_damaged_array(tmp_path: Path) -> None:
    array = next((tmp_path / "store" / "outputs").glob("*/outputs.npy"))
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    result = mtkd("store", "verify")
    assert result.exit_code == 3
    assert "1 damaged" in result.stderr
    assert "recorded again" in result.stderr


def test_verify_reads_data_files_and_names_damaged_ones() -> None:
    fields, files = np.dtype([("sha256", np.uint8, 32)]), [Path("a"), Path("b")]
    for file in files:
        file.write_text("content")
    StoreCache().describe_files(files, lambda content: (hashlib.sha256(content).digest(),), fields, "1")
    result = mtkd("store", "verify")
    assert result.exit_code == 0
    assert "2 files intact, 0 changed and 0 missing" in result.stderr
    StoreCache().describe_files(files, lambda content: (bytes(32),), fields, "wrong")
    result = mtkd("store", "verify", "--json")
    assert result.exit_code == 3
    found = sorted(len(each["damaged"]) for each in json.loads(result.stdout)["files"])
    assert found == [0, 2]
    StoreCache().describe_files(files, lambda content: (bytes(32),), fields, "wrong")
    result = mtkd("store", "verify")
    assert result.exit_code == 3
    assert f"damaged, with the same size and times: {files[0].absolute()}" in result.stderr
    assert "2 damaged data files" in result.stderr


def test_prune_needs_a_limit() -> None:
    result = mtkd("store", "prune")
    assert result.exit_code == 2
    assert "--days" in result.stderr
