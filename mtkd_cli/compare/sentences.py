"""A test of a method against an opponent, in words."""

from __future__ import annotations

from dataclasses import replace

from mtkd_cli.interfaces.significant_digits import format_number, round_or_none, round_significant
from mtkd_cli.report.comparison_lead import no_interval
from mtkd_cli.report.comparison_result import Against, Row
from mtkd_cli.stats.paired_test import FEWEST_SEEDS
from mtkd_cli.stats.sequential import MOST_SEEDS, Look
from mtkd_cli.stats.verdict import INCONCLUSIVE, Verdict


def against(row: Row, opponent: str, verdict: Verdict, metric: str, look: Look) -> Against:
    """Return a test of a method against an opponent, with its sentence.

    Args:
        row: the method.
        opponent: name of the opponent.
        verdict: the test.
        metric: name of the metric in sentences.
        look: the seeds of the comparison, and those that were compared before.
    """
    test = verdict.paired
    found = Against(
        word=verdict.word,
        seeds=test.seeds,
        gain=round_significant(test.gain),
        p_holm=round_significant(verdict.p_holm),
        sentence="",
        deviation=round_or_none(test.deviation),
        low=round_or_none(test.low),
        high=round_or_none(test.high),
        p=round_or_none(test.p),
        seeds_to_settle=verdict.seeds_to_settle,
    )
    return replace(found, sentence=_sentence(row, opponent, found, metric, look))


def _sentence(row: Row, opponent: str, test: Against, metric: str, look: Look) -> str:
    gain, low, high = (format_number(part, row.mean, "+") for part in (test.gain, test.low, test.high))
    is_sure = test.word != INCONCLUSIVE
    verdict = f"{test.word} the {opponent}" if is_sure else f"against the {opponent}: {test.word}"
    sentence = f"{row.name} {verdict}: gain {gain} {metric}"
    if test.seeds < FEWEST_SEEDS:
        return f"{sentence}; {no_interval(test.seeds)}"
    sentence += f", 95 % interval {low} to {high}, p {test.p_holm:.3g} after Holm"
    if is_sure:
        return sentence
    sentence += f" (needs less than {look.level:.3g})"
    if test.seeds_to_settle:
        return f"{sentence}; about {test.seeds_to_settle} seeds are likely to settle it"
    return f"{sentence}; up to {MOST_SEEDS} seeds are not likely to settle it"
