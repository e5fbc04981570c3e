"""Measure the start-up CPU time of mtkd, compared with a hello-world Typer app.

Run it on a quiet machine: python docs/benchmarks/startup.py [--repetitions 21]
It prints the table of startup.md: the median of user plus system time. The commands run in turns, so that
changes in the machine's speed affect all of them.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

FIRST_STEP = """
import os, sys
from mtkd_cli.__main__ import main
from mtkd_cli.training import progress

progress.Progress.on_step = lambda *rest: os._exit(0)
sys.argv[1:] = ["distill", "digits", "--name", f"first-step-{os.getpid()}"]
main()
"""
"""mtkd distill digits up to the first training step, which is that of the first teacher's fit."""
IMPORTS = "import torch, torch._dynamo"
"""What no training with torch can do without: its optimizers import the second module."""

HELLO = """
import typer

app = typer.Typer()


@app.command()
def hello(name: str):
    print(f"Hello {name}")


app()
"""


def cpu_seconds(command: list[str], folder: str) -> float:
    """Run a command in a folder, with a new store there, and return the CPU time it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        environment = os.environ | {"MTKD_STORE": place}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # without bytecode, each start compiles mtkd
        subprocess.run(command, check=True, cwd=place, env=environment, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=21)
    repetitions = parser.parse_args().repetitions
    with tempfile.TemporaryDirectory() as folder:
        hello = Path(folder) / "hello.py"
        hello.write_text(HELLO)
        mtkd = [sys.executable, "-m", "mtkd_cli"]
        commands = {
            "hello-world --help": [sys.executable, str(hello), "--help"],
            "hello-world NAME": [sys.executable, str(hello), "you"],
            "mtkd --version": [*mtkd, "--version"],
            "mtkd --help": [*mtkd, "--help"],
            "mtkd list strategies": [*mtkd, "list", "strategies"],
            IMPORTS: [sys.executable, "-c", IMPORTS],
            "mtkd distill digits, to the first step": [sys.executable, "-c", FIRST_STEP],
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(repetitions + 1):
            for name, command in commands.items():
                taken[name].append(cpu_seconds(command, folder))
    median = {
        name: statistics.median(values[1:]) for name, values in taken.items()
    }  # the first one is a warm-up
    print(f"{repetitions} repetitions, {os.cpu_count()} cores, Python {platform.python_version()}, ", end="")
    print(
        ", ".join(f"{name} {version(name)}" for name in ("typer", "rich", "pluggy", "pydantic")), end="\n\n"
    )
    print("| command | CPU time, median | quartiles | ratio to hello-world --help |\n|---|---|---|---|")
    for name, value in median.items():
        low, _, high = statistics.quantiles(taken[name][1:], n=4)
        ratio = value / median["hello-world --help"]
        print(
            f"| `{name}` | {1000 * value:.0f} ms | {1000 * low:.0f} to {1000 * high:.0f} ms | {ratio:.2f} |"
        )


if __name__ == "__main__":
    main()
