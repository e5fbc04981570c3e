"""Compare 1 view, 4 views and live views on Fashion-MNIST, by test accuracy.

python docs/benchmarks/views.py --data FOLDER --seeds 3

600 labels, the first 12,000 images, 12 epochs, one learning rate; all other settings are those of the recipe.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from in_process import distil
from tables import spread, write

HERE = Path(__file__).parent
SET = ("data.samples=12000", "train.epochs=12", "train.lr=1e-2")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, help="folder of the four IDX files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--views", nargs="+", default=["1", "4", "live"])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    common = [f"data.path={arguments.data}", *SET]
    distil("fashion-mnist", [*common, "views=4", "train.epochs=1"], baseline=False)  # fits and records
    scores: dict[str, list[float]] = {views: [] for views in arguments.views}
    seconds: dict[str, list[float]] = {views: [] for views in arguments.views}
    for seed in range(arguments.seeds):
        for views in arguments.views:
            started = time.perf_counter()
            report = distil(
                "fashion-mnist", [*common, f"views={views}", f"train.seed={seed}"], baseline=False
            )
            seconds[views].append(time.perf_counter() - started)
            scores[views].append(report["scores"]["student"]["accuracy"])
            print(views, seed, scores[views][-1], flush=True)
    base = statistics.median(seconds[arguments.views[0]])
    rows = [
        [
            views,
            spread(scores[views]),
            " ".join(f"{score:.4f}" for score in scores[views]),
            f"{statistics.median(seconds[views]) / base:.1f}",
        ]
        for views in arguments.views
    ]
    write(
        HERE / "views.md",
        "How many views to record",
        f"python docs/benchmarks/views.py --data FOLDER --seeds {arguments.seeds}",
        ["views", "test accuracy", "each seed", "time of a run, teachers recorded"],
        rows,
        "Mean ± standard deviation over the seeds. Times are ratios to the first row. With "
        "`views: 1` there is no augmentation. With `live` every epoch has new views, and the teachers run "
        "during training.",
    )


if __name__ == "__main__":
    main()
