"""The finished task of the documentation, installed by pip: listed, checked, and used on a table."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_poisson_deviance

from mtkd_cli.interfaces import InputSpec, LossOptions, TaskData
from tests.fixtures.installed_examples import EXAMPLES, install, mtkd_in

PAGE = Path(__file__).parents[2] / "docs/write-a-task.md"
EXAMPLE = EXAMPLES / "mtkd-example-task"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the example."""
    return install(tmp_path_factory.mktemp("installed"), "mtkd-example-task")


def blocks(language: str) -> list[str]:
    """Return what the page shows of a language."""
    return [part.partition("```")[0] for part in PAGE.read_text().split(f"```{language}\n")[1:]]


@pytest.mark.slow
def test_example_task_learns_from_table(site: Path) -> None:
    (row,) = [line for line in mtkd_in(site, "list", "tasks").splitlines() if line.startswith("counts")]
    assert "mtkd-example-task 1.0" in row
    assert "counts" in mtkd_in(site, "plugins", "check", "mtkd-example-task")

    draws = np.random.default_rng(0)
    x = draws.normal(size=(400, 2))
    visits = draws.poisson(np.exp(1 + x @ [0.8, -0.5]))
    lines = [f"{a:.4f},{b:.4f},{count}" for (a, b), count in zip(x, visits, strict=True)]
    Path("visits.csv").write_text("\n".join(["age,distance,visits", *lines]) + "\n")
    Path("visits.yaml").write_text(blocks("yaml")[0])
    report = json.loads(mtkd_in(site, "distill", "visits.yaml", "--no-baseline", "--json"))
    assert report["metric"] == {"name": "deviance", "higher_is_better": False}
    constant = mean_poisson_deviance(visits, np.full(400, visits.mean()))
    assert report["scores"]["student"]["deviance"] < 0.7 * constant, "it learnt more than the mean"


def test_deviance_matches_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    from mtkd_example_task.counts import Counts  # type: ignore[import-not-found]

    count, rate = np.array([[0.0], [3.0], [7.0]], np.float32), np.array([[0.5], [2.0], [9.0]], np.float32)
    task = Counts(TaskData(("visits",), count, InputSpec()), LossOptions())
    output, target = torch.from_numpy(rate).log(), torch.from_numpy(count)
    found = task.metrics(task.statistics(output, target))
    assert found["deviance"] == pytest.approx(mean_poisson_deviance(count, rate), rel=1e-5)
    assert found["mae"] == pytest.approx(3.5 / 3)
    assert task.task_loss(output, torch.full_like(target, math.nan)).tolist() == [0, 0, 0]
    half = torch.tensor([[3.0, math.nan]])
    known = mean_poisson_deviance([3.0], [2.0])
    assert task.task_loss(torch.tensor([[2.0, 9.0]]).log(), half).tolist() == pytest.approx([known])


def test_page_shows_example_files() -> None:
    files = [lines_of(path.read_text()) for path in sorted(EXAMPLE.glob("mtkd_example_task/*.py"))]
    shown = blocks("python")
    assert len(shown) >= 5
    for block in shown:
        assert any(lines_of(block) in text for text in files), block


def lines_of(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())
