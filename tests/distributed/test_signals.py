"""Signals stop at a safe point, from the first line of the program to its last."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mtkd_cli.distributed import first_failure, launcher, signals

ROOT = Path(__file__).parents[2]
SEND = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:."},
        capture_output=True,
        text=True,
        check=False,
    )


def test_signal_does_not_stop_next_command() -> None:
    with pytest.raises(signals.Interrupted), signals.handle(), signals.defer() as stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping()
    with signals.defer() as stopping:
        assert not stopping()


@pytest.mark.parametrize("command", ["distill", "search"])
def test_signal_while_the_program_starts_is_reported_as_json(command: str) -> None:
    done = python(
        f"""
        import sys

        class Send:
            def find_spec(self, name, path=None, target=None):
                if name == "mtkd_cli.cli.app":
                    {SEND}

        sys.meta_path.insert(0, Send())
        from mtkd_cli.__main__ import main
        main()
        """,
        command,
        "digits",
        "--json",
    )
    assert done.returncode == 75, done.stderr
    assert json.loads(done.stdout)["error"]["code"] == "interrupted"
    assert not Path("runs").exists()


def test_signal_in_an_import_stops_after_it() -> None:
    """Libraries catch exceptions of their own imports, or do not survive them."""
    Path("swallows.py").write_text(f"try:\n    {SEND}\nexcept BaseException:\n    pass\nprint('imported')\n")
    done = python(
        """
        import time
        from mtkd_cli.distributed import signals
        signals.start()
        signals.started()
        try:
            import swallows
            time.sleep(60)
        except signals.Interrupted:
            print("stopped")
        """
    )
    assert done.stdout.split() == ["imported", "stopped"], done.stderr


def test_second_signal_in_an_import_stops_at_once() -> None:
    Path("long.py").write_text(f"{SEND}; {SEND}\nprint('imported')\n")
    program = """
        from mtkd_cli.distributed import signals
        signals.start()
        signals.started()
        try:
            import long
        except KeyboardInterrupt as stop:
            print(type(stop).__name__)
        """
    assert python(program).stdout.split() == ["KeyboardInterrupt"]


@pytest.mark.parametrize("last", ["atexit.register(send)", "threading.Thread(target=send).start()", ""])
def test_finished_program_ends_with_its_own_code(last: str) -> None:
    """Also while Python finalizes, when its own handlers are gone."""
    done = python(
        f"""
        import atexit, sys, threading
        from mtkd_cli.distributed import signals
        signals.start()

        def send(os=__import__("os")):
            os.kill(os.getpid(), 15)

        class Last:
            def __del__(self, send=send):
                send()

        last = Last()
        {last}
        signals.finish()
        send()
        sys.exit(7)
        """
    )
    assert done.returncode == 7, done.stderr


def test_launcher_does_not_call_a_finished_run_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def finish(*_: object) -> str:
        first_failure.mark_finished()
        raise signals.Interrupted

    monkeypatch.setattr(launcher, "_run_attempt", finish)
    assert launcher.launch((), 2, 1, "", 1, "run", "", print) == 0
