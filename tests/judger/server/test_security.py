"""Who gets in: tokens, TLS in both directions, limits, and what a server refuses to be."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from judger.cli import main
from judger.client import connect
from judger.config import ServeConfig
from judger.engines.scripted import ScriptedEngine
from judger.errors import InvalidRequest, Overloaded, Unauthenticated, Unavailable
from judger.server import callers
from judger.server.callers import Caller, Grant, TokenFile, new_token
from judger.server.process import running
from judger.types import Lane
from judger.v1 import judger_pb2 as pb
from judger.v1 import judger_pb2_grpc

ASKED = pb.JudgeRequest(report="A report.", criteria=[pb.Criterion(text="[[fully]]")])


@pytest.fixture
def tokens(tmp_path: Path) -> tuple[Path, str]:
    path = tmp_path / "tokens.toml"
    token, table = new_token("trainer")
    path.write_text(table)
    return path, token


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


async def code(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


async def test_without_a_known_token_only_health_answers(tokens: tuple[Path, str]) -> None:
    path, token = tokens
    config = ServeConfig(engine="scripted", port=0, grace=1, tokens=path)
    async with running(config, ScriptedEngine()) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = judger_pb2_grpc.JudgerStub(channel)
        assert (await stub.Judge(ASKED, metadata=bearer(token))).reward.value == 1.0
        refused = grpc.StatusCode.UNAUTHENTICATED
        for metadata in ((), bearer("wrong"), bearer(token + "x"), [("authorization", token)]):
            assert await code(stub.Judge(ASKED, metadata=metadata)) is refused
        assert await code(stub.GetJudge(pb.GetJudgeRequest())) is refused
        assert await code(anext(aiter(stub.JudgeGroup(pb.JudgeGroupRequest())))) is refused

        assert await code(anext(aiter(stub.JudgeStream(iter([ASKED]))))) is refused
        listed = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        assert await code(anext(aiter(listed))) is refused
        health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING


def test_tokens_are_read_anew_without_a_restart_and_a_bad_file_changes_nothing(
    tokens: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(callers, "CHECK_EVERY", 0.0)
    path, token = tokens
    known = TokenFile(path)
    assert known.caller(f"Bearer {token}").name == "trainer"
    second, table = new_token("filter")
    path.write_text(table)
    os.utime(path, ns=(1, 1))
    assert known.caller(f"bearer {second}").name == "filter"
    with pytest.raises(Unauthenticated):
        known.caller(f"Bearer {token}")
    path.write_text("[broken")
    os.utime(path, ns=(2, 2))
    assert known.caller(f"Bearer {second}").name == "filter"
    assert "last good file" in caplog.text
    path.unlink()
    assert known.caller(f"Bearer {second}").name == "filter"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "nobody could call"),
        ("[a]\nsha256 = 'short'", r"a\.sha256"),
        ("[a]\nsha256 = '" + "0" * 64 + "'\nadmin = true", r"a\.admin"),
        ("[a]\nsha256 = '" + "0" * 64 + "'\ntokens_per_second = -1", r"a\.tokens_per_second"),
        ("not toml", "tokens"),
    ],
)
def test_a_file_of_tokens_that_makes_no_sense_is_refused_with_its_place(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "tokens").write_text(text)
    with pytest.raises(InvalidRequest, match=reason):
        TokenFile(tmp_path / "tokens")


def test_the_command_prints_a_token_once_and_keeps_its_digest_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tokens"
    assert main(["token", "trainer", "--tokens", str(path)]) == 0
    token = capsys.readouterr().out.strip()
    assert token not in path.read_text()
    assert hashlib.sha256(token.encode()).hexdigest() in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert TokenFile(path).caller(f"Bearer {token}").name == "trainer"
    assert main(["token", "trainer", "--tokens", str(path)]) == 2


def test_a_caller_over_its_pace_is_told_when_to_come_back_and_a_large_case_is_not_locked_out() -> None:
    caller = Caller("trainer", Grant(sha256="0" * 64, tokens_per_second=100))
    caller.spend(5000)  # more than the burst of a thousand
    with pytest.raises(Overloaded) as caught:
        caller.spend(1)
    assert 30 < caught.value.retry_after <= 40


async def test_a_limit_is_its_callers_own(tmp_path: Path) -> None:
    (one, table), (other, other_table) = new_token("one"), new_token("other")
    path = tmp_path / "tokens"
    path.write_text(f"{table}tokens_per_second = 0.1\n{other_table}")
    config = ServeConfig(engine="scripted", port=0, grace=1, tokens=path)
    async with running(config, ScriptedEngine()) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = judger_pb2_grpc.JudgerStub(channel)
        await stub.Judge(ASKED, metadata=bearer(one))
        assert await code(stub.Judge(ASKED, metadata=bearer(one))) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await stub.Judge(ASKED, metadata=bearer(other))).reward.value == 1.0


async def test_a_group_over_its_callers_budget_is_judged_whole_and_what_is_known_or_refused_costs_nothing(
    tmp_path: Path,
) -> None:
    token, table = new_token("one")
    path = tmp_path / "tokens"
    path.write_text(f"{table}tokens_per_second = 1")  # ten at once; refilled by one in a second
    config = ServeConfig(engine="scripted", port=0, grace=1, tokens=path, max_queued_tokens=100)
    group = pb.JudgeGroupRequest(reports=[f"{'word ' * 20}{i}" for i in range(4)], criteria=ASKED.criteria)
    async with running(config, ScriptedEngine()) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = judger_pb2_grpc.JudgerStub(channel)
        full = server.judge.admission.holding(100, Lane.TRAINING)  # that is not the caller's fault
        with full, pytest.raises(grpc.aio.AioRpcError, match="lane is full"):
            [_ async for _ in stub.JudgeGroup(group, metadata=bearer(token))]
        assert len([one async for one in stub.JudgeGroup(group, metadata=bearer(token))]) == 4
        with pytest.raises(grpc.aio.AioRpcError, match="tokens a second"):
            await stub.Judge(ASKED, metadata=bearer(token))


async def test_a_request_that_is_sent_again_costs_its_caller_nothing(tmp_path: Path) -> None:
    token, table = new_token("one")
    path = tmp_path / "tokens"
    path.write_text(f"{table}tokens_per_second = 1")  # ten at once; the request has five
    config = ServeConfig(engine="scripted", port=0, grace=1, tokens=path)
    async with running(config, ScriptedEngine()) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub = judger_pb2_grpc.JudgerStub(channel)
        answers = [await stub.Judge(ASKED, metadata=bearer(token)) for _ in range(8)]
    assert [one.usage.cached_criteria for one in answers] == [0] + [1] * 7


async def test_a_message_over_the_limit_is_refused_and_the_next_one_is_served() -> None:
    config = ServeConfig(engine="scripted", port=0, grace=1)
    options = [("grpc.max_send_message_length", -1)]
    async with (
        running(config, ScriptedEngine()) as server,
        grpc.aio.insecure_channel(server.address, options=options, compression=grpc.Compression.Gzip) as channel,
    ):
        stub = judger_pb2_grpc.JudgerStub(channel)
        huge = pb.JudgeRequest(report="x" * (65 * 2**20), criteria=[pb.Criterion(text="[[fully]]")])
        assert await code(stub.Judge(huge)) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await stub.Judge(ASKED)).reward.value == 1.0


def certificates(folder: Path) -> None:
    """A CA, a server's certificate for localhost and a client's, all of this minute."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl")
