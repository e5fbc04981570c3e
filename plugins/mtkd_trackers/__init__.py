"""The built-in trackers."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import Option, TrackerSpec


@hookimpl
def mtkd_register_trackers() -> list[TrackerSpec]:
    """Return the built-in trackers."""
    return [
        TrackerSpec(
            "tensorboard",
            "Writes curves for TensorBoard to the run folder (extra: tensorboard).",
            "mtkd_trackers.tensorboard:TensorBoard",
        ),
        TrackerSpec(
            "wandb",
            "Logs curves and scores to Weights & Biases (extra: wandb).",
            "mtkd_trackers.wandb:WeightsAndBiases",
            options=(
                Option("project", str, "mtkd", "project of the run"),
                Option("entity", str, None, "user or team; default: that of the account"),
            ),
        ),
        TrackerSpec(
            "mlflow",
            "Logs parameters, curves and scores to MLflow (extra: mlflow).",
            "mtkd_trackers.mlflow:MLflow",
            options=(Option("experiment", str, "mtkd", "experiment of the run"),),
        ),
    ]
