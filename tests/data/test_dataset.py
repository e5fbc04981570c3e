"""Splits, hidden labels, statistics and digests."""

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


def samples(per_class: Sequence[int], unlabeled: int = 0, prefix: str = "s") -> Samples:
    """Return that many samples of each class; every image is another."""
    targets = np.repeat([*range(len(per_class)), -1], [*per_class, unlabeled])
    n = len(targets)
    images = np.random.default_rng(n).integers(0, 256, (n, 1, 4, 4), dtype=np.uint8)
    return Samples(tuple(f"{prefix}{i}" for i in range(n)), images, targets, {"number": np.arange(n)})


def source(per_class: Sequence[int], unlabeled: int = 0) -> SourceData:
    return SourceData(tuple("abcdefghij"[: len(per_class)]), samples(per_class, unlabeled))


def counts(data: Dataset, split: str) -> list[int]:
    targets = getattr(data, split).samples.targets
    return np.bincount(targets[targets >= 0], minlength=len(data.classes)).tolist()


def test_splits_are_stratified() -> None:
    data = load(source([90, 10]), Data(name="x", val=0.25, test=0.2))
    assert counts(data, "test") == [18, 2]
    assert counts(data, "val") == [18, 2]
    assert counts(data, "train") == [54, 6]


@quick
@given(
    per_class=st.lists(st.integers(8, 30), min_size=2, max_size=5),
    unlabeled=st.integers(0, 9),
    labels=st.none() | st.integers(12, 16),
    seed=st.integers(0, 99),
)
def test_splits_partition_samples(
    per_class: list[int], unlabeled: int, labels: int | None, seed: int
) -> None:
    given_ = source(per_class, unlabeled)
    data = load(given_, Data(name="x", labels=labels, seed=seed))
    ids = [name for split in data.splits for name in split.samples.ids]
    assert sorted(ids) == sorted(given_.train.ids)
    place = {name: i for i, name in enumerate(given_.train.ids)}
    for split in (*data.splits, data.all_labels):
        rows = [place[name] for name in split.samples.ids]
        assert rows == sorted(rows), (
            "in the order of the source, so that recording reads shards from start to end"
        )
        assert np.array_equal(split.samples.read(slice(None)), given_.train.inputs[rows])
        assert np.array_equal(split.samples.metadata["number"], rows)
        seen = split.samples.targets >= 0
        assert np.array_equal(split.samples.targets[seen], given_.train.targets[rows][seen])


def test_label_budget_includes_validation_and_is_even_over_classes() -> None:
    data = load(source([50, 50, 50, 50]), Data(name="x", labels=40, val=0.2, test=0.2))
    assert counts(data, "val") == [2] * 4
    assert counts(data, "train") == [8] * 4
    assert counts(data, "test") == [10] * 4


def test_hides_labels_except_in_all_labels() -> None:
    data = load(source([50, 50]), Data(name="x", labels=20))
    assert len(data.train.labeled) == 16
    assert len(data.train) == 76
    assert (np.delete(data.train.samples.targets, data.train.labeled) == -1).all()
    assert len(data.all_labels.labeled) == 76
    assert data.all_labels.samples.ids == data.train.samples.ids
    assert data.all_labels.digest == data.train.digest


def test_no_budget_keeps_every_label() -> None:
    data = load(source([50, 50], unlabeled=7), Data(name="x"))
    assert len(data.train.labeled) == len(data.train) - 7


def test_keeps_splits_of_source() -> None:
    apart = SourceData(
        ("a", "b"), samples([30, 30]), samples([10, 10], prefix="v"), samples([5, 5], prefix="t")
    )
    data = load(apart, Data(name="x", val=0.5, test=0.5))
    assert [split.samples.ids for split in data.splits] == [
        apart.train.ids,
        apart.val.ids if apart.val else (),
        apart.test.ids if apart.test else (),
    ]


def test_label_budget_counts_training_labels_beside_source_validation() -> None:
    apart = SourceData(
        ("a", "b"), samples([30, 30]), samples([10, 10], prefix="v"), samples([5, 5], prefix="t")
    )
    data = load(apart, Data(name="x", labels=20, val=0.2))
    assert counts(data, "val") == [10, 10]
    assert counts(data, "train") == [10, 10]
    every = load(apart, Data(name="x", labels=60))
    assert counts(every, "train") == [30, 30]
    with pytest.raises(DataError, match=r"data.labels is 61, but only 60 training samples are labeled"):
        load(apart, Data(name="x", labels=61))


