"""Does `mtkd search` find the best of twelve students, and at what cost?

python docs/benchmarks/search.py --fashion FOLDER --seeds 5

Every student within the budget is trained in full with every seed (the grid). The search of each seed picks
one of them by its rungs; its run is the run of the grid, so its test score is taken from there.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from in_process import loaded
from tables import interval, markdown, spread, versions

from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.runs.students import plan_steps, train_student
from mtkd_cli.search.candidates import Budget, measure_candidate
from mtkd_cli.search.rungs import prepare_taught
from mtkd_cli.search.successive_halving import halve
from mtkd_cli.training.evaluation import measure, row_predictor

HERE = Path(__file__).parent
RAW = HERE / "search.json"
SETTINGS = {
    "digits": ("data.labels=600", "train.epochs=18", "train.batch_size=128", "train.lr=0.03"),
    "fashion-mnist": (
        "data.samples=1200",
        "data.labels=900",
        "train.epochs=18",
        "train.batch_size=128",
        "train.lr=0.01",
    ),
}
STUDENTS = {
    "digits": (
        *("mlp:4", "mlp:8", "mlp:16", "mlp:32", "convnet:2-4", "convnet:4-8", "convnet:8-16"),
        *("convnet:16-32", "convnet:8-8-8", "resnet:8-2", "resnet:8-4", "resnet:8-6"),
        *("mlp:512-256", "convnet:64-128"),
    ),
    "fashion-mnist": (
        *("mlp:8", "mlp:16", "mlp:32", "convnet:2-4-8", "convnet:4-8", "convnet:4-8-16", "convnet:8-16"),
        *("convnet:8-16-32", "convnet:16-16-16", "resnet:8-2", "resnet:8-4", "resnet:8-6"),
        *("mlp:512-256", "convnet:64-128"),
    ),
}
BUDGET = Budget(latency_ms=5.0, bytes=110_000)


@dataclass(frozen=True)
class Found:
    """The search with one seed.

    Attributes:
        by_search: student that the search picked.
        by_grid: student with the best validation score of the grid.
        test: test score of each student of the grid.
        share: steps of the search, the pick's run included, as a share of those of the grid.
    """

    by_search: str
    by_grid: str
    test: dict[str, float]
    share: float


def within(data: str, settings: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the students within the budget, and the rejected ones."""
    measured = [
        measure_candidate(name, loaded(data, [*settings, f"student={name}"]), BUDGET)
        for name in STUDENTS[data]
    ]
    rejected = [f"{each.student} ({each.rejected})" for each in measured if each.rejected]
    return [each.student for each in measured if not each.rejected], rejected


def one_seed(data: str, settings: Sequence[str], names: Sequence[str], seed: int) -> Found:
    """Train the grid and the search with one seed."""
    common = [*settings, f"train.seed={seed}"]
    first = loaded(data, common)
    taught = prepare_taught(first)
    contexts = {name: loaded(data, [*common, f"student={name}"]) for name in names}
    halved = halve(names, contexts.__getitem__, taught)
    test, val = {}, {}
    for name, context in contexts.items():
        student = train_student(context, taught.data, taught.strategy, taught.batches)
        predict = row_predictor(with_preprocessing(student.model), context.data.test)
        test[name] = measure(predict, context.data.test, context.task).metrics["accuracy"]
        val[name] = max(trial["rank"] for trial in student.trials if "rank" in trial)
        print(data, seed, name, test[name], flush=True)
    steps = plan_steps(first)[0]
    pick = halved.students[0].student
    share = (halved.steps + steps) / (len(names) * steps)
    print(data, seed, "pick", pick, f"{100 * share:.1f} %", flush=True)
    return Found(pick, max(val, key=val.__getitem__), test, share)


def rows_of(data: str, found: Sequence[Found]) -> list[list[str]]:
    """Return the rows of a data set: each way to choose, against the student with the best mean."""
    means = {name: statistics.mean(each.test[name] for each in found) for name in found[0].test}
    best = max(means, key=means.__getitem__)
    ways = {
        f"best mean of the grid ({best})": [each.test[best] for each in found],
        "best validation score of the grid": [each.test[each.by_grid] for each in found],
        "`mtkd search`": [each.test[each.by_search] for each in found],
        "a student at random": [statistics.mean(each.test.values()) for each in found],
    }
    steps = ["100 %", "100 %", f"{100 * found[0].share:.1f} %", f"{100 / len(means):.1f} %"]
    rows = []
    for (way, scores), share in zip(ways.items(), steps, strict=True):
        gaps = [score - each.test[best] for score, each in zip(scores, found, strict=True)]
        low, high = interval(gaps)
        gap = (
            "-"
            if way.startswith("best mean")
            else f"{statistics.mean(gaps):+.4f} ({low:+.4f} to {high:+.4f})"
        )
        rows.append([f"{data}, {len(found)} seeds", way, spread(scores), gap, share])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fashion", default="", help="folder of the four IDX files; empty: digits only")
    parser.add_argument("--only", default="", help="digits or fashion-mnist; the results of the other stay")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for data, settings in SETTINGS.items():
        if (data != "digits" and not arguments.fashion) or arguments.only not in ("", data):
            continue
        more = [f"data.path={arguments.fashion}"] if data != "digits" else []
        names, rejected = within(data, [*settings, *more])
        for seed in range(len(known(data)["seeds"]), arguments.seeds):
            found = one_seed(data, [*settings, *more], names, seed)
            seeds = [*known(data)["seeds"], asdict(found)]
            RAW.write_text(
                json.dumps(raw() | {data: {"rejected": rejected, "seeds": seeds}}, indent=1) + "\n"
            )
    write_page(raw(), arguments.seeds)


def raw() -> dict[str, Any]:
    """Return the results of all seeds so far; a repeated command trains only the seeds that are missing."""
    return json.loads(RAW.read_text()) if RAW.exists() else {}


def known(data: str) -> dict[str, Any]:
    return raw().get(data, {"rejected": [], "seeds": []})


def write_page(results: Mapping[str, Any], seeds: int) -> None:
    """Write the page of all results."""
    rows, notes = [], []
    for data, settings in SETTINGS.items():
        if data not in results:
            continue
        found = [Found(**each) for each in results[data]["seeds"]]
        rows += rows_of(data, found)
        picks = ", ".join(f"{each.by_search} (grid: {each.by_grid})" for each in found)
        rejected = "; ".join(results[data]["rejected"]) or "none"
        notes.append(
            f"- {data}, {len(found)} seeds, {len(found[0].test)} students: {', '.join(settings)}. "
            f"Rejected: {rejected}. Picks of the search, and of the grid's validation: {picks}."
        )
    header = ["data", "student", "test accuracy", "against the best mean", "steps"]
    command = f"python docs/benchmarks/search.py --fashion FOLDER --seeds {seeds}"
    (HERE / "search.md").write_text(
        f"# Does the search find the best student?\n\n```\n{command}\n```\n\n{versions()}\n\n"
        f"{markdown(header, rows)}\n\n{NOTE}\n\n" + "\n".join(notes) + "\n"
    )


NOTE = """Mean ± standard deviation over the seeds; in brackets, the 95 % interval of the mean paired
difference. The student with the best mean is known only after the whole grid was tested, and its lead is
partly luck. Validation samples choose in the second and the third row. The steps of the search include the
run of its pick. A repeated command trains only the seeds that are missing."""


if __name__ == "__main__":
    main()
