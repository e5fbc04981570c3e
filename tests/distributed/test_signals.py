"""Signal handling and deferral."""

import os
import signal

import pytest

from mtkd_cli.distributed import signals


def test_signal_does_not_stop_next_command() -> None:
    with pytest.raises(signals.Interrupted), signals.handle(), signals.defer() as stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping()
    with signals.defer() as stopping:
        assert not stopping()
