"""The verdict in one or two words, as the badge of a report shows it."""

from __future__ import annotations

from mtkd_cli.report.run_result import PrimaryMetric, Verdict

HELPED, UNCLEAR, HURT = "helped", "no clear difference", "hurt"
NO_INTERVAL, NO_BASELINE = "no claim", "no baseline"


def outcome_of(verdict: Verdict, metric: PrimaryMetric) -> str:
    """Return whether distillation helped, against the strongest fair baseline.

    `HELPED` and `HURT` only where the 95 % interval of the difference excludes 0.
    """
    if verdict.baseline is None:
        return NO_BASELINE
    if verdict.interval is None:
        return NO_INTERVAL
    low, high = verdict.interval if metric.higher_is_better else (-verdict.interval[1], -verdict.interval[0])
    return HELPED if low > 0 else HURT if high < 0 else UNCLEAR
