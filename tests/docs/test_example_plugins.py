"""The finished plugins of the documentation are installed by pip, checked, and used in one run."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.fixtures.installed_examples import install, mtkd_in

pytestmark = pytest.mark.slow

NAMES = ("mtkd-example-strategy", "mtkd-example-teacher", "mtkd-example-tracker", "mtkd-example-loss")
FEW = (
    "data.labels=100",
    "train.epochs=1",
    "train.lr=1e-2",
    "fit.epochs=5",
    "student=mlp:16",
    "--no-baseline",
)
TEACHERS = "teachers=[{model: filters:8, fit: all}, {model: mlp:16, fit: all}]"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the examples."""
    return install(tmp_path_factory.mktemp("installed"), *NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_example_plugins_pass_checks(site: Path, name: str) -> None:
    rows = json.loads(mtkd_in(site, "plugins", "check", name, "--json"))
    assert {row["result"] for row in rows} == {"ok"}
    assert len(rows) == 2, "its listing, and what it offers"


def test_example_plugins_work_together(site: Path) -> None:
    (row,) = [line for line in mtkd_in(site, "list", "strategies").splitlines() if "lowest-error" in line]
    assert "mtkd-example-strategy 1.0" in row
    loss = "task={name: classification, kd: two-way, two_way_back: 0.3}"
    given = ["strategy=lowest-error", "strategy.tau=0.2", TEACHERS, loss, "trackers=[csv]", *FEW]
    report = json.loads(mtkd_in(site, "distill", "digits", *given, "--name", "all", "--json"))
    assert report["scores"]["teachers"]["filters-8"]["accuracy"] > 0.5, "edges tell digits apart"
    lines = list(csv.DictReader(Path("runs/all/curves.csv").read_text().splitlines()))
    rows = [json.loads(line) for line in Path("runs/all/metrics.jsonl").read_text().splitlines()]
    kept = [float(line["value"]) for line in lines if line["name"] == "accuracy"]
    assert kept == [row["accuracy"] for row in rows]
