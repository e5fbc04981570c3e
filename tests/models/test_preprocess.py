"""A view is prepared for a model as the model's own library would."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode, v2

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import InputSpec
from mtkd_cli.models.preprocess import Prepared, complete_input, prepare
from mtkd_cli.recipe.schema import Input

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
AS_IS = InputSpec(mean=(0.0,), std=(1.0,))


@pytest.fixture
def photos() -> Tensor:
    return torch.rand(2, 3, 50, 50, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize(
    ("size", "whole"), [(32, 32), (28, 32), (29, 32), (25, 32), (64, 73), (50, 50), (45, 50)]
)
def test_matches_torchvision_evaluation_transform(
    photos: Tensor, interpolation: str, size: int, whole: int
) -> None:
    transform = v2.Compose(
        [
            v2.Resize(whole, InterpolationMode(interpolation), antialias=True),
            v2.CenterCrop(size),
            v2.Lambda(lambda x: x.clamp(0, 1)),
            v2.Normalize(MEAN, STD),
        ]
    )
    spec = InputSpec(size, MEAN, STD, 3, interpolation, crop=size / whole)
    torch.testing.assert_close(prepare(photos, spec), transform(photos), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("crop", "whole"), [(0.95, 235), (0.9, 248), (0.875, 256), (224 / 232, 232)])
def test_crop_share_matches_timm_and_torchvision(crop: float, whole: int) -> None:
    column = torch.linspace(0, 1, whole).expand(1, 1, whole, whole)
    shown = prepare(column, InputSpec(224, (0.0,), (1.0,), 1, crop=crop))
    start = round((whole - 224) / 2)
    torch.testing.assert_close(shown[0, 0, 0], column[0, 0, 0, start : start + 224])


def test_gray_to_three_equal_channels() -> None:
    grey = torch.rand(2, 1, 8, 8)
    made = prepare(grey, InputSpec(8, (0.0,) * 3, (1.0,) * 3, 3))
    assert torch.equal(made, grey.repeat(1, 3, 1, 1))


def test_color_to_gray_matches_pil(photos: Tensor) -> None:
    made = prepare(photos, InputSpec(50, (0.0,), (1.0,), 1))
    red, green, blue = photos.unbind(1)
    torch.testing.assert_close(made[:, 0], 0.299 * red + 0.587 * green + 0.114 * blue)


def test_normalizes_with_mean_and_deviation() -> None:
    made = prepare(torch.full((1, 1, 4, 4), 0.75), InputSpec(4, (0.25,), (0.2,), 1))
    torch.testing.assert_close(made, torch.full((1, 1, 4, 4), 2.5))


def test_only_normalizes_view_of_right_size() -> None:
    views = torch.rand(2, 1, 8, 8)
    assert torch.equal(prepare(views, AS_IS), views)


def test_recipe_overrides_model_overrides_data() -> None:
    data = InputSpec(28, (0.3,), (0.2,), 1)
    model = InputSpec(32, mean=(0.5,))
    made = complete_input(model, Input(size=64), data)
    assert made == InputSpec(64, (0.5,), (0.2,), 1)
    assert complete_input(InputSpec(), Input(), data) == data


def test_repeats_gray_statistics_for_color_model() -> None:
    made = complete_input(InputSpec(channels=3), Input(), InputSpec(28, (0.3,), (0.2,), 1))
    assert made.mean == pytest.approx((0.3,) * 3)
    assert made.std == pytest.approx((0.2,) * 3)


def test_averages_color_statistics_for_gray_model() -> None:
    made = complete_input(InputSpec(channels=1), Input(), InputSpec(28, (0.1, 0.2, 0.6), (0.2,) * 3, 3))
    assert made.mean == pytest.approx((0.3,))


def test_rejects_wrong_number_of_means() -> None:
    with pytest.raises(UsageError, match="2 values for 3 channels"):
        complete_input(InputSpec(channels=3), Input(mean=(0.1, 0.2)), InputSpec(28, (0.3,), (0.2,), 1))


def test_prepared_module_takes_views() -> None:
    module = Prepared(nn.Flatten(), InputSpec(4, (0.5,), (0.5,), 1))
    assert module(torch.ones(2, 1, 8, 8)).tolist() == [[1.0] * 16] * 2


def test_applies_range_and_channel_order(photos: Tensor) -> None:
    mean = (103.9, 116.8, 123.7)
    spec = InputSpec(50, mean, (1.0,) * 3, 3, range=(0.0, 255.0), order="bgr")
    expected = photos[:, [2, 1, 0]] * 255 - torch.tensor(mean).view(3, 1, 1)
    torch.testing.assert_close(prepare(photos, spec), expected, atol=1e-4, rtol=1e-5)


def test_range_replaces_model_statistics() -> None:
    own = InputSpec(32, MEAN, STD, 3)
    data = InputSpec(8, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), 3)
    found = complete_input(own, Input(range=(0.0, 255.0)), data)
    assert (found.mean, found.std) == ((0.0,) * 3, (1.0,) * 3)
    assert complete_input(InputSpec(), Input(order="bgr"), data).mean == (0.3, 0.2, 0.1)


def test_a_copy_of_a_prepared_module_has_the_same_task() -> None:
    """A task may hold a large cache, and each evaluation copies the module."""

    class Owner:
        def convert(self, output: Tensor) -> Tensor:
            seen.append(self)
            return output

    seen: list[Owner] = []
    owner = Owner()
    module = Prepared(nn.Flatten(), InputSpec(4, (0.5,), (0.5,), 1), to_task_shape=owner.convert)
    copy.deepcopy(module)(torch.zeros(1, 1, 4, 4))
    assert seen == [owner]
