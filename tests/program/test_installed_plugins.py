"""Bad plugins that pip really installed: each is a row that says what is wrong, and harms nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures import command_line

HEADER = "from mtkd_cli.hookspecs import hookimpl\nfrom mtkd_cli.specs import AggregatorSpec, DataSpec\n"
OFFER = """
@hookimpl
def mtkd_register_aggregators():
    return [AggregatorSpec("{name}", "One line.", "{module}:Mine"{more})]
"""
EVEN = """
class Mine:
    def weights(self, batch):
        import torch
        {first}
        return torch.full((len(batch.outputs), len(batch.sample_ids)), 1 / len(batch.outputs))
"""
SEED = "import random, numpy, torch; random.seed(0); numpy.random.seed(0); torch.manual_seed(0)"
MODULES = {
    "bad_import": "import a_module_that_is_not_there\n",
    "bad_hook": "@hookimpl\ndef mtkd_register_agregators():\n    return []\n",
    "bad_arguments": "@hookimpl\ndef mtkd_register_data(config):\n    return []\n",
    "bad_api": OFFER.format(name="old", module="bad_api", more=", api=0"),
    "bad_exit": "raise SystemExit(3)\n",
    "bad_speed": "import torch\n" + OFFER.format(name="slow", module="bad_speed", more=""),
    "bad_step": OFFER.format(name="bomb", module="bad_step", more="")
    + EVEN.format(first="assert not 0.6 < batch.progress < 1, 'boom'"),
    "bad_seed": SEED + OFFER.format(name="seeder", module="bad_seed", more="") + EVEN.format(first=SEED),
    "twin_one": OFFER.format(name="twin", module="twin_one", more="") + EVEN.format(first=""),
    "twin_two": OFFER.format(name="twin", module="twin_two", more="") + EVEN.format(first=""),
}
"""Text of each module by its name; the distribution is called the same, with a hyphen."""

FEW = (
    "data.labels=60",
    "train.epochs=2",
    "train.lr=1e-2",
    "fit.epochs=1",
    "teachers=[{model: mlp:16, fit: all}, {model: mlp:8, fit: all}]",
    "student=python:dropping.py:build",
)
STUDENT = """
from torch import nn

def build(outputs, channels, size):
    width = channels * size * size
    return nn.Sequential(nn.Flatten(), nn.Linear(width, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, outputs))
"""


def wheel(folder: Path, module: str, text: str) -> Path:
    """Write a wheel of one module with one entry point."""
    name, info = module.replace("_", "-"), f"{module}-1.2.dist-info"
    files = {
        f"{module}.py": HEADER + text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[mtkd]\n{'twin' if 'twin' in module else name} = {module}\n",
    }
    rows = []
    for file, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode().rstrip("=")
        rows.append(f"{file},sha256={digest},{len(content.encode())}\n")
    files[f"{info}/RECORD"] = "".join(rows) + f"{info}/RECORD,,\n"
    path = folder / f"{module}-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    return path


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders into which pip installed them: the twins apart, the others together."""
    folder = tmp_path_factory.mktemp("wheels")
    wheels = {module: wheel(folder, module, text) for module, text in MODULES.items()}
    groups = {"bad": [m for m in MODULES if "twin" not in m], "one": ["twin_one"], "two": ["twin_two"]}
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    for group, modules in groups.items():
        target = ["--no-deps", "--target", str(folder / group)]
        subprocess.run([*pip, *target, *(str(wheels[module]) for module in modules)], check=True)
    return {group: folder / group for group in groups}


