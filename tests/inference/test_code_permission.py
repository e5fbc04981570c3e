"""A run folder from somebody else runs no code unless the user allows it, whatever its student.json says.

The documents are sealed again after they were changed: a sender can do that too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from mtkd_cli import api
from mtkd_cli.errors import DataError, MtkdError
from mtkd_cli.files import checksummed_json
from mtkd_cli.inference import code_permission, own_runs
from mtkd_cli.inference.student import load_student
from tests.fixtures.command_line import Mtkd

Facts = dict[str, Any]

CODE = """
from pathlib import Path
Path("MARKER").touch()
from mtkd_data.digits import Digits
from mtkd_tasks.classification import Classification as Task
class Source(Digits):
    pass
def build(outputs, channels, size):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, outputs))
"""
MINE = (
    "data.labels=60",
    "train.epochs=1",
    "train.lr=0.01",
    "teachers=[{model: 'mlp:4', name: t, fit: {epochs: 1}}]",
    "student=python:mine.py:build",
)


AS_TEACHER = (
    "digits",
    "teachers=[{model: 'run:runs/small', name: t}]",
    "student=mlp:4",
    "data.labels=60",
    "train.epochs=1",
)


@pytest.fixture(autouse=True)
def code(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Code that leaves a marker when it is imported, in the folder where mtkd is started."""
    Path("mine.py").write_text(CODE)
    Path("mine_module.py").write_text(CODE)
    monkeypatch.syspath_prepend(".")
    code_permission._announced.clear()
    yield


def python(name: str = "mine.py:build") -> Facts:
    return {"provider": "mtkd:python", "request": {"model": name, "channels": 1, "size": 8, "outputs": 10}}


def task(name: str = "python:mine.py:Task") -> Facts:
    return {"task": {"name": name, "options": {}}}


FORGED: dict[str, Callable[[Facts], Facts]] = {
    "model": lambda facts: {**facts, **python()},
    "module": lambda facts: {**facts, **python("mine_module:build")},
    "bare provider": lambda facts: {**facts, **python(), "provider": "python"},
    "path": lambda facts: {**facts, **python("runs/../mine.py:build")},
    "task": lambda facts: {**facts, **task()},
    "task module": lambda facts: {**facts, **task("python:mine_module:Task")},
    "both": lambda facts: {**facts, **python(), **task()},
    "no provider": lambda facts: {k: v for k, v in {**facts, **task()}.items() if k != "provider"},
    "provider 5": lambda facts: {**facts, **task(), "provider": 5},
    "provider null": lambda facts: {**facts, **task(), "provider": None},
    "no model": lambda facts: {**facts, **task(), "request": {"channels": 1, "size": 8, "outputs": 10}},
    "request a list": lambda facts: {**facts, **task(), "request": []},
    "task a text": lambda facts: {**facts, "task": "python:mine.py:Task"},
    "options a list": lambda facts: {**facts, "task": {"name": "python:mine.py:Task", "options": []}},
    "huge": lambda facts: {**facts, **python(), "labels": {"shape": [10**9, 10**9], "dtype": "int64"}},
    "huge outputs": lambda facts: {
        **facts,
        **task(),
        "request": {"model": "4-8", "channels": 1, "size": 8, "outputs": 10**18},
    },
    "true as a number": lambda facts: {**facts, **task(), "format": True, "scale": [[True], [1.0]]},
    "dtype object": lambda facts: {**facts, **task(), "labels": {"shape": [], "dtype": "O"}},
    "deep": lambda facts: {**facts, "task": {"name": "python:mine.py:Task", "options": {"a": deep(900)}}},
    "another key": lambda facts: {**facts, **task(), "hook": "python:mine.py:build"},
    "forged signature": lambda facts: {
        **facts,
        **python(),
        "code": {"python:mine.py:build": "0" * 64},
        "signature": "0" * 64,
    },
    "signature a number": lambda facts: {**facts, **python(), "signature": 5},
}


def deep(levels: int) -> Any:
    return json.loads("[" * levels + "]" * levels)


@pytest.fixture(params=FORGED)
def forged(request: pytest.FixtureRequest, run: Path) -> Path:
    """The folder of a run whose document was changed and sealed anew."""
    facts = FORGED[request.param](checksummed_json.read(run / "student.json"))
    checksummed_json.write(run / "student.json", facts)
    return run


def refused(result: Result) -> None:
    assert result.exit_code in (2, 3), result.output
    assert "error" in result.output or "fail" in result.output
    assert "Traceback" not in result.output
    assert "unexpected" not in result.output
    assert not Path("MARKER").exists()


def test_no_command_imports_what_a_forged_document_names(forged: Path, mtkd: Mtkd) -> None:
    Path("image.png").write_bytes(b"")
    refused(mtkd("predict", forged, "image.png"))
    refused(mtkd("evaluate", forged))
    refused(mtkd("export", forged, "--format", "safetensors"))
    refused(mtkd("record", *AS_TEACHER))
    with pytest.raises(MtkdError):
        api.load_student(forged)
    with pytest.raises(MtkdError):
        next(api.predict(forged, ["image.png"]))
    assert not Path("MARKER").exists()


