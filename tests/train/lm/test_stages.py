"""Mid-training and fine-tuning, run for real on a toy world."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from datasets import load_from_disk
from transformers import AutoModelForCausalLM

from train.cli import main
from train.lm.faults import Fault
from train.lm.rope import extend
from train.lm.rows import mix
from train.lm.sft import code
from train.lm.training import Options, last_checkpoint, make_trainer, summary_writer

FAST = ["--device", "cpu", "--accumulate", "1", "--steps", "2", "--save-every", "1", "--learning-rate", "0.01"]
SIZES = "hidden=32,layers=2,heads=2,intermediate=32,vocab=1500"


@pytest.fixture(scope="module")
def stages(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both stages of mid-training and fine-tuning, one after the other."""
    out = tmp_path_factory.mktemp("stages")
    first = [
        "--data",
        str(data),
        "--out",
        str(out / "one"),
        "--stage",
        "1",
        "--tiny",
        SIZES,
        "--context",
        "256",
    ]
    second = [
        "--data",
        str(data),
        "--out",
        str(out / "two"),
        "--stage",
        "2",
        "--model",
        str(out / "one"),
        "--context",
        "512",
    ]
    third = ["--data", str(data), "--out", str(out / "sft"), "--model", str(out / "two"), "--packing"]
    assert main(["midtrain", *first, "--probes", "4", *FAST]) == 0
    assert main(["midtrain", *second, "--probes", "4", "--mix", "page=1.5", *FAST]) == 0
    assert main(["sft", *third, *FAST]) == 0
    return out


def figures(folder: Path) -> dict:
    return json.loads((folder / "figures.json").read_text())


def test_the_second_stage_extends_the_context_and_measures_at_both_lengths(stages: Path):
    config = AutoModelForCausalLM.from_pretrained(stages / "two").config
    assert config.max_position_embeddings == 512
    assert config.rope_parameters["rope_type"] == "yarn"
    assert config.rope_parameters["factor"] == 2.0
    assert set(figures(stages / "two")["after"]["retrieval"]) == {"256", "512"}
    assert figures(stages / "two")["kinds"] == {"episode": 24, "page": 36}


def test_training_lowers_the_loss_and_the_model_can_be_loaded(stages: Path):
    after = figures(stages / "sft")["after"]["loss"]
    assert after < figures(stages / "sft")["before"]["loss"]
    one = figures(stages / "one")
    assert one["after"]["loss"][0]["loss"] < one["random"]["loss"][0]["loss"]
    assert AutoModelForCausalLM.from_pretrained(stages / "sft").config.tie_word_embeddings


def test_a_run_that_was_killed_comes_to_the_same_weights(stages: Path, data: Path, tmp_path: Path, capsys):
    again = ["sft", "--data", str(data), "--model", str(stages / "two"), "--packing", *FAST]
    shutil.copytree(stages / "sft", tmp_path / "sft")
    for name in ("figures.json", "model.safetensors"):
        (tmp_path / "sft" / name).unlink()
    (tmp_path / "sft" / "checkpoints" / "checkpoint-2" / "trainer_state.json").unlink()
    assert main([*again, "--out", str(tmp_path / "sft")]) == 0
    assert "| 1/2 [" not in capsys.readouterr().err  # the first step is not done again (and 21/23 examples are none)
    assert figures(tmp_path / "sft")["after"] == figures(stages / "sft")["after"]


def test_a_finished_run_is_not_done_again_and_another_is_refused(stages: Path, data: Path, capsys):
    again = [
        "sft",
        "--data",
        str(data),
        "--out",
        str(stages / "sft"),
        "--model",
        str(stages / "two"),
        "--packing",
        *FAST,
    ]
    before = (stages / "sft" / "model.safetensors").stat().st_mtime_ns
    assert main(again) == 0
    assert (stages / "sft" / "model.safetensors").stat().st_mtime_ns == before
    assert main([*again, "--seed", "3"]) == 2
    assert "other settings (options)" in capsys.readouterr().err


