"""Compare the peak memory of recording 8 teachers and 1 teacher, each in a new process.

python docs/benchmarks/memory.py

The teachers are large enough to measure: `mlp:2048-2048-2048` on digits, each with its own checkpoint.
Eight of them in memory would exceed the limit of 1.2 times by far; mtkd loads one at a time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

MODEL = "mlp:2048-2048-2048"

RECIPE = """
task: classification
data: digits
teachers:
{teachers}
strategy: mean
student: mlp:16
views: 1
"""


def main() -> None:
    """Measure and print, or do the part that the arguments name."""
    match sys.argv[1:]:
        case ["checkpoints", count]:
            write_checkpoints(int(count))
        case ["record", count]:
            record(int(count))
        case _:
            compare()


def compare() -> None:
    one, eight, size = peaks()
    print(f"1 teacher {one:.0f} MiB, 8 teachers {eight:.0f} MiB: {eight / one:.3f} times")
    print(f"the weights of one: {size:.0f} MiB")


def peaks() -> tuple[float, float, float]:
    """Return the peaks with 1 and with 8 teachers, and the size of a teacher's weights, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run(["checkpoints", "8"], work)
        size = (work / "teacher-0.safetensors").stat().st_size / 2**20
        one, eight = (float(run(["record", count], work).splitlines()[-1]) for count in ("1", "8"))
    return one, eight, size


def run(arguments: list[str], work: Path) -> str:
    """Run this script in a new process, with its own store."""
    environment = {**os.environ, "MTKD_STORE": str(work / "-".join(arguments))}
    command = [sys.executable, str(Path(__file__).resolve()), *arguments]
    return subprocess.run(
        command, cwd=work, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def write_checkpoints(count: int) -> None:
    """Write the weights of ``count`` teachers into the current folder."""
    import torch

    from mtkd_cli.interfaces import ModelRequest
    from mtkd_cli.safe_loading import weights
    from mtkd_teachers.mlp import MlpProvider

    request = ModelRequest(MODEL.partition(":")[2], 1, 8, 10, pretrained=False)
    for number in range(count):
        torch.manual_seed(number)
        weights.write(Path(f"teacher-{number}.safetensors"), MlpProvider().build(request).module.state_dict())


def record(count: int) -> None:
    """Record ``count`` teachers as `mtkd record` does, then print the peak in MiB."""
    from mtkd_cli.plugin.registry import discover
    from mtkd_cli.recipe.reader import read
    from mtkd_cli.recipe.resolve import resolve
    from mtkd_cli.runs import pipeline
    from mtkd_cli.teachers import prepare
    from mtkd_cli.training.progress import Progress

    lines = [
        f"  - {{name: t{n}, model: '{MODEL}', checkpoint: teacher-{n}.safetensors}}" for n in range(count)
    ]
    Path("recipe.yaml").write_text(RECIPE.format(teachers="\n".join(lines)))
    registry = discover(third_party=False)
    parts = resolve(read("recipe.yaml", [], registry)[0], registry, "recipe.yaml")
    prepare.prepare_teachers(pipeline.prepare(parts, "cpu", Progress()), 1)
    # ru_maxrss includes the peak of the parent process, so read VmHWM instead.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    print(int(peak.split()[1]) / 1024)


if __name__ == "__main__":
    main()
