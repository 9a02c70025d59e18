"""The recipe in the real verl: its configuration, its loaders, its workers. Only the GPU servers are a script."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from train.configs import VERL

SERVER = "reward.custom_reward_function.reward_kwargs.address=127.0.0.1:1"
FILES = ["data.train_files=train.parquet", "data.val_files=val.parquet"]
TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{{ tools | length }} tools<|im_end|>\n{% endif %}"
    "{% for m in messages %}{% if m.role == 'tool' %}{% if not loop.previtem or loop.previtem.role != 'tool' %}"
    "<|im_start|>user{% endif %}\n<tool_response>\n{{ m.content }}\n</tool_response>"
    "{% if loop.last or loop.nextitem.role != 'tool' %}<|im_end|>\n{% endif %}{% else %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls or [] %}\n<tool_call>\n"
    "{{ c.function | tojson }}\n</tool_call>{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TODO = '<tool_call>\n{"name": "todo", "arguments": {"items": ["find the mill"]}}\n</tool_call>'
SEARCH = '<tool_call>\n{"name": "search", "arguments": {"queries": ["tidal mill at Voe"]}}\n</tool_call>'
REPORT = "The mill at Voe was rebuilt in 1825 \\cite{skerrow-tidal-mill#2}."
ROW = {"raw_prompt": [{"role": "user", "content": "Who rebuilt the mill?"}]}


def composed(*overrides: str) -> Any:
    """verl's own configuration with ours over it, as `python -m train.verl` has Hydra compose it."""
    from hydra import compose, initialize_config_dir

    from train.verl.__main__ import arguments

    ours = [argument for argument in arguments([*FILES, SERVER]) if argument.startswith("actor_rollout_ref")]
    with initialize_config_dir(config_dir=str(VERL), version_base=None):
        return compose("qwen2.5-32b-ppo", overrides=[*ours, *FILES, SERVER, *overrides])


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2 with a byte tokenizer: what verl's workers read of a model."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config

    folder = tmp_path_factory.mktemp("model")
    vocabulary = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    raw = Tokenizer(models.BPE(vocabulary, []))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    raw.add_special_tokens(["<|im_start|>", "<|im_end|>", "<|endoftext|>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, architectures=["Qwen2ForCausalLM"],
    ).save_pretrained(folder)  # fmt: skip
    return folder


class Script:
    """The rollout server: replies in order, tokenised, each token with a log-probability of its own."""

    def __init__(self, tokenizer: Any, replies: Sequence[str | None]) -> None:
        self._tokenizer, self._replies = tokenizer, iter(replies)
        self.prompts: list[list[int]] = []
        self.said: list[list[int]] = []

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> Any:
        from verl.workers.rollout.replica import TokenOutput

        reply = next(self._replies)
        self.prompts.append(prompt_ids)
        if reply is None:
            return TokenOutput(token_ids=[], stop_reason="aborted")
        ids = self._tokenizer.encode(reply, add_special_tokens=False)[: sampling_params["max_tokens"]]
        self.said.append(ids)
        steps = {"min_global_steps": len(self.said), "max_global_steps": len(self.said)}
        logprobs = [-0.001 * (i + 1) for i in range(len(ids))]
        return TokenOutput(token_ids=ids, log_probs=logprobs, stop_reason="completed", extra_fields=steps)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled collection, indexed as a user's own would be."""
    from policy import bundled
    from policy.index.build import build

    path = tmp_path_factory.mktemp("index") / "index.sqlite"
    with bundled.corpus() as folder:
        build(path, folder)
    return path


@pytest.fixture
async def worker(model_folder: Path, index: Path, tmp_path: Path) -> AsyncIterator[Any]:
    """`worker(replies, settings)`: verl's AgentLoopWorker with our agent loop from our configuration."""
    from transformers import AutoTokenizer
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker

    from train.opened import close

    def make(replies: Sequence[str | None], settings: str, response: int = 20_000) -> tuple[Any, Script]:
        agent = tmp_path / "agent.toml"
        agent.write_text(f'{settings}\n[search]\ndense = false\nindex = "{index}"\n', encoding="utf-8")
        loops = tmp_path / "agent_loop.yaml"
        shipped = (VERL / "agent_loop.yaml").read_text(encoding="utf-8")
        loops.write_text(shipped.replace("settings: null", f"settings: {agent}"), encoding="utf-8")
        config = composed(
            f"actor_rollout_ref.model.path={model_folder}",
            f"actor_rollout_ref.rollout.agent.agent_loop_config_path={loops}",
            "data.max_prompt_length=12000",
            f"data.max_response_length={response}",
        )
        server = Script(AutoTokenizer.from_pretrained(model_folder), replies)
        return AgentLoopWorker(config, server), server

    yield make
    await close()


SMALL = (
    "[agent.budget]\nturn_tokens = 2000\n[agent.context]\ntokens = 30000\nsummary_chars = 600\n"
    "observation_chars = 900\n"
)
# Compaction goes by estimates of four characters a token, and this tokenizer has one: rows are full before it.
NARROW = SMALL.replace("turn_tokens = 2000", "turn_tokens = 500").replace("tokens = 30000", "tokens = 8000")


def test_verl_composes_and_validates_the_recipe(model_folder: Path) -> None:
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    config = composed(f"actor_rollout_ref.model.path={model_folder}")  # it reads the model's own configuration
    assert need_critic(config)
    assert need_reference_policy(config)
    validate_config(config, use_reference_policy=True, use_critic=True)
    assert (config.algorithm.adv_estimator, config.algorithm.gamma, config.algorithm.lam) == ("gae", 1.0, 1.0)
    assert config.actor_rollout_ref.rollout.name == "vllm"
    # A row fits the servers, and the micro-batch of one sequence-parallel group.
    row = config.data.max_prompt_length + config.data.max_response_length
    actor = config.actor_rollout_ref.actor
    assert row <= config.actor_rollout_ref.rollout.max_model_len
    assert row <= actor.ppo_max_token_len_per_gpu * actor.ulysses_sequence_parallel_size
    algorithm = omega_conf_to_dataclass(config.algorithm)
    assert algorithm.gamma == algorithm.lam == 1.0


def test_the_judges_address_and_the_files_have_no_default() -> None:
    from train.verl.__main__ import arguments

    with pytest.raises(SystemExit) as error:
        arguments(["data.train_files=a.parquet"])
    assert str(error.value).splitlines() == [
        "data.val_files=...: must be given",
        "reward.custom_reward_function.reward_kwargs.address=...: must be given",
    ]
    assert arguments(["--config-name", "mine"])[-2:] == ["--config-name", "mine"]


async def test_an_episode_of_the_real_agent_is_a_row_whose_mask_is_what_was_sampled(worker: Any) -> None:
    from verl.protocol import DataProto

    replies = [f"I plan.\n{TODO}<|im_end|>", f"{SEARCH}<|im_end|>", f"{REPORT}<|im_end|>"]
    loop, server = worker(replies, SMALL)
    prompt = np.empty(1, dtype=object)
    prompt[0] = ROW["raw_prompt"]
    names = np.array(["judger_agent"], dtype=object)
    batch = await loop.generate_sequences(
        DataProto(batch=None, non_tensor_batch={"raw_prompt": prompt, "agent_name": names})
    )

    responses, mask = batch.batch["responses"][0], batch.batch["response_mask"][0]
    sampled = responses[mask.bool()].tolist()
    assert sampled == [token for reply in server.said for token in reply]
    logprobs = batch.batch["rollout_log_probs"][0]
    assert logprobs[mask.bool()].tolist() == pytest.approx(
        [-0.001 * (i + 1) for r in server.said for i in range(len(r))]
    )
    assert not logprobs[~mask.bool()].any()
    # Each prompt is the one before, the reply, and a suffix: never tokenised again.
    for earlier, reply, later in zip(server.prompts, server.said, server.prompts[1:], strict=False):
        assert later[: len(earlier) + len(reply)] == earlier + reply
    shown = loop.tokenizer.decode(server.prompts[-1])
    assert "[x]" not in shown
    assert "find the mill" in shown
    assert "skerrow-tidal-mill" in shown  # a real search over the bundled collection
    extra = {key: value[0] for key, value in batch.non_tensor_batch.items()}
    assert (extra["report"], extra["status"], extra["tool_errors"]) == (REPORT, "done", 0)
    assert (extra["min_global_steps"], extra["max_global_steps"]) == (1, 3)


async def one_loop(
    worker: Any, replies: Sequence[str | None], settings: str, response: int = 20_000
) -> tuple[Any, Script]:
    """Our loop as verl builds it, without the padding that follows."""
    import hydra
    from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap, _agent_loop_registry

    holder, server = worker(replies, settings, response)
    loop = hydra.utils.instantiate(
        _agent_loop_registry["judger_agent"],
        trainer_config=DictConfigWrap(holder.config),
        server_manager=server,
        tokenizer=holder.tokenizer,
        processor=None,
        hf_model_type=holder.hf_model_type,
        dataset_cls=holder.dataset_cls,
        data_config=DictConfigWrap(holder.config.data),
        tools=ToolListWrap([]),
    )
    return loop, server


async def test_a_compacted_episode_is_several_rows_and_no_token_is_trained_twice(worker: Any) -> None:
    small = (
        "[agent.budget]\nturn_tokens = 1000\n[agent.context]\ntokens = 5000\ncompact_at = 0.9\nkeep_turns = 1\n"
        "summary_chars = 400\nobservation_chars = 500\n"
    )
    replies = [f"{SEARCH}<|im_end|>"] * 6 + [f"{REPORT}<|im_end|>"]
    loop, server = await one_loop(worker, replies, small)
    outputs = await loop.run({"temperature": 1.0, "logprobs": True}, **ROW)
    assert len(outputs) > 1
    trained = [t for one in outputs for t, m in zip(one.response_ids, one.response_mask, strict=True) if m]
    assert trained == [token for reply in server.said for token in reply]
    assert all(len(one.response_ids) == len(one.response_mask) == len(one.response_logprobs) for one in outputs)
    assert all(one.extra_fields["report"] == REPORT for one in outputs)


async def test_a_reply_that_is_cut_off_gets_its_end_of_turn_masked(worker: Any) -> None:
    settings = SMALL.replace("turn_tokens = 2000", "turn_tokens = 40")
    loop, server = await one_loop(worker, ["much too long " * 30, f"{REPORT[:30]}<|im_end|>"], settings)
    output = await loop.run({}, **ROW)
    assert len(server.said[0]) == 256
    after = output.response_ids[256]
    assert (after, output.response_mask[256]) == (loop.tokenizer.eos_token_id, 0)


async def test_a_policy_that_writes_no_report_within_its_budget_gives_an_empty_one(worker: Any) -> None:
    settings = SMALL.replace("turn_tokens", "turns = 2\nturn_tokens")
    loop, _ = await one_loop(worker, [f"{TODO}<|im_end|>", f"{TODO}<|im_end|>"], settings)
    output = await loop.run({}, **ROW)
    assert (output.extra_fields["report"], output.extra_fields["status"]) == ("", "failed")


async def test_a_server_that_breaks_off_fails_the_session(worker: Any) -> None:
    from train.outcomes import EpisodeFailed

    loop, _ = await one_loop(worker, [f"{TODO}<|im_end|>", None], SMALL)
    with pytest.raises(EpisodeFailed, match="broke the reply off"):
        await loop.run({}, **ROW)


async def test_no_row_is_longer_than_its_room_or_ends_with_what_was_not_sampled(worker: Any) -> None:
    """Results that outgrow a row are not its end: verl would cut them, and lose the reward with its last token."""
    replies = [f"{SEARCH}<|im_end|>"] * 6 + [f"{REPORT}<|im_end|>"]
    loop, server = await one_loop(worker, replies, NARROW, 2500)
    outputs = await loop.run({}, **ROW)
    assert len(outputs) > 1
    for one in outputs:
        assert len(one.response_ids) == len(one.response_mask) <= 2500
        assert one.response_mask[-1] == 1
    assert outputs[-1].extra_fields["report"] == REPORT
    trained = [t for one in outputs for t, m in zip(one.response_ids, one.response_mask, strict=True) if m]
    assert trained == [token for reply in server.said for token in reply]


async def test_a_policy_that_writes_its_row_full_gives_an_empty_report(worker: Any) -> None:
    loop, _ = await one_loop(worker, ["on and on " * 200], NARROW, 300)
    output = await loop.run({}, **ROW)
    assert (output.extra_fields["report"], output.response_mask) == ("", [1] * 300)


async def test_episodes_of_a_worker_share_the_answers_of_their_tools(worker: Any) -> None:
    from train import opened

    loop, _ = await one_loop(worker, [f"{SEARCH}<|im_end|>", f"{REPORT}<|im_end|>"] * 2, SMALL)
    for _ in range(2):
        await loop.run({}, **ROW)
    (cache,) = [cache for _, _, cache in opened._opened.values()]
    assert cache.hits == 1


def test_without_something_to_search_nothing_is_started(tmp_path: Path, index: Path) -> None:
    from train.verl.__main__ import arguments, check

    with pytest.raises(SystemExit, match=r"search\.index: must be given"):
        check(arguments([*FILES, SERVER]), {})
    agent, loops = tmp_path / "mine.toml", tmp_path / "loops.yaml"
    shipped = (VERL / "agent_loop.yaml").read_text(encoding="utf-8")
    loops.write_text(shipped.replace("settings: null", f"settings: {agent}"), encoding="utf-8")
    given = arguments([*FILES, SERVER, f"actor_rollout_ref.rollout.agent.agent_loop_config_path={loops}"])
    agent.write_text(f'[search]\nindex = "{index}"\n')
    check(given, {})
    agent.write_text('[search]\nprovider = "brave"\n')
    with pytest.raises(SystemExit, match="brave needs a key in SEARCH_API_KEY"):
        check(given, {})
    check(given, {"SEARCH_API_KEY": "k"})


async def test_settings_that_do_not_fit_a_row_are_refused(worker: Any) -> None:
    with pytest.raises(Exception, match=r"more than the 12,100 of data\.max_prompt_length"):
        await one_loop(worker, [], SMALL, response=100)


def judged_row(tokenizer: Any, criteria: list[dict[str, Any]], **extra: Any) -> Any:
    """What verl's worker hands to its reward manager."""
    import torch
    from tensordict import TensorDict
    from verl.protocol import DataProto

    ids = torch.tensor([tokenizer.encode("the whole response, tools and all")])
    tensors = {"prompts": ids, "responses": ids, "attention_mask": torch.ones(1, 2 * ids.shape[1], dtype=torch.long)}

    def column(value: Any) -> Any:
        array = np.empty(1, dtype=object)
        array[0] = value
        return array

    return DataProto(
        batch=TensorDict(tensors, batch_size=1),
        non_tensor_batch={
            "data_source": column("tasks"),
            "reward_model": column({"ground_truth": json.dumps(criteria)}),
            "extra_info": column({"query": "Who rebuilt the mill?"}),
            "tool_extra_fields": column(extra),
        },
    )


def manager_of(server: Any, folder: Path, *overrides: str) -> Any:
    """verl's reward manager with our function, as its loader makes it from the recipe."""
    from transformers import AutoTokenizer
    from verl.trainer.ppo.reward import load_reward_manager

    address = f"reward.custom_reward_function.reward_kwargs.address={server.address}"
    return load_reward_manager(composed(address, *overrides), AutoTokenizer.from_pretrained(folder))


@pytest.fixture
def manager(scripted_server: Any, model_folder: Path) -> Any:
    return manager_of(scripted_server, model_folder)


async def test_verls_reward_manager_gets_the_judgers_reward_of_the_report(manager: Any) -> None:
    criteria = [
        {"id": "a", "text": "names the year [[fully]]", "weight": 3, "role": "explicit"},
        {"id": "b", "text": "names the price [[not]]", "weight": 1, "role": "implicit"},
        {"id": "c", "text": "invents [[partially]]", "weight": -2, "role": "negative"},
    ]
    result = await manager.run_single(judged_row(manager.tokenizer, criteria, report=REPORT))
    assert result["reward_score"] == pytest.approx((3 - 2) / 4)
    info = result["reward_extra_info"]
    assert (info["raw"], info["explicit"], info["implicit"], info["negative"], info["flags"]) == (
        1.0,
        1.0,
        0.0,
        1.0,
        0.0,
    )


async def test_an_unscored_criterion_is_no_reward_but_an_exception(manager: Any) -> None:
    from train.verl.reward import Unjudged

    criteria = [{"id": "a", "text": "x [[fully]]"}, {"id": "b", "text": "y [[unscored=too_long]]"}]
    with pytest.raises(Unjudged, match=r"b is unscored \(too_long"):
        await manager.run_single(judged_row(manager.tokenizer, criteria, report=REPORT))


async def test_no_report_is_worth_the_least_that_one_can_get(manager: Any) -> None:
    criteria = [{"text": "x [[fully]]", "weight": 4}, {"text": "y", "weight": -1, "role": "negative"}]
    result = await manager.run_single(judged_row(manager.tokenizer, criteria, report=""))
    assert result["reward_score"] == -1 / 4
    assert set(result["reward_extra_info"]) == {"score", "raw", "flags", "unread", "explicit", "implicit", "negative"}


async def test_a_judger_that_stays_away_is_no_reward(model_folder: Path) -> None:
    from judger.errors import Unavailable
    from train.verl.reward import compute_score

    info = {"query": "q", "report": REPORT}
    with pytest.raises(Unavailable):
        await compute_score("t", "", '[{"text": "x"}]', info, address="127.0.0.1:1", timeout=2, patience=1)


def test_tasks_become_rows_that_verls_data_set_reads(tmp_path: Path, model_folder: Path) -> None:
    from transformers import AutoTokenizer
    from verl.utils.dataset.rl_dataset import RLHFDataset

    from train.verl import data

    tasks, out = tmp_path / "tasks.jsonl", tmp_path / "tasks.parquet"
    lines = [
        {"id": "1", "query": "Who?", "criteria": [{"id": "a", "text": "x", "weight": 2}]},
        {"id": "2", "query": "When?", "criteria": [{"id": "a", "text": "y"}, {"id": "b", "text": "z", "weight": -1}]},
    ]
    tasks.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert data.main([str(tasks), "-o", str(out)]) == 0
    rows = RLHFDataset(str(out), AutoTokenizer.from_pretrained(model_folder), composed().data)
    assert len(rows) == 2
    assert rows[1]["raw_prompt"] == [{"role": "user", "content": "When?"}]
    assert rows[1]["agent_name"] == "judger_agent"
    assert [c["weight"] for c in json.loads(rows[1]["reward_model"]["ground_truth"])] == [1.0, -1.0]
    assert rows[1]["extra_info"]["query"] == "When?"


def test_a_task_without_criteria_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from train.verl import data

    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"id": "1", "query": "Who?"}\n', encoding="utf-8")
    assert data.main([str(tasks), "-o", str(tmp_path / "out.parquet")]) == 2
    assert "without criteria there is no reward: 1" in capsys.readouterr().err
