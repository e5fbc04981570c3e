"""Run mtkd: ``mtkd …`` and ``python -m mtkd_cli …``."""

import os
import sys

from mtkd_cli.distributed import signals

RESUMABLE = frozenset({"distill", "record", "compare", "audit", "search"})
"""Commands that a first signal stops such that they can be resumed."""
SPIN_COUNT = "1000"
"""How long an OpenMP thread spins before it sleeps, in iterations of some 50 ns.

The default of GCC's runtime is 300,000, which are milliseconds. If another program uses a core, threads wait
that long for each other after every operation. docs/benchmarks/threads.md shows the difference.
"""


def main() -> None:
    """Start the command line."""
    if RESUMABLE.intersection(sys.argv[1:]):
        signals.start()
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)  # read once, when torch is imported
    try:
        from mtkd_cli.cli.app import run

        run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
