"""`python -m train.verl KEY=VALUE ...`: verl's own PPO command with the configuration of `train/configs/verl`.

    python -m train.verl data.train_files=train.parquet data.val_files=heldout.parquet \\
        reward.custom_reward_function.reward_kwargs.address=judger:50051

Whatever Hydra and verl take may follow; a `--config-name` replaces ours.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from policy.config import load_settings
from policy.errors import ConfigError
from train.agent import check_agent
from train.configs import VERL

__all__ = ["arguments", "check"]

# A value of verl's own would take the place of a `???` in our file, so Hydra cannot ask for these.
_WANTED = ("data.train_files", "data.val_files", "reward.custom_reward_function.reward_kwargs.address")
_AGENT_LOOPS = "actor_rollout_ref.rollout.agent.agent_loop_config_path"


def arguments(given: Sequence[str]) -> list[str]:
    """The arguments of `verl.trainer.main_ppo`. Raises SystemExit that names what is missing."""
    ours = ["--config-dir", str(VERL)]
    if not any(argument.startswith(("--config-name", "-cn")) for argument in given):
        missing = [key for key in _WANTED if not any(argument.lstrip("+").startswith(f"{key}=") for argument in given)]
        if missing:
            raise SystemExit("\n".join(f"{key}=...: must be given" for key in missing))
        ours += ["--config-name", "qwen2.5-32b-ppo"]
    # Before the given ones, so that theirs win.
    return [*ours, f"{_AGENT_LOOPS}={VERL / 'agent_loop.yaml'}", *given]


def check(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Looks at the agent's settings before the cluster starts. Raises SystemExit that says what is wrong with them.

    `environ` holds the search service's key, which the workers must have too.
    """
    named = [one.partition("=")[2] for one in arguments if one.lstrip("+").startswith(f"{_AGENT_LOOPS}=")]
    try:
        for loop in yaml.safe_load(Path(named[-1]).read_text(encoding="utf-8")):
            if loop.get("_target_") == "train.verl.agent_loop.ResearchAgentLoop":
                path = Path(loop.get("settings") or VERL / "agent.toml")
                settings = load_settings(path)
                check_agent(settings, path, environ.get(settings.search.api_key_env))
    except (OSError, ConfigError, yaml.YAMLError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    sys.argv = ["verl.trainer.main_ppo", *arguments(sys.argv[1:])]
    check(sys.argv, os.environ)
    runpy.run_module("verl.trainer.main_ppo", run_name="__main__", alter_sys=True)
