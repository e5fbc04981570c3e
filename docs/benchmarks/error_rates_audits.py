"""Simulate findings and recommendations of audits."""

from __future__ import annotations

from collections.abc import Iterator

import error_rates_models as models
import numpy as np
from error_rates_share import drawn, percentile, share

from mtkd_cli import counter_rng
from mtkd_cli.audit.recommend import recommend
from mtkd_cli.audit.sure_findings import find_overconfident, harms_of
from mtkd_cli.report.audit_result import Change


def audits(simulations: int) -> Iterator[list[str]]:
    """Four calibrated teachers; then three of them and one with random predictions."""
    for samples in (20, 50, 100, 200):
        count = max(1, simulations // 4)
        before = after = found = found_before = 0
        for number in range(count):
            rng = counter_rng.generator("audit", samples, number)
            accused, accused_before = accusations(rng, samples, bad=False)
            after, before = after + bool(accused), before + bool(accused_before)
            accused, accused_before = accusations(rng, samples, bad=True)
            found, found_before = found + ("t3" in accused), found_before + ("t3" in accused_before)
        rates = [share(n, count) for n in (before, after, found_before, found)]
        yield [str(samples), *rates]


def accusations(rng: np.random.Generator, samples: int, bad: bool) -> tuple[set[str], set[str]]:
    """Return the teachers that mtkd reports, and those that plain percentile intervals report."""
    outputs, target = models.teachers(rng, samples, bad)
    together = models.outcome(models.mixed(outputs), target)
    changes, before = {}, set()
    for k in range(len(outputs)):
        rest = models.outcome(models.mixed([o for j, o in enumerate(outputs) if j != k]), target)
        gain, lower = rest.gain_over(together, True), rest.loss_gain_over(together)
        changes[f"t{k}"] = Change("mean", f"t{k}", gain, lower)
        counts = drawn(samples)
        score = (rest.measured.statistics[:, 0] - together.measured.statistics[:, 0]).double().numpy()
        loss = (together.measured.losses - rest.measured.losses).double().numpy()
        ends = [percentile(float(x.mean()), counts @ x / samples) for x in (score, loss)]
        if ends[0][1] >= 0 and (ends[0][0] > 0 or ends[1][0] > 0):
            before.add(f"t{k}")
    facts = models.facts(outputs, target)
    for teacher in facts:
        right = sum(share * n for _, share, n in teacher.reliability) / samples
        if sum(mean * n for mean, _, n in teacher.reliability) / samples - right > 0.1:
            before.add(teacher.name)
    return set(harms_of(changes)) | set(find_overconfident(facts)), before


def recommendations(simulations: int) -> Iterator[list[str]]:
    """Ten equally good strategies: recommendations of another one."""
    for samples in (20, 50, 200):
        count, before, after = max(1, simulations // 8), 0, 0
        for number in range(count):
            rng = counter_rng.generator("recommend", samples, number)
            outputs, target = models.teachers(rng, samples, False, 10)
            measured = {f"s{k}": models.outcome(output, target) for k, output in enumerate(outputs)}
            after += recommend(measured, "s0", True) != "s0"
            columns = [m.measured.statistics[:, 0].double().numpy() for m in measured.values()]
            best = columns[max(range(10), key=lambda k: (columns[k].mean(), -measured[f"s{k}"].loss.value))]
            gap = best - columns[0]
            before += percentile(float(gap.mean()), drawn(samples) @ gap / samples)[0] > 0
        yield ["10 equal strategies", str(samples), share(before, count), share(after, count)]
