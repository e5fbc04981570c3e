"""`mtkd export --frames`: a file that answers on the original image, whatever its shape."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd_cli.inference.on_frames import TracedPlacement
from mtkd_cli.inference.openvino_file import import_openvino
from mtkd_cli.inference.student import load_student
from mtkd_cli.interfaces import place
from tests.fixtures.command_line import Mtkd

SHAPES = [(60, 80), (45, 80), (80, 45), (64, 64), (33, 77), (90, 160), (1, 300), (32, 48), (7, 5)]


@pytest.mark.parametrize("fit", ["pad", "stretch", "crop"])
@pytest.mark.parametrize("grid", [(32, 48), (40, 40)])
def test_a_size_in_a_tensor_places_an_image_as_a_known_size(grid: tuple[int, int], fit: str) -> None:
    random = torch.Generator().manual_seed(0)
    share = 1 if fit == "crop" else 2  # smaller maps are resized to the grid first
    maps = torch.randn(1, 3, grid[0] // share, grid[1] // share, generator=random)
    boxes = torch.rand(1, 50, 4, generator=random)
    for frame in SHAPES:
        known = place(frame, grid, fit)
        traced = TracedPlacement(torch.tensor(frame), grid, fit)
        torch.testing.assert_close(traced.boxes_to_frame(boxes), known.boxes_to_frame(boxes))
        torch.testing.assert_close(
            traced.maps_to_frame(maps), known.maps_to_frame(maps), atol=2e-4, rtol=1e-4
        )


def write_scenes(folder: Path, boxes: bool) -> None:
    """Write wide and tall images of a bright rectangle, and its box or mask."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    annotations, images = [], []
    for number in range(30):
        random = np.random.default_rng(number)
        height, width = SHAPES[number % 6]
        mask = np.zeros((height, width), np.uint8)
        top, left = random.integers(0, height // 2), random.integers(0, width // 2)
        high, wide = height // 3, width // 3
        mask[top : top + high, left : left + wide] = 1
        pixels = random.integers(0, 80, (height, width, 3)) + 150 * mask[..., None]
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"images/{number}.png")
        Image.fromarray(mask).save(folder / f"masks/{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})
        box = [int(left), int(top), int(wide), int(high)]
        annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": box})
    if boxes:
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 1, "name": "rectangle"}],
        }
        (folder / "boxes.json").write_text(json.dumps(content))


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_file_answers_as_the_student_on_the_original_images(mtkd: Mtkd, task: str) -> None:
    boxes = task == "detection"
    write_scenes(Path("data"), boxes)
    model = "tiny-fcos:16" if boxes else "unet:4-8"
    data = (
        "{name: coco, annotations: data/boxes.json, images: data/images, size: [32, 48]}"
        if boxes
        else "{name: mask-folder, path: data, classes: [background, rectangle], size: [32, 48]}"
    )
    Path("r.yaml").write_text(
        f"task: {task}\ndata: {data}\nteachers: [{{model: '{model}', name: t, fit: all}}]\n"
        f"fit: {{epochs: 1}}\nstudent: '{model}'\ntrain: {{epochs: 8, lr: 0.01}}\n"
    )
    assert mtkd("distill", "r.yaml", "--no-baseline", "--name", "r").exit_code == 0
    for form in ("onnx", "pt2", "openvino"):
        told = json.loads(mtkd("export", "r", "--frames", "--format", form, "--json").stdout)
        assert told["scores"] == pytest.approx(told["student"], abs=1e-4)
        assert told["student"] == pytest.approx(
            json.loads(Path("runs/r/report.json").read_text())["scores"]["student"], abs=1e-4
        )
        assert_answers_as_the_student_on_frames(told["file"], boxes)


def assert_answers_as_the_student_on_frames(file: str, boxes: bool) -> None:
    student = load_student("r")
    for number, (height, width) in enumerate(SHAPES[:6]):
        inputs = student.read(f"data/images/{number}.png")[None]
        found = answer_of(file, inputs, np.array([height, width]))
        expected = student.task.to_frame(student.answer(inputs), student.placement((width, height))).numpy()
        assert found.shape == (expected.shape if boxes else (1, 2, height, width))
        if boxes:
            found, expected = (np.sort(each[0, :, 4]) for each in (found, expected))
        np.testing.assert_allclose(found, expected, atol=1e-3)


def answer_of(file: str, inputs: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Run a file without mtkd."""
    if file.endswith(".pt2"):
        program = torch.export.load(file).module()
        answer: torch.Tensor = program(torch.from_numpy(inputs.copy()), torch.from_numpy(frame))
        return answer.detach().numpy()
    if file.endswith(".xml"):
        model = import_openvino().Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return np.array(model({"inputs": inputs, "frame": frame})["outputs"])
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["mtkd"])
    names = about["input"]["name"], about["frame"]["name"]
    answer_: np.ndarray = session.run(None, dict(zip(names, (inputs, frame), strict=True)))[0]
    return answer_


def test_classes_have_no_frames(mtkd: Mtkd, run: Path) -> None:
    done = mtkd("export", run, "--frames")
    assert (done.exit_code, "frames" in done.stderr) == (2, True)
    assert not (run / "exported.onnx").exists()