async def test_tls_with_client_certificates_lets_in_those_who_have_one(tmp_path: Path) -> None:
    certificates(tmp_path)
    ca, chain, key = ((tmp_path / name).read_bytes() for name in ("ca.pem", "client.pem", "client.key"))
    config = ServeConfig(
        engine="scripted",
        host="0.0.0.0",
        port=0,
        grace=1,
        tls_cert=tmp_path / "server.pem",
        tls_key=tmp_path / "server.key",
        tls_client_ca=tmp_path / "ca.pem",
    )
    async with running(config, ScriptedEngine()) as server:
        address = f"127.0.0.1:{server.address.rpartition(':')[2]}"
        known = grpc.ssl_channel_credentials(ca, key, chain)
        async with grpc.aio.secure_channel(address, known) as channel:
            assert (await judger_pb2_grpc.JudgerStub(channel).Judge(ASKED)).reward.value == 1.0
        async with connect(address, root_certificates=ca, certificate=chain, private_key=key) as client:
            assert (await client.judge("", "A report.", ["[[fully]]"])).reward.value == 1.0
        async with connect(address, root_certificates=ca, max_attempts=1) as client:
            with pytest.raises(Unavailable):
                await client.judge("", "A report.", ["[[fully]]"])
        cases = tmp_path / "cases.jsonl"
        cases.write_text('{"id": "1", "report": "A report.", "criteria": [{"text": "[[fully]]"}]}\n')
        score = [sys.executable, "-m", "judger", "score", str(cases), "--addr", address, "--json"]
        own = ["--cert", str(tmp_path / "client.pem"), "--key", str(tmp_path / "client.key")]
        done = await asyncio.to_thread(
            subprocess.run, [*score, "--ca", str(tmp_path / "ca.pem"), *own], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        for credentials in (grpc.ssl_channel_credentials(ca), None):
            stranger = (
                grpc.aio.secure_channel(address, credentials) if credentials else grpc.aio.insecure_channel(address)
            )
            async with stranger as channel:
                call = judger_pb2_grpc.JudgerStub(channel).Judge(ASKED, timeout=20)
                assert await code(call) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--addr", "localhost:1", "--cert", "client.pem"), "--cert: certificate and key go together"),
        (("--addr", "localhost:1", "--ca", "nowhere.pem"), "--ca: nowhere.pem: No such file"),
        (("--addr", "localhost:1", "--ca", os.devnull), "is no PEM file"),
        (("--addr", "localhost:1", "--token-file", "nowhere"), "--token-file: nowhere has no token"),
        (("--engine", "scripted", "--ca", "ca.pem"), "--ca: says how to reach a server"),
    ],
)
def test_flags_that_make_no_connection_are_refused_first(
    flags: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", "nowhere.jsonl", *flags]) == 2
    assert said in capsys.readouterr().err


def test_a_client_refuses_half_a_certificate_and_what_is_no_pem() -> None:
    pem = b"-----BEGIN CERTIFICATE-----"
    with pytest.raises(InvalidRequest, match="go together"):
        connect("localhost:1", certificate=pem)
    with pytest.raises(InvalidRequest, match="root_certificates"):
        connect("localhost:1", root_certificates=b"no")
    assert b"secret" not in repr(connect("localhost:1", certificate=pem, private_key=pem + b"secret").settings).encode()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"host": "0.0.0.0"}, "--tokens.* and .*--tls-cert"),
        ({"host": "0.0.0.0", "tokens": Path("x")}, "encrypted"),
        ({"host": "0.0.0.0", "tls_cert": Path("x"), "tls_key": Path("y")}, "callers are known"),
        ({"tls_cert": Path("x")}, "go together"),
        ({"tls_client_ca": Path("x")}, "need TLS"),
        ({"tls_cert": Path("nowhere"), "tls_key": Path("nowhere")}, "nowhere: No such file"),
    ],
)
async def test_a_server_that_others_reach_has_to_know_them_or_be_told_so(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        async with running(ServeConfig(engine="scripted", port=0, **settings), ScriptedEngine()):
            pytest.fail("it served")
    if settings == {"host": "0.0.0.0"}:
        async with running(ServeConfig(engine="scripted", port=0, grace=0, allow_remote=True, **settings)):
            pass


async def test_the_command_line_shows_its_token_and_is_refused_without(tmp_path: Path) -> None:
    tokens, key, cases = tmp_path / "tokens", tmp_path / "key", tmp_path / "cases.jsonl"
    token = [sys.executable, "-m", "judger", "token", "me", "--tokens", str(tokens)]
    made = await asyncio.to_thread(subprocess.run, token, capture_output=True, text=True, check=True)
    key.write_text(made.stdout)
    cases.write_text(
        '{"id": "1", "query": "", "report": "A report.", "criteria": [{"id": "c", "text": "[[fully]]"}]}\n'
    )
    config = ServeConfig(engine="scripted", port=0, tokens=tokens, grace=1)
    async with running(config, ScriptedEngine()) as server:
        score = [sys.executable, "-m", "judger", "score", str(cases), "--addr", server.address, "--json"]
        known = await asyncio.to_thread(
            subprocess.run, [*score, "--token-file", str(key)], capture_output=True, text=True
        )
        unknown = await asyncio.to_thread(subprocess.run, score, capture_output=True, text=True)
    assert (known.returncode, known.stderr) == (0, "")
    assert unknown.returncode == 3
    assert "Traceback" not in unknown.stderr
