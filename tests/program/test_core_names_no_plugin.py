"""The core names no built-in plugin: messages, hints and decisions use the registry."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mtkd_cli.plugin.registry import Registry

CORE = Path(__file__).parents[2] / "mtkd_cli"
WORDS = {
    *("agreement", "best", "confidence", "digits", "drop", "exported", "mean", "predictions", "random"),
    *("run", "table", "median", "consensus", "entropy", "majority", "weighted", "route", "progressive"),
}
"""Names that are also English words or keys of a recipe."""
FORMATS = {"coco", "onnx", "python", "webdataset", "yolo"}
"""Names that are also file formats, and the prefix of local code (``python:FILE:NAME``)."""
LIBRARIES = {"keras", "sklearn", "timm", "torchvision"}
"""Names that are also libraries: the registry times their imports, and reports have their versions."""
EXAMPLES = {
    "e.g. strategy=confidence",
    "e.g. strategy=mean,confidence train.seed=0,1,2",
    "e.g. train.epochs=3 strategy=mean",
    "Other data, e.g. data=image-folder data.path=mine",
}
"""Examples in --help."""

SECTION = re.compile(r"\b(?:strategy|task|data|kd|tracker)(?:\.name)?\s*[=:]\s*([A-Za-z0-9_-]+)")


def literals(tree: ast.AST) -> Iterator[str]:
    """Yield the strings of a module except docstrings."""
    bodies = [node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list)]
    docs = {id(line.value) for body in bodies for line in body if isinstance(line, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_no_string_of_the_core_names_a_built_in_plugin(registry: Registry) -> None:
    names = {entry.spec.name for entry in registry.entries}
    assert len(names) > 50
    found = []
    for path in sorted(CORE.rglob("*.py")):
        for text in literals(ast.parse(path.read_text())):
            if text in EXAMPLES:
                continue
            words = set(re.findall(r"[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*", text)) & names
            named = (words - WORDS - FORMATS - LIBRARIES) | (set(SECTION.findall(text)) & names)
            found += [f"{path.relative_to(CORE)}: {name} in {text!r}" for name in sorted(named)]
    assert found == []


def test_core_compares_no_name_with_that_of_a_plugin(registry: Registry) -> None:
    names = {entry.spec.name for entry in registry.entries}
    found = []
    for path in sorted(CORE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Compare):
                continue
            sides = [node.left, *node.comparators]
            asks = any(isinstance(side, ast.Attribute) and side.attr == "name" for side in sides)
            texts = {side.value for side in sides if isinstance(side, ast.Constant)}
            if asks and texts & names:
                found.append(f"{path.relative_to(CORE)}:{node.lineno}")
    assert found == []
