"""What an audit means, in plain words, each sentence with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mtkd_cli.audit.facts import Advice, Audit, Change, TeacherFacts
from mtkd_cli.audit.recommend import best_of, only_heard
from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.stats import bootstrap
from mtkd_cli.stats.bootstrap import Estimate

SHOWN = 4
"""Names of classes that a sentence gives at most."""
OVERCONFIDENT = 0.1
"""Mean confidence above the share of right answers that is worth a sentence."""
REFERENCE = "mean"


def advice_of(audit: Audit, measured: Mapping[str, Outcome], alone: Sequence[Outcome]) -> Audit:
    """Return the audit with its advice, what matters most first."""
    use = audit.recommended
    lines = [
        *_strategy(audit, measured),
        *(line for teacher in audit.teachers for line in _teacher(audit, teacher)),
        *_best_teacher(audit, measured[use], alone),
        *_oracle(audit, measured[use]),
    ]
    return replace(audit, advice=tuple(lines))


def _strategy(audit: Audit, measured: Mapping[str, Outcome]) -> Iterator[Advice]:
    use, own, metric = audit.recommended, audit.configured, spelt(audit.metric)
    score = bootstrap.estimate(*measured[use].score)
    said = f"its ensemble has {metric} {span(score)} and loss {measured[use].loss[0]:.4f} on validation"
    if (heard := only_heard(measured[use])) is not None and len(audit.teachers) > 1:
        said += f", and hears hardly any teacher but {audit.teachers[heard].name}"
    evidence = {"score": vars(score), "loss": measured[use].loss[0]}
    if own not in measured:
        yield Advice(
            "strategy",
            f"use `{use}`: {said}; `{own}` follows the student, so only mtkd compare can tell",
            evidence,
        )
        return
    if use == own:
        yield Advice("strategy", f"keep `{use}`: {said}; no strategy is surely better", evidence)
        return
    gain = measured[use].gain_over(measured[own], audit.higher_is_better)
    lower = measured[use].loss_gain_over(measured[own])
    evidence |= {"gain": vars(gain), "loss_gain": vars(lower)}
    yield Advice(
        "strategy",
        f"use `{use}`: {said}; against the recipe's `{own}` it {_change(gain, lower, metric)}",
        evidence,
    )


def _teacher(audit: Audit, teacher: TeacherFacts) -> Iterator[Advice]:
    wrong = [c for c in teacher.classes if c.surely_wrong]
    out = {change.strategy: change for change in audit.left_out if change.teacher == teacher.name}
    reference = out.get(REFERENCE) or out.get(audit.configured)
    harm = _harm(audit, reference)
    if wrong:
        worst = ", ".join(
            f"{c.name}: right on {c.right:.2f}, confidence {c.confidence:.2f}" for c in wrong[:SHOWN]
        )
        of = f"{len(wrong)} of {len(teacher.classes)} classes"
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        sentence = f"teacher {teacher.name} is confidently wrong on {of} ({worst}{more})"
        yield Advice(
            "confidently wrong",
            f"{sentence}; {harm}" if harm else sentence,
            {"classes": [c.name for c in wrong], **_evidence(reference if harm else None)},
        )
        return
    if harm and reference:
        metric = f"{spelt(audit.metric)} {span(teacher.score)}"
        if reference.gain.low > 0:
            yield Advice(
                "harmful", f"teacher {teacher.name}, {metric}, does harm: {harm}", _evidence(reference)
            )
        else:
            text = f"teacher {teacher.name}, {metric}, raises the loss: {harm}"
            yield Advice("raises the loss", text, _evidence(reference))
    right = sum(share * count for _, share, count in teacher.reliability)
    sure = sum(confidence * count for confidence, _, count in teacher.reliability)
    count = sum(count for *_, count in teacher.reliability)
    if count and (sure - right) / count > OVERCONFIDENT:
        yield Advice(
            "overconfident",
            f"teacher {teacher.name} is overconfident: it says {sure / count:.2f} on average and is right on "
            f"{right / count:.2f}",
            {"confidence": sure / count, "right": right / count},
        )


def _harm(audit: Audit, change: Change | None) -> str:
    """Return in words that a strategy is surely better without a teacher; nothing if it is not."""
    if change is None or change.gain.high < 0 or not (change.gain.low > 0 or change.loss_gain.low > 0):
        return ""
    return f"without it `{change.strategy}` {_change(change.gain, change.loss_gain, spelt(audit.metric))}"


def _change(gain: Estimate, lower: Estimate, metric: str) -> str:
    """Return two differences in words that follow their intervals; positive is better."""
    score = _told(
        gain, f"gains {{}} {metric}", f"loses {{}} {metric}", f"does not surely change {metric}, {{}},"
    )
    loss = _told(
        lower, "lowers the loss by {}", "raises the loss by {}", "does not surely lower the loss, by {}"
    )
    return f"{score} and {loss}"


def _told(found: Estimate, better: str, worse: str, unsure: str) -> str:
    if not found.sure:
        return unsure.replace("{}", span(found, "+"))
    return better.replace("{}", span(found)) if found.low > 0 else worse.replace("{}", span(-found))


def _evidence(change: Change | None) -> dict[str, object]:
    if change is None:
        return {}
    return {"strategy": change.strategy, "gain": vars(change.gain), "loss_gain": vars(change.loss_gain)}


def _best_teacher(audit: Audit, ensemble: Outcome, alone: Sequence[Outcome]) -> Iterator[Advice]:
    """Say whether several teachers know more than the best one."""
    if len(alone) < 2:
        return
    best = best_of(alone, [teacher.name for teacher in audit.teachers], audit.higher_is_better)
    gain = ensemble.gain_over(alone[best], audit.higher_is_better)
    name, use = audit.teachers[best].name, audit.recommended
    if gain.low > 0:
        said = f"together they are better than the best teacher: `{use}` gains {span(gain)} over {name} alone"
    elif gain.high < 0:
        said = f"the best teacher alone, {name}, is better than `{use}` by {span(-gain)}"
    else:
        said = (
            f"`{use}` and the best teacher alone, {name}, cannot be told apart: "
            f"{spelt(audit.metric)} {span(gain, '+')}"
        )
    yield Advice("best teacher", said, {"teacher": name, "gain": vars(gain)})


def _oracle(audit: Audit, ensemble: Outcome) -> Iterator[Advice]:
    if audit.oracle and len(audit.teachers) > 1:
        yield Advice(
            "oracle",
            f"an oracle that always takes the right teacher would have {spelt(audit.metric)} "
            f"{span(audit.oracle)}; `{audit.recommended}` has {ensemble.score[0]:.4f}",
            {"oracle": vars(audit.oracle)},
        )


FLAT = 1e-3
"""Size below which four decimals show too little of a number."""


def span(found: Estimate, sign: str = "") -> str:
    """Return ``0.8712 (0.8512 to 0.8901)``; ``sign``: ``+`` writes it of positive numbers too."""
    kind = sign + digits(max(found.value, found.low, found.high, key=abs))
    return f"{found.value:{kind}} ({found.low:{kind}} to {found.high:{kind}})"


def digits(value: float) -> str:
    """Return how a number of that size is written: a share with four decimals, an error of 54.02 with two."""
    if abs(value) >= 10:
        return ".2f"
    return ".4f" if abs(value) >= FLAT or not value else ".4g"
