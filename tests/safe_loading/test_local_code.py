"""``python:FILE_OR_MODULE:ATTRIBUTE`` runs what it names and reports what it finds."""

import sys
from pathlib import Path

import pytest

from mtkd_cli.errors import UsageError
from mtkd_cli.safe_loading.local_code import load_attribute, source_hash


def test_loads_attribute_of_file_or_module() -> None:
    Path("mine.py").write_text("answer = 42\n")
    assert load_attribute("python:mine.py:answer") == 42
    assert load_attribute(f"python:{Path('mine.py').resolve()}:answer") == 42
    assert load_attribute("python:json.decoder:JSONDecoder").__name__ == "JSONDecoder"


def test_reloads_edited_file_and_changes_hash() -> None:
    Path("mine.py").write_text("answer = 1\n")
    before = source_hash("python:mine.py:answer")
    assert load_attribute("python:mine.py:answer") == 1
    Path("mine.py").write_text("answer = 22\n")
    assert load_attribute("python:mine.py:answer") == 22
    assert len(before) == 64
    assert source_hash("python:mine.py:answer") != before
    assert len(source_hash("python:json:loads")) == 64


def test_edited_import_changes_hash() -> None:
    Path("mine.py").write_text("from part_of_mine import answer\n")
    Path("part_of_mine.py").write_text("answer = 1\n")
    assert load_attribute("python:mine.py:answer") == 1
    before = source_hash("python:mine.py:answer")
    Path("part_of_mine.py").write_text("answer = 2\n")
    assert source_hash("python:mine.py:answer") != before
    Path("other.py").write_text("")
    assert source_hash("python:mine.py:answer") == source_hash("python:mine.py:answer")


def test_classes_of_a_file_can_be_pickled_by_workers() -> None:
    Path("mine.py").write_text("class Mine:\n    pass\n")
    mine = load_attribute("python:mine.py:Mine")
    assert vars(sys.modules[mine.__module__])["Mine"] is mine


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 / 0", "mine.py cannot be imported: ZeroDivisionError: "),
        ("import nowhere_to_be_found", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def f(:", "SyntaxError"),
        ("anser = 1", "mine.py has no 'answer'"),
    ],
)
def test_failing_code_is_a_usage_error(text: str, says: str) -> None:
    Path("mine.py").write_text(text)
    before = set(sys.modules)
    with pytest.raises(UsageError) as caught:
        load_attribute("python:mine.py:answer")
    assert says in caught.value.what
    if "anser" in text:
        assert caught.value.hint == "did you mean 'anser'?"
    else:
        assert not [name for name in set(sys.modules) - before if name.startswith("mtkd_local_")]


@pytest.mark.parametrize("reference", ["python:", "python:mine.py", "python::answer", "python:mine.py:"])
def test_rejects_incomplete_reference(reference: str) -> None:
    with pytest.raises(UsageError, match="does not name an attribute"):
        load_attribute(reference)


def test_local_code_prints_to_stderr_in_json_mode(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text("print('hello')\nanswer = 1\n")
    load_attribute("python:mine.py:answer")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello\n")
