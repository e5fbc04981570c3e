"""The verdict in a sentence: which baselines the student beats.

It claims a difference only if the printed 95 % interval excludes 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report.baseline_names import ALL_LABELS, FAIR, PHRASES, phrase_of
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.run_result import Margin, PrimaryMetric, Verdict

UNKNOWN = (-math.inf, math.inf)


def claim(
    metric: PrimaryMetric,
    student: float,
    against: Mapping[str, Margin],
    over: str,
    subject: str = "This student",
    no_interval: str = "",
    samples: int | None = None,
) -> Verdict:
    """Return the verdict: the margin to the strongest fair baseline, and a sentence about all of them.

    Args:
        metric: the primary metric.
        student: the student's score.
        against: the student beside each baseline, by kind.
        over: what the intervals are computed over, in words.
        subject: subject of the sentence.
        no_interval: reason why intervals are missing, for the sentence.
        samples: number of test samples, which limits the digits; None: four decimals.
    """
    sign = 1 if metric.higher_is_better else -1
    fair = {kind: margin for kind, margin in against.items() if kind in FAIR}
    strongest = max(fair, key=lambda kind: sign * fair[kind].score, default=None)
    samples = _with_visible_ends(student, fair, samples)
    sentence = _sentence(metric, student, fair, over, subject, no_interval, samples)
    if ALL_LABELS in against:
        reached = format_number(against[ALL_LABELS].score, student, samples=samples)
        sentence += (
            f" With all labels, the same student has {reached}: a reference that sees more labels, not a "
            "fair baseline."
        )
    if strongest is None:
        return Verdict(None, None, None, sentence, against)
    return Verdict(strongest, fair[strongest].difference, fair[strongest].interval, sentence, against)


def _sentence(
    metric: PrimaryMetric,
    student: float,
    fair: Mapping[str, Margin],
    over: str,
    subject: str,
    no_interval: str,
    samples: int | None,
) -> str:
    if not fair:
        return "No baseline was trained, so the gain is unknown."
    # only the first interval names what it is computed over
    overs = [f"95 % interval over {over} ", *[""] * len(fair)]
    numbers = [
        _numbers(kind, fair[kind], student, over, samples) for kind, over in zip(fair, overs, strict=False)
    ]
    scores = f"{spelt(metric.name)} {format_number(student, samples=samples)} against {' and '.join(numbers)}"
    if all(margin.interval is None for margin in fair.values()):
        return f"No claim, since {no_interval or 'there is no interval'}: {scores}."
    sign = 1 if metric.higher_is_better else -1
    # ends of the intervals, positive is better
    ends = {kind: [sign * end for end in margin.interval or UNKNOWN] for kind, margin in fair.items()}
    better = [kind for kind in fair if min(ends[kind]) > 0]
    worse = [kind for kind in fair if max(ends[kind]) < 0]
    unclear = [kind for kind in fair if kind not in better and kind not in worse]
    clauses = [
        f"{word} {_join_names(kinds, 'than')}"
        for word, kinds in (("better", better), ("worse", worse))
        if kinds
    ]
    claims = [f"{subject} is {' and '.join(clauses)}"] if clauses else []
    if unclear:
        claims.append(f"{'no' if claims else 'No'} clear difference {_join_names(unclear, 'to')}")
    return f"{'; '.join(claims)}: {scores}."


def _join_names(kinds: Iterable[str], word: str) -> str:
    return " and ".join(f"{word} {phrase_of(kind)}" for kind in kinds)


def _with_visible_ends(student: float, against: Mapping[str, Margin], samples: int | None) -> int | None:
    """Return the number of samples; None if its digits would round an end of an interval to 0."""
    ends = [end for margin in against.values() for end in margin.interval or ()]
    hidden = any(
        end and not float(format_number(end, student, samples=samples)) for end in ends if math.isfinite(end)
    )
    return None if hidden else samples


def _numbers(kind: str, margin: Margin, student: float, over: str, samples: int | None) -> str:
    """Return ``0.8776 alone (+0.0871; 95 % interval over test samples +0.0631 to +0.1112)``."""
    ends = ""
    if margin.interval:
        low, high = (format_number(end, student, "+", samples) for end in margin.interval)
        ends = f"; {over}{low} to {high}"
    score, difference = (
        format_number(margin.score, student, samples=samples),
        format_number(margin.difference, student, "+", samples),
    )
    return f"{score} {PHRASES[kind]} ({difference}{ends})"
