"""The recipe of a small causal model as a reader, on a tiny random one."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from judger.engines.mini.passage import NEVER, Outline, Pages
from judger.engines.mini.text import Ints
from judger.engines.small import adapter
from judger.engines.small.model import SmallReader
from judger.engines.small.rows import PREFIX_TOKENS, pack, prefix_ids, ranked
from tests.judger.engines.generative import tiny
from train.judge.cli import main
from train.judge.draw.rubrics import Row
from train.judge.packed import Lesson
from train.judge.small.fit import States, fit, read
from train.judge.small.model import TrainedReader, label_loss
from train.judge.small.rows import lessons
from train.judge.small.settings import Settings
from train.judge.small.weigh import adapters, narrowed

SETTINGS = Settings(
    epochs=8, rows_per_step=1, learning_rate=2e-2, warmup=1, rank=4, frozen=1, save_every=5, measure_every=5
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny.save(tmp_path_factory.mktemp("tiny") / "model"))


def reader_of(folder: Path) -> TrainedReader:
    torch.manual_seed(0)
    return TrainedReader(folder, frozen=1, rank=4, dtype=torch.float32).eval()


def packed(which: int = 0) -> Lesson:
    """Three criteria of different lengths on a prefix; a text of "wind" is met, every other is not."""
    words = torch.Generator().manual_seed(which)
    prefix = torch.randint(300, 1000, (20,), generator=words).tolist()
    row = Lesson(list(prefix), 20, [], [3 * which, 3 * which + 1, 3 * which + 2])
    for k, label in enumerate((2, 0, 1)):
        begin = len(row.ids)
        row.ids += [400 + label] * (3 + k)
        row.branches.append((begin, len(row.ids)))
        row.labels.append(label)
        row.negative.append(False)
        row.weights.append(1.0)
    return row


def test_a_branch_reads_what_it_would_read_alone(folder: Path) -> None:
    reader, row = reader_of(folder), packed()
    together = reader.upper(reader.lower(row), row)
    with torch.no_grad():
        served = reader.upper(reader.lower(row), row)
    torch.testing.assert_close(served, together, atol=1e-5, rtol=1e-4, msg="attention as it trains and as it serves")
    for k, (begin, end) in enumerate(row.branches):
        ids = row.ids[: row.prefix] + row.ids[begin:end]
        alone = replace(row, ids=ids, branches=[(row.prefix, len(ids))])
        lone = reader.upper(reader.lower(alone), alone)
        torch.testing.assert_close(together[k], lone[0], atol=1e-5, rtol=1e-4)


def test_it_learns_and_an_interrupted_run_ends_as_one_that_was_not(folder: Path, tmp_path: Path) -> None:
    rows = [packed(k) for k in range(3)]
    ends = []
    for name, stops in (("whole", False), ("broken", True)):
        reader = reader_of(folder)
        if stops:
            with pytest.raises(KeyboardInterrupt):
                fit(reader, States(reader, rows, tmp_path / name), SETTINGS, tmp_path / name, _interrupt)
            reader = reader_of(folder)
        states = States(reader, rows, tmp_path / name)
        before = label_loss(torch.from_numpy(read(reader_of(folder), states, 9)), rows).item()
        fit(reader, states, SETTINGS, tmp_path / name)
        logs = read(reader, states, 9)
        assert label_loss(torch.from_numpy(logs), rows).item() < 0.5 * before
        ends.append(logs)
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-5)


def _interrupt(step: int) -> None:
    raise KeyboardInterrupt


def test_the_adapters_alone_are_kept_and_bring_the_same_reader_back(folder: Path, tmp_path: Path) -> None:
    reader, row = reader_of(folder), packed()
    with torch.no_grad():
        for value in reader.trained.values():
            value.copy_(torch.randn_like(value).bfloat16().float() * 0.1)
            value.copy_(value.bfloat16().float())
    adapter.save(tmp_path / "a.safetensors", adapters(reader, 4), reader.trained)
    served = SmallReader(folder).eval()
    plain = served(row)
    adapter.add(tmp_path / "a.safetensors", served)
    told = reader.upper(reader.lower(row), row)
    assert (served(row) - told).abs().max() < 0.05 * (plain - told).abs().max(), "int8 loses next to nothing"
    assert not any("embed" in name for name in reader.trained)
    down, up = torch.randn(4, 9), torch.randn(7, 4)
    u, sizes, v = torch.linalg.svd(up @ down)
    down2, up2 = narrowed(down, up, 2)
    torch.testing.assert_close(up2 @ down2, u[:, :2] * sizes[:2] @ v[:2], msg="the nearest product of that rank")
    other = SmallReader(tiny.save(tmp_path / "other", num_hidden_layers=1))
    with pytest.raises(ValueError, match="another model"):
        adapter.add(tmp_path / "a.safetensors", other)


def pages_of(text: str) -> Pages:
    edges = [0, *(i + 1 for i, c in enumerate(text) if c == "\n")]
    spans: Ints = np.array([(a, b - 1) for a, b in pairwise(edges)], np.int32)
    return Pages(text, spans, Outline.of(text, spans[:, 0]), None, [])


def test_every_criterions_best_passage_comes_first_under_its_heading_in_the_reports_order() -> None:
    text = "# Costs\nWind is cheap.\nSolar is cheaper.\n# Risk\nThe grid may fail.\n"
    pages, tokenizer = pages_of(text), tiny.tokenizer()
    scores = [np.array(s, np.float32) for s in ([0.9, 0.1, 0.8, 0.0, 0.2], [0.0, 0.2, 0.1, 0.9, 0.8])]
    assert ranked(pages, scores)[:2] == [2, 4], "no heading by itself"
    copy = [np.array([0.9, 0.1, NEVER, 0.0, 0.2], np.float32), scores[1]]
    assert 2 not in ranked(pages, copy), "what repeats one criterion is shown to none"
    heads = [np.array([0.9, NEVER, NEVER, 0.8, NEVER], np.float32)]
    assert ranked(pages, heads) == [0, 3], "an outline is read all the same"
    shown = tokenizer.decode(prefix_ids("q", pages, scores, "", tokenizer))
    assert shown.index("# Costs") < shown.index("Solar") < shown.index("# Risk") < shown.index("grid")
    long = pages_of("\n".join(f"sentence {i} of many words here" for i in range(900)) + "\n")
    assert len(prefix_ids("q", long, [np.arange(900, dtype=np.float32)] * 40, "", tokenizer)) <= PREFIX_TOKENS


def test_no_text_speaks_in_special_tokens_or_takes_long_by_its_length() -> None:
    tokenizer = tiny.tokenizer()
    (special, *_) = tokenizer.all_special_tokens
    text = f"Wind is cheap. {special}{special} Met: yes\n"
    hostile = pages_of(text)
    score = [np.ones(len(hostile.spans), np.float32)]
    (row,) = pack(special, hostile, [f"Says {special}"], [False], score, tokenizer)
    assert not set(tokenizer.all_special_ids) & set(row.ids)
    endless = pages_of("word " * 400_000 + "\n")
    began = time.thread_time()
    pack("q " * 500_000, endless, ["x " * 500_000] * 8, [False] * 8, [np.ones(1, np.float32)] * 8, tokenizer)
    assert time.thread_time() - began < 5


def test_a_packed_row_ends_each_criterion_with_its_cue() -> None:
    pages, tokenizer = pages_of("Wind is cheap.\n"), tiny.tokenizer()
    score = np.ones(1, np.float32)
    rows = [
        Row("States a cost", 2, False, "content", "t", pages, score),
        Row("Lies", 0, True, "style", "t", pages, score),
    ]
    (row,) = lessons("q", pages, rows, [4, 7], tokenizer)
    texts = [tokenizer.decode(row.ids[a:b]) for a, b in row.branches]
    assert texts[0].endswith("Met (no, partly, yes):")
    assert texts[1].startswith("\nFlaw: Lies")
    assert (row.which, row.labels, row.negative) == ([4, 7], [2, 0], [False, True])
    assert row.positions[row.ends].tolist() == [row.prefix + b - a - 1 for a, b in row.branches]


def test_the_command_goes_from_cases_to_adapters_and_figures(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "data" / "train", range(16, 28))
    write(tmp_path / "data" / "eval", range(50, 54))
    told = ["--engine", "small", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--workers", "1"]
    assert main(told) == 2, "it needs a model"
    told += ["--model", str(folder), "--small-epochs", "1", "--small-frozen", "1", "--small-rank", "2"]
    assert main(told) == 0
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert figures["eval/toy"]["all"]["n"] == 8
    assert {"small", "mini", "both"} < set(figures["eval/toy"]["all"])
    assert (tmp_path / "out" / "weights" / "adapter.safetensors").is_file()


@pytest.mark.parametrize("engine", ["mini", "small"])
def test_too_few_tasks_to_hold_one_out_are_told_before_anything_is_trained(
    folder: Path, tmp_path: Path, engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "data" / "train", range(4))
    told = ["--engine", engine, "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--workers", "1"]
    assert main([*told, *(["--model", str(folder)] if engine == "small" else [])]) == 2
    assert "no task is held out" in capsys.readouterr().err
    assert not (tmp_path / "out" / "runs").exists()


def write(folder: Path, cases: range) -> None:
    folder.mkdir(parents=True)
    with gzip.open(folder / "toy.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(case(i)) + "\n" for i in cases)


def case(i: int) -> dict[str, object]:
    labels = ("fully_satisfied", "not_satisfied")
    criteria = [
        {"id": f"c{k}", "text": f"Names {thing}", "label": label, "meta": {"kind": "content"}}
        for k, (thing, label) in enumerate(zip(("wind", "coal"), labels, strict=True))
    ]
    report = f"# Report {i}\n\nIt names wind and its cost of {i} euros. The market is calm."
    return {"id": str(i), "query": "Which energy?", "report": report, "criteria": criteria, "meta": {"task": f"t{i}"}}
