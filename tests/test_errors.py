"""Errors with message, place, hint and exit code."""

import pytest

from mtkd_cli.errors import (
    DataError,
    MtkdError,
    RecipeError,
    RecipeKeyError,
    ResumeError,
    TrainingError,
    UsageError,
    first_line,
    missing_path,
    nearest,
    nearest_or_all,
    type_and_first_line,
)


@pytest.mark.parametrize(
    ("kind", "code"), [(MtkdError, 1), (UsageError, 2), (DataError, 3), (TrainingError, 4)]
)
def test_exit_codes_match_documentation(kind: type[MtkdError], code: int) -> None:
    assert kind("what").exit_code == code


def test_error_json_has_four_fields() -> None:
    assert DataError("broken", "a.png", "delete it").as_dict() == {
        "code": "data",
        "message": "broken",
        "hint": "delete it",
        "where": "a.png",
    }


def test_recipe_error_has_every_problem() -> None:
    problems = [RecipeKeyError("one", "r: a"), RecipeKeyError("two", "r: b")]
    error = RecipeError("r.yaml", [*problems])
    assert error.exit_code == 2
    assert [p["message"] for p in error.as_dict()["problems"]] == ["one", "two"]
    assert str(RecipeError("r.yaml", problems[:1])).startswith("the recipe has 1 problem\n")


def test_text_of_an_error_has_what_where_and_hint() -> None:
    assert str(DataError("broken", "a.png", "delete it")) == "broken\n  where: a.png\n  do: delete it"
    assert str(UsageError("wrong")) == "wrong"
    problems = [RecipeKeyError("one", "r: a", "did you mean 'b'?"), RecipeKeyError("two", "r: b")]
    assert str(RecipeError("r.yaml", [*problems])).splitlines() == [
        "the recipe has 2 problems",
        "  where: r.yaml",
        "- one",
        "  where: r: a",
        "  do: did you mean 'b'?",
        "- two",
        "  where: r: b",
    ]
    assert "undo the changes" in str(ResumeError("r", [UsageError("lr: 0.1 was 0.2")]))
    assert "- lr: 0.1 was 0.2" in str(ResumeError("r", [UsageError("lr: 0.1 was 0.2")]))
    assert first_line(problems[0]) == "one", "messages that quote an error stay one line"


@pytest.mark.parametrize(("message", "line"), [("", "TimeoutError"), ("\n", "TimeoutError"), ("a\nb", "a")])
def test_first_line_falls_back_to_type(message: str, line: str) -> None:
    assert first_line(TimeoutError(message)) == line


def test_nearest_or_all_suggests_name_or_lists_all() -> None:
    assert nearest("confidnce", ["mean", "confidence"]) == "did you mean 'confidence'?"
    assert nearest("xyz", ["mean"]) == ""
    assert nearest_or_all("xyz", ["mean", "entropy", "mean"]) == "known: entropy, mean"
    assert nearest_or_all("xyz", []) == "known: none"


def test_a_missing_path_says_what_names_it() -> None:
    error = missing_path("a/b", "data.path", "folder")
    assert (error.what, error.where, error.exit_code) == ("no folder a/b", "data.path", 3)
    assert missing_path("c", "data").what == "no file c"


def test_another_librarys_error_in_a_line() -> None:
    assert [first_line(error) for error in (OSError("\n a\nb"), OSError(), KeyError("no such 'x'"))] == [
        "a",
        "OSError",
        "no such 'x'",
    ]
    assert [type_and_first_line(error) for error in (ValueError("a\nb"), ValueError())] == [
        "ValueError: a",
        "ValueError",
    ]
