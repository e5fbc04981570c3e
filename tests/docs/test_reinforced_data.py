"""The example on the page about reinforced data sets trains on an exported folder, without mtkd."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fixtures.command_line import mtkd
from tests.fixtures.own_data import class_folders

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "examples/train_on_reinforced.py"


def test_example_trains_without_mtkd() -> None:
    class_folders(Path("photos"))
    recipe = ("image-folder", "data={name: image-folder, path: photos, size: 16}", "views=1", "fit.epochs=1")
    teacher = "teachers=[{name: big, model: 'convnet:4', fit: all}]"
    done = mtkd("store", "export", "reinforced", *recipe, teacher)
    assert done.exit_code == 0, done.output
    code = f"import sys; sys.modules['mtkd_cli'] = None; exec(open({str(EXAMPLE)!r}).read())"
    trained = subprocess.run(
        [sys.executable, "-c", code, "reinforced", "photos"], capture_output=True, text=True, check=False
    )
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout.startswith("loss 0.")


def test_page_shows_lines_of_the_example() -> None:
    page = (DOCS / "reinforced-data.md").read_text(encoding="utf-8")
    shown = page.partition("```python\n")[2].partition("```")[0].splitlines()
    example = [line.strip() for line in EXAMPLE.read_text(encoding="utf-8").splitlines()]
    assert [line for line in shown if line not in (*example, "...")] == []
