"""A confidently wrong teacher: three good teachers, and one that was trained on random labels.

Fashion-MNIST: the first 8,000 training images, 600 of them labeled for the student (a fifth of these for
validation), all 10,000 test images. The good teachers are trained on every training label. The wrong one is
trained on random labels, and its logits are then scaled up until it is confident.

    path = recipe_in(Path("somewhere"), "/folder/of/the/gz/files")
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from mtkd_cli import counter_rng
from mtkd_cli.interfaces import ModelRequest
from mtkd_data.fashion_mnist import FashionMnist
from mtkd_teachers.convnet import ConvNetProvider

SAMPLES = 8000
WRONG = "16-32"
CLASSES = 10
EPOCHS = 10
CONFIDENCE = 0.95
"""Mean confidence that the wrong teacher's logits are scaled to."""

RECIPE = """
task: classification
data: {{name: fashion-mnist, path: {fashion}, samples: {samples}, labels: 600, val: 0.2}}
augment: {{shift: 0.08, rotate: 5, zoom: 0.1}}
views: 2
fit: {{labels: all, epochs: 6, lr: 5e-3, batch_size: 128}}
teachers:
  - {{name: convnet, model: "convnet:16-32-64", fit: all}}
  - {{name: resnet, model: "resnet:8-8", fit: all}}
  - {{name: mlp, model: "mlp:256-128", fit: all}}
  - {{name: wrong, model: "convnet:{wrong}", checkpoint: {folder}/wrong.safetensors, classes: {classes}}}
strategy: mean
student: convnet:8-16-32
loss: {{temperature: 2, kd_ratio: 0.9}}
train: {{epochs: 8, batch_size: 128, lr: 1e-2}}
"""


def recipe_in(folder: Path, fashion: str) -> Path:
    """Train the wrong teacher in a folder, write the recipe there and return its path."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "wrong.safetensors").exists():
        train_wrong(folder / "wrong.safetensors", fashion)
    path = folder / "wrong-teacher.yaml"
    text = RECIPE.format(
        fashion=fashion, samples=SAMPLES, folder=folder, wrong=WRONG, classes=list(range(CLASSES))
    )
    path.write_text(text)
    return path


def train_wrong(path: Path, fashion: str) -> None:
    """Train the wrong teacher and write its weights."""
    samples = FashionMnist(fashion, SAMPLES).load(path.parent).train
    images = torch.from_numpy(samples.inputs[:SAMPLES].copy()).float() / 255
    images = (images - images.mean()) / images.std()
    target = torch.from_numpy(counter_rng.generator("random labels").integers(0, CLASSES, len(images)))
    counter_rng.seed_torch("wrong teacher")
    net = ConvNetProvider().build(ModelRequest(WRONG, 1, images.shape[-1], CLASSES, False)).module.train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for epoch in range(EPOCHS):
        order = counter_rng.permutation(len(images), "order", epoch)
        for start in range(0, len(images), 128):
            part = order[start : start + 128]
            loss = F.cross_entropy(net(images[part]), target[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        logits = net.eval()(images[:2000])
        scale = 1.0
        while F.softmax(logits * scale, dim=1).max(dim=1).values.mean() < CONFIDENCE:
            scale *= 1.25
        net.head.weight *= scale
        net.head.bias *= scale
    save_file(net.state_dict(), path)
