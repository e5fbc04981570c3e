"""Print what a run would do: ``mtkd distill --dry-run``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtkd_cli.cli import console
from mtkd_cli.cli.tables import table
from mtkd_cli.compare.job_count import choose_jobs
from mtkd_cli.compare.seeds import require_several_seeds
from mtkd_cli.distributed import group
from mtkd_cli.doctor.finding import Finding
from mtkd_cli.doctor.plan_checks import check_plan
from mtkd_cli.errors import join_first
from mtkd_cli.files import yaml12
from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.interfaces import sides
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.units import bytes_in_words, count_in_words, rounded_count
from mtkd_cli.runs import folder, manifest
from mtkd_cli.runs.baseline_choice import BaselineChoice, read_choice
from mtkd_cli.runs.plan import make_plan
from mtkd_cli.runs.start import load_context, settings_of_run
from mtkd_cli.runs.view_count import count_views
from mtkd_cli.safe_loading.stdout import stdout_on_stderr
from mtkd_cli.store import content_store
from mtkd_cli.teachers.resolved_teacher import resolve_teachers
from mtkd_cli.training.process_changes import changes_of_run, last_process_count

KEPT = {"disk": "decoded on disk", "memory": "in memory", "none": "decoded when needed"}
"""Where decoded inputs are, see `mtkd_cli.data.inputs`."""


def plan(
    parts: Resolved,
    name: str,
    resume: bool,
    device: str,
    threads: int,
    processes: int,
    nodes: int,
    baseline: BaselineChoice | None,
    seeds: int,
    full: bool,
    as_json: bool,
    jobs: int = 1,
) -> None:
    """Check what a run would check before it trains, and print what it would do.

    Args:
        parts: the resolved recipe.
        name: name of the run; empty: a new one.
        resume: whether the run would be resumed if it exists.
        device: value of ``--device``.
        threads: value of ``--threads``.
        processes: number of processes on each machine; 0: as the run had, or one.
        nodes: number of machines.
        baseline: baselines to train; None: those of the run, or all if it is new.
        seeds: number of seeds; 0: as the run had, or one.
        full: whether to print the recipe as well.
        as_json: whether to print JSON.
        jobs: how many seeds to train at a time, see `choose_jobs`.

    Raises:
        MtkdError: the run would raise it before the student is trained.
    """
    with stdout_on_stderr():
        begun = folder.find_manifest(name, resume) if name else None
        parts, device, used, choice = settings_of_run(begun, parts, device, threads, baseline)
        seeds = seeds or (begun or {}).get("seeds", 1)
        total = processes * nodes or (last_process_count(begun) if begun else nodes)
        if total > 1:
            group.refuse_impossible_device(device, total // nodes)
        point = folder.training_point(ROOT / name / folder.CHECKPOINTS) if begun else ""
        changes = changes_of_run(begun, name, total, point)
        with group.began_with(changes.began if changes else total):
            context = load_context(parts, device, used, process_changes=changes)
            views, is_finished = count_views(context.recipe), False
            if begun is not None:
                if seeds > 1:
                    require_several_seeds(begun, name)
                now = manifest.describe_run(context, resolve_teachers(context), begun["views"], choice)
                manifest.refuse_changes(begun, now, str(ROOT / name))
                views = begun["views"]
                same = (parts.recipe.as_dict(), choice) == (begun["recipe"], read_choice(begun))
                is_finished = same and folder.FINISHED in begun
            facts = make_plan(context, views, choice, seeds, total)
            facts |= {"resumes": name if begun is not None else None, "finished": is_finished}
            facts["jobs"] = choose_jobs(jobs, [context], seeds) if seeds > 1 else (1, "")
            facts |= {"process_changes": changes.sentence if changes else None}
            findings = list(check_plan(context, facts))
    recipe = context.recipe.as_dict()
    if as_json:
        checks = [finding.as_dict() for finding in findings]
        console.print_json({"recipe": recipe, "plan": facts, "checks": checks})
        return
    _print_plan(facts, findings)
    if full:
        print(f"\n{yaml12.dump(recipe)}", end="")  # noqa: T201
    else:
        console.print_result("\nAdd --full for the recipe with every default, --json for all facts.")


def _print_plan(facts: Mapping[str, Any], findings: Sequence[Finding]) -> None:
    if facts["finished"]:
        console.print_result(f"The run {facts['resumes']} is finished: nothing to do.")
        return
    rows = [
        [phase["phase"], phase["work"], "reused" if phase["reused"] else _format_seconds(phase["seconds"])]
        for phase in facts["phases"]
    ]
    rows.append(["in all", "", _format_seconds(facts["seconds"])])
    resumes = f", resumes {facts['resumes']}" if facts["resumes"] else ""
    title = f"plan{resumes}"
    console.print_result(table(rows, ["phase", "work", "about"], title, whole=("about",)))
    console.print_result("")
    for style, line in _list_warnings(facts, findings):
        console.print_result(console.cell(line, style))
    for line in _list_facts(facts):
        console.print_result(console.cell(line))
    console.print_result("")
    teachers = [
        [teacher["name"], "; ".join(_describe_teacher(teacher, facts))] for teacher in facts["teachers"]
    ]
    console.print_result(table(teachers, ["teacher", "what is known of it"]))


def _list_warnings(facts: Mapping[str, Any], findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """Yield a style and a line for each warning; one line if there are none."""
    lines = [("yellow", f"warning: {warning}") for warning in facts["warnings"]]
    styles = {"warn": ("yellow", "warning"), "fail": ("bold red", "problem")}
    for finding in findings:
        if finding.status in styles:
            style, word = styles[finding.status]
            hint = f". Do: {finding.hint}" if finding.hint else ""
            lines.append((style, f"{word}: {finding.check}: {finding.found}{hint}"))
    yield from lines or [("green", "checks: no warnings")]
    yield "", ""


def size_in_words(size: int | Sequence[int]) -> str:
    """Return the size of an input: one side of a square, or height and width."""
    height, width = sides((size[0], size[1]) if isinstance(size, Sequence) else size)
    return f"{height} px" if height == width else f"{height} x {width} px"


def _list_facts(facts: Mapping[str, Any]) -> Iterator[str]:
    data, student = facts["data"], facts["student"]
    height, width = sides(data["size"])
    where, size = data["cache"]
    shape = f"{data['channels']} x {height} x {width} px ({data['fit']}), {KEPT[where]}"
    shape += "" if where == "none" else f" ({bytes_in_words(size)})"
    student_input = f"input {size_in_words(student['input_size'])}"
    if data["columns"]:
        shape = student_input = f"{data['columns']} columns"
    yield (
        f"data: {data['name']}, {len(data['classes'])} {data['kind']}, {shape}; {data['train']} to train on "
        f"({data['train_labelled']} labeled), {data['val']} to validate, {data['test']} to test"
    )
    yield from data["notes"]
    if facts["process_changes"]:
        yield f"processes: {facts['process_changes']}"
    yield (
        f"student: {student['model']}, {student_input}, {student['parameters']:,} parameters, "
        f"{bytes_in_words(student['bytes'])}"
    )
    yield (
        f"training: {facts['steps']} steps for each of {facts['candidates']} candidates; "
        f"views: {facts['views']}; kd_ratio {facts['kd_ratio']}"
    )
    automatic = f"; chosen automatically: {'; '.join(facts['automatic'])}" if facts["automatic"] else ""
    yield f"augment: {facts['augment']}; batch_size {facts['batch_size']}{automatic}"
    threads = facts["threads"]
    if threads["automatic"]:
        work = f"a training step has {rounded_count(threads['step_macs'])} multiply-adds"
        yield f"threads: {threads['student']} of {threads['limit']} for the student; {work}"
    else:
        yield f"threads: {threads['limit']}, as given"
    count, reason = facts["jobs"]
    if reason:
        yield f"jobs: {count} seed{'s' * (count > 1)} at a time, {reason}"
    yield f"to be recorded: {bytes_in_words(facts['record_bytes'])}, into {content_store.root()}"


def _describe_teacher(teacher: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield model and input, classes, score and labels of a teacher, in words."""
    if teacher["input_size"] is None:
        yield f"{teacher['model']}, sample ids"
    else:
        shown = "table" if facts["data"]["columns"] else size_in_words(teacher["input_size"])
        yield f"{teacher['model']}, {shown}, {count_in_words(teacher['parameters'])} parameters"
    unknown = [label for label, group in teacher["aligned"] if not group]
    count = len(teacher["aligned"])
    match = f"{count - len(unknown)} of the data's {count}, by name"
    yield "classes: " + ("the data's, in order" if teacher["same_classes"] else match)
    if unknown:
        yield f"not {join_first(unknown)}"
    if teacher["validation"] is None:
        threads = teacher["fit_threads"]
        yield f"fit: {teacher['fit']} ({threads} thread{'s' * (threads > 1)})"
    else:
        score = next(iter(teacher["validation"]["metrics"].values()), None)
        yield f"val {spelt(facts['metric'])} {'-' if score is None else f'{score:.3g}'}"
    yield f"labels it saw: {teacher['labels_seen']}"


def _format_seconds(seconds: float) -> str:
    if 0 < seconds < 0.1:
        return "< 0.1 s"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"