def test_a_checkpoint_that_was_cut_short_or_ends_the_run_is_not_taken_up(tmp_path: Path):
    for step in (9, 10, 11, 12):
        (tmp_path / "checkpoints" / f"checkpoint-{step}").mkdir(parents=True)
        if step != 11:
            (tmp_path / "checkpoints" / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path, 12) == str(tmp_path / "checkpoints" / "checkpoint-10")


def test_packed_rows_keep_every_token_and_do_not_see_each_other(
    data: Path, model_folder: Path, tokenizer, tmp_path: Path
):
    rows, _ = code(load_from_disk(str(data / "sft")), tokenizer, context=1024)
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    options = Options(steps=1, learning_rate=1e-3, device="cpu")
    trainer = make_trainer(
        model, tokenizer, rows, None, tmp_path, options, context=300, packing=True, writer=summary_writer(tmp_path)
    )
    packed = trainer.train_dataset
    assert sum(map(len, packed["input_ids"])) == sum(map(len, rows["input_ids"]))
    assert max(map(len, packed["input_ids"])) <= 300
    pair = next(row for row in packed if len(row["seq_lengths"]) > 1)
    batch = trainer.data_collator([pair])
    first = pair["seq_lengths"][0]
    with torch.inference_mode():
        inputs = {"input_ids": batch["input_ids"], "position_ids": batch["position_ids"]}
        together = model.eval()(**inputs, use_cache=False).logits[0, first:]
        alone = model(batch["input_ids"][:, first:]).logits[0]
        second = alone[: pair["seq_lengths"][1]]
    torch.testing.assert_close(together[: len(second)], second, atol=1e-4, rtol=1e-4)


def test_only_the_assistants_tokens_have_a_label(data: Path, model_folder: Path, tokenizer, tmp_path: Path):
    rows, _ = code(load_from_disk(str(data / "sft")), tokenizer, context=1024)
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    trainer = make_trainer(
        model, tokenizer, rows, None, tmp_path, Options(steps=1, learning_rate=1e-3, device="cpu"),
        context=1024, packing=False, writer=summary_writer(tmp_path),
    )  # fmt: skip
    row = trainer.train_dataset[0]
    expected = [token if m else -100 for token, m in zip(rows[0]["input_ids"], rows[0]["assistant_masks"], strict=True)]
    assert row["labels"] == expected
    assert tokenizer.eos_token_id in row["labels"]


@pytest.mark.parametrize("kind", ["merged", "adapter"])
def test_low_rank_adapters_are_merged_or_written_alone(kind: str, data: Path, model_folder: Path, tmp_path: Path):
    command = ["sft", "--data", str(data), "--model", str(model_folder), "--out", str(tmp_path), "--lora", kind]
    assert main([*command, "--lora-rank", "2", *FAST]) == 0
    assert (tmp_path / "adapter_config.json").exists() == (kind == "adapter")
    assert figures(tmp_path)["trained_parameters"] < figures(tmp_path)["parameters"] / 4
    if kind == "merged":
        before = AutoModelForCausalLM.from_pretrained(model_folder).state_dict()
        after = AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
        assert before.keys() == after.keys()
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert changed
        assert all("proj" in name for name in changed)


def test_long_conversations_are_named_or_left_out_and_counted_never_cut(data: Path, tokenizer):
    rows = load_from_disk(str(data / "sft"))
    lengths = [
        len(tokenizer.apply_chat_template(r["messages"], tools=json.loads(r["tools"]))["input_ids"]) for r in rows
    ]
    context = max(lengths) - 1
    with pytest.raises(Fault) as raised:
        code(rows, tokenizer, context=context, name="sft")
    number = lengths.index(max(lengths))
    lines = str(raised.value).splitlines()
    assert f"sft: row {number} (task {rows[number]['task']}): {max(lengths)} tokens, the context is {context}" in lines
    assert lines[-1].startswith(f"sft: {len(lines) - 1} of 24 rows are too long")
    kept, dropped = code(rows, tokenizer, context=context, drop_long=True)
    assert (len(kept), dropped) == (24 - dropped, len(lines) - 1)


