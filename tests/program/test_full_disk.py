"""A disk that is really full loses nothing, and with room the run goes on to the same bits."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program.small_run import START

ROOT = Path(__file__).parents[2]
SMALL_DISK = "mount -t tmpfs -o size=1m tmpfs disk && exec "
ON_IT = """
import json, os, shutil, subprocess, sys
from pathlib import Path
from typer.testing import CliRunner
from mtkd_cli.training import checkpointing as keeper; from mtkd_cli.safe_loading import weights
from mtkd_cli.cli import app

keeper.MIN_INTERVAL_RATIO = 0.0
start = json.loads(sys.argv[1])

def mtkd(*arguments):
    result = CliRunner().invoke(app.create(), arguments)
    return {"code": result.exit_code, "said": result.stderr}

def student():
    return Path("runs/run/student.safetensors").read_bytes().hex()

told = {"roomy": mtkd(*start), "student": student()}
os.chdir("disk")
filler = Path("filler")
filler.write_bytes(b"x" * (shutil.disk_usage(".").free - 24_576))
told["full"] = mtkd(*start)
told["left"] = [str(path) for path in Path("runs").rglob("*.partial")]
filler.unlink()
told["again"] = mtkd(*start, "--auto-resume")
told["same"] = student() == told.pop("student")
os.environ["MTKD_STORE"] = "store"
filler.write_bytes(b"x" * (shutil.disk_usage(".").free - 8_192))
told["store"] = mtkd("record", *start[1:-4])
filler.unlink()
subprocess.run(["mount", "-o", "remount,ro", "."], check=True)
told["read-only"] = mtkd(*start, "--auto-resume", "train.epochs=4")
print(json.dumps(told))
"""


@pytest.mark.slow
def test_a_disk_that_is_really_full_loses_nothing(tmp_path: Path) -> None:
    """Mounts a small disk in a namespace of its own, which needs a system that lets one do so."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "on_it.py").write_text(ON_IT)
    done = subprocess.run(
        [
            "unshare",
            "-Urm",
            "sh",
            "-c",
            SMALL_DISK + '"$@"',
            "sh",
            sys.executable,
            "on_it.py",
            json.dumps(START),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "MTKD_STORE": str(tmp_path / "store"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["roomy"]["code"] == 0, told["roomy"]["said"]
    assert told["full"]["code"] == 3, told["full"]["said"]
    assert "bytes are needed" in told["full"]["said"]
    assert not told["left"]
    assert told["again"]["code"] == 0, told["again"]["said"]
    assert told["same"]
    assert told["read-only"]["code"] == 3
    assert os.strerror(errno.EROFS) in told["read-only"]["said"]
    assert told["store"]["code"] == 3
    assert "bytes" in told["store"]["said"]
