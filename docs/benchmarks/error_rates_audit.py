"""Measure how often the findings of `mtkd audit` are false, and how often they find a bad teacher.

python docs/benchmarks/error_rates_audit.py [--simulations 400]

Simulates four equally good, calibrated teachers, and cases in which one of them is bad in a known way, calls
the functions of mtkd's audit, and counts their findings. Writes error_rates_audit.md. All random numbers come
from counters, so a row can be reproduced bit for bit.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import error_rates_models as models
import numpy as np
import torch
from scipy.stats import binomtest, spearmanr
from tables import markdown, versions
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.audit.answers import Answers
from mtkd_cli.audit.measure import folds_of
from mtkd_cli.audit.sure_findings import with_wrong_classes
from mtkd_cli.audit.teacher_tests import Ensembles, tests_of
from mtkd_cli.report.audit_result import Change, ClassFacts, PairFacts, TeacherFacts

HERE = Path(__file__).parent
LABELS = (20, 50, 200, 1000)
NAMES = models.TEN
ONE = "predicts one class"
PERMUTED = "permuted classes"
SOME = "helps on some classes"
REDUNDANT = "redundant"
WRONG = "confidently wrong"
HARMFUL = "harmful, raises the loss"
OVERCONFIDENT = "overconfident"
KINDS = (ONE, PERMUTED, SOME, REDUNDANT, WRONG, HARMFUL, OVERCONFIDENT)


def findings(outputs: list[Tensor], target: Tensor) -> dict[str, set[str]]:
    """Return the teachers that each kind of finding is about."""
    samples, names = len(target), [f"t{k}" for k in range(len(outputs))]
    together = models.outcome(models.mixed(outputs), target)
    without, changes = {}, {}
    for k, name in enumerate(names):
        without[name] = models.outcome(models.mixed([o for j, o in enumerate(outputs) if j != k]), target)
        gains = without[name].gain_over(together, True), without[name].loss_gain_over(together)
        changes[name] = Change("mean", name, *gains)
    facts = with_classes(models.facts(outputs, target), outputs, target)
    predicted = torch.stack([output.argmax(dim=1) for output in outputs]).numpy()
    answers = Answers(predicted, target.numpy(), np.ones(predicted.shape, dtype=bool), NAMES)
    found = tests_of(
        facts,
        pairs(outputs, target),
        Ensembles(together, without, changes),
        answers,
        folds_of(samples),
        samples,
        higher_is_better=True,
    )
    return {
        ONE: set(found.one_answer),
        PERMUTED: set(found.class_orders),
        SOME: set(found.helped),
        REDUNDANT: set(found.redundant),
        WRONG: {t.name for t in facts if any(c.surely_wrong for c in t.classes)},
        HARMFUL: set(found.harms),
        OVERCONFIDENT: set(found.overconfident),
    }


def with_classes(
    facts: list[TeacherFacts], outputs: list[Tensor], target: Tensor
) -> tuple[TeacherFacts, ...]:
    """Return the facts with confidently wrong classes."""
    p_values, rows = [], []
    for teacher, output in zip(facts, outputs, strict=True):
        confidence, predicted = output.softmax(dim=1).max(dim=1)
        classes, p_wrong = [], []
        for c, name in enumerate(NAMES):
            mine = target == c
            count, right = int(mine.sum()), int((predicted[mine] == c).sum())
            share, sure = (right / count, confidence[mine].mean().item()) if count else (None, None)
            classes.append(ClassFacts(name, count, share, share, sure, surely_wrong=False))
            p_wrong.append(binomtest(right, count, alternative="less").pvalue if count >= 5 else None)
        p_values.append(p_wrong)
        rows.append(TeacherFacts(**{**vars(teacher), "classes": tuple(classes)}))
    return with_wrong_classes(rows, p_values)


def pairs(outputs: list[Tensor], target: Tensor) -> list[PairFacts]:
    """Return the agreement and the correlation of errors of each pair."""
    losses = [torch.nn.functional.cross_entropy(output, target, reduction="none") for output in outputs]
    found = []
    for i, j in itertools.combinations(range(len(outputs)), 2):
        same = (outputs[i].argmax(dim=1) == outputs[j].argmax(dim=1)).float().mean().item()
        correlation = float(spearmanr(losses[i].numpy(), losses[j].numpy()).statistic)
        found.append(PairFacts((f"t{i}", f"t{j}"), same, correlation))
    return found


# Teachers; the last one (t3) is the bad one.

Draw = Callable[[np.random.Generator, int], tuple[list[Tensor], Tensor]]


def equal(rng: np.random.Generator, samples: int) -> tuple[list[Tensor], Tensor]:
    """Four equally good, calibrated teachers with independent evidence."""
    return models.teachers(rng, samples, bad=False)


def correlated(rng: np.random.Generator, samples: int) -> tuple[list[Tensor], Tensor]:
    """Four equally good teachers that share half of the variance of their evidence."""
    target = torch.from_numpy(rng.integers(0, 10, samples))
    truth = torch.nn.functional.one_hot(target, 10).double()
    shared = torch.from_numpy(rng.normal(size=(samples, 10)))
    strength, outputs = 2.6, []
    for _ in range(4):
        noise = (shared + torch.from_numpy(rng.normal(size=(samples, 10)))) / 2**0.5
        outputs.append((strength * (strength * truth + noise)).float())
    return outputs, target


def permuted(rng: np.random.Generator, samples: int) -> tuple[list[Tensor], Tensor]:
    """The classes of one teacher are in another order: six of ten are moved."""
    outputs, target = equal(rng, samples)
    outputs[-1] = outputs[-1][:, [1, 2, 0, 4, 5, 3, 6, 7, 8, 9]]
    return outputs, target


def one_class(rng: np.random.Generator, samples: int) -> tuple[list[Tensor], Tensor]:
    """One teacher predicts class 3 for nearly all samples."""
    outputs, target = equal(rng, samples)
    outputs[-1] = outputs[-1] + 12 * torch.nn.functional.one_hot(torch.tensor(3), 10)
    return outputs, target


def copied(rng: np.random.Generator, samples: int) -> tuple[list[Tensor], Tensor]:
    """One teacher is nearly a copy of another one."""
    outputs, target = equal(rng, samples)
    noise = torch.from_numpy(rng.normal(size=(samples, 10)))
    outputs[-1] = outputs[-2] + (0.3 * noise).float()
    return outputs, target


def specialist(rng: np.random.Generator, samples: int) -> tuple[list[Tensor], Tensor]:
    """One teacher is right on classes 0 and 1, which the others do not recognize, and random elsewhere."""
    outputs, target = equal(rng, samples)
    mine = (target < 2)[:, None]
    order = torch.from_numpy(rng.permutation(samples))
    for k in range(3):
        outputs[k] = torch.where(mine, outputs[k][:, [2, 3, 1, 0, 4, 5, 6, 7, 8, 9]] / 3, outputs[k] / 3)
    outputs[-1] = torch.where(mine, outputs[-1], outputs[-1][order]) * 2
    return outputs, target


BAD: dict[str, tuple[Draw, str]] = {
    "six of ten classes permuted": (permuted, PERMUTED),
    "predicts class 3": (one_class, ONE),
    "nearly a copy": (copied, REDUNDANT),
    "right on two classes only": (specialist, SOME),
}


def false_findings(simulations: int) -> Iterator[list[str]]:
    """Equally good teachers: percentage of audits with a finding of each kind, and with any."""
    for name, draw in (("independent", equal), ("correlated", correlated)):
        for labels in LABELS:
            count, any_ = dict.fromkeys(KINDS, 0), 0
            for number in range(simulations):
                found = findings(*draw(counter_rng.generator("audit", name, labels, number), labels))
                any_ += any(found.values())
                for kind, teachers in found.items():
                    count[kind] += bool(teachers)
            yield [name, str(labels), *(share(n, simulations) for n in (*count.values(), any_))]


def found_bad(simulations: int) -> Iterator[list[str]]:
    """One bad teacher: percentage of audits that find it, and that report another teacher."""
    for name, (draw, kind) in BAD.items():
        for labels in LABELS:
            found = other = 0
            count = max(1, simulations // 4)
            for number in range(count):
                each = findings(*draw(counter_rng.generator("bad", name, labels, number), labels))
                found += "t3" in each[kind]
                other += any(each[k] - {"t3"} for k in (ONE, PERMUTED, SOME))
            yield [name, str(labels), share(found, count), share(other, count)]


def share(count: int, of: int) -> str:
    """Return a percentage with the standard error of the simulation."""
    p = count / of
    return f"{100 * p:.1f} ± {100 * max(p * (1 - p), 1 / of) ** 0.5 / of**0.5:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=400)
    simulations = parser.parse_args().simulations
    torch.set_num_threads(1)
    tables = []
    for part in (false_findings, found_bad):
        tables.append([])
        for row in part(simulations):
            tables[-1].append(row)
            print(*row, sep=" | ", flush=True)
    (HERE / "error_rates_audit.md").write_text(page(*tables, simulations))


def page(false: list[list[str]], bad: list[list[str]], simulations: int) -> str:
    return PAGE.format(
        simulations=simulations,
        versions=versions(),
        false=markdown(["teachers", "labels", *KINDS, "any"], false),
        bad=markdown(["the bad teacher", "labels", "found", "another one reported"], bad),
    )


PAGE = """# How often an audit's finding is wrong

```
python docs/benchmarks/error_rates_audit.py --simulations {simulations}
```

{versions}

## Four equally good teachers

Ten classes, four calibrated teachers of the same quality. Percentage of audits that report at least one of
them, ± the standard error of the simulation. "Correlated" teachers share half of the variance of their
evidence. The nominal rate is 5 % for each kind.

{false}

## One bad teacher among four

Percentage of audits that find it, and of audits that report another teacher: as predicting one class, as
permuted, or as helping on some classes only. (In the last case the other three do confuse classes 0 and 1.)

{bad}

With 20 labels of ten classes there are two labels per class: about half of the permutations are found, and
single classes cannot be compared. Such an audit makes no statement about them.
"""


if __name__ == "__main__":
    main()
