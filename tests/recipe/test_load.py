"""Loading a recipe: names, warnings and permissions, the same for every caller."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtkd_cli.errors import RecipeError, UsageError
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.load import load

RECIPE = "{task: classification, data: digits, teachers: ['mlp:8'], strategy: mean, student: 'mlp:4'}"
SMALL = ("teachers=[mlp:8]", "student=mlp:4")


def test_recipe_name(registry: Registry) -> None:
    Path("größe.yaml").write_text(RECIPE)
    assert load("größe.yaml", registry=registry).name == "größe"
    assert load("digits", SMALL, registry).name == "digits"


def test_warns_before_local_code_runs(registry: Registry) -> None:
    Path("mine.py").write_text("raise RuntimeError('it ran')")
    told: list[str] = []
    with pytest.raises((RecipeError, UsageError)):
        load("digits", [*SMALL, "strategy=python:mine.py:Mine"], registry, warn=told.extend)
    assert told == ["this recipe runs local code: python:mine.py:Mine"]


def test_passes_trusted_files_to_models(registry: Registry) -> None:
    Path("teacher.pt").touch()
    trusted = ["teachers=[{model: 'mlp:8', checkpoint: teacher.pt}]", "student=mlp:4"]
    told: list[str] = []
    parts = load("digits", trusted, registry, trust_pickle=["teacher.pt"], trust_code=True, warn=told.extend)
    file = Path("teacher.pt").resolve()
    assert [(model.trusted, model.trust_code) for model in (*parts.teachers, parts.student)] == [
        ({file}, True),
        ({file}, True),
    ]
    assert told == [f"code in this file may run: {file}"]
    assert not load("digits", trusted, registry).student.trusted