def mtkd(sites: list[Path], *arguments: str, only: str | None = None) -> subprocess.CompletedProcess[str]:
    given = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sites)), "COLUMNS": "200"}
    given |= {} if only is None else {"MTKD_PLUGINS": only}
    command = [sys.executable, "-m", "mtkd_cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=given)


def test_each_fault_is_a_row_of_its_own_with_the_command_that_removes_it(sites: dict[str, Path]) -> None:
    broken = "bad-import bad-hook bad-arguments bad-api bad-exit"
    done = mtkd([sites["bad"]], "plugins", "--json", only=broken)
    assert done.returncode == 0
    rows = {row["distribution"]: row for row in json.loads(done.stdout) if row["distribution"] != "mtkd"}
    says = {
        "bad-import": "a_module_that_is_not_there",
        "bad-hook": "did you mean 'mtkd_register_aggregators'?",
        "bad-arguments": "config",
        "bad-api": "plugin API 0; this mtkd supports 1",
        "bad-exit": "SystemExit: 3",
    }
    for distribution, text in says.items():
        row = rows.pop(distribution)
        assert (row["status"], row["version"]) == ("broken", "1.2")
        assert text in row["error"]
        assert row["remedy"] == f"mtkd uninstall {distribution}"
    assert {row["status"] for row in rows.values()} == {"blocked"}
    assert "mean" in mtkd([sites["bad"]], "list", "strategies", only=broken).stdout
    assert mtkd([sites["bad"]], "--help", only=broken).returncode == 0


def test_a_plugin_that_imports_torch_to_be_listed_works_and_is_named_as_slow(sites: dict[str, Path]) -> None:
    done = mtkd([sites["bad"]], "plugins", only="bad-speed")
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("bad-speed")]
    assert "slow" in row
    assert "strategies: slow" in row
    assert "plugin 'bad-speed' of bad-speed 1.2 slows every command: its module imports torch" in done.stderr


def test_one_name_of_two_plugins_means_the_same_whatever_the_order_of_the_path(
    sites: dict[str, Path],
) -> None:
    orders = ([sites["one"], sites["two"]], [sites["two"], sites["one"]])
    listed = [mtkd(order, "list", "strategies", "--json") for order in orders]
    assert listed[0].stdout == listed[1].stdout
    assert listed[0].stderr == listed[1].stderr
    assert "write twin-one:twin or twin-two:twin" in listed[0].stderr
    for order in orders:
        asked = mtkd(order, "distill", "digits", "strategy=twin", "--json")
        assert asked.returncode == 2
        (problem,) = json.loads(asked.stdout)["error"]["problems"]
        assert "2 plugins offer 'twin'" in problem["message"]
        found = json.loads(mtkd(order, "show", "strategy", "twin-two:twin", "--json").stdout)
        assert (found["plugin"], found["implementation"]) == ("twin-two", "twin_two:Mine")


def arguments_of(strategy: str) -> list[str]:
    return ["digits", f"strategy={strategy}", *FEW, "--no-baseline", "--threads=1", f"--name={strategy}"]


def distill(sites: list[Path], strategy: str, only: str) -> tuple[int, dict[str, Any]]:
    Path("dropping.py").write_text(STUDENT)
    done = mtkd(sites, "distill", *arguments_of(strategy), "--json", only=only)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.slow
def test_a_plugin_that_fails_in_the_middle_of_a_run_is_named_and_the_run_folder_is_whole(
    sites: dict[str, Path],
) -> None:
    code, found = distill([sites["bad"]], "bomb", "bad-step")
    assert code == 1
    error = found["error"]
    assert error["code"] == "plugin"
    assert "the strategy 'bomb' failed in weights: AssertionError: boom" in error["message"]
    assert error["where"].startswith("bad-step 1.2 bad_step.py:")
    assert "at step" in error["where"]
    rows = [json.loads(line) for line in Path("runs/bomb/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["phase"] == "distill", "what was done before is kept"
    assert "boom" in Path("runs/bomb/log.txt").read_text()
    assert Path("runs/bomb/recipe.yaml").exists()


@pytest.mark.slow
def test_a_plugin_that_seeds_the_global_generators_changes_no_bit_of_a_run(sites: dict[str, Path]) -> None:
    code, found = distill([sites["bad"]], "seeder", "bad-seed")
    assert code == 0, found
    here = command_line.mtkd("distill", *arguments_of("mean"))
    assert here.exit_code == 0, here.output
    weights = [Path("runs", name, "student.safetensors").read_bytes() for name in ("mean", "seeder")]
    assert weights[0] == weights[1]
