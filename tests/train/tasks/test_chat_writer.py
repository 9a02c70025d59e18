"""The chat writer through the official client, against a stand-in that speaks the endpoint's real protocol."""

from __future__ import annotations

import json

import pytest

from policy.config import ModelConfig
from policy.errors import ModelAway
from policy.models import open_model
from tests.policy.conftest import Loopback
from train.tasks.chat import ChatWriter
from train.tasks.draft import deal
from train.tasks.funnel import Funnel
from train.tasks.synthesis import synthesise
from train.tasks.templates import TemplateWriter
from train.tasks.writer import Unwritten
from train.world.generate import generate

# The scripted judge counts words, and finds most of a false value in a true sentence.
LOW = 0.3
WORLD = generate(8, structures=20)
# What the scripted judge finds word for word in a summary.
CARD = next(card for card in deal(WORLD, 20, label="c") if not {"cost", "special", "measure"} & set(card.asked))


def _completion(content):
    return {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }  # fmt: skip


@pytest.fixture
def endpoint():
    """`endpoint(answer)`: a writer whose model answers with `answer(messages)`, and the requests it got."""
    servers = []

    def start(answer):
        def reply(request):
            content = answer(json.loads(request.body)["messages"])
            return 200, {"content-type": "application/json"}, json.dumps(_completion(content)).encode()

        servers.append(Loopback(reply))
        config = ModelConfig(name="m", base_url=f"{servers[-1].url}/v1", patience=0)
        return ChatWriter(open_model(config)), servers[-1].requests

    yield start
    for server in servers:
        server.close()


async def _by_templates():
    """What a good model would say: the template writer's words, as JSON, by prompt."""
    writer = TemplateWriter()
    draft = await writer.draft(CARD)
    query = await writer.query(CARD, draft)
    criteria = [
        {"text": c.text, "weight": c.weight, "role": c.role.value, "axis": c.axis, "id": c.id} for c in draft.criteria
    ]
    roles = [
        {"id": c.id, "role": a.role.value, "reason": a.reason}
        for c, a in zip(draft.criteria, await writer.reassess(query, CARD, draft), strict=True)
    ]
    return {"summary": draft.summary, "criteria": criteria}, {"query": query}, {"roles": roles}


def _step(messages):
    first = messages[0]["content"]
    return 0 if "step one of two" in first else 1 if "step two" in first else 2


async def test_a_chat_model_writes_a_task_in_three_requests(endpoint, mini):
    replies = await _by_templates()
    writer, requests = endpoint(lambda messages: f"Sure:\n```json\n{json.dumps(replies[_step(messages)])}\n```")
    funnel = Funnel("tasks")
    samples = await synthesise([CARD], writer, mini, funnel, agreement=LOW)
    await writer.aclose()
    assert funnel.kept == len(samples) == 1, funnel.examples
    assert (len(requests), writer.name) == (3, "m")
    assert samples[0].query == replies[1]["query"]
    draft, query, roles = (json.loads(request.body)["messages"][0]["content"] for request in requests)
    thing = CARD.subjects[0]
    assert all(thing.statement(name) in draft for name in thing.facts)
    assert thing.called in query
    # The last step sees the criteria as if for the first time: without their roles.
    assert '"role": "explicit"' not in roles


async def test_a_reply_that_cannot_be_read_gets_one_second_chance_that_says_why(endpoint):
    replies = iter(["I would rather not.", json.dumps({"query": "When?"})])
    writer, requests = endpoint(lambda messages: next(replies))
    assert await writer.query(CARD, await TemplateWriter().draft(CARD)) == "When?"
    await writer.aclose()
    again = json.loads(requests[1].body)["messages"]
    assert [message["role"] for message in again] == ["user", "assistant", "user"]
    assert "can't be read" in again[-1]["content"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ('{"summary": "s", "criteria": []}', "criteria"),
        ('{"summary": "s", "criteria": [{"text": "abc", "weight": -2, "role": "explicit"}]}', "weight -2"),
        ('{"summary": "s", "criteria": [{"text": "abc", "weight": 0, "role": "explicit"}]}', "weight 0"),
        ('{"summary": "s", "criteria": [{"text": "abc", "weight": 1, "role": "vital"}]}', "role"),
        ("[]", "reply"),
    ],
)
async def test_a_draft_that_is_no_rubric_is_not_written(endpoint, reply, reason):
    writer, _ = endpoint(lambda messages: reply)
    with pytest.raises(Unwritten, match=reason):
        await writer.draft(CARD)
    await writer.aclose()


async def test_roles_that_miss_a_criterion_are_not_written(endpoint):
    writer, _ = endpoint(lambda messages: '{"roles": [{"id": "c1", "role": "explicit", "reason": "asked"}]}')
    with pytest.raises(Unwritten, match="c1"):
        await writer.reassess("When?", CARD, await TemplateWriter().draft(CARD))
    await writer.aclose()


JSON = {"content-type": "application/json"}


def _refuses(status, message):
    return status, JSON, json.dumps({"error": {"message": message}}).encode()


def _says(content):
    return 200, JSON, json.dumps(_completion(content)).encode()


@pytest.fixture
def refusing():
    """`refusing(replies)`: a writer whose endpoint gives these replies, the last again and again, and its server."""
    servers = []

    def start(*replies):
        left = list(replies)
        servers.append(Loopback(lambda _: left.pop(0) if len(left) > 1 else left[0]))
        config = ModelConfig(name="m", base_url=f"{servers[-1].url}/v1", patience=60)
        return ChatWriter(open_model(config)), servers[-1]

    yield start
    for server in servers:
        server.close()


async def test_an_endpoint_that_refuses_one_prompt_drops_the_sample_with_its_words(refusing, judge):
    draft = '{"summary": "s", "criteria": [{"text": "abc", "weight": 1, "role": "explicit"}]}'
    writer, _ = refusing(_says(draft), _refuses(400, "this is against our rules"))
    funnel = Funnel("tasks")
    assert await synthesise([CARD], writer, judge, funnel, agreement=LOW) == []
    await writer.aclose()
    assert "against our rules" in funnel.examples["unreadable"]


@pytest.mark.parametrize(("status", "message"), [(401, "bad key"), (403, "not your project"), (404, "no such model")])
async def test_an_endpoint_that_refuses_everything_is_asked_once_and_nothing_is_dropped(
    refusing, judge, status, message
):
    writer, server = refusing(_refuses(status, message))
    funnel = Funnel("tasks")
    with pytest.raises(ModelAway, match=message):
        await synthesise([CARD], writer, judge, funnel, agreement=LOW)
    await writer.aclose()
    assert len(server.requests) == 1
    assert not funnel.examples


async def test_a_key_that_is_taken_back_ends_the_run_at_once(refusing):
    draft = '{"summary": "s", "criteria": [{"text": "abc", "weight": 1, "role": "explicit"}]}'
    writer, server = refusing(_says(draft), _refuses(401, "the key has expired"))
    made = await writer.draft(CARD)
    with pytest.raises(ModelAway, match=r"refuses the key.*expired"):
        await writer.query(CARD, made)
    await writer.aclose()
    assert len(server.requests) == 2
