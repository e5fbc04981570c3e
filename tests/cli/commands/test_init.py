"""`mtkd init --data`: the drafted recipe runs, and what the files do not say is marked."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import skops.io
import torch
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression
from torch import nn

from mtkd_cli.files import yaml12
from mtkd_cli.recipe.placeholders import unfilled_keys
from mtkd_data import unlabeled_ids
from tests.fixtures import own_data
from tests.fixtures.command_line import mtkd

SHORT = ("train.epochs=1", "train.lr=0.01")


def init(*arguments: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draft mine.yaml; return the recipe and the command's answer."""
    result = mtkd("init", *arguments, "mine.yaml", "--json")
    assert result.exit_code == 0, result.stdout
    return yaml12.load(Path("mine.yaml").read_text(), "mine.yaml"), json.loads(result.stdout)


def distill(*overrides: str, trust: Sequence[str] = ()) -> dict[str, Any]:
    result = mtkd(
        "distill", "mine.yaml", *SHORT, *overrides, *(f"--trust-pickle={f}" for f in trust), "--json"
    )
    assert result.exit_code == 0, result.stdout + result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def predictions(path: str, ids: Sequence[str], names: Sequence[str]) -> str:
    rows = np.random.default_rng(0).dirichlet(np.ones(len(names)), len(ids)).round(6)
    rows[:, -1] = 1 - rows[:, :-1].sum(1)
    lines = [",".join(map(str, (key, *row))) for key, row in zip(ids, rows, strict=True)]
    Path(path).write_text("\n".join([",".join(["id", *names]), *lines]))
    return path


