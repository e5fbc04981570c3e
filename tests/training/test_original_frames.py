"""Masks and boxes of 4:3, 16:9 and tall images are scored as plain PyTorch and COCO score them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchmetrics.classification import MulticlassJaccardIndex

from mtkd_cli.data.dataset import Dataset, load
from mtkd_cli.inference.formats import boxes_in_pixels
from mtkd_cli.inference.predict import Answered
from mtkd_cli.interfaces import LossOptions, place
from mtkd_cli.recipe.schema import Data
from mtkd_cli.store.data_cache import StoreCache
from mtkd_cli.training.evaluation import measure
from mtkd_data.coco import Coco
from mtkd_data.mask_folder import MaskFolder
from mtkd_tasks.detection import Detection
from mtkd_tasks.segmentation import Segmentation

SHAPES = [(60, 80), (45, 80), (80, 45), (64, 64), (33, 77), (90, 160)]
GRID = (48, 64)
FITS = ["pad", "stretch", "crop"]


def pixels(number: int) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (*SHAPES[number], 3), dtype=np.uint8)


def letterbox(image: Image.Image) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """Return the image on a gray grid, and top, left, height and width of where it is: by hand."""
    scale = min(GRID[0] / image.height, GRID[1] / image.width)
    height, width = round(image.height * scale), round(image.width * scale)
    top, left = (GRID[0] - height) // 2, (GRID[1] - width) // 2
    grid = Image.new("RGB", GRID[::-1], (114, 114, 114))
    grid.paste(image.resize((width, height), Image.Resampling.BICUBIC), (left, top))
    return grid, (top, left, height, width)


def masks(folder: Path, fit: str) -> Dataset:
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for number, shape in enumerate(SHAPES):
        mask = np.random.default_rng(number).integers(0, 4, (shape[0] // 5 + 1, shape[1] // 5 + 1), np.uint8)
        whole = mask.repeat(5, 0).repeat(5, 1)[: shape[0], : shape[1]]
        Image.fromarray(np.where(whole == 3, 255, whole).astype(np.uint8)).save(
            folder / f"masks/{number}.png"
        )
        Image.fromarray(pixels(number)).save(folder / f"images/{number}.png")
    source = MaskFolder(
        str(folder), ["a", "b", "c"], None, None, None, "error", size=list(GRID), channels=3, fit=fit
    )
    return load(source.load(StoreCache()), Data(name="mask-folder", val=0.2, test=0.5))


def logits(inputs: NDArray[np.uint8]) -> Tensor:
    """Three maps of the image: a model that looks at its input."""
    return F.avg_pool2d(torch.from_numpy(inputs.copy()).float(), 5, 1, 2)


def test_maps_equal_torchmetrics_on_the_original_images(tmp_path: Path) -> None:
    data = masks(tmp_path, "pad")
    assert data.input.size == GRID
    task = Segmentation(data.for_task, LossOptions())
    measured = measure(lambda rows: logits(data.test.samples.read(rows)), data.test, task)

    iou, right, total = MulticlassJaccardIndex(3, ignore_index=255), 0, 0
    for name in data.test.samples.ids:
        mask = torch.from_numpy(np.array(Image.open(tmp_path / f"masks/{name}.png"))).long()
        grid, (top, left, height, width) = letterbox(Image.open(tmp_path / f"images/{name}.png"))
        output = logits(np.asarray(grid).transpose(2, 0, 1)[None])
        shown = output[:, :, top : top + height, left : left + width]
        answer = F.interpolate(shown, size=mask.shape, mode="bilinear", align_corners=False).argmax(dim=1)[0]
        iou.update(answer[None], mask[None])
        right, total = right + int((answer == mask).sum()), total + int((mask != 255).sum())
    assert measured.metrics["miou"] == pytest.approx(iou.compute().item(), abs=1e-6)
    assert measured.metrics["pixel_accuracy"] == right / total
    assert len(measured.statistics) == len(data.test)


@pytest.mark.parametrize("fit", FITS)
def test_every_pixel_of_the_masks_counts(tmp_path: Path, fit: str) -> None:
    data = masks(tmp_path, fit)
    task = Segmentation(data.for_task, LossOptions())
    measured = measure(lambda rows: logits(data.test.samples.read(rows)), data.test, task)
    counted = task.columns.unpack(measured.statistics)["labeled"].sum(dim=1).tolist()
    labels = [np.array(Image.open(tmp_path / f"masks/{name}.png")) for name in data.test.samples.ids]
    assert counted == [int((mask != 255).sum()) for mask in labels]


def coco(folder: Path, fit: str) -> tuple[Dataset, dict[str, Any]]:
    content: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }
    for number, (height, width) in enumerate(SHAPES):
        Image.fromarray(pixels(number)).save(folder / f"{number}.png")
        content["images"].append(
            {"id": number, "file_name": f"{number}.png", "height": height, "width": width}
        )
        for x, y, side, category in ((2, 3, 20, 1), (width - 30, height - 25, 24, 2), (5, 8, 15.5, 2)):
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": number,
                    "category_id": category,
                    "bbox": [x, y, side, side],
                    "area": side * side,
                    "iscrowd": 0,
                }
            )
    (folder / "boxes.json").write_text(json.dumps(content))
    nothing = dict.fromkeys(("val_annotations", "test_annotations", "val_images", "test_images", "unlabeled"))
    source = Coco(
        str(folder / "boxes.json"), str(folder), **nothing, size=list(GRID), channels=3, fit=fit
    ).load(StoreCache())
    return load(source, Data(name="coco", val=0.2, test=0.5)), content


def noisy_boxes(rows: NDArray[np.int64], data: Dataset) -> Tensor:
    """Boxes on the grid: the labels on it, moved a little, and false ones."""
    answer = torch.zeros(len(rows), 100, 6)
    answer[..., 5] = -1
    for index, row in enumerate(rows.tolist()):
        draw = np.random.default_rng(row)
        labels = torch.from_numpy(data.test.samples.targets[row])
        labels = labels[labels[:, 4] >= 0]
        moved = (labels[:, :4] + torch.from_numpy(draw.normal(0, 0.01, labels[:, :4].shape))).clamp(0, 1)
        corners = torch.from_numpy(np.sort(draw.uniform(0, 1, (6, 2, 2)), axis=1).reshape(6, 4))
        boxes = torch.cat([moved, corners])
        classes = torch.cat([labels[:, 4], torch.from_numpy(draw.integers(0, 2, 6))])
        scores = torch.from_numpy(draw.permutation(len(boxes)) / 10 + 0.1)
        answer[index, : len(boxes)] = torch.cat([boxes, scores[:, None], classes[:, None]], dim=1)
    return answer


@pytest.mark.parametrize("fit", FITS)
def test_boxes_equal_coco_on_the_original_images(tmp_path: Path, fit: str) -> None:
    data, content = coco(tmp_path, fit)
    task = Detection(data.for_task, LossOptions())
    measured = measure(lambda rows: noisy_boxes(rows, data), data.test, task)

    tested = [int(name.rpartition("/")[2].removesuffix(".png")) for name in data.test.samples.ids]
    found = []
    for index, number in enumerate(tested):
        height, width = SHAPES[number]
        placement = place((height, width), GRID, fit)
        left, top, right, bottom = placement.shown if fit != "pad" else (0, 0, 0, 0)
        for x1, y1, x2, y2, score, label in noisy_boxes(np.array([index]), data)[0].tolist():
            if score == 0:
                continue
            if fit == "pad":  # in pixels of the grid, minus the padding, in pixels of the image
                scale = min(GRID[0] / height, GRID[1] / width)
                inner = round(height * scale), round(width * scale)
                edge = (GRID[0] - inner[0]) // 2, (GRID[1] - inner[1]) // 2
                xs = [(x * GRID[1] - edge[1]) * width / inner[1] for x in (x1, x2)]
                ys = [(y * GRID[0] - edge[0]) * height / inner[0] for y in (y1, y2)]
            else:
                xs = [left + x * (right - left) for x in (x1, x2)]
                ys = [top + y * (bottom - top) for y in (y1, y2)]
            xs, ys = np.clip(xs, 0, width).tolist(), np.clip(ys, 0, height).tolist()
            if xs[1] > xs[0] and ys[1] > ys[0]:
                box = [xs[0], ys[0], xs[1] - xs[0], ys[1] - ys[0]]
                found.append({"image_id": number, "category_id": int(label) + 1, "bbox": box, "score": score})
    wanted = {
        **content,
        "images": [image for image in content["images"] if image["id"] in tested],
        "annotations": [each for each in content["annotations"] if each["image_id"] in tested],
    }
    truth = COCO(wanted)
    evaluation = COCOeval_faster(truth, truth.loadRes(found), "bbox", print_function=lambda *_: None)
    evaluation.run()
    assert 0.02 < measured.metrics["map"] < 0.99
    for name, number in (("map", 0), ("ap50", 1), ("ap75", 2)):
        assert measured.metrics[name] == pytest.approx(float(evaluation.stats[number]), abs=1e-6)


def test_predicted_boxes_are_in_pixels_of_the_image(tmp_path: Path) -> None:
    data, _ = coco(tmp_path, "pad")
    task = Detection(data.for_task, LossOptions())
    height, width = SHAPES[0]
    placement = place((height, width), GRID, "pad")
    output = torch.zeros(1, 100, 6)
    output[..., 5] = -1
    output[0, 0, :4] = placement.boxes_to_grid(torch.tensor([8 / width, 6 / height, 0.5, 0.5]))
    output[0, 0, 4:] = torch.tensor([0.9, 1])
    (prediction,) = task.predictions(task.to_frame(output, placement), ("a", "b"))
    ((name, score, corners),) = boxes_in_pixels(Answered("a.png", prediction, "", (width, height)), 0.5)
    assert (name, score) == ("b", pytest.approx(0.9))
    assert corners == pytest.approx([8, 6, 40, 30], abs=1e-4)
