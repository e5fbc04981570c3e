"""A mixed view is a function of the seed, two sample ids and the number of the view."""

import numpy as np
import pytest
import torch

from mtkd_cli import counter_rng
from mtkd_cli.data import mixing
from mtkd_cli.data.dataset import Split
from mtkd_cli.data.views import PLAIN, view, views_of
from mtkd_cli.interfaces import Samples
from mtkd_cli.recipe.augment import Augment

MIXUP, CUTMIX, BOTH = Augment(mixup=0.5), Augment(cutmix=1.0), Augment(flip=True, mixup=1.0, cutmix=1.0)


def split(n: int = 12, height: int = 8, width: int = 10) -> Split:
    inputs = np.random.default_rng(0).integers(0, 256, (n, 3, height, width), dtype=np.uint8)
    return Split("train", Samples(tuple(f"s{i}" for i in range(n)), inputs, np.zeros(n, np.int64)), "d")


def ids(n: int) -> np.ndarray:
    return counter_rng.id_numbers(f"s{i}" for i in range(n))


@pytest.mark.parametrize("count", [2, 3, 50])
def test_partners_form_one_ring(count: int) -> None:
    found = mixing.partners(count, 0, 1)
    at, visited = 0, []
    for _ in range(count):
        visited.append(at)
        at = int(found[at])
    assert at == 0
    assert sorted(visited) == list(range(count))


def test_partners_depend_on_seed_and_number() -> None:
    first = mixing.partners(50, 0, 1)
    assert np.array_equal(first, mixing.partners(50, 0, 1))
    assert not np.array_equal(first, mixing.partners(50, 1, 1))
    assert not np.array_equal(first, mixing.partners(50, 0, 2))
    assert mixing.partners(1, 0, 1).tolist() == [0]


def test_view_0_shows_one_sample() -> None:
    data = split()
    plain = torch.from_numpy(np.asarray(data.samples.inputs)).float() / 255
    assert torch.equal(views_of(data, slice(None), PLAIN, 0, BOTH), plain)


def test_mixup_by_hand() -> None:
    data = split()
    own = np.asarray(data.samples.inputs) / 255
    others = own[mixing.partners(12, 3, 2)]
    share = mixing.own_share(data.id_numbers, 2, 3, MIXUP, (8, 10)).numpy()
    assert (share == share[:, :1, :1]).all()
    expected = share[:, None] * own + (1 - share[:, None]) * others
    np.testing.assert_allclose(views_of(data, slice(None), 2, 3, MIXUP).numpy(), expected, atol=1e-6)


def test_cutmix_by_hand() -> None:
    data = split()
    own = torch.from_numpy(np.asarray(data.samples.inputs)).float() / 255
    others = own[torch.from_numpy(mixing.partners(12, 3, 2).copy())]
    is_own = mixing.own_share(data.id_numbers, 2, 3, CUTMIX, (8, 10))[:, None].bool()
    assert 0 < is_own.float().mean() < 1
    made = views_of(data, slice(None), 2, 3, CUTMIX)
    assert torch.equal(made, torch.where(is_own, own, others))


@pytest.mark.parametrize("a", [0.2, 1.0, 4.0])
def test_mixup_shares_have_the_beta_distribution(a: float) -> None:
    from scipy.stats import beta, kstest

    share = mixing.own_share(ids(4000), 1, 0, Augment(mixup=a), ())
    assert kstest(share.double().numpy(), beta(a, a).cdf).pvalue > 0.01


def test_cutmix_replaces_one_rectangle() -> None:
    from_partner = ~mixing.own_share(ids(300), 1, 0, CUTMIX, (20, 30)).bool().numpy()
    for mask in from_partner:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask.sum() == len(rows) * len(columns)
        assert mask[rows[:1], columns[:1]].all()
    assert 0.2 < from_partner.mean() < 0.5  # clipping at the border makes the mean less than 1/2


def test_each_sample_gets_mixup_or_cutmix() -> None:
    share = mixing.own_share(ids(1000), 1, 0, BOTH, (20, 30)).flatten(1)
    is_mixup = (share == share[:, :1]).all(dim=1) & (share[:, 0] > 0) & (share[:, 0] < 1)
    assert 0.45 < is_mixup.float().mean() < 0.55
    assert ((share == 0) | (share == 1)).all(dim=1)[~is_mixup].all()


@pytest.mark.parametrize("augment", [MIXUP, CUTMIX, BOTH])
def test_view_does_not_depend_on_batch(augment: Augment) -> None:
    data = split()
    whole = views_of(data, slice(None), 3, 0, augment)
    for rows in (np.array([4]), np.array([11, 0, 7]), np.arange(12)[::-1]):
        assert torch.equal(views_of(data, rows, 3, 0, augment), whole[torch.from_numpy(rows.copy())])
    assert torch.equal(views_of(data, slice(5, 9), 3, 0, augment), whole[5:9])


def test_view_depends_on_two_samples_only() -> None:
    """The partner may come from anywhere: the view is a function of both ids and both images."""
    data = split()
    inputs = np.asarray(data.samples.inputs)
    pair = view(inputs[[2, 7]], data.id_numbers[[2, 7]], 1, 0, BOTH)
    crowd = view(inputs[[2, 3, 7, 9]], data.id_numbers[[2, 3, 7, 9]], 1, 0, BOTH)
    assert torch.equal(pair[0], crowd[0])
    assert not torch.equal(pair[0], view(inputs[[2, 8]], data.id_numbers[[2, 8]], 1, 0, BOTH)[0])


def test_rows_of_tables_are_mixed() -> None:
    inputs = np.random.default_rng(0).normal(size=(6, 4))
    data = Split("train", Samples(tuple("abcdef"), inputs, np.zeros(6, np.int64)), "d")
    share = mixing.own_share(data.id_numbers, 1, 0, MIXUP, ()).double().numpy()[:, None]
    expected = share * inputs + (1 - share) * inputs[mixing.partners(6, 0, 1)]
    made = views_of(data, slice(None), 1, 0, MIXUP)
    assert made.dtype == torch.float64
    np.testing.assert_allclose(made.numpy(), expected)
