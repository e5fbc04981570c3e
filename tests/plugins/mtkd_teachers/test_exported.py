"""Provider `exported`: programs and archives written by torch, and untrusted files."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Column, Model, ModelRequest
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_teachers.exported import ExportedProvider

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # torch recommends export instead of trace

GENERATOR = torch.Generator().manual_seed(0)
VIEWS = torch.rand(5, 3, 4, 4, generator=GENERATOR)
FREE = torch.export.Dim.DYNAMIC


def network() -> nn.Module:
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 3)]
    return nn.Sequential(*layers).eval()


def export(module: nn.Module, batch: int | None, path: str = "m.pt2", example: Tensor = VIEWS) -> str:
    """Write a program for a batch size; None: dynamic."""
    given = example if batch is None else example[:1].expand(batch, *example.shape[1:]).contiguous()
    shapes = ({0: FREE},) if batch is None else None
    torch.export.save(torch.export.export(module, (given,), dynamic_shapes=shapes), path)
    return path


def traced(module: nn.Module, path: str = "m.pt") -> str:
    torch.jit.trace(module, VIEWS, check_trace=False).save(path)  # type: ignore[no-untyped-call]
    return path


def build(path: str, trusted: bool = True, **more: Any) -> Model:
    files = frozenset({Path(path).resolve()} if trusted else ())
    return ExportedProvider().build(ModelRequest(path, 3, 4, 3, True, trusted=files, **more))


@pytest.mark.parametrize("batch", [None, 1, 2, 5, 8])
def test_program_matches_model_for_any_batch_size(batch: int | None) -> None:
    module = network()
    model = build(export(module, batch))
    torch.testing.assert_close(model.module(VIEWS), module(VIEWS))
    assert (model.input.size, model.input.channels, model.trained) == (4, 3, True)


def test_splits_batches_at_maximum_size() -> None:
    module = network()
    shapes = ({0: torch.export.Dim("batch", max=3)},)
    torch.export.save(torch.export.export(module, (VIEWS[:2],), dynamic_shapes=shapes), "m.pt2")
    torch.testing.assert_close(build("m.pt2").module(VIEWS), module(VIEWS))


def test_torchscript_matches_model() -> None:
    module = network()
    model = build(traced(module))
    torch.testing.assert_close(model.module(VIEWS), module(VIEWS))
    assert (model.input.size, model.input.channels) == (None, None)


def test_torchscript_runs_in_eval_mode() -> None:
    module = network()
    torch.jit.script(module.train()).save("m.pt")
    torch.testing.assert_close(build("m.pt").module(VIEWS), module.eval()(VIEWS))


def test_rejects_program_in_training_mode() -> None:
    with pytest.raises(DataError, match="in training mode"):
        build(export(network().train(), None))


@pytest.mark.parametrize("write", [lambda: export(network(), None), lambda: traced(network())])
def test_ignores_training_mode(write: Any) -> None:
    model = build(write())
    first = model.module.eval()(VIEWS)
    torch.testing.assert_close(model.module.train()(VIEWS), first)
    assert not any(parameter.requires_grad for parameter in model.module.parameters())
    assert sum(parameter.numel() for parameter in model.module.parameters()) == 171


@pytest.mark.parametrize("half", [torch.float16, torch.float64])
def test_casts_input_to_model_dtype(half: torch.dtype) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 3)).eval().to(half)
    expected = module(VIEWS.to(half))
    torch.jit.script(module).save("m.pt")
    for path in (export(module, None, example=VIEWS.to(half)), "m.pt"):
        found = build(path).module(VIEWS)
        assert found.dtype in (torch.float32, half)
        torch.testing.assert_close(found.to(half), expected)


def test_channels_last() -> None:
    class Last(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean(dim=(1, 2))

    example = VIEWS.permute(0, 2, 3, 1).contiguous()
    model = build(export(Last(), None, example=example))
    torch.testing.assert_close(model.module(VIEWS), VIEWS.mean(dim=(2, 3)))
    assert (model.input.size, model.input.channels) == (4, 3)


def test_passes_raw_table_rows() -> None:
    module = nn.Linear(4, 3).eval()
    rows = torch.rand(5, 4)
    columns = tuple(Column(name) for name in "abcd")
    for model in (
        build(export(module, None, example=rows), columns=columns),
        build(_scripted(module), columns=columns),
    ):
        assert (model.input.size, model.input.raw) == (1, True)
        torch.testing.assert_close(with_preprocessing(model)(rows), module(rows))


def _scripted(module: nn.Module) -> str:
    torch.jit.script(module).save("rows.pt")
    return "rows.pt"


def test_identity_depends_on_file_content() -> None:
    assert ExportedProvider().files(traced(network())) == [Path("m.pt")]
    with pytest.raises(DataError, match=r"no file gone\.pt2"):
        ExportedProvider().files("gone.pt2")


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (lambda: export(network(), None), "a torch.export program"),
        (lambda: traced(network()), "a TorchScript archive"),
    ],
)
def test_rejects_untrusted_file(write: Any, kind: str) -> None:
    path = write()
    with pytest.raises(DataError) as error:
        build(path, trusted=False)
    assert error.value.what == f"{path} is {kind}; loading it would run its code"
    assert f"--trust-pickle {path}" in error.value.hint


def test_rejects_other_files_unread() -> None:
    torch.save(nn.Linear(2, 3), "m.pt")
    Path("text.pt2").write_text("not an archive")
    for path in ("m.pt", "text.pt2"):
        with pytest.raises(DataError, match=r"neither a torch\.export program nor a TorchScript archive"):
            build(path)


def _lengths(content: bytearray, header: int) -> tuple[int, int]:
    """Return the lengths of the name and the extra field of a zip header."""
    name, extra = struct.unpack_from("<HH", content, header + 26)
    return name, extra


def test_rejects_damaged_file() -> None:
    for path in (export(network(), None), traced(network())):
        content = bytearray(Path(path).read_bytes())
        with zipfile.ZipFile(path) as archive:
            stored = [info for info in archive.infolist() if info.compress_type == zipfile.ZIP_STORED]
        largest = max(stored, key=lambda info: info.file_size)
        content[largest.header_offset + 30 + sum(_lengths(content, largest.header_offset))] ^= 1
        Path(path).write_bytes(content)
        with pytest.raises(DataError, match="damaged") as error:
            build(path)
        assert error.value.where == path


def test_rejects_unsupported_models() -> None:
    class Two(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return a + b

    class Named(nn.Module):
        def forward(self, images: Tensor) -> dict[str, Tensor]:
            return {"out": images.mean(dim=(2, 3))}

    torch.export.save(torch.export.export(Two(), (VIEWS, VIEWS)), "two.pt2")
    with pytest.raises(DataError, match="takes one batch"):
        build("two.pt2")
    assert build(export(nn.Flatten(), None, example=torch.rand(2, 3, 2, 8))).input.size == (2, 8)
    torch.jit.script(Named()).save("named.pt")
    with pytest.raises(DataError, match="returns a dict"):
        build("named.pt").module(VIEWS)
    with pytest.raises(DataError, match=r"fails on \(5, 3, 9, 9\) on cpu: "):
        build(traced(network())).module(torch.rand(5, 3, 9, 9))
