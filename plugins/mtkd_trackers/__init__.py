"""The built-in trackers."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import TrackerSpec


@hookimpl
def mtkd_register_trackers() -> list[TrackerSpec]:
    """Return the built-in trackers."""
    return [
        TrackerSpec(
            "tensorboard",
            "Writes curves for TensorBoard to the run folder (extra: tensorboard).",
            "mtkd_trackers.tensorboard:TensorBoard",
        ),
    ]
