"""A vLLM server that samples, by its wire format: a stand-in speaks it, with a real model behind it.

vLLM itself is asked in tests/vllm_engine/test_vllm_rollouts.py.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM

from policy.errors import ConfigError
from train.cli import main
from train.rl.config import RLSettings, VLLMSettings
from train.rl.decode import Row, generate
from train.rl.parallel import check_writer
from train.rl.writer import SamplerLost, Served

from .test_runs import arguments, curve


def test_vllm_beside_the_learner_is_refused_where_it_can_not_stand():
    beside = RLSettings.model_validate({"colocated": {}})
    with pytest.raises(ConfigError, match=r"colocated: is for a run of one process; for several take a server"):
        check_writer(beside, 2)
    with pytest.raises(ConfigError, match="colocated: vLLM is not installed"):
        check_writer(beside, 1)  # it is in an environment of its own: tests/vllm_engine
    check_writer(RLSettings(), 2)
    with pytest.raises(ValidationError, match="vllm and colocated: one of them"):
        RLSettings.model_validate({"colocated": {}, "vllm": {"url": "http://x", "model": "m"}})


class StandIn(ThreadingHTTPServer):
    """What vLLM's server answers to the three requests that are made of it, by a model of transformers."""

    request_queue_size = 1024  # with the library's five, a burst waits for seconds while this process is busy

    def __init__(self, model: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model, self.lock = model, threading.Lock()
        self.asked: list[str] = []
        self.spoil = False

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        assert body["return_token_ids"]
        assert (body["top_p"], body["top_k"], body["min_p"], body["repetition_penalty"]) == (1.0, -1, 0.0, 1.0)
        uniforms = torch.rand(
            body["max_tokens"], generator=torch.Generator().manual_seed(body["seed"]), dtype=torch.float64
        )
        with self.lock:
            row, ends = Row(body["prompt"], None, uniforms), frozenset(body["stop_token_ids"])
            (found,) = generate(self.model, [row], ends, temperature=body["temperature"])
        logprobs = found.logprobs[:-1] if self.spoil else found.logprobs
        choice = {
            "token_ids": found.ids,
            "logprobs": {"token_logprobs": logprobs},
            "finish_reason": "stop" if found.has_ended else "length",
        }
        return {"choices": [choice]}

    def reload(self, folder: str) -> None:
        with self.lock:
            self.model = AutoModelForCausalLM.from_pretrained(folder).eval()


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or "{}")
        self.server.asked.append(self.path)
        answer: dict[str, Any] = {}
        if self.path == "/v1/completions":
            answer = self.server.complete(body)
        elif self.path == "/collective_rpc":
            assert body["method"] == "reload_weights"
            self.server.reload(body["kwargs"]["weights_path"])
            answer = {"results": [None]}
        elif self.path == "/reset_prefix_cache":
            answer = {"success": True}
        sent = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def stand_in(tiny) -> Iterator[StandIn]:
    with StandIn(AutoModelForCausalLM.from_pretrained(tiny.folder).eval()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def served(stand_in: StandIn, folder: Path, **changed: Any) -> Served:
    url = f"http://127.0.0.1:{stand_in.server_address[1]}"
    settings = VLLMSettings(url=url, model="policy", sync="disk", **changed)
    return Served(settings, folder=folder, is_main=True, device="cpu", weights=lambda: (), save=lambda _: None)


def test_replies_by_a_server_have_its_tokens_and_log_probabilities(stand_in, tiny, tmp_path: Path):
    writer = served(stand_in, tmp_path)
    ends = frozenset({tiny.tokenizer.eos_token_id})
    rows = [Row([5, 6, 7 + i], None, torch.full((4,), 0.1 * i, dtype=torch.float64)) for i in range(3)]
    found = writer.write(rows, ends, temperature=0)
    for one, other in zip(found, generate(tiny.model, rows, ends, temperature=0), strict=True):
        assert (one.ids, one.has_ended) == (other.ids, other.has_ended)
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
    stand_in.spoil = True
    with pytest.raises(SamplerLost, match="log-probabilities"):
        writer.write(rows, ends, temperature=0)
    writer.close()


def test_a_server_that_is_not_there_is_said_to_be_lost(tmp_path: Path):
    settings = VLLMSettings(url="http://127.0.0.1:1", model="policy", sync="disk", timeout=1.0)
    writer = Served(settings, folder=tmp_path, is_main=True, device="cpu", weights=lambda: (), save=lambda _: None)
    with pytest.raises(SamplerLost, match=r"127\.0\.0\.1:1"):
        writer.refresh()
    writer.close()


def test_a_run_samples_from_a_server_that_is_given_the_weights_at_every_step(
    stand_in,
    files: Path,
    tiny,
    judge: str,
):
    """With the weights of the step before, sampler and learner would be apart: the run would end."""
    url = f"http://127.0.0.1:{stand_in.server_address[1]}"
    config = (files / "rl.toml").read_text().replace("temperature = 1.5", "temperature = 1.1")
    config = config.replace("lr = 1e-3\nkl", "lr = 1e-2\ngap_limit = 1e-4\nkl")
    config += f'[vllm]\nurl = "{url}"\nmodel = "policy"\nsync = "disk"\n'
    (files / "rl.toml").write_text(config)
    assert main([*arguments(files, tiny, judge, steps="2"), "--algo", "ppo"]) == 0
    rows = curve(files / "run")
    assert max(row["gap"] for row in rows) < 1e-4
    assert stand_in.asked.count("/collective_rpc") == stand_in.asked.count("/reset_prefix_cache") == 2
    assert stand_in.asked.count("/v1/completions") >= sum(row["episodes"] for row in rows)