def test_splits_depend_on_data_seed_only() -> None:
    def ids(seed: int) -> list[tuple[str, ...]]:
        data = load(source([40, 40]), Data(name="x", labels=20, seed=seed))
        kept = tuple(data.train.samples.ids[i] for i in data.train.labeled)
        return [*(split.samples.ids for split in data.splits), kept]

    assert ids(0) == ids(0)
    assert all(first != second for first, second in zip(ids(0), ids(1), strict=True))


def test_budget_does_not_change_test_split() -> None:
    few, many = (load(source([40, 40]), Data(name="x", labels=labels)) for labels in (10, 40))
    assert few.test.samples.ids == many.test.samples.ids


def test_digest_ignores_labels() -> None:
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


def test_statistics_match_training_images() -> None:
    data = load(source([40, 40]), Data(name="x"))
    pixels = data.train.samples.read(slice(None)) / 255
    assert data.input.mean == pytest.approx((pixels.mean(),), abs=1e-5)
    assert data.input.std == pytest.approx((pixels.std(),), abs=1e-5)
    assert (data.input.size, data.input.channels) == (4, 1)


def test_constant_images_have_nonzero_deviation() -> None:
    black = source([20, 20])
    black.train.inputs[:] = 0
    assert load(black, Data(name="x")).input.std[0] > 0


def test_rejects_sample_in_two_splits() -> None:
    train = samples([10, 10])
    with pytest.raises(DataError, match="duplicate sample id 's3'") as error:
        load(SourceData(("a", "b"), train, test=train.take(np.array([3]))), Data(name="x"))
    assert error.value.where == "train and test"


def test_rejects_duplicate_ids() -> None:
    with pytest.raises(DataError, match="duplicate sample id 's3'"):
        load(SourceData(("a", "b"), samples([10, 10]).take(np.array([3, 4, 3]))), Data(name="x"))


@pytest.mark.parametrize("label", [2, -2])
def test_rejects_label_out_of_range(label: int) -> None:
    bad = source([10, 10])
    bad.train.targets[5] = label
    with pytest.raises(DataError, match=f"label {label} is not one of the 2 classes") as error:
        load(bad, Data(name="x"))
    assert error.value.where == "train, sample s5"


def test_rejects_too_large_label_budget() -> None:
    with pytest.raises(DataError, match=r"data.labels is 100, but only 16 samples are labeled"):
        load(source([10, 10]), Data(name="x", labels=100))


def test_rejects_empty_split() -> None:
    empty = samples([]).take(np.array([], dtype=np.int64))
    with pytest.raises(DataError, match="the val split is empty"):
        load(SourceData(("a", "b"), samples([10, 10]), val=empty), Data(name="x"))


@pytest.mark.parametrize(
    ("options", "name"),
    [({"val": 0.0}, "val"), ({"test": 0.0}, "test"), ({"labels": 2, "val": 0.9}, "train")],
)
def test_split_without_labels_is_an_error_where_they_are_needed(options: dict[str, float], name: str) -> None:
    data = load(source([10, 10]), Data(name="x", **options))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=f"the {name} split has no labeled sample; needed by the report"):
        data.require_labels(name, needed_by="the report")
    for other in {"train", "val", "test"} - {name}:
        data.require_labels(other, needed_by="the report")


def test_samples_without_any_label_are_all_for_training() -> None:
    data = load(source([0, 0], unlabeled=9), Data(name="x"))
    assert [len(split) for split in data.splits] == [9, 0, 0]
    assert data.example is data.train


def test_labels_only_in_other_splits() -> None:
    given_ = SourceData(("a", "b"), samples([0, 0], 9), samples([3, 3], 0, "v"), samples([2, 2], 1, "t"))
    data = load(given_, Data(name="x"))
    assert [len(split) for split in data.splits] == [9, 6, 5]
    assert [len(split.labeled) for split in data.splits] == [0, 6, 4]
    assert data.example is data.val
