"""Distillation losses and mixtures of class probabilities, as functions of tensors.

A loss returns one value per element, without a mean over the batch, weights, or other losses. The total
loss of a training belongs in `mtkd_cli.training.objectives`.
"""

from mtkd_cli.losses.cross_entropy import cross_entropy as cross_entropy
from mtkd_cli.losses.cwd import channel_divergence as channel_divergence
from mtkd_cli.losses.dist import relational as relational
from mtkd_cli.losses.distillation import DistillationLoss as DistillationLoss
from mtkd_cli.losses.distillation import loss_to_teachers as loss_to_teachers
from mtkd_cli.losses.dkd import dkd_loss as dkd_loss
from mtkd_cli.losses.features import feature_loss as feature_loss
from mtkd_cli.losses.kl import kl_divergence as kl_divergence
from mtkd_cli.losses.mean import mean_over as mean_over
from mtkd_cli.losses.registered import registered_loss as registered_loss
from mtkd_cli.losses.squared_logits import squared_logits as squared_logits
from mtkd_cli.losses.standardize import standardized as standardized