@pytest.mark.parametrize("forged", ["both", "no provider"], indirect=True)
def test_no_command_with_a_recipe_imports_what_a_teacher_names(forged: Path, mtkd: Mtkd) -> None:
    small = AS_TEACHER
    refused(mtkd("distill", *small, "--name", "new"))
    refused(mtkd("distill", *small, "--dry-run"))
    refused(mtkd("audit", *small))
    refused(mtkd("doctor", *small))
    refused(mtkd("compare", *small, "train.seed=0,1"))
    refused(mtkd("store", "verify", *small))
    for command in (("report", forged), ("compare", forged, "--name", "c")):  # these read no document
        assert mtkd(*command).exit_code in (0, 2, 3)
    assert not Path("MARKER").exists()


def test_the_refusal_names_the_file_and_the_option(run: Path, mtkd: Mtkd) -> None:
    checksummed_json.write(run / "student.json", {**checksummed_json.read(run / "student.json"), **python()})
    result = mtkd("evaluate", run)
    assert result.exit_code == 3
    said = " ".join(result.output.split())
    assert str(Path("mine.py").absolute()) in said
    assert "--trust-code" in said


def test_code_runs_where_the_user_allows_it_and_is_announced_first(
    run: Path, mtkd: Mtkd, caplog: pytest.LogCaptureFixture
) -> None:
    """A task of the user's own does what the built-in one did."""
    checksummed_json.write(run / "student.json", {**checksummed_json.read(run / "student.json"), **task()})
    scores = api.evaluate(run, trust_code=True)["scores"]
    assert Path("MARKER").exists()
    assert str(Path("mine.py").absolute()) in caplog.text
    told = json.loads((run / "report.json").read_text())["scores"]["student"]
    assert scores == pytest.approx({name: told[name] for name in scores}, abs=1e-5)
    assert mtkd("evaluate", run, "--trust-code").exit_code == 0


def test_a_data_source_of_the_run_is_asked_for_only_where_it_is_loaded(run: Path, mtkd: Mtkd) -> None:
    facts = checksummed_json.read(run / "student.json")
    checksummed_json.write(
        run / "student.json", {**facts, "data": {**facts["data"], "name": "python:mine.py:Source"}}
    )
    load_student(run)  # runs none of it
    refused(mtkd("evaluate", run))
    refused(mtkd("export", run, "--format", "safetensors"))
    refused(mtkd("evaluate", run, "data.seed=1"))
    assert mtkd("evaluate", run, "--trust-code").exit_code == 0
    assert Path("MARKER").exists()


@pytest.fixture
def own(mtkd: Mtkd) -> Path:
    """A run of this user's with a student of local code."""
    assert mtkd("distill", "digits", *MINE, "--name", "own", "--no-baseline").exit_code == 0
    Path("MARKER").unlink()
    return Path("runs/own")


def test_own_runs_need_no_option_until_their_code_changes(own: Path, mtkd: Mtkd) -> None:
    assert mtkd("evaluate", own).exit_code == 0
    Path("MARKER").unlink()
    with Path("mine.py").open("a") as file:
        file.write("\n# changed\n")
    refused(mtkd("evaluate", own))
    assert mtkd("evaluate", own, "--trust-code").exit_code == 0


def test_a_run_of_another_user_is_not_own(own: Path, mtkd: Mtkd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(Path("another").absolute()))
    refused(mtkd("evaluate", own))
    own_runs.sign({}, ["python:mine.py:build"])  # this user has a key, another one
    refused(mtkd("evaluate", own))


def test_a_changed_document_is_not_own(own: Path, mtkd: Mtkd) -> None:
    facts = checksummed_json.read(own / "student.json")
    checksummed_json.write(own / "student.json", {**facts, "model": "python:mine.py:other"})
    refused(mtkd("evaluate", own))


def test_the_key_is_private_or_it_is_not_used(own: Path, mtkd: Mtkd) -> None:
    key = own_runs.key_file()
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_bytes()) == own_runs.KEY_BYTES
    key.chmod(0o644)
    refused(mtkd("evaluate", own))


def test_without_a_place_for_the_key_a_run_is_made_all_the_same(
    mtkd: Mtkd, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(Path("file").absolute()))
    assert mtkd("distill", "digits", *MINE, "--name", "own", "--no-baseline").exit_code == 0
    Path("MARKER").unlink()
    refused(mtkd("evaluate", "own"))
    assert mtkd("evaluate", "own", "--trust-code").exit_code == 0


def test_an_own_student_teaches_and_its_code_is_part_of_what_recordings_are_known_by(
    own: Path, mtkd: Mtkd
) -> None:
    from mtkd_teachers.run import RunProvider

    recipe = ("digits", "teachers=[{model: 'run:own', name: t}]", "student=mlp:4", "data.labels=60")
    assert mtkd("record", *recipe).exit_code == 0
    assert Path("mine.py").resolve() in RunProvider().files("own")


def test_a_run_without_local_code_has_no_signature_and_needs_no_key(run: Path) -> None:
    assert "signature" not in checksummed_json.read(run / "student.json")
    assert not own_runs.key_file().exists()
    load_student(run)


def test_not_a_number_in_a_document_is_an_error_in_words(run: Path) -> None:
    text = (run / "student.json").read_text()
    (run / "student.json").write_text(text.replace('"scale": null', '"scale": NaN'))
    with pytest.raises(DataError):
        load_student(run)
