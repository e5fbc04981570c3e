"""Features: the loss by its closed form, students that learn them, projectors that are gone afterwards."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import InputSpec, Model
from mtkd_cli.losses import feature_loss
from mtkd_cli.models.feature_projectors import Guided, WithFeatures, average_positions
from mtkd_cli.teachers.features import FeatureExtractor
from mtkd_cli.training.objectives import Hints

SPEC = InputSpec(size=4, channels=1, mean=(0.0,), std=(1.0,))
VIEWS = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def net(head: str = "2") -> Model:
    torch.manual_seed(0)
    return Model(nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.Linear(5, 2)), SPEC, head=head)


def test_the_loss_is_half_angle_and_half_smooth_distance() -> None:
    student, teacher = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 3.0]])
    right_angle = 0.5 * 1 + 0.5 * ((0.5 * 1**2) + (3 - 0.5)) / 2
    torch.testing.assert_close(feature_loss(student, teacher), torch.tensor([0.0, right_angle]))


def test_features_of_maps_are_averaged_over_places() -> None:
    maps = torch.arange(8.0).view(1, 2, 2, 2)
    assert average_positions(maps).tolist() == [[1.5, 5.5]]
    assert average_positions(maps[:, :, 0, 0]).tolist() == [[0.0, 4.0]]


def test_a_truncated_teacher_gives_what_reaches_its_last_layer() -> None:
    model = net()
    torch.testing.assert_close(FeatureExtractor(model)(VIEWS), model.module[:2](VIEWS))
    assert isinstance(model.module[2], nn.Linear), "the teacher itself is left as it is"


def test_a_guided_student_answers_as_the_student_alone_when_it_is_evaluated() -> None:
    model = net()
    guided = Guided(model, [3, 7], VIEWS, seed=0)
    trained: Any = guided.train()(VIEWS)
    assert isinstance(trained, WithFeatures)
    assert [tuple(f.shape) for f in trained.features] == [(3, 3), (3, 7)]
    torch.testing.assert_close(guided.eval()(VIEWS), trained.output)
    torch.testing.assert_close(guided(VIEWS), model.module(VIEWS))


def test_student_and_projectors_both_learn_from_features() -> None:
    guided = Guided(net(), [3], VIEWS, seed=0)
    target = torch.ones(3, 3)
    hints = Hints(lambda step: (target,), ratio=2.0)
    answer: Any = guided.train()(VIEWS)
    loss = hints.loss(answer.features, torch.ones(1, 3), SimpleNamespace())  # type: ignore[arg-type]
    torch.testing.assert_close(loss, 2 * feature_loss(answer.features[0], target).mean())
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: p.grad for name, p in guided.named_parameters()}
    assert gradients["student.module.1.weight"] is not None
    assert gradients["student.module.1.weight"].abs().sum() > 0
    assert gradients["projectors.0.weight"] is not None
    assert gradients["student.module.2.weight"] is None, "the last layer is above the features"


def test_a_teacher_without_weight_is_not_learnt_from() -> None:
    features = (torch.zeros(2, 3), torch.ones(2, 3))
    far = (torch.full((2, 3), 9.0), torch.ones(2, 3))
    weights = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    loss = Hints(lambda step: far, 1.0).loss(features, weights, SimpleNamespace())  # type: ignore[arg-type]
    torch.testing.assert_close(loss, torch.tensor(0.0))


def test_weights_of_places_count_by_their_mean() -> None:
    student, teacher = (torch.zeros(1, 2), torch.zeros(1, 2)), (torch.ones(1, 2), torch.zeros(1, 2))
    weights = torch.tensor([[[1.0, 0.5]], [[0.0, 0.5]]])
    loss = Hints(lambda step: teacher, 1.0).loss(student, weights, SimpleNamespace())  # type: ignore[arg-type]
    each: Tensor = feature_loss(student[0], teacher[0])
    torch.testing.assert_close(loss, 0.75 * each.mean() + 0.25 * feature_loss(student[1], teacher[1]).mean())


def test_a_student_without_a_last_layer_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a student with a single last layer"):
        Guided(net(head=""), [3], VIEWS, seed=0)
