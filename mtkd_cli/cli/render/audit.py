"""The part of ``mtkd audit`` that needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from mtkd_cli.audit import audit_of
from mtkd_cli.audit.advice import digits
from mtkd_cli.cli import console
from mtkd_cli.cli.tables import table
from mtkd_cli.plugin.registry import installed
from mtkd_cli.recipe.resolve import Resolved, strategies_for
from mtkd_cli.report import by_chance, results
from mtkd_cli.report.files import write_pages
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.runs import names as run_names
from mtkd_cli.runs.start import context_of
from mtkd_cli.safe_loading.stdout import stdout_on_stderr

ROOT = Path("audits")
PARTIAL = "{} if unknown classes are wrong"
"""Title of a column that is there if a teacher does not know all classes."""


def run(parts: Resolved, name: str, device: str, threads: int, as_json: bool) -> None:
    """Audit a recipe, keep the facts and print them."""
    run_names.folder_of(ROOT, name or "default")
    with stdout_on_stderr():
        context = context_of(parts, device, threads)
        strategies = strategies_for(parts.recipe.task.name, installed(), parts.name)
        facts = {"recipe": context.recipe.as_dict(), **audit_of(context, strategies)}
    place = run_names.create(ROOT, name or run_names.default_name(ROOT, parts.name))
    results.write(place, results.AUDIT, facts)
    write_pages(place, results.AUDIT, facts)
    if as_json:
        console.print_json(facts)
        return
    for part in tables(facts):
        console.print_result(part)
        console.print_result("")
    for advice in facts["advice"]:
        console.print_result(console.cell(f"- {advice['sentence']}"))
    console.print_result(f"\nEverything is in {place}/")


def tables(facts: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the tables of an audit: teachers, pairs, strategies, teachers left out and added."""
    metric, samples = spelt(facts["metric"]), facts["samples"]
    others = [name for name in facts["teachers"][0]["metrics"] if name != facts["metric"]]
    partial = [PARTIAL] if any(t["on_every_label"] for t in facts["teachers"]) else []
    yield table(
        [
            [
                t["name"],
                span(t["score"]),
                *(by_chance.cell(m, t["metrics"][m], t["by_chance"]) for m in others),
                *(number((t["on_every_label"] or t["score"])["value"]) for _ in partial),
            ]
            for t in facts["teachers"]
        ],
        ["teacher", metric, *map(spelt, others), *(said.format(metric) for said in partial)],
        f"teachers on {samples} validation samples (95 % interval)"
        + (f"\n{note}" if (note := by_chance.note(facts["teachers"][0]["by_chance"])) else ""),
    )
    if facts["pairs"]:
        yield table(
            [
                [" + ".join(p["teachers"]), number(p["agreement"]), number(p["error_correlation"])]
                for p in facts["pairs"]
            ],
            ["teachers", "same answer", "errors correlate"],
            "pairs",
        )
    names = [t["name"] for t in facts["teachers"]]
    yield table(
        [
            [
                f"{'* ' if s['name'] == facts['recommended'] else ''}{s['name']}",
                span(s["score"]),
                number(s["loss"]["value"]),
                shares(s["weights"]),
            ]
            for s in _ranked(facts)
        ],
        ["strategy", metric, "loss", f"weights of {', '.join(names)}"],
        "what each strategy's ensemble answers, * recommended",
    )
    for key, title in (
        ("left_out", "gained by leaving a teacher out"),
        ("added", "gained by adding it to the best teacher"),
    ):
        if facts[key]:
            yield table(
                [[c["teacher"], c["strategy"], size(c["gain"]), size(c["loss_gain"])] for c in facts[key]],
                ["teacher", "strategy", metric, "loss lowered by"],
                title,
            )


def _ranked(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    sign = -1 if facts["higher_is_better"] else 1
    return sorted(facts["strategies"], key=lambda s: (sign * s["score"]["value"], s["loss"]["value"]))


def number(value: float | None) -> str:
    """Return a number for a table."""
    return "-" if value is None else f"{value:{digits(value)}}"


def span(found: Mapping[str, float | None]) -> str:
    """Return a number with its interval, if it has one."""
    ends = "" if found["low"] is None else f" ({number(found['low'])} to {number(found['high'])})"
    return f"{number(found['value'])}{ends}"


def size(found: Mapping[str, float | None]) -> str:
    """Return a difference with its interval, if it has one."""
    value, low, high = (found[key] for key in ("value", "low", "high"))
    kind = digits(max((each for each in (value, low, high) if each is not None), key=abs, default=0.0))
    ends = "" if low is None else f" ({low:+{kind}} to {high:+{kind}})"
    return "-" if value is None else f"{value:+{kind}}{ends}"


def shares(weights: list[float]) -> str:
    """Return weights for a table."""
    return " ".join(f"{weight:.2f}" for weight in weights) or "-"
