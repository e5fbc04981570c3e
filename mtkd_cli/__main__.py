"""Run mtkd: ``mtkd …`` and ``python -m mtkd_cli …``."""


def main() -> None:
    """Start the command line."""
    try:
        from mtkd_cli.cli.app import run

        run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
