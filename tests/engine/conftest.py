"""Small tensors: one thread is faster than sharing them out."""

import torch

torch.set_num_threads(1)
