"""`judger-train synth` as a user runs it: what it writes, what it refuses, and that training takes it as it is."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path

import pytest
from datasets import load_from_disk

from judger.client import connect
from judger.errors import Unsupported
from judger.pairwise import Comparison, Preference
from policy.config import ModelConfig
from policy.errors import ModelAway, ModelError, NoAccess
from policy.models.scripted import ScriptedModel, says
from tests.train.synth import planted
from train.cli import main
from train.synth.brief import Brief
from train.synth.build import CAPABILITIES, Plan, build
from train.synth.chat import ChatWriter
from train.synth.checker import Checker, is_deeper
from train.synth.corpus import open_corpus
from train.synth.extractive import ExtractiveWriter
from train.synth.forms import Asked
from train.synth.opening import alone
from train.synth.writer import Prompt, Unwritten

TINY = "hidden=32,layers=2,heads=2,intermediate=32,vocab=1500"
FAST = ["--device", "cpu", "--accumulate", "1", "--steps", "1", "--save-every", "1", "--learning-rate", "0.01"]


@pytest.fixture(scope="module")
def made(wiki: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "out"
    kinds = ["--only", "subgraphs", "--only", "reflection", "--only", "verification"]
    assert main(["synth", "make", str(wiki), "-o", str(out), "--count", "10", "--date", "2026-01-02", *kinds]) == 0
    return out


def test_every_row_says_where_it_comes_from(made, wiki):
    rows = load_from_disk(str(made / "sft"))
    assert len(rows) > 5
    assert set(rows["kind"]) == {"subgraphs", "reflection", "verification"}
    for row in rows:
        origin = [row[name] for name in ("corpus", "writer", "tier", "judge_id", "seed", "date")]
        assert origin == [wiki.name, "extractive", 2, "", 0, "2026-01-02"]
        assert len(row["corpus_digest"]) == 16
    tasks = [json.loads(line) for line in (made / "tasks.jsonl").read_text().splitlines()]
    assert {task["meta"]["tier"] for task in tasks} == {2}
    funnel = json.loads((made / "funnel.json").read_text())["funnels"]
    for one in funnel.values():
        assert one["total"] == one["kept"] + sum(one["dropped"].values())
    assert (made / "funnel.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_command_does_nothing_again_and_another_is_refused(made, wiki, capsys):
    command = ["synth", "make", str(wiki), "-o", str(made), "--count", "10", "--only", "subgraphs"]
    before = (made / "rows" / "subgraphs.jsonl").read_bytes()
    assert main(command) == 0
    assert (made / "rows" / "subgraphs.jsonl").read_bytes() == before
    capsys.readouterr()
    assert main([*command, "--seed", "1"]) == 2
    assert "other settings (seed)" in capsys.readouterr().err


def test_a_folder_in_which_another_process_works_is_refused(wiki, tmp_path, capsys):
    with alone(tmp_path):
        assert main(["synth", "make", str(wiki), "-o", str(tmp_path), "--only", "walks"]) == 2
    assert f"{tmp_path}: another process is at work on it" in capsys.readouterr().err


async def test_an_endpoint_that_refuses_everything_is_away_and_drops_nothing(tmp_path):
    prompt = Prompt("subgraph", Brief(id="a", kind="b"))
    refusal, question = ModelError("no such model"), says('{"question": "Which ferry floods in winter?"}')
    at_once = ChatWriter(ScriptedModel([refusal]), ModelConfig(name="m"), tmp_path / "a")
    with pytest.raises(ModelAway, match="no such model"):
        await at_once.write(prompt, Asked)
    later = ChatWriter(ScriptedModel([question, *[refusal] * 8]), ModelConfig(name="m"), tmp_path / "b")
    await later.write(prompt, Asked)
    for number in range(7):  # each may be the prompt's own fault
        with pytest.raises(Unwritten):
            await later.write(Prompt("subgraph", Brief(id="a", kind="b", asked=str(number), answer=str(number))), Asked)
    with pytest.raises(ModelAway):
        await later.write(Prompt("subgraph", Brief(id="a", kind="b", answer="last")), Asked)


async def test_a_key_that_is_taken_back_ends_the_run_at_once(tmp_path):
    question = says('{"question": "Which ferry floods in winter?"}')
    writer = ChatWriter(ScriptedModel([question, NoAccess("expired")]), ModelConfig(name="m"), tmp_path)
    await writer.write(Prompt("subgraph", Brief(id="a", kind="b")), Asked)
    with pytest.raises(ModelAway, match="expired"):
        await writer.write(Prompt("subgraph", Brief(id="a", kind="b", answer="another")), Asked)


async def test_the_extractive_writer_leaves_chinese_to_a_model():
    brief = Brief(id="a", kind="b", asked="潮汐磨坊", answer="潮汐磨坊")
    with pytest.raises(Unwritten, match="give a --writer"):
        await ExtractiveWriter().write(Prompt("subgraph", brief), Asked)
    assert Prompt("subgraph", brief).text.endswith("the names of the fields stay as they are.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["make", "nowhere", "-o", "OUT"], "nowhere: no folder of documents, and no index"),
        (["make", "WIKI", "-o", "OUT", "--only", "poems"], "--only: there is no poems"),
        (["make", "WIKI", "-o", "OUT", "--only", "tasks"], "--only tasks: needs a judge"),
        (["make", "WIKI", "-o", "OUT", "--count", "0"], "--count: must be at least 1"),
        (["make", "WIKI", "-o", "OUT", "--date", "today"], "--date: "),
        (["make", "WIKI", "-o", "OUT", "--writer", "openai"], "--model: the writer's model is missing"),
        (["demo", "-o", "OUT", "--foldoc", "OUT"], "apt-get install dict-foldoc"),
        (["clean", "nowhere.jsonl", "-o", "OUT"], "nowhere.jsonl: no such file"),
        (["difficulty", "nowhere.jsonl", "--corpus", "x", "-o", "OUT"], "nowhere.jsonl: "),
        (["make", "WIKI", "-o", "/proc/out/of/reach"], "judger-train: /proc/out"),
        (["make", "WIKI", "-o", "OUT", "--addr", "localhost:1", "--builtin-judge"], "one judge or the other"),
        (["make", "WIKI", "-o", "OUT", "--ca", "x.pem"], "--ca: how to reach a server; give its --addr, too"),
    ],
)  # fmt: skip
def test_wrong_usage_is_told_in_a_line_and_writes_nothing(arguments, said, wiki, tmp_path, capsys):
    places = {"WIKI": str(wiki), "OUT": str(tmp_path / "out")}
    assert main(["synth", *(places.get(one, one) for one in arguments)]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "rows").exists()


def test_rollouts_are_cleaned_rated_and_fine_tuned_on(made, tmp_path, capsys):
    records = [json.loads(line) for line in (made / "trajectories.jsonl").read_text().splitlines()]
    asked = [record for record in records if record["task"].startswith("subgraph-")]
    looped = planted.looping({**copy.deepcopy(asked[0]), "id": "again"})
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(one) + "\n" for one in [looped, *asked]))
    out = tmp_path / "clean"
    clean = ["synth", "clean", str(tmp_path / "in.jsonl"), "-o", str(out), "--answers", str(made / "tasks.jsonl")]
    assert main(clean) == 0
    funnel = json.loads((out / "funnel.json").read_text())["records"]
    assert (funnel["dropped"]["loop"], funnel["kept"]) == (1, len(asked))
    assert len(load_from_disk(str(out / "sft"))) == len(asked)

    hard = ["synth", "difficulty", str(made / "tasks.jsonl"), "--corpus", str(made / "corpus.sqlite"), "--runs", "2"]
    assert main([*hard, "-o", str(tmp_path / "hard")]) == 0
    rated = [json.loads(line) for line in (tmp_path / "hard" / "tasks.jsonl").read_text().splitlines()]
    assert all(task["solve_rate"] < 0.5 for task in rated)
    assert (tmp_path / "hard" / "rates.png").exists()
    capsys.readouterr()


def test_training_takes_the_data_as_they_are(made, tmp_path):
    first = ["midtrain", "--data", str(made), "--out", str(tmp_path / "one"), "--stage", "1", "--tiny", TINY]
    assert main([*first, "--context", "8192", "--probes", "2", *FAST]) == 0
    third = ["sft", "--data", str(made), "--out", str(tmp_path / "sft"), "--model", str(tmp_path / "one")]
    assert main([*third, "--context", "8192", *FAST]) == 0
    assert json.loads((tmp_path / "sft" / "figures.json").read_text())


def test_a_chat_writer_asks_again_remembers_and_counts(tmp_path):
    prompt = Prompt("subgraph", Brief(id="a", kind="b", answer="Arwick", names=("Arwick",)))
    config = ModelConfig(name="m", input_price=1.0, output_price=2.0)
    model = ScriptedModel([says("no JSON"), says('{"question": "Which ferry floods in winter?"}')])
    writer = ChatWriter(model, config, tmp_path)

    async def ask(writer):
        return (await writer.write(prompt, Asked)).question

    assert asyncio.run(ask(writer)) == "Which ferry floods in winter?"
    assert "Send the whole JSON object again" in model.seen[1][-1]["content"]
    assert '["Arwick"]' in model.seen[0][0]["content"]
    assert writer.model.calls == 2
    assert writer.cost == pytest.approx((writer.model.prompt_tokens + 2 * writer.model.completion_tokens) / 1e6)
    again = ChatWriter(ScriptedModel([]), config, tmp_path)
    assert asyncio.run(ask(again)) == "Which ferry floods in winter?"
    assert (again.from_cache, again.model.calls, again.cost) == (1, 0, 0)
    hopeless = ChatWriter(ScriptedModel([says("?"), says("?")]), config, tmp_path / "other", tries=2)
    with pytest.raises(Unwritten):
        asyncio.run(ask(hopeless))


class _Refuses:
    async def compare(self, query, first, second):
        raise Unsupported("no pairwise prompt")


class _Prefers:
    """A judge that likes one report, or the first place."""

    def __init__(self, liked: str) -> None:
        self._liked = liked

    async def compare(self, query, first, second):
        place = Preference.A if self._liked in (first, "first") else Preference.B
        place = Preference.TIE if self._liked == "neither" else place
        return Comparison(case_id="", preference=place, judge_id="")


@pytest.mark.parametrize(
    ("liked", "deeper"), [("rewrite", True), ("original", False), ("first", False), ("neither", False)]
)
async def test_a_rewrite_is_deeper_where_it_is_preferred_in_both_orders(liked, deeper):
    assert await is_deeper(Checker(_Prefers(liked), ""), "q", "rewrite", "original") is deeper


async def test_tasks_pass_the_gates_of_the_synthesis_with_a_judge(wiki, tmp_path, scripted_server):
    async with connect(scripted_server.address) as client:
        checker = Checker(client, (await client.get_judge()).judge_id)
        corpus = open_corpus(wiki, tmp_path)
        plan = Plan(out=tmp_path, only=("tasks", "verification"), count=6)
        funnels, counts = await build(plan, corpus, ExtractiveWriter(), checker)
        corpus.index.close()
        assert await is_deeper(Checker(_Refuses(), ""), "q", "a", "b") is None
    tasks = next(funnel for funnel in funnels if funnel.name == "tasks")
    assert tasks.total == 6
    assert tasks.kept + sum(tasks.dropped.values()) == 6
    assert checker.judge_id
    assert set(CAPABILITIES) >= {funnel.name for funnel in funnels}
    assert counts["tasks.jsonl"] == (tmp_path / "tasks.jsonl").read_text().count("\n")
