"""Half an emoji, wherever it comes in: at most the text that holds it is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from policy import trajectory
from policy.cli import main
from policy.config import SearchConfig, Settings
from policy.errors import ConfigError
from policy.index.build import build
from policy.index.store import LocalIndex
from policy.kit import Shared
from policy.model import Completion, ToolCall
from policy.models import hermes
from policy.models.scripted import ScriptedModel, calls, says
from policy.rollouts import Rollouts, Task, read_tasks
from policy.sources import Source
from policy.tools.base import Result
from policy.web.cache import DiskCache
from policy.web.providers import HostedProvider
from policy.whole import loads, whole

HALF = "cut \ud83d"


def encodable(value: object) -> bool:
    json.dumps(value, ensure_ascii=False).encode()
    return True


def test_every_text_of_a_value_is_made_whole_and_the_rest_is_left():
    assert whole({HALF: [HALF, 1, None, {"a": "b"}]}) == {"cut ?": ["cut ?", 1, None, {"a": "b"}]}
    assert loads('{"a": "\\ud83d\\ude00", "b": "\\ud83d", "c": 1e3}') == {"a": "😀", "b": "?", "c": 1000.0}
    with pytest.raises(ValueError, match="deep"):
        loads("[" * 100_000)


@pytest.mark.parametrize("arguments", ['{"items": ["cut \\ud83d"]}', '{"items": "[\\"cut \\\\ud83d\\"]"}'])
async def test_a_plan_with_half_a_character_is_kept_and_the_episode_goes_on(bench, tmp_path, arguments):
    call = Completion(tool_calls=(ToolCall("call_0", "todo", arguments),), finish="tool_calls")
    agent = bench([call, says("done")])
    with trajectory.Journal(tmp_path / "journal.jsonl") as journal:
        agent.listeners.append(journal)
        episode = await agent.run()
    assert str(agent.todo) == "[ ] cut ?"
    assert episode.status == "done"
    assert trajectory.read_journal(tmp_path / "journal.jsonl").todo == episode.todo


async def test_a_tools_text_sources_and_errors_are_whole(bench):
    def lookup(x: str) -> Result:
        """Look.

        Args:
            x: What.
        """
        return Result(HALF, (Source(HALF, HALF, HALF, HALF),))

    agent = bench([calls(("lookup", {"x": "y"}), (HALF, {})), says(f"report {HALF}", thought=HALF)], lookup)
    episode = await agent.run()
    assert encodable(trajectory.record_of(episode))
    assert episode.sources.get("cut ?") is not None
    assert episode.finished is not None
    assert episode.finished.report == "report cut ?"


@pytest.mark.parametrize("provider", ["brave", "tavily", "searxng"])
async def test_a_search_result_with_half_a_character_is_found_and_cached(provider, loopback, tmp_path):
    rows = [{"title": HALF, "url": "https://a.org/x", "description": HALF, "content": HALF}]
    reply = {"web": {"results": rows}} if provider == "brave" else {"results": rows}
    server = loopback(lambda _: (200, {"content-type": "application/json"}, json.dumps(reply).encode()))
    config = SearchConfig(provider=provider, base_url=server.url)
    service = HostedProvider(config, api_key="secret", cache=DiskCache(tmp_path, seconds=60))
    assert [(f.source.title, f.source.text) for f in await service.search("mills", 5)] == [("cut ?", "cut ?")]
    assert len(await service.search("mills", 5)) == 1
    await service.aclose()


def test_a_reply_in_hermes_form_is_read_whole_or_is_a_fault():
    body = '<tool_call>{"name": "todo", "arguments": {"items": ["cut \\ud83d"]}}</tool_call>'
    _, _, made, _ = hermes.parse(body)
    assert encodable(made[0].arguments)
    _, _, made, faults = hermes.parse("<tool_call>" + "[" * 50_000 + "</tool_call>")
    assert not made
    assert "deep" in faults[0]


async def test_a_name_in_the_workspace_that_is_no_text_does_not_end_a_compaction(bench):
    agent = bench([])
    (agent.workspace.root / os.fsdecode(b"cut \xff.txt")).write_text("x")
    entries, _ = agent.workspace.list()
    assert [entry.path for entry in entries] == ["cut ?.txt"]


def test_a_folder_with_a_name_and_a_text_that_are_no_unicode_is_indexed(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / os.fsdecode(b"a\xff.md")).write_text("The mill grinds.")
    (folder / "b.html").write_text("<title>x &#xD83D;</title><p>The mill stands &#xD83D; still.</p>")
    done = build(tmp_path / "i.sqlite", folder)
    assert (done.added, done.skipped) == (2, ())
    assert build(tmp_path / "i.sqlite", folder).unchanged == 2


def test_a_query_that_is_no_text_is_refused_before_anything_is_made(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", HALF]) == 2
    assert "QUERY: character 4 is a lone surrogate" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_task_that_is_no_text_is_a_fault_with_its_line_and_other_line_ends_are_none(tmp_path):
    path = tmp_path / "tasks.jsonl"
    good = {"id": "a", "query": "one\u2028line\x85", "criteria": ["x"]}
    rows = [good, {"id": "b", "query": HALF}, {"id": HALF, "query": "q"}, good | {"id": "c", "criteria": [HALF]}]
    path.write_text(json.dumps(rows[0], ensure_ascii=False) + "\n" + "".join(json.dumps(r) + "\n" for r in rows[1:]))
    with pytest.raises(ConfigError) as raised:
        read_tasks(path)
    places = [line.removeprefix(f"{path}:").split(": character")[0] for line in str(raised.value).splitlines()]
    assert places == ["2: query", "3: id", "4: criteria[0].text"]
    path.write_text(json.dumps(good, ensure_ascii=False) + "\n")
    assert [task.id for task in read_tasks(path)] == ["a"]


async def test_a_file_of_rollouts_with_half_a_character_is_continued(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("The year was 1825.")
    shared = Shared.local(LocalIndex.in_memory(folder))
    out = tmp_path / "out.jsonl"

    def rollouts(**keywords):
        return Rollouts(out, Settings(), shared, lambda episode, kit: ScriptedModel([says("A report.")]), **keywords)

    await rollouts().run([Task("t", "When?")])
    (record,) = trajectory.read_records(out)
    others = [record | {"report": HALF}, record | {"id": "u/0", "task": "u", "status": "failed", "query": HALF}]
    out.write_text("".join(json.dumps(row) + "\n" for row in others))
    await rollouts(retry_failed=True).run([Task("t", "When?"), Task("u", "When?")])
    records = {record["id"]: record for record in trajectory.read_records(out)}
    assert {name: record["report"] for name, record in records.items()} == {"t/0": "cut ?", "u/0": "A report."}
    out.read_bytes().decode()


def test_what_is_printed_may_name_a_file_that_is_no_text(tmp_path):

    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from policy.cli import main; sys.exit(main())",
            "replay",
            b"none\xff.jsonl",
        ],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == b"none\\udcff.jsonl: no such file\n"
