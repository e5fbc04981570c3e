"""The split on which a teacher is fitted and validated."""

import numpy as np
import pytest

from mtkd_cli.data.dataset import Dataset, load
from mtkd_cli.interfaces import Samples, SourceData
from mtkd_cli.recipe.schema import Data, Fit
from mtkd_cli.teachers.fit_split import MAX_HELD_OUT, create_fit_split


def dataset(samples: int, labels: int | None) -> tuple[Dataset, Data]:
    targets = np.sort(np.arange(samples) % 10)
    images = np.zeros((samples, 1, 2, 2), dtype=np.uint8)
    options = Data(name="x", labels=labels)
    source = SourceData(tuple("abcdefghij"), Samples(tuple(map(str, range(samples))), images, targets))
    return load(source, options), options


def test_holds_out_hidden_labels_of_every_class() -> None:
    data, options = dataset(1000, labels=100)
    chosen = create_fit_split(Fit(labels="all"), data, options)
    assert len(chosen.val.labeled) == len(chosen.held_out) == round(0.1 * len(data.all_labels.labeled))
    assert set(np.bincount(chosen.val.samples.targets)) == {
        len(chosen.held_out) // 10,
        len(chosen.held_out) // 10 + 1,
    }
    assert not set(chosen.held_out) & set(chosen.rows)
    assert set(chosen.held_out) | set(chosen.rows) == set(data.all_labels.labeled)
    assert not set(chosen.held_out) & set(data.train.labeled), "the student's labels are all trained on"
    assert [data.train.samples.ids[row] for row in chosen.held_out] == list(chosen.val.samples.ids)


def test_held_out_samples_do_not_reduce_steps() -> None:
    data, options = dataset(1000, labels=100)
    fit = Fit(labels="all", epochs=3, batch_size=10)
    assert create_fit_split(fit, data, options).steps(fit) == 3 * -(-len(data.all_labels.labeled) // 10)


def test_limits_held_out_samples() -> None:
    data, options = dataset(8000, labels=100)
    assert len(create_fit_split(Fit(labels="all"), data, options).held_out) == MAX_HELD_OUT


@pytest.mark.parametrize(
    ("labels", "seen"), [(100, "student"), (None, "all"), (None, "student"), (700, "all")]
)
def test_uses_data_validation_split_otherwise(labels: int | None, seen: str) -> None:
    data, options = dataset(1000, labels)
    chosen = create_fit_split(Fit(labels=seen), data, options)  # type: ignore[arg-type]
    assert chosen.val is data.val
    assert not len(chosen.held_out)
    expected = data.all_labels if seen == "all" else data.train
    assert np.array_equal(chosen.rows, expected.labeled)
