"""The reward in TRL's own trainer, which computes rewards and advantages of a step with it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from judger.errors import InvalidRequest
from judger.integrations.trl import ChecklistReward

GOOD, LOST = '["apple"]', '["apple", "[[unscored=unparsable]]"]'
CHAT = [{"role": "user", "content": "fruit?"}]


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


@pytest.fixture(scope="module")
def trainer_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A GRPOTrainer with a model of a few thousand weights."""
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
    from trl import GRPOConfig, GRPOTrainer

    words = {word: i for i, word in enumerate(["<pad>", "<eos>", "apple", "pear", "fruit"])}
    inner = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()

    def make(reward: ChecklistReward) -> Any:
        folder: Path = tmp_path_factory.mktemp("trl")
        config = Qwen2Config(
            vocab_size=len(words),
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            num_key_value_heads=1,
        )
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>")
        arguments = GRPOConfig(
            output_dir=str(folder),
            per_device_train_batch_size=4,
            num_generations=4,
            max_completion_length=4,
            max_steps=1,
            report_to=[],
            use_cpu=True,
            save_strategy="no",
            logging_steps=1,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return GRPOTrainer(
                model=Qwen2ForCausalLM(config),
                reward_funcs=[reward],
                args=arguments,
                train_dataset=Dataset.from_list([{"prompt": "fruit", "rubric": GOOD}] * 4),
                processing_class=tokenizer,
            )

    return make


async def test_rewards_are_one_a_row_and_none_where_there_is_none(address: str) -> None:
    logged: dict[str, float] = {}
    rewards = await ChecklistReward(address)(
        prompts=[CHAT] * 4,
        completions=[said("an apple"), said("<think>apple</think>a pear"), said(""), said("an apple")],
        completion_ids=[[1]] * 4,
        rubric=[GOOD, GOOD, GOOD, LOST],
        trainer_state=None,
        log_metric=logged.__setitem__,
        log_extra=None,
    )
    assert rewards == [1.0, 0.0, None, None]
    assert logged == {"checklist/unscored": 0.5}


async def test_other_rewards_are_parts_so_that_a_missing_one_masks_its_row(address: str) -> None:
    async def length(completions: list[str], **_: Any) -> list[float | None]:
        return [float(len(text)) if text != "pear" else None for text in completions]

    reward = ChecklistReward(address, weight=2.0, parts=[(length, 0.5), (lambda **_: [1.0] * 3, 1.0)])
    rewards = await reward(prompts=["q"] * 3, completions=["apple", "pear", "apple"], rubric=[GOOD, GOOD, LOST])
    assert rewards == [2.0 + 2.5 + 1.0, None, None]


async def test_data_without_rubrics_is_refused_by_the_name_of_the_column(address: str) -> None:
    with pytest.raises(InvalidRequest, match="checks: is no column"):
        await ChecklistReward(address, column="checks")(prompts=["q"], completions=["a"])


@pytest.mark.filterwarnings("ignore")
def test_trls_trainer_takes_a_step_with_it_and_reads_none_as_no_reward(address: str, trainer_of: Any) -> None:
    trainer = trainer_of(ChecklistReward(address))
    trainer.train()
    assert trainer.reward_func_names == ["checklist"]
    logs = [row for row in trainer.state.log_history if "rewards/checklist/mean" in row]
    assert 0.0 <= logs[0]["rewards/checklist/mean"] <= 1.0
    rewards = trainer._calculate_rewards(
        [{"rubric": GOOD}, {"rubric": LOST}], ["q", "q"], ["an apple", "an apple"], [[1], [1]]
    )
    assert rewards[0].tolist() == [1.0]
    assert torch.isnan(rewards[1]).all()
