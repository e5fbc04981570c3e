"""Few labels: the distilled student compared with the baseline.

python docs/benchmarks/few_labels.py --recipe digits --labels 50 100 200 1258 --seeds 5
python docs/benchmarks/few_labels.py --recipe fashion-mnist --labels 600 --seeds 3 --set data.path=FOLDER
python docs/benchmarks/few_labels.py --recipe digit-scenes-det --labels 60 --seeds 3

Writes RECIPE.md and RECIPE.json. The seeds change the initial weights, the order of the samples and the
dropout of the students. Splits, teachers and recorded outputs are those of the recipe.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch
from in_process import distil, scores_of
from tables import interval, write

HERE = Path(__file__).parent
NAMES = {"accuracy": "Accuracy", "map": "mAP (mean over overlaps of 0.5 to 0.95)"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--labels", type=int, nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--first-seed", type=int, default=0, help="first seed; use one that was not used to choose settings"
    )
    parser.add_argument("--set", nargs="*", default=[], help="overrides for every run")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    raw: dict[int, list[dict[str, Any]]] = {}
    for labels in arguments.labels:
        raw[labels] = []
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            changes = [f"data.labels={labels}", f"train.seed={seed}", *arguments.set]
            report = distil(arguments.recipe, changes)
            scores = scores_of(report)
            raw[labels].append({"scores": scores, "data": report["data"], "metric": report["metric"]})
            shown = {who: scores[who][report["metric"]["name"]] for who in ("student", "alone")}
            print(labels, seed, shown, flush=True)
    publish(arguments, raw)


def publish(arguments: argparse.Namespace, raw: dict[int, list[dict[str, Any]]]) -> None:
    """Write the page, and the reports as JSON by number of labels."""
    (HERE / f"{arguments.recipe}.json").write_text(json.dumps(raw, indent=1) + "\n")
    changes = [change for change in arguments.set if not change.startswith("data.path")]
    write(
        HERE / f"{arguments.recipe}.md",
        f"{arguments.recipe} with few labels",
        f"python docs/benchmarks/few_labels.py --recipe {arguments.recipe} --labels "
        f"{' '.join(map(str, arguments.labels))} --seeds {arguments.seeds}"
        + (f" --first-seed {arguments.first_seed}" if arguments.first_seed else "")
        + (f" --set {' '.join(changes)}" if changes else ""),
        ["labels", "baseline", "distilled student", "ensemble", "best teacher", "gain", "95 % interval"],
        [row(labels, reports) for labels, reports in raw.items()],
        note(raw[arguments.labels[0]][0]),
    )


def note(report: dict[str, Any]) -> str:
    name = report["metric"]["name"]
    return (
        f"{NAMES.get(name, name)} on {report['data']['test']:,} test samples, mean ± standard deviation over "
        f"the seeds. The interval is Student's t over the paired gains. Both students have "
        f"{report['scores']['student']['parameters']:,} parameters, the same labels (a share of them for "
        "validation), the same number of steps, and select from the same learning rates on validation. The "
        "baseline sees a new view of each labeled sample in every epoch. The teachers were fitted on all "
        "training labels, including those hidden from the students."
    )


def row(labels: int, reports: list[dict[str, Any]]) -> list[Any]:
    name, choose = reports[0]["metric"]["name"], max if reports[0]["metric"]["higher_is_better"] else min

    def scores(who: str) -> list[float]:
        return [report["scores"][who][name] for report in reports]

    alone, student = scores("alone"), scores("student")
    gains = [a - b for a, b in zip(student, alone, strict=True)]
    low, high = interval(gains)
    teachers = reports[0]["scores"]["teachers"].values()
    return [
        labels,
        *(f"{statistics.mean(s):.4f} ± {statistics.stdev(s):.4f}" for s in (alone, student)),
        f"{statistics.mean(scores('ensemble')):.4f}",
        f"{choose(teacher[name] for teacher in teachers):.4f}",
        f"{statistics.mean(gains):+.4f}",
        f"{low:+.4f} to {high:+.4f}",
    ]


if __name__ == "__main__":
    main()