def test_a_weight_repeats_a_kind_or_leaves_it_out(data: Path):
    rows = load_from_disk(str(data / "midtrain" / "stage2"))
    assert mix(rows, {"page": 2.5, "episode": 0}, 0)[1] == {"page": 60}
    with pytest.raises(Fault, match="no kind song"):
        mix(rows, {"song": 1}, 0)


def test_extending_twice_scales_against_the_first_length(model_folder: Path):
    config = AutoModelForCausalLM.from_pretrained(model_folder).config
    twice = extend(extend(config, 2048), 4096)
    assert twice.rope_parameters["factor"] == 4.0
    assert twice.rope_parameters["original_max_position_embeddings"] == 1024
    assert extend(twice, 100).max_position_embeddings == 4096


def refused(capsys, *command: str) -> list[str]:
    assert main([*command]) == 2
    return capsys.readouterr().err.splitlines()


def test_bad_input_is_one_line_and_no_model_is_loaded(
    data: Path, model_folder: Path, tokenizer, tmp_path: Path, capsys
):
    bare = tmp_path / "bare"
    tokenizer.save_pretrained(bare)
    (bare / "config.json").write_text((model_folder / "config.json").read_text())  # and no weights
    template = (bare / "chat_template.jinja").read_text()
    for mark in ("{%- generation %}", "{%- endgeneration %}"):
        template = template.replace(mark, "")
    (bare / "chat_template.jinja").write_text(template)
    out = ["--out", str(tmp_path / "out")]
    here = ["sft", "--data", str(data), "--model"]
    assert "no {% generation %} markers" in refused(capsys, *here, str(bare), *out)[0]
    assert "no model there" in refused(capsys, *here, str(tmp_path), *out)[0]
    assert "no such folder" in refused(capsys, "sft", "--data", str(tmp_path / "x"), "--model", str(bare), *out)[0]
    pages = str(data / "midtrain" / "stage1")
    assert "missing columns: messages, tools" in refused(capsys, "sft", "--data", pages, "--model", str(bare), *out)[0]
    assert "the model takes 1024" in refused(capsys, *here, str(model_folder), *out, "--context", "9999")[0]
    stage = ["midtrain", "--data", str(data), "--stage", "1", *out, "--tiny"]
    assert "--tiny width=3: write it as name=number" in refused(capsys, *stage, "width=3")[0]
    assert "--mix page: write it as" in refused(capsys, *stage, SIZES, "--mix", "page")[0]
    assert not (tmp_path / "out").exists()


def test_a_base_model_is_fine_tuned_to_the_end_that_its_template_writes(
    data: Path, model_folder: Path, tmp_path: Path, capsys
):
    """As Qwen2.5's base models are: another eos token than the one that ends a reply, and a template without marks."""
    from transformers import AutoTokenizer

    from train.rl.setup import load_tokenizer

    base = tmp_path / "base"
    shutil.copytree(model_folder, base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.eos_token = "<|endoftext|>"
    tokenizer.chat_template = files("trl").joinpath("chat_templates/qwen2_5.jinja").read_text()
    tokenizer.save_pretrained(base)
    command = ["sft", "--data", str(data), "--model", str(base), "--out", str(tmp_path / "out"), *FAST, "--drop-long"]
    assert main(command) == 2
    assert "give one that has with --chat-template qwen2_5_training" in capsys.readouterr().err
    command += ["--chat-template", "qwen2_5_training"]
    assert main(command) == 2
    assert "give --eos-token '<|im_end|>'" in capsys.readouterr().err
    assert main([*command, "--eos-token", "<|im_end|>"]) == 0
    tuned = load_tokenizer(str(tmp_path / "out"))  # which rl takes as it is
    end = tuned.convert_tokens_to_ids("<|im_end|>")
    assert tuned.eos_token_id == end
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").generation_config.eos_token_id == [end]
