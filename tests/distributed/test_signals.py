"""A signal ends what it was sent to, and nothing after it."""

import os
import signal

import pytest

from mtkd_cli.distributed import signals


def test_a_signal_to_one_command_does_not_stop_the_next_in_the_same_process() -> None:
    with pytest.raises(signals.Interrupted), signals.handled(), signals.deferred() as stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping()
    with signals.deferred() as stopping:
        assert not stopping()
