"""Names find their plugins, options are checked against what plugins declare, misfits are named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mtkd_cli.errors import RecipeError
from mtkd_cli.plugin.registry import Registry, discover
from mtkd_cli.recipe.options import check_options
from mtkd_cli.recipe.reader import validate
from mtkd_cli.recipe.resolve import Resolved, local_references, resolve
from mtkd_cli.specs import Option

if TYPE_CHECKING:
    from tests.conftest import PluginWriter


def resolved(registry: Registry, **more: Any) -> Resolved:
    raw = {
        "task": "classification",
        "data": "digits",
        "teachers": ["mlp:8"],
        "strategy": "mean",
        "student": "mlp:4",
    }
    return resolve(validate(raw | more, "r"), registry, "r")


def problems(registry: Registry, **more: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(RecipeError) as caught:
        resolved(registry, **more)
    return [(p.what, p.where, p.hint) for p in caught.value.problems]


def test_fills_in_default_options(registry: Registry) -> None:
    parts = resolved(registry, strategy={"name": "weighted", "tau": 1})
    assert parts.strategy.options == {"by": None, "tau": 1.0}
    assert isinstance(parts.strategy.options["tau"], float)


def test_splits_model_at_first_colon(registry: Registry) -> None:
    parts = resolved(registry, teachers=["python:my.py:build", "mtkd:mlp:8"])
    assert [(t.spec.name, t.model) for t in parts.teachers] == [("python", "my.py:build"), ("mlp", "8")]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"strategy": "meen"}, ("no 'meen' in strategies", "r: strategy", "did you mean 'mean'?")),
        (
            {"student": "resnet18"},
            ("'resnet18' is not a model", "r: student.model", "write provider:model; "),
        ),
        ({"student": "mlp:"}, ("'mlp:' is not a model", "r: student.model", "write provider:model; ")),
        ({"teachers": ["tim:x"]}, ("no 'tim' in teachers", "r: teachers.0.model", "did you mean 'timm'?")),
        ({"trackers": ["nonsense"]}, ("no 'nonsense' in trackers", "r: trackers.0", "known: ")),
        ({"data": "image-folder"}, ("the key 'path' is missing", "r: data", "folder with class folders")),
        (
            {"teachers": ["mlp:8", "mlp:8"]},
            ("duplicate teacher name 'mlp-8'", "r: teachers.1", "set name: for one of them"),
        ),
        (
            {"strategy": {"name": "weighted", "by": "luck"}},
            (
                "by: must be one of validation, class, fixed, it is 'luck'",
                "r: strategy.by",
                "validation (scores); class",
            ),
        ),
    ],
)
def test_reports_incompatible_parts(
    registry: Registry, more: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    ((what, where, hint),) = problems(registry, **more)
    assert (what, where) == expected[:2]
    assert hint.startswith(expected[2])


def test_reports_all_incompatible_parts_at_once(registry: Registry) -> None:
    found = problems(registry, strategy="meen", student="nope:1", data={"name": "digits", "x": 1})
    assert [where for _, where, _ in found] == ["r: data.x", "r: strategy", "r: student.model"]


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        (Option("o", int), True, "must be int"),
        (Option("o", int), 2.0, "must be int"),
        (Option("o", float), "1", "must be float"),
        (Option("o", float), float("nan"), "finite"),
        (Option("o", float), 10**400, "too large"),
        (Option("o", bool), 1, "must be bool"),
        (Option("o", str), ["a"], "must be str"),
        (Option("o", list), True, "must be list"),
        (Option("o", int, minimum=3), 2, "must be at least 3"),
        (Option("o", float, maximum=0.5), 0.6, "must be at most 0.5"),
        (Option("o", str, required=True), None, "must be str"),
    ],
)
def test_rejects_invalid_option(option: Option, value: Any, says: str) -> None:
    _, wrong = check_options({"o": value}, (option,), "r")
    assert says in wrong[0].what


def test_rejects_plugin_for_another_task(plugin: PluginWriter) -> None:
    plugin(
        "dense",
        """
        @hookimpl
        def mtkd_register_aggregators():
            return [AggregatorSpec("pixels", "s", "m:A", tasks=("segmentation",))]

        @hookimpl
        def mtkd_register_teachers():
            return [TeacherSpec("frozen", "s", "m:A", trainable=False)]
        """,
    )
    assert problems(discover(), strategy="pixels", student="frozen:1") == [
        ("'pixels' does not support the task 'classification'", "r: strategy", "it supports segmentation"),
        (
            "'frozen' cannot build students",
            "r: student.model",
            "mtkd list teachers shows which providers can",
        ),
    ]


LOCAL = '''
class Mine:
    """Mine, in one line.

    More.
    """

    needs = ("labels",)

    def __init__(self, power: float = 1.0) -> None:
        self.power = power

class Odd:
    needs = ("everything",)

NUMBER = 3
'''


def test_uses_local_strategy(registry: Registry) -> None:
    Path("my.py").write_text(LOCAL)
    part = resolved(registry, strategy={"name": "python:my.py:Mine", "power": 2.0}).strategy
    assert part.create().power == 2.0
    assert (part.spec.summary, part.spec.needs) == ("Mine, in one line.", ("labels",))


@pytest.mark.parametrize(
    ("strategy", "says"),
    [
        ("python:my.py:Min", "my.py has no 'Min'"),
        ("python:none.py:Mine", "no file none.py"),
        ("python:my.py", "does not name an attribute"),
        ({"name": "python:my.py:Mine", "pover": 2}, "python:my.py:Mine does not accept these options: "),
        ("python:my.py:Odd", "needs 'everything'"),
        ("python:my.py:NUMBER", "not a callable object"),
    ],
)
def test_rejects_local_strategy_with_wrong_options(registry: Registry, strategy: Any, says: str) -> None:
    Path("my.py").write_text(LOCAL)
    ((what, where, _),) = problems(registry, strategy=strategy)
    assert says in what
    assert where.startswith("r: strategy")


def test_lists_local_code_without_running_it() -> None:
    raw = {
        "task": "classification",
        "data": "python:d.py:Data",
        "teachers": ["python:m.py:build", "mlp:8"],
        "strategy": "mean",
        "student": "python:m.py:build",
    }
    assert local_references(validate(raw, "r")) == ["python:d.py:Data", "python:m.py:build"]
