"""Weights are read without running anybody's code, and fit or are refused."""

import os
import pickle
import random
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from mtkd_cli.errors import DataError
from mtkd_cli.safe_loading import weights

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2])}


class Malicious:
    """Leaves a marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[n], t) for n, t in expected.items())


def test_writes_and_reads_tensors(tmp_path: Path) -> None:
    weights.write(tmp_path / "w.safetensors", TENSORS, {"classes": "a, b"})
    found, metadata = weights.read(tmp_path / "w.safetensors")
    assert equal(found, TENSORS)
    assert metadata == {"classes": "a, b"}


def test_weights_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        weights.write(tmp_path / "w.safetensors", TENSORS)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "w.safetensors").stat().st_mode) == 0o640


def test_shared_and_strided_tensors_can_be_written(tmp_path: Path) -> None:
    base = torch.arange(6.0, requires_grad=True)
    tensors = {"a": base.view(2, 3).T, "b": base}
    weights.write(tmp_path / "w.safetensors", tensors)
    assert equal(weights.read(tmp_path / "w.safetensors")[0], {n: t.detach() for n, t in tensors.items()})


@pytest.mark.parametrize("key", [None, "state_dict", "model", "module"])
@pytest.mark.parametrize("zipped", [True, False])
def test_reads_state_dict_from_usual_keys(tmp_path: Path, key: str | None, zipped: bool) -> None:
    content = TENSORS if key is None else {key: TENSORS, "epoch": 3}
    torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    assert equal(weights.read(tmp_path / "w.pt")[0], TENSORS)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.safetensors"])
def test_refuses_pickle_without_running_it(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "marker"
    for save in (
        lambda path: torch.save({"a": Malicious(marker)}, path),
        lambda path: torch.save({"a": Malicious(marker)}, path, _use_new_zipfile_serialization=False),
        lambda path: path.write_bytes(pickle.dumps({"a": Malicious(marker)})),
    ):
        save(tmp_path / name)
        with pytest.raises(DataError):
            weights.read(tmp_path / name)
        assert not marker.exists()


def test_refuses_pickled_module_with_hint(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 3), tmp_path / "w.pt")
    with pytest.raises(DataError, match="more than tensors") as error:
        weights.read(tmp_path / "w.pt")
    assert "state_dict" in error.value.hint


@pytest.mark.parametrize("name", ["w.pt", "legacy.pt", "w.safetensors"])
def test_rejects_damaged_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "w.safetensors":
        save_file(TENSORS, path)
    else:
        torch.save(TENSORS, path, _use_new_zipfile_serialization=name == "w.pt")
    good = path.read_bytes()
    for length in [0, *range(1, len(good), max(1, len(good) // 40))]:
        path.write_bytes(good[:length])
        with pytest.raises(DataError) as error:
            weights.read(path)
        assert error.value.where == str(path)
    chance = random.Random(0)
    for _ in range(150):
        place, bit = chance.randrange(len(good)), chance.randrange(8)
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :])
        try:
            weights.read(path)
        except DataError as error_:
            assert error_.what


@pytest.mark.parametrize("content", [torch.ones(2), [torch.ones(2)], {"a": 3}])
def test_rejects_other_files(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(DataError, match="not a state dict"):
        weights.read(tmp_path / "w.pt")


def test_rejects_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*gone\.pt"):
        weights.read(tmp_path / "gone.pt")


def test_loads_matching_weights() -> None:
    module, other = nn.Linear(3, 2), nn.Linear(3, 2)
    weights.load_into(module, other.state_dict(), "here")
    assert torch.equal(module.weight, other.weight)
    assert torch.equal(module.bias, other.bias)


def test_rejects_mismatched_weights() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    before = module[0].bias.clone()
    tensors = {
        "0.weight": torch.ones(4, 3),
        "0.bias": torch.full((2,), 9.0),
        "1.weight": torch.ones(2, 2),
        "head": torch.ones(1),
    }
    with pytest.raises(DataError) as error:
        weights.load_into(module, tensors, "teacher 'a'")
    assert error.value.what == (
        "the weights do not fit the model: 1 missing (1.bias); 1 unknown (head); "
        "0.weight is (4, 3), the model has (2, 3)"
    )
    assert error.value.where == "teacher 'a'"
    assert torch.equal(module[0].bias, before)


def test_hints_at_input_channels() -> None:
    grey, colour = nn.Sequential(nn.Conv2d(1, 4, 3)), nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(DataError) as error:
        weights.load_into(colour, grey.state_dict(), "here")
    assert error.value.hint == "its first layer has 1 input channels: set input: {channels: 1}"
    with pytest.raises(DataError) as error:
        weights.load_into(colour, nn.Sequential(nn.Conv2d(3, 4, 5)).state_dict(), "here")
    assert "check the architecture" in error.value.hint


def test_allows_missing_batchnorm_counter() -> None:
    module = nn.BatchNorm1d(2)
    tensors = {n: t + 1 for n, t in module.state_dict().items() if n != "num_batches_tracked"}
    weights.load_into(module, tensors, "here")
    assert module.running_mean is not None
    assert module.running_mean.tolist() == [1, 1]
