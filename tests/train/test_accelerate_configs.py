"""The shipped configurations, read by accelerate as `accelerate launch` reads them."""

from __future__ import annotations

from argparse import Namespace

import pytest
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser, prepare_multi_gpu_env
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_deepspeed_cmd_env

from train.configs import ACCELERATE


def launched(name: str) -> tuple[Namespace, ClusterConfig]:
    """The arguments of `accelerate launch`, completed from the file."""
    given = [
        "--config_file",
        str(ACCELERATE / name),
        "--machine_rank",
        "1",
        "--main_process_ip",
        "10.0.0.1",
        "train.py",
    ]
    args, config, _ = _validate_launch_command(launch_command_parser().parse_args(given))
    assert isinstance(config, ClusterConfig)
    return args, config


@pytest.mark.parametrize("path", sorted(ACCELERATE.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_loader_takes_every_key(path: object) -> None:
    config = load_config_from_file(str(path))
    assert (config.num_machines, config.num_processes, config.mixed_precision) == (2, 16, "bf16")


def test_fsdp2_shards_parameters_and_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    args, config = launched("fsdp2.yaml")
    assert config.distributed_type == DistributedType.FSDP
    for key, value in prepare_multi_gpu_env(args).items():
        if key.startswith("FSDP"):
            monkeypatch.setenv(key, value)
    plugin = FullyShardedDataParallelPlugin()  # what a trainer gets in each process
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert not plugin.activation_checkpointing  # the stages' own option: both at once are refused by transformers
    # Of checkpoints alone: that a whole model is written at the end is tested where two processes train one.
    assert str(plugin.state_dict_type).endswith("SHARDED_STATE_DICT")


def test_zero3_shards_parameters_and_offloads_nothing() -> None:
    args, config = launched("zero3.yaml")
    args.deepspeed_fields_from_accelerate_config = ",".join(config.deepspeed_config)  # as launch_command does
    _, environment = prepare_deepspeed_cmd_env(args)
    assert args.use_deepspeed
    assert environment["ACCELERATE_DEEPSPEED_ZERO_STAGE"] == "3"
    assert environment["ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE"] == "none"
    assert environment["ACCELERATE_DEEPSPEED_ZERO3_INIT"].lower() == "true"
    assert args.num_processes == 16
