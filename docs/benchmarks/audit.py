"""Check whether the audit finds a confidently wrong teacher and recommends a good strategy.

python docs/benchmarks/audit.py --fashion FOLDER [--work FOLDER] [--threads 1]

FOLDER contains the four gzipped files of Fashion-MNIST. The case is defined in wrong_teacher.py: 8,000
images, 600 labels, three good teachers and one that was trained on random labels. Runs `mtkd audit`, then
`mtkd compare` over strategies and three seeds, and writes audit.md and audit.json. Run it again with the
same --work to resume.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tables import markdown, versions
from wrong_teacher import recipe_in

from mtkd_cli.stats.paired_test import LEVEL, paired_t_test

HERE = Path(__file__).parent
STRATEGIES = "mean,weighted,confidence,consensus,stacking,majority,median"
SEEDS = "0,1,2"
STUDENT_ALONE = "student alone"
"""Name of the baseline in the output of `mtkd compare`."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fashion", required=True)
    parser.add_argument("--work", type=Path, default=Path("audit-benchmark"))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    recipe = recipe_in(work, str(Path(arguments.fashion).absolute()))
    threads = ["--threads", str(arguments.threads)]
    audit = mtkd(work, "audit", recipe.name, *threads)
    strategies = dict.fromkeys([*STRATEGIES.split(","), audit["recommended"]])
    grid = [f"strategy={','.join(strategies)}", f"train.seed={SEEDS}"]
    comparison = mtkd(work, "compare", recipe.name, *grid, *threads)
    kept = {
        "audit": {
            key: audit[key] for key in ("recommended", "findings", "strategies", "teachers", "left_out")
        },
        "comparison": {key: comparison[key] for key in ("metric", "test_samples", "rows")},
    }
    (HERE / "audit.json").write_text(json.dumps(kept, indent=1) + "\n")
    (HERE / "audit.md").write_text(page(audit, comparison))


def mtkd(work: Path, *arguments: str) -> dict[str, Any]:
    """Run a command in the working folder and return its JSON."""
    command = [sys.executable, "-m", "mtkd_cli", *arguments, "--json"]
    environment = {**os.environ, "MTKD_STORE": str(work / "store")}
    done = subprocess.run(command, cwd=work, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def page(audit: dict[str, Any], comparison: dict[str, Any]) -> str:
    by_name = {row["name"]: row for row in comparison["rows"]}
    ensembles = {row["name"]: row for row in audit["strategies"]}
    ranked = sorted(comparison["rows"], key=lambda row: -row["mean"])
    rows = []
    for row in ranked:
        found = ensembles.get(row["name"])
        verdict = row["against"].get(STUDENT_ALONE)
        rows.append(
            [
                f"**{row['name']}**"
                if row["name"] == audit["recommended"]
                else {STUDENT_ALONE: "baseline"}.get(row["name"], row["name"]),
                f"{found['score']['value']:.4f}" if found else "",
                f"{found['loss']['value']:.4f}" if found else "",
                f"{row['mean']:.4f} ± {row['deviation']:.4f}",
                f"{verdict['gain']:+.4f} {verdict['word']}" if verdict else "",
            ]
        )
    best, use = ranked[0], by_name[audit["recommended"]]
    test = paired_t_test([a - b for a, b in zip(best["scores"], use["scores"], strict=True)])
    within = "within the noise of" if test.p >= LEVEL else "significantly below"
    tested = [row for row in ranked if STUDENT_ALONE in row["against"]]
    sure = sum(row["against"][STUDENT_ALONE]["word"] == "BEATS" for row in tested)
    header = [
        "strategy",
        "ensemble's validation accuracy",
        "its loss",
        "student's test accuracy",
        "gain over the baseline",
    ]
    findings = "\n".join(
        f"- {found['severity']}: {found['sentence']} {found['action']}" for found in audit["findings"]
    )
    return f"""# The audit of a confidently wrong teacher

```
python docs/benchmarks/audit.py --fashion FOLDER
```

{versions()}

Fashion-MNIST, 8,000 training images, 600 labels (120 of them for validation), a student of 6,274
parameters. Three teachers were trained on all 8,000 labels. The fourth, `wrong`, was trained on random
labels, and its logits are scaled until it is confident (`wrong_teacher.py`). The audit, before any
student is trained, reports:

{findings}

The students, on {comparison["test_samples"]:,} test samples, mean ± standard deviation over
{len(use["scores"])} seeds. The strategy that the audit recommends is bold:

{markdown(header, rows)}

The student of the recommended strategy is {within} the best one (`{best["name"]}`): it is {test.gain:.4f}
below it, 95 % interval of the paired difference {test.low:+.4f} to {test.high:+.4f} over seeds. `mean`, which
the recipe's strategy, is {use["mean"] - by_name["mean"]["mean"]:.4f} below the recommended one. {sure} of
{len(tested)} strategies beat the baseline significantly: three seeds are enough for large differences only.
"""


if __name__ == "__main__":
    main()
