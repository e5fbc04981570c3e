"""Write fusion_oracle.json: random boxes merged by `ensemble-boxes` 1.0.9.

pip install ensemble-boxes==1.0.9 && python tests/plugins/mtkd_tasks/make_fusion_oracle.py

The package requires numba, so the tests use its stored results.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ensemble_boxes
import numpy as np

SEEDS = 5
TEACHERS = 3


def random_boxes(random: np.random.Generator, count: int = 12) -> list[list[float]]:
    """Return boxes of two classes, many of which overlap: x1, y1, x2, y2, score, label."""
    centers = np.array([[0.3, 0.3], [0.6, 0.6], [0.7, 0.3]])[random.integers(0, 3, count)]
    centers = centers + random.normal(0, 0.03, (count, 2))
    sides = random.uniform(0.2, 0.3, (count, 2))
    scores, labels = random.uniform(0, 1, (count, 1)), random.integers(0, 2, (count, 1))
    rows = np.concatenate([centers - sides / 2, centers + sides / 2, scores, labels], axis=1)
    return np.round(rows, 6).tolist()


def rows(boxes: Any, scores: Any, labels: Any) -> list[list[float]]:
    found = np.concatenate([boxes, scores[:, None].clip(max=1), labels[:, None]], axis=1)
    return np.round(found[np.argsort(-found[:, 4], kind="stable")], 6).tolist()


def main() -> None:
    cases = []
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        answers = [np.array(random_boxes(random)) for _ in range(TEACHERS)]

        def parts(answers: list[Any] = answers) -> tuple[list[Any], ...]:
            return [a[:, :4] for a in answers], [a[:, 4].copy() for a in answers], [a[:, 5] for a in answers]

        weighted = [[1 / TEACHERS] * TEACHERS, [0.5, 0.3, 0.2]]
        soft = ensemble_boxes.soft_nms(*parts(), iou_thr=0.5, sigma=0.5, thresh=0.1, method=2)
        cases.append(
            {
                "answers": [answer.tolist() for answer in answers],
                "wbf": [
                    {
                        "weights": w,
                        "boxes": rows(
                            *ensemble_boxes.weighted_boxes_fusion(*parts(), weights=w, iou_thr=0.55)
                        ),
                    }
                    for w in weighted
                ],
                "nms": rows(*ensemble_boxes.nms(*parts(), iou_thr=0.5)),
                # its soft-NMS returns the original scores, so only the kept boxes are compared
                "soft_kept": sorted(np.concatenate([soft[0], soft[2][:, None]], axis=1).round(6).tolist()),
            }
        )
    text = json.dumps(cases, separators=(",", ":")).replace('{"answers"', '\n{"answers"')
    Path(__file__).with_name("fusion_oracle.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
