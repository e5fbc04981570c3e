"""The package that a release would publish: metadata, README, and an install of its wheel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FEW = ("data.labels=60", "train.epochs=1", "train.lr=1e-2", "fit.epochs=1", "student=mlp:8", "--no-baseline")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = folder.glob("mtkd-*.whl")
    return found


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def test_metadata_names_authors_and_urls(metadata: Message) -> None:
    assert metadata["Author"] == "mtkd contributors"
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL", []))
    assert set(urls) == {"Homepage", "Documentation", "Changelog", "Issues"}
    assert metadata["License-Expression"] == "Apache-2.0"


def test_readme_links_are_absolute(metadata: Message) -> None:
    text = str(metadata.get_payload())
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 20
    assert [link for link in links if not re.match("https?://|#", link)] == []
    own = {link.split("/main/", 1)[1].partition("#")[0] for link in links if "/mtkd/mtkd/" in link}
    assert [path for path in own if not (ROOT / path).exists()] == []


def test_wheel_distills_without_the_repository(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*pip, str(wheel)], check=True)
    environment = os.environ | {"PYTHONPATH": str(target)}

    def python(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert python("-c", "import mtkd_cli; print(mtkd_cli.__file__)").startswith(str(target))
    teacher = "teachers=[{model: mlp:16, fit: all}]"
    report = json.loads(python("-m", "mtkd_cli", "distill", "digits", teacher, *FEW, "--json"))
    assert 0 < report["scores"]["student"]["accuracy"] <= 1


def test_dockerfile_has_the_commands_of_the_readme() -> None:
    readme, dockerfile = ((ROOT / name).read_text() for name in ("README.md", "Dockerfile"))
    run, test = re.findall(r"^python3 -m venv .*$", readme, re.MULTILINE)
    install, _, distill = run.rpartition(" && ")
    assert f"RUN {install}\n" in dockerfile
    assert f"RUN {test}\n" in dockerfile
    assert distill == ".venv/bin/mtkd distill digits"
    assert 'ENTRYPOINT ["/mtkd/.venv/bin/mtkd"]\nCMD ["distill", "digits"]' in dockerfile
