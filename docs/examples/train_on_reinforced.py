# train_on_reinforced.py FOLDER PHOTOS: train on a reinforced data set, without mtkd
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import nn

folder, photos = map(Path, sys.argv[1:])
rows = pq.read_table(sorted(folder.glob("train-view0-*.parquet")))
logits = torch.from_numpy(np.stack(rows["t0_logits"].to_numpy()).astype(np.float32))
images = [Image.open(photos / name).convert("RGB").resize((32, 32)) for name in rows["id"].to_pylist()]
inputs = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255
student = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 64), nn.ReLU(), nn.Linear(64, logits.shape[1]))
optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
for _ in range(20):
    for batch in torch.randperm(len(inputs)).split(32):
        loss = nn.functional.cross_entropy(student(inputs[batch]), logits[batch].softmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(f"loss {loss.item():.4f}")
