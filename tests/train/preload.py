"""What the processes of `tests.train.processes` find imported."""

import datasets  # noqa: F401
import torch.utils.tensorboard  # noqa: F401
import trl  # noqa: F401
from trl import GRPOTrainer, SFTTrainer  # noqa: F401

import train.lm.midtrain
import train.lm.sft
import train.rl.grpo.train
import train.rl.ppo.train  # noqa: F401
