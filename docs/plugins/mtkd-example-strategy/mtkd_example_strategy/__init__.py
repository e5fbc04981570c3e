"""A plugin for mtkd, hooks only. mtkd imports this module to list strategies, so it must not import torch."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import AggregatorSpec, Option


@hookimpl
def mtkd_register_aggregators() -> list[AggregatorSpec]:
    """Describe the strategy; mtkd imports the class only when a recipe uses it."""
    return [
        AggregatorSpec(
            "lowest-error",
            "Per sample: weights fall exponentially with a teacher's error.",
            "mtkd_example_strategy.lowest_error:LowestError",
            options=(
                Option(
                    "tau",
                    float,
                    0.5,
                    "softmax temperature, in units of the error; near 0 only the best teacher counts",
                    minimum=1e-3,
                ),
            ),
            needs=("labels",),
            per_sample=True,  # a sample's weights depend on this sample only
            formula="w_k = softmax_k(-error_k / tau); unlabeled: 1/K",
            paper="an example",
        )
    ]
