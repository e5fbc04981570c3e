"""Few labels: the distilled student compared with the same student trained without teachers.

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
from tables import interval, spread, write

HERE = Path(__file__).parent
HEADER = [
    "labels",
    "alone",
    "pseudo-labels",
    "**distilled**",
    "all labels",
    "ensemble",
    "gain over alone",
    "gain over pseudo-labels",
]
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
            report = distil(arguments.recipe, changes, "all")
            scores = scores_of(report)
            raw[labels].append({"scores": scores, "data": report["data"], "metric": report["metric"]})
            everyone = {"student": scores["student"], **scores["baselines"]}
            shown = {who: row[report["metric"]["name"]] for who, row in everyone.items()}
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
        HEADER,
        [row(labels, reports) for labels, reports in raw.items()],
        note(raw[arguments.labels[0]][0]),
    )


def note(report: dict[str, Any]) -> str:
    name = report["metric"]["name"]
    return (
        f"{NAMES.get(name, name)} on {report['data']['test']:,} test samples, mean ± standard deviation over "
        "the seeds; gains with Student's 95 % interval over the paired differences. All students have "
        f"{report['scores']['student']['parameters']:,} parameters and the same number of steps. *Alone*, "
        "*pseudo-labels* and *distilled* have the same labels (a fraction of them for validation) and choose "
        "from the same learning rates on validation; *pseudo-labels* learns the unlabeled samples without a "
        "teacher. *All labels* is a reference: the student trained on the labels that the teachers "
        "were fitted on, hidden from the others, at the rate chosen for *alone*. A dash: every training "
        "sample has a label."
    )


def row(labels: int, reports: list[dict[str, Any]]) -> list[Any]:
    name = reports[0]["metric"]["name"]
    students = [report["scores"]["student"][name] for report in reports]

    def baseline(kind: str) -> list[float]:
        return [r["scores"]["baselines"][kind][name] for r in reports if kind in r["scores"]["baselines"]]

    return [
        labels,
        *(
            spread(scores) if scores else "-"
            for scores in (baseline("alone"), baseline("pseudo-labels"), students, baseline("all-labels"))
        ),
        f"{statistics.mean(report['scores']['ensemble'][name] for report in reports):.4f}",
        *(gain(students, baseline(kind)) for kind in ("alone", "pseudo-labels")),
    ]


def gain(students: list[float], baselines: list[float]) -> str:
    """Return the mean of the paired differences and its interval."""
    if not baselines:
        return "-"
    gains = [mine - theirs for mine, theirs in zip(students, baselines, strict=True)]
    low, high = interval(gains)
    return f"{statistics.mean(gains):+.4f} ({low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
