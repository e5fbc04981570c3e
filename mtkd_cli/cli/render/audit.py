"""The part of ``mtkd audit`` that needs torch."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from mtkd_cli.audit import audit_of
from mtkd_cli.audit.number_text import digits
from mtkd_cli.cli import console
from mtkd_cli.cli.tables import table
from mtkd_cli.distributed.threads import threads_of_option
from mtkd_cli.plugin.registry import load_registry
from mtkd_cli.recipe.resolve import Resolved, strategies_for
from mtkd_cli.report import by_chance, results
from mtkd_cli.report.audit_result import Audit, Estimate, Finding
from mtkd_cli.report.files import write_pages
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.runs import names as run_names
from mtkd_cli.runs.start import load_context
from mtkd_cli.safe_loading.stdout import stdout_on_stderr

ROOT = Path("audits")
PARTIAL = "{} if unknown classes are wrong"
"""Title of a column; shown if a teacher does not know all classes."""
STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def run(parts: Resolved, name: str, device: str, threads: int, as_json: bool) -> None:
    """Audit a recipe, write the facts and print them."""
    run_names.folder_of(ROOT, name or "default")
    with stdout_on_stderr():
        context = load_context(parts, device, threads_of_option(threads))
        strategies = strategies_for(parts.recipe.task.name, load_registry(), parts.name)
        audit = audit_of(context, strategies)
    place = run_names.create(ROOT, name or run_names.default_name(ROOT, parts.name))
    results.write_alone(place, audit)
    write_pages(place, audit)
    if as_json:
        console.print_json(results.as_json(audit))
        return
    for part in tables(audit):
        console.print_result(part)
        console.print_result("")
    for finding in audit.findings:
        print_finding(finding)
    console.print_result(f"\nEverything is in {place}/")


def print_finding(finding: Finding) -> None:
    """Print a finding: severity, sentence, action, and an override to copy on a line of its own."""
    severity = console.cell(f"{finding.severity}: ", STYLES[finding.severity])
    console.print_result(severity + console.cell(finding.sentence))
    if finding.action:
        console.print_result(console.cell(f"    -> {finding.action}"))
    if finding.override:
        # not wrapped, so that it can be copied
        print(f"       {shlex.quote(console.escape(finding.override))}", flush=True)  # noqa: T201


def tables(audit: Audit) -> Iterator[Table]:
    """Yield the tables of an audit: teachers, pairs, strategies, teachers left out and added."""
    metric, teachers = spelt(audit.metric), audit.teachers
    others = [name for name in teachers[0].metrics if name != audit.metric]
    partial = [PARTIAL.format(metric)] if any(t.on_every_label for t in teachers) else []
    yield table(
        [
            [
                t.name,
                span(t.score),
                *(by_chance.cell(m, t.metrics[m], t.by_chance) for m in others),
                *(number(t.whole.value) for _ in partial),
            ]
            for t in teachers
        ],
        ["teacher", metric, *map(spelt, others), *partial],
        f"teachers on {audit.samples} validation samples (95 % interval)"
        + (f"\n{note}" if (note := by_chance.note(teachers[0].by_chance)) else ""),
    )
    if audit.pairs:
        yield table(
            [[" + ".join(p.teachers), number(p.agreement), number(p.error_correlation)] for p in audit.pairs],
            ["teachers", "same prediction", "correlation of errors"],
            "pairs",
        )
    yield table(
        [
            [
                f"{'* ' if s.name == audit.recommended else ''}{s.name}",
                "" if s.name == audit.recommended else s.verdict,
                span(s.score),
                number(s.loss.value),
                shares(s.weights),
            ]
            for s in audit.strategies
        ],
        ["strategy", "", metric, "loss", f"weights of {', '.join(t.name for t in teachers)}"],
        "ensembles of each strategy; * recommended",
    )
    for changes, title in (
        (audit.left_out, "change by leaving a teacher out"),
        (audit.added, "change by adding a teacher to the best one"),
    ):
        if changes:
            yield table(
                [[c.teacher, c.strategy, *map(size, c.as_measured(audit.higher_is_better))] for c in changes],
                ["teacher", "strategy", metric, "loss"],
                title,
            )


def number(value: float | None) -> str:
    """Return a number for a table."""
    return "-" if value is None or not math.isfinite(value) else f"{value:{digits(value)}}"


def span(found: Estimate) -> str:
    """Return a number with its interval, if it has one."""
    ends = f" ({number(found.low)} to {number(found.high)})" if math.isfinite(found.low) else ""
    return f"{number(found.value)}{ends}"


def size(found: Estimate) -> str:
    """Return a difference with its interval, if it has one."""
    if not math.isfinite(found.value):
        return "-"
    known = math.isfinite(found.low)
    kind = digits(max((found.value, found.low, found.high) if known else (found.value,), key=abs))
    return f"{found.value:+{kind}}" + (f" ({found.low:+{kind}} to {found.high:+{kind}})" if known else "")


def shares(weights: Sequence[float]) -> str:
    """Return weights for a table."""
    return " ".join(f"{weight:.2f}" for weight in weights) or "-"
