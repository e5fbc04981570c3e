"""The compared loops: without teachers, mtkd, hand-written, and torchdistill."""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from recording_bench import BATCH, Bench
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms

from mtkd_cli.interfaces import Alignment
from mtkd_cli.models.preprocess import Prepared, with_preprocessing
from mtkd_cli.runs.students import build_untrained
from mtkd_cli.teachers.distillation_data import distillation_data
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.training.loop import Evaluation, steps_per_epoch, train
from mtkd_cli.training.objectives import Batches, FromTeachers
from mtkd_cli.training.optimizer import create_optimizer, create_schedule
from mtkd_cli.training.selection import Measurement
from mtkd_cli.training.strategy import Strategy


def alone(bench: Bench, epochs: int) -> float:
    """Train the student on labels with a minimal loop."""
    settings, samples = bench.context.recipe.train, bench.samples
    module = with_preprocessing(build_untrained(bench.context)).train()
    targets = torch.from_numpy(bench.context.data.train.samples.targets)

    def run() -> None:
        optimizer = create_optimizer(module, settings)
        schedule = create_schedule(optimizer, steps_per_epoch(samples, BATCH) * epochs, settings)
        for epoch in range(epochs):
            for indices in torch.randperm(samples).split(BATCH):
                loss = F.cross_entropy(module(bench.shown(indices.numpy(), epoch)), targets[indices])
                optimizer.zero_grad()
                loss.backward()
                clip_grad_norm_(module.parameters(), settings.clip)
                optimizer.step()
                schedule.step()

    return bench.timed(run)


def warm(bench: Bench, count: int, epochs: int) -> float:
    """Train the student with mtkd's loop on the recorded outputs of the first ``count`` teachers."""
    context, recipe = bench.context, bench.context.recipe
    split = context.data.train
    task = context.task
    same = Alignment(tuple((place,) for place in range(task.outputs)))
    teachers = [ReadyTeacher(bench.teachers[k], task, same, {}, bench.arrays[k]) for k in range(count)]
    names = tuple(teacher.name for teacher in teachers)
    batches = Batches(context.task, split, names, (None,) * count, recipe.loss.temperature, 0)
    data = distillation_data(teachers, bench.views, context)
    strategy, loss = Strategy(context.parts.strategy), recipe.loss
    objective = FromTeachers(data, strategy, batches, loss.temperature, loss.kd_ratio)
    module = with_preprocessing(build_untrained(context))
    steps = steps_per_epoch(len(split), BATCH) * epochs

    def unmeasured(module: nn.Module) -> Evaluation:
        return Evaluation(Measurement(0.0, 0.0), {}, module)

    return bench.timed(
        lambda: train(
            module,
            data,
            objective,
            unmeasured,
            recipe.train,
            steps,
            steps,
            context.progress,
        )
    )


def eager(bench: Bench, k: int) -> Tensor:
    """Return the outputs of teacher k as in a loop without mtkd."""
    parts = np.array_split(np.arange(bench.samples), steps_per_epoch(bench.samples, BATCH))
    with torch.no_grad():
        return torch.cat([bench.models[k](bench.shown(part, bench.views - 1)) for part in parts])


class Images(Dataset):
    """The training samples as PIL images, transformed one by one."""

    def __init__(self, bench: Bench) -> None:
        self.samples = bench.context.data.train.samples
        augment = [transforms.RandomHorizontalFlip(), transforms.RandomAffine(0, translate=(0.1, 0.1))]
        self.transform = transforms.Compose(
            [
                transforms.ToPILImage(),
                *(augment if bench.views > 1 else []),
                transforms.ToTensor(),
            ]
        )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.from_numpy(self.samples.read(np.array([index]))[0])
        return self.transform(image), int(self.samples.targets[index])


def by_hand(bench: Bench) -> float:
    """Train one epoch with a typical loop: a DataLoader, and three teachers in the loop."""
    settings, temperature = bench.context.recipe.train, bench.context.recipe.loss.temperature
    module = plain_student(bench)
    optimizer = torch.optim.AdamW(module.parameters(), lr=settings.lr[0])
    loader = DataLoader(Images(bench), BATCH, shuffle=True)

    def run() -> None:
        for images, target in loader:
            with torch.no_grad():
                soft = [F.softmax(teacher(images) / temperature, dim=1) for teacher in bench.models[:3]]
            output = module(images)
            kd = F.kl_div(F.log_softmax(output / temperature, dim=1), sum(soft) / 3, reduction="batchmean")
            loss = 0.5 * F.cross_entropy(output, target) + 0.5 * temperature**2 * kd
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(module.parameters(), settings.clip)
            optimizer.step()

    return bench.timed(run)


def plain_student(bench: Bench) -> nn.Module:
    model = build_untrained(bench.context)
    return Prepared(model.module.to(memory_format=torch.contiguous_format), model.input).train()


class Ensemble(nn.Module):
    """The mean of the teachers' logits, as the single teacher of torchdistill."""

    def __init__(self, teachers: list[nn.Module]) -> None:
        super().__init__()
        self.teachers = nn.ModuleList(teachers)

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([teacher(images) for teacher in self.teachers]).mean(dim=0)


def with_torchdistill(bench: Bench) -> float:
    """Train one epoch with torchdistill's box and KDLoss, on the same images."""
    from torchdistill.common.constant import def_logger
    from torchdistill.core.distillation import get_distillation_box

    def_logger.setLevel("ERROR")
    settings = bench.context.recipe.train
    criterion = {
        "key": "KDLoss",
        "kwargs": {
            "student_module_path": ".",
            "student_module_io": "output",
            "teacher_module_path": ".",
            "teacher_module_io": "output",
            "temperature": bench.context.recipe.loss.temperature,
            "alpha": 0.5,
        },
    }
    config = {
        "num_epochs": 1,
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": RandomSampler},
            "kwargs": {"batch_size": BATCH, "num_workers": 0},
        },
        "teacher": {"forward_proc": "forward_batch_only", "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only"},
        "optimizer": {"key": "AdamW", "kwargs": {"lr": settings.lr[0]}, "max_grad_norm": settings.clip},
        "criterion": {
            "key": "WeightedSumLoss",
            "kwargs": {"sub_terms": {"kd": {"criterion": criterion, "weight": 1.0}}},
        },
    }
    ensemble = Ensemble(copy.deepcopy(bench.models[:3])).eval()
    device = torch.device("cpu")
    box = get_distillation_box(
        ensemble, plain_student(bench), {"train": Images(bench)}, config, device, None, False, 1
    )

    def run() -> None:
        box.pre_epoch_process(epoch=0)
        for images, target, extra in box.train_data_loader:
            loss = box.forward_process(images, targets=target, supp_dict=extra)
            box.post_forward_process(loss=loss)
        box.post_epoch_process()

    return bench.timed(run)
