"""What an audit means, in plain words, each sentence with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mtkd_cli.audit.recommend import best_of, only_heard
from mtkd_cli.audit.sure_findings import Harm, harms_of, overconfident
from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.plugin.alternatives import strategy_with
from mtkd_cli.report.audit_result import Advice, Audit, TeacherFacts
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.stats import jackknife
from mtkd_cli.stats.estimate import Estimate

SHOWN = 4
"""Names of classes that a sentence gives at most."""
FEWEST = jackknife.FEWEST
"""Labelled validation samples below which no advice is given: the loss has no interval then."""


def advice_of(audit: Audit, measured: Mapping[str, Outcome], alone: Sequence[Outcome]) -> Audit:
    """Return the audit with its advice, what matters most first."""
    if audit.samples < FEWEST:
        text = (
            f"no advice: {audit.samples} labelled validation samples are too few, it needs {FEWEST}; "
            "the tables show what was measured"
        )
        return replace(audit, advice=(Advice("too few labels", text, {"samples": audit.samples}),))
    names = {change.strategy for change in audit.left_out}
    uniform = strategy_with("uniform")
    reference = uniform if uniform in names else audit.configured
    harms = harms_of({change.teacher: change for change in audit.left_out if change.strategy == reference})
    surer = overconfident(audit.teachers)
    lines = [
        *_strategy(audit, measured),
        *(
            line
            for teacher in audit.teachers
            for line in _teacher(audit, teacher, harms.get(teacher.name), surer.get(teacher.name))
        ),
        *_best_teacher(audit, measured[audit.recommended], alone),
        *_oracle(audit, measured[audit.recommended]),
    ]
    return replace(audit, advice=tuple(lines))


def _strategy(audit: Audit, measured: Mapping[str, Outcome]) -> Iterator[Advice]:
    use, own, metric = audit.recommended, audit.configured, spelt(audit.metric)
    score = measured[use].score.estimate()
    said = f"its ensemble has {metric} {span(score)} and loss {measured[use].loss.value:.4f} on validation"
    if (heard := only_heard(measured[use])) is not None and len(audit.teachers) > 1:
        said += f", and hears hardly any teacher but {audit.teachers[heard].name}"
    evidence = {"score": vars(score), "loss": measured[use].loss.value}
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


def _teacher(
    audit: Audit, teacher: TeacherFacts, harm: Harm | None, surer: tuple[float, float] | None
) -> Iterator[Advice]:
    wrong = [c for c in teacher.classes if c.surely_wrong]
    told = _told_harm(harm, spelt(audit.metric)) if harm else ""
    if wrong:
        worst = ", ".join(
            f"{c.name}: right on {c.right:.2f}, confidence {c.confidence:.2f}" for c in wrong[:SHOWN]
        )
        of = f"{len(wrong)} of {len(teacher.classes)} classes"
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        sentence = f"teacher {teacher.name} is confidently wrong on {of} ({worst}{more})"
        yield Advice(
            "confidently wrong",
            f"{sentence}; {told}" if told else sentence,
            {"classes": [c.name for c in wrong], **_evidence(harm)},
        )
        return
    if harm:
        metric = f"{spelt(audit.metric)} {span(teacher.score)}"
        about, does = ("harmful", "does harm") if harm.score else ("raises the loss", "raises the loss")
        yield Advice(about, f"teacher {teacher.name}, {metric}, {does}: {told}", _evidence(harm))
    if surer:
        confidence, right = surer
        yield Advice(
            "overconfident",
            f"teacher {teacher.name} is overconfident: it says {confidence:.2f} on average and is right on "
            f"{right:.2f}",
            {"confidence": confidence, "right": right},
        )


def _told_harm(harm: Harm, metric: str) -> str:
    """Return in words what a strategy surely gains without a teacher."""
    change = harm.change
    return f"without it `{change.strategy}` {_change(change.gain, change.loss_gain, metric)}"


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


def _evidence(harm: Harm | None) -> dict[str, object]:
    if harm is None:
        return {}
    change = harm.change
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
            f"{span(audit.oracle)}; `{audit.recommended}` has {ensemble.score.value:.4f}",
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
