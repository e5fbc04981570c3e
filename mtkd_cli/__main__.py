"""Run mtkd: ``mtkd …`` and ``python -m mtkd_cli …``."""


def main() -> None:
    """Start the command line."""
    from mtkd_cli.cli.app import run

    run()


if __name__ == "__main__":
    main()