def pooled_onnx(path: str, outputs: int) -> str:
    """Write a 1x1 convolution, averaged over the pixels, with a softmax."""
    weight = np.random.default_rng(0).normal(size=(outputs, 3, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["p"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 3, 16, 16))],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, ("n", outputs))],
        [helper.make_tensor("w", TensorProto.FLOAT, weight.shape, weight.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, path)
    return path


def test_class_folders_with_onnx_predictions_and_unlabeled_images_run() -> None:
    root = own_data.class_folders(Path("photos"))
    for number in range(4):
        own_data.image(Path("more", f"{number}.png"))
    ids = [f"{file.parent.name}/{file.name}" for file in root.rglob("*.png")]
    ids += [f"{unlabeled_ids.PREFIX}/{number}.png" for number in range(4)]
    recipe, answer = init(
        *("--data", "photos/", "--unlabeled", "more", "--teacher", pooled_onnx("a.onnx", 2)),
        *("--teacher", predictions("api.csv", ids, ["cat", "dog"])),
    )
    assert recipe["task"] == "classification"
    assert recipe["data"]["name"] == "image-folder"
    assert recipe["data"] | {"path": "photos", "unlabeled": "more", "size": 16} == recipe["data"]
    assert [teacher["outputs"] for teacher in recipe["teachers"]] == ["probabilities", "probabilities"]
    assert "strategy" not in recipe
    assert "# strategy: weighted" in Path("mine.yaml").read_text()
    assert answer["next"] == ["mtkd doctor mine.yaml", "mtkd distill mine.yaml --dry-run"]
    assert answer["fill_in"] == []
    assert any("a: are its outputs in this order: cat, dog?" in check for check in answer["check"])
    assert distill()["task"] == "classification"


def test_table_with_skops_runs() -> None:
    own_data.table(Path("t.csv"), ["yes", "no"] * 20, separator=";")
    rows = np.random.default_rng(0).normal(size=(40, 2))
    skops.io.dump(LogisticRegression().fit(rows, ["yes", "no"] * 20), "forest.skops")
    recipe, answer = init("--data", "t.csv", "--teacher", "forest.skops")
    assert recipe["data"] == {
        **{"name": "table", "path": "t.csv", "target": "label", "id": "id"},
        **{"val": 0.2, "test": 0.2},
    }
    assert any(guess["key"] == "data.target" and guess["reason"] for guess in answer["guessed"])
    assert distill()["task"] == "classification"


@pytest.mark.parametrize(("values", "classes"), [((0, 255), 2), ((0, 1, 2), 3), ((0, 128), 2)])
def test_mask_folders_with_predicted_maps_run(values: tuple[int, ...], classes: int) -> None:
    own_data.mask_folders(Path("seg"), values)
    maps = np.random.default_rng(0).dirichlet(np.ones(classes), (20, 16, 16)).transpose(0, 3, 1, 2)
    np.savez("maps.npz", ids=np.array([str(n) for n in range(20)]), predictions=maps.astype(np.float32))
    recipe, answer = init("--data", "seg", "--teacher", "maps.npz")
    assert recipe["task"] == "segmentation"
    assert len(recipe["data"]["classes"]) == classes
    assert recipe["teachers"][0]["outputs"] == "probabilities"
    assert any("invented" in check for check in answer["check"])
    assert distill("augment=none", "views=1")["task"] == "segmentation"


@pytest.mark.parametrize("layout", ["coco", "voc", "yolo"])
def test_boxes_with_predicted_boxes_run(layout: str) -> None:
    getattr(own_data, layout)(Path("boxes"))
    names = {
        "coco": ["images/{}.png"],
        "voc": ["{}.jpg"],
        "yolo": ["images/train/{}.png", "images/val/{}.png"],
    }
    ids = [name.format(number) for name in names[layout] for number in range(20)]
    boxes = np.tile(np.array([[[0.1, 0.2, 0.6, 0.7, 0.9, 0]]], dtype=np.float32), (len(ids), 1, 1))
    np.savez("boxes.npz", ids=np.array(ids), predictions=boxes)
    recipe, _ = init("--data", "boxes", "--teacher", "boxes.npz")
    assert (recipe["task"], recipe["data"]["name"]) == ("detection", layout)
    assert distill("augment=none", "views=1")["task"] == "detection"


@pytest.mark.parametrize(
    ("recipe", "layout", "filled"),
    [
        ("image-folder", "class_folders", ["data.path=mine"]),
        ("mask-folder", "mask_folders", ["data.path=mine", "data.classes=[background, road]"]),
        ("coco", "coco", ["data.annotations=mine/annotations/instances.json", "data.images=mine/images"]),
        ("table", "table", ["data.path=mine", "data.target=label", "data.id=id"]),
    ],
)
def test_recipe_for_own_data_runs_once_filled_in(recipe: str, layout: str, filled: list[str]) -> None:
    if layout == "table":
        own_data.table(Path("mine/train.csv"), ["a", "b"] * 15)
    else:
        getattr(own_data, layout)(Path("mine"))
    mtkd("init", recipe, "mine.yaml")
    result = mtkd("distill", "mine.yaml")
    assert result.exit_code == 2
    assert "not filled in" in result.stderr
    small = () if layout == "table" else ("data.size=16",)
    fit = [f"teachers.{n}.fit={{train: all, epochs: 1}}" for n in (0, 1)]
    assert "task" in distill(*filled, *fit, *small)


def test_run_folder_is_teacher_of_next_run() -> None:
    own_data.class_folders(Path("photos"))
    init("--data", "photos", "--teacher", pooled_onnx("a.onnx", 2))
    distill("student=mlp:4", "--name=first")
    Path("mine.yaml").unlink()
    recipe, answer = init("--data", "photos", "--teacher", "runs/first", "--teacher", "mlp:8")
    assert recipe["teachers"][0] == {"name": "first", "model": "run:runs/first"}
    assert answer["check"][0].startswith("mlp-8: a teacher that was not trained for these classes needs fit")
    assert not any("in this order" in check for check in answer["check"])
    assert distill("student=mlp:4", "teachers.1.fit={train: all, epochs: 1}")["task"] == "classification"


def test_checkpoint_names_its_architecture_or_is_marked() -> None:
    own_data.class_folders(Path("photos"))
    weights = {"fc.weight": torch.zeros(5, 4), "fc.bias": torch.zeros(5)}
    script = argparse.Namespace(model="resnet18")
    torch.save({"arch": "resnet18", "version": 2, "state_dict": weights, "args": script}, "timm.pth.tar")
    torch.save({"arch": "resnet18", "state_dict": weights}, "either.pt")
    torch.save(weights, "plain.pt")
    files = ("timm.pth.tar", "either.pt", "plain.pt")
    recipe, answer = init("--data", "photos", *(word for file in files for word in ("--teacher", file)))
    assert [teacher["model"] for teacher in recipe["teachers"]] == ["timm:resnet18", "FILL-IN", "FILL-IN"]
    assert [teacher["checkpoint"] for teacher in recipe["teachers"]] == list(files)
    assert [entry["key"] for entry in answer["fill_in"]] == ["teachers.1.model", "teachers.2.model"]
    assert "timm:resnet18 or torchvision:resnet18" in answer["fill_in"][0]["what"]
    assert any("timm: it has 5 outputs, the data 2 classes" in check for check in answer["check"])
    result = mtkd("distill", "mine.yaml", "--json")
    problems = json.loads(result.stdout)["error"]["problems"]
    assert result.exit_code == 2
    assert [problem["where"] for problem in problems] == [f"mine.yaml: teachers.{n}.model" for n in (1, 2)]


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


def test_init_runs_no_code_in_files() -> None:
    own_data.class_folders(Path("photos"))
    torch.save({"arch": "resnet18", "state_dict": {}, "more": Evil()}, "evil.pt")
    torch.jit.script(nn.Linear(3, 2)).save("script.pt")
    recipe, answer = init("--data", "photos", "--teacher", "evil.pt", "--teacher", "script.pt")
    assert not Path("ran").exists()
    assert [teacher["model"] for teacher in recipe["teachers"]] == ["FILL-IN", "exported:script.pt"]
    assert answer["next"][0] == "mtkd doctor mine.yaml --trust-pickle evil.pt --trust-pickle script.pt"


def test_names_what_is_ambiguous() -> None:
    own_data.table(Path("t.csv"), [n % 5 for n in range(40)], name="target")
    recipe, answer = init("--data", "t.csv", "--teacher", predictions("api.csv", ["s1"], ["1", "2"]))
    assert recipe["task"] == "FILL-IN"
    assert answer["fill_in"][0]["what"].startswith("classification or regression: ")
    Path("mine.yaml").unlink()
    recipe, _ = init("--data", "t.csv", "--task", "regression", "--teacher", "api.csv")
    assert recipe["task"] == "regression"
    assert recipe["teachers"][0]["outputs"] == "values"
    Path("t.csv").rename("u.csv")
    Path("mine.yaml").unlink()
    Path("u.csv").write_text("a,b,c\n" + "1,2,3\n" * 5)
    recipe, answer = init("--data", "u.csv")
    assert list(unfilled_keys(recipe)) == ["task", "data.target", "teachers.0.model"]
    assert "a, b, c" in answer["fill_in"][1]["what"]


def test_folder_that_fits_two_sources_needs_a_choice() -> None:
    root = own_data.class_folders(Path("photos"))
    lines = [f"{file.relative_to(root)},{file.parent.name}" for file in sorted(root.rglob("*.png"))]
    (root / "labels.csv").write_text("file,label\n" + "\n".join(lines))
    result = mtkd("init", "--data", "photos", "mine.yaml")
    assert result.exit_code == 2
    assert "2 class folders" in result.stderr
    assert "labels.csv has 30 rows" in result.stderr
    assert not Path("mine.yaml").exists()
    recipe, _ = init("--data", "image-table:photos")
    assert recipe["data"]["file"] == "file"
    Path("mine.yaml").unlink()
    assert init("--data", "image-folder:photos")[0]["data"]["name"] == "image-folder"


def test_never_overwrites_and_refuses_what_it_cannot_use() -> None:
    own_data.class_folders(Path("photos"))
    Path("mine.yaml").write_text("mine")
    assert "mine.yaml exists" in mtkd("init", "--data", "photos", "mine.yaml").stderr
    assert Path("mine.yaml").read_text() == "mine"
    for arguments, says in (
        (["digits", "--teacher", "a.pt"], "--teacher needs --data"),
        ([], "no recipe and no data"),
        (["--data", "photos", "x.txt"], "x.txt is not the name of a recipe"),
        (["--data", "photos", "digits", "x.yaml"], "'digits' is another"),
        (["--data", "nowhere", "x.yaml"], "no file or folder nowhere"),
        (["--data", "photos", "--unlabeled", "nowhere", "x.yaml"], "no file or folder nowhere"),
        (["--data", "photos", "--teacher", "nothing.onnx", "x.yaml"], "no file nothing.onnx"),
        (["--data", "photos", "--teacher", "mine.yaml", "x.yaml"], "no provider for image inputs loads"),
        (["--data", "photos", "--task", "segmentation", "x.yaml"], "no data source recognizes photos"),
        (["--data", "photos", "--task", "clasification", "x.yaml"], "did you mean 'classification'?"),
    ):
        result = mtkd("init", *arguments)
        assert result.exit_code in (2, 3)
        assert says in result.stderr
        assert not Path("x.yaml").exists()


def test_prints_guesses_checks_and_next_commands() -> None:
    own_data.class_folders(Path("my photos"))
    printed = mtkd("init", "--data", "my photos", "--teacher", pooled_onnx("a.onnx", 2)).stderr
    assert "wrote my photos.yaml" in printed
    assert "data: image-folder (2 class folders with 30 images: cat, dog)" in printed
    assert "teacher a: outputs: probabilities (the graph ends with Softmax)" in printed
    assert printed.splitlines()[-2:] == [
        "  mtkd doctor 'my photos.yaml'",
        "  mtkd distill 'my photos.yaml' --dry-run",
    ]


def test_third_party_sources_and_providers_take_part(plugin: Any) -> None:
    plugin(
        "mtkd-frames",
        """
        from mtkd_cli.interfaces import DataGuess
        from mtkd_cli.specs import DataSpec, Option, TeacherSpec

        def guess(path, task):
            is_frames = (path / "frames.bin").is_file()
            return [DataGuess({"path": str(path)}, "frames", ("classification",))] if is_frames else []

        @hookimpl
        def mtkd_register_data():
            options = (Option("path", str, None, "folder", required=True),)
            return [DataSpec("frames", "Frames.", "none:None", options=options, guess=f"{__name__}:guess")]

        @hookimpl
        def mtkd_register_teachers():
            return [TeacherSpec("caffe", "Nets.", "none:None", endings=(".caffemodel",))]
        """,
    )
    Path("film").mkdir()
    Path("film/frames.bin").touch()
    Path("net.caffemodel").touch()
    recipe, _ = init("--data", "film", "--teacher", "net.caffemodel")
    assert recipe["data"]["name"] == "frames"
    assert recipe["teachers"] == [{"name": "net", "model": "caffe:net.caffemodel"}]
