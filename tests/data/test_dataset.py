"""Splits: nobody trains on a test sample, and hidden labels stay hidden."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtkd_cli.data.dataset import Dataset, load
from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Samples, SourceData
from mtkd_cli.recipe.schema import Data

quick = settings(deadline=None, max_examples=50)


def samples(per_class: Sequence[int], unlabelled: int = 0, prefix: str = "s") -> Samples:
    """Return that many samples of each class; every image is another."""
    targets = np.repeat([*range(len(per_class)), -1], [*per_class, unlabelled])
    n = len(targets)
    images = np.random.default_rng(n).integers(0, 256, (n, 1, 4, 4), dtype=np.uint8)
    return Samples(tuple(f"{prefix}{i}" for i in range(n)), images, targets, {"number": np.arange(n)})


def source(per_class: Sequence[int], unlabelled: int = 0) -> SourceData:
    return SourceData(tuple("abcdefghij"[: len(per_class)]), samples(per_class, unlabelled))


def counts(data: Dataset, split: str) -> list[int]:
    targets = getattr(data, split).samples.targets
    return np.bincount(targets[targets >= 0], minlength=len(data.classes)).tolist()


def test_shares_of_every_class_go_to_test_and_validation() -> None:
    data = load(source([90, 10]), Data(name="x", val=0.25, test=0.2))
    assert counts(data, "test") == [18, 2]
    assert counts(data, "val") == [18, 2]
    assert counts(data, "train") == [54, 6]


@quick
@given(
    per_class=st.lists(st.integers(8, 30), min_size=2, max_size=5),
    unlabelled=st.integers(0, 9),
    labels=st.none() | st.integers(12, 16),
    seed=st.integers(0, 99),
)
def test_no_sample_is_in_two_splits_and_none_is_lost(
    per_class: list[int], unlabelled: int, labels: int | None, seed: int
) -> None:
    given_ = source(per_class, unlabelled)
    data = load(given_, Data(name="x", labels=labels, seed=seed))
    ids = [name for split in data.splits for name in split.samples.ids]
    assert sorted(ids) == sorted(given_.train.ids)
    place = {name: i for i, name in enumerate(given_.train.ids)}
    for split in (*data.splits, data.all_labels):
        rows = [place[name] for name in split.samples.ids]
        assert np.array_equal(split.samples.read(slice(None)), given_.train.inputs[rows])
        assert np.array_equal(split.samples.metadata["number"], rows)
        seen = split.samples.targets >= 0
        assert np.array_equal(split.samples.targets[seen], given_.train.targets[rows][seen])


def test_the_labels_that_are_kept_count_validation_too_and_are_even_over_the_classes() -> None:
    data = load(source([50, 50, 50, 50]), Data(name="x", labels=40, val=0.2, test=0.2))
    assert counts(data, "val") == [2] * 4
    assert counts(data, "train") == [8] * 4
    assert counts(data, "test") == [10] * 4


def test_hidden_labels_are_minus_one_but_there_for_teachers_that_may_see_them() -> None:
    data = load(source([50, 50]), Data(name="x", labels=20))
    assert len(data.train.labelled) == 16
    assert len(data.train) == 76
    assert (np.delete(data.train.samples.targets, data.train.labelled) == -1).all()
    assert len(data.all_labels.labelled) == 76
    assert data.all_labels.samples.ids == data.train.samples.ids
    assert data.all_labels.digest == data.train.digest


def test_without_a_budget_every_label_is_seen() -> None:
    data = load(source([50, 50], unlabelled=7), Data(name="x"))
    assert len(data.train.labelled) == len(data.train) - 7


def test_splits_of_the_source_are_kept() -> None:
    apart = SourceData(
        ("a", "b"), samples([30, 30]), samples([10, 10], prefix="v"), samples([5, 5], prefix="t")
    )
    data = load(apart, Data(name="x", val=0.5, test=0.5))
    assert [split.samples.ids for split in data.splits] == [
        apart.train.ids,
        apart.val.ids if apart.val else (),
        apart.test.ids if apart.test else (),
    ]


def test_the_budget_counts_labels_of_a_validation_split_of_the_source() -> None:
    apart = SourceData(("a", "b"), samples([30, 30]), samples([10, 10], prefix="v"))
    data = load(apart, Data(name="x", labels=20, val=0.2))
    assert counts(data, "val") == [2, 2]
    assert counts(data, "train") == [8, 8]


def test_data_seed_alone_decides_the_splits() -> None:
    def ids(seed: int) -> list[tuple[str, ...]]:
        data = load(source([40, 40]), Data(name="x", labels=20, seed=seed))
        kept = tuple(data.train.samples.ids[i] for i in data.train.labelled)
        return [*(split.samples.ids for split in data.splits), kept]

    assert ids(0) == ids(0)
    assert all(first != second for first, second in zip(ids(0), ids(1), strict=True))


def test_another_budget_keeps_the_same_test_samples() -> None:
    few, many = (load(source([40, 40]), Data(name="x", labels=labels)) for labels in (10, 40))
    assert few.test.samples.ids == many.test.samples.ids


def test_the_digest_is_of_ids_and_images_not_of_labels() -> None:
    base = samples([40, 40])

    def digest(train: Samples) -> str:
        return load(
            SourceData(("a", "b"), train, samples([5, 5], prefix="v"), samples([5, 5], prefix="t")),
            Data(name="x"),
        ).train.digest

    changed = base.inputs.copy()
    changed[3, 0, 1, 1] ^= 1
    renamed = ("other", *base.ids[1:])
    assert digest(Samples(base.ids, base.inputs, 1 - base.targets)) == digest(base)
    assert digest(Samples(base.ids, changed, base.targets)) != digest(base)
    assert digest(Samples(renamed, base.inputs, base.targets)) != digest(base)


def test_statistics_are_those_of_the_training_images() -> None:
    data = load(source([40, 40]), Data(name="x"))
    pixels = data.train.samples.read(slice(None)) / 255
    assert data.input.mean == pytest.approx((pixels.mean(),), abs=1e-5)
    assert data.input.std == pytest.approx((pixels.std(),), abs=1e-5)
    assert (data.input.size, data.input.channels) == (4, 1)


def test_constant_images_have_a_deviation_to_divide_by() -> None:
    black = source([20, 20])
    black.train.inputs[:] = 0
    assert load(black, Data(name="x")).input.std[0] > 0


def test_a_sample_in_two_splits_is_named() -> None:
    train = samples([10, 10])
    with pytest.raises(DataError, match="'s3' stands twice") as error:
        load(SourceData(("a", "b"), train, test=train.take(np.array([3]))), Data(name="x"))
    assert error.value.where == "train and test"


def test_a_name_that_stands_twice_in_one_split_is_named() -> None:
    with pytest.raises(DataError, match="'s3' stands twice"):
        load(SourceData(("a", "b"), samples([10, 10]).take(np.array([3, 4, 3]))), Data(name="x"))


@pytest.mark.parametrize("label", [2, -2])
def test_a_label_out_of_range_is_named_with_its_sample(label: int) -> None:
    bad = source([10, 10])
    bad.train.targets[5] = label
    with pytest.raises(DataError, match=f"label {label} is outside the 2 classes") as error:
        load(bad, Data(name="x"))
    assert error.value.where == "train, sample s5"


def test_more_labels_than_there_are_is_an_error() -> None:
    with pytest.raises(DataError, match=r"data.labels is 100, but only 16 samples are labelled"):
        load(source([10, 10]), Data(name="x", labels=100))


def test_an_empty_split_is_named() -> None:
    empty = samples([]).take(np.array([], dtype=np.int64))
    with pytest.raises(DataError, match="the val split is empty"):
        load(SourceData(("a", "b"), samples([10, 10]), val=empty), Data(name="x"))


@pytest.mark.parametrize(
    ("options", "name"),
    [({"val": 0.0}, "val"), ({"test": 0.0}, "test"), ({"labels": 2, "val": 0.9}, "train")],
)
def test_a_split_without_labels_is_named(options: dict[str, float], name: str) -> None:
    with pytest.raises(DataError, match=f"the {name} split has no labelled sample"):
        load(source([10, 10]), Data(name="x", **options))  # type: ignore[arg-type]
