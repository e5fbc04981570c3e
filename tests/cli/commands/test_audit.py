"""``mtkd audit`` from the command line: what it loads, and where its facts go."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.fixtures.command_line import mtkd


def apart(*arguments: str) -> tuple[str, set[str]]:
    """Run mtkd in a process of its own; return its stdout and the modules that it loaded."""
    code = (
        "import sys; sys.argv[0] = 'mtkd'\n"
        "from mtkd_cli.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n    print('loaded', *sorted(sys.modules), file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, set(done.stderr.rpartition("loaded ")[2].split())


def test_audit_of_recorded_recipe_loads_no_model_library() -> None:
    recipe = [
        "digits",
        "data.labels=60",
        "data.val=0.2",
        "fit={epochs: 1, labels: student}",
        "teachers=[{model: 'timm:test_convnext', fit: all, pretrained: false, input: {size: 32}}, "
        "{model: 'torchvision:squeezenet1_1', fit: all, pretrained: false, input: {size: 32}}]",
        "--threads=1",
    ]
    assert mtkd("audit", *recipe, "--name", "first").exit_code == 0
    told, loaded = apart("audit", *recipe, "--json")
    assert "torch" in loaded
    assert not {"timm", "torchvision", "torchmetrics"} & loaded
    assert json.loads(told) == json.loads(Path("audits/first/audit.json").read_text())
    again = mtkd("audit", *recipe, "--name", "first")
    assert again.exit_code == 2
    assert "audits/first exists" in again.stderr
