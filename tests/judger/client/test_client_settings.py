"""How to reach a judge: what is refused before anything is sent, and the settings of the environment."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from judger.cli import main
from judger.client import connect, connect_blocking, connect_blocking_from_env, connect_from_env
from judger.client.settings import is_loopback
from judger.errors import InvalidRequest
from judger.server.process import Running

PEM = b"-----BEGIN CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"address": None}, "address"),
        ({"address": 50051}, "address"),
        ({"address": b"localhost:1"}, "address"),
        ({"address": ""}, "address"),
        ({"address": "localhost:1\n"}, "address"),
        ({"address": "local\ud800host:1"}, "address"),
        ({"timeout": "5"}, "timeout"),
        ({"timeout": None}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"patience": -1}, "patience"),
        ({"patience": "long"}, "patience"),
        ({"patience": float("inf")}, "patience"),
        ({"backoff": []}, "backoff"),
        ({"max_attempts": "3"}, "max_attempts"),
        ({"max_attempts": 2.5}, "max_attempts"),
        ({"tls": "yes"}, "tls"),
        ({"allow_insecure_token": 1}, "allow_insecure_token"),
        ({"judge_id": 5}, "judge_id"),
        ({"judge_id": "mini-\ud800"}, "judge_id"),
        ({"token": b"bytes"}, "token"),
        ({"token": "two\nlines"}, "token"),
        ({"token": "two words"}, "token"),
        ({"token": "caf\u00e9"}, "token"),
        ({"token": "half\ud83d"}, "token"),
        ({"root_certificates": "text"}, "root_certificates"),
        ({"private_key": PEM}, "certificate"),
    ],
)
def test_a_wrong_setting_is_a_typed_error_that_can_be_printed(settings: dict[str, Any], field: str) -> None:
    for make in (connect, connect_blocking):
        with pytest.raises(InvalidRequest) as caught:
            make(**{"address": "localhost:1", **settings})
        assert caught.value.field == field
        str(caught.value).encode()
        if field == "token":
            assert str(settings["token"]) not in str(caught.value)  # nobody's log has half a token


@pytest.mark.parametrize(
    "address",
    ["localhost:1", "LOCALHOST:1", "127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "unix:/tmp/judge", "ipv4:127.0.0.1:1"],
)
def test_a_token_goes_without_tls_to_this_machine(address: str) -> None:
    assert is_loopback(address)
    assert connect(address, token="secret").settings.token == "secret"


@pytest.mark.parametrize(
    "address",
    [
        *("judge:50051", "10.0.0.7:1", "localhost.example:1", "[fd00::1]:1", "127.0.0.1.example:1", "dns:///judge:1"),
        *("dns://8.8.8.8/localhost:1", "ipv4:127.0.0.1:1,10.0.0.7:1", "0.0.0.0:1", "judge#localhost:1"),
    ],
)
def test_a_token_goes_to_another_machine_with_tls_or_where_that_is_asked_for(address: str) -> None:
    assert not is_loopback(address)
    with pytest.raises(InvalidRequest, match=r"in clear.*allow_insecure_token") as caught:
        connect(address, token="secret")
    assert "secret" not in str(caught.value)
    connect(address)
    for settings in ({"tls": True}, {"root_certificates": PEM}, {"allow_insecure_token": True}):
        assert pickle.loads(pickle.dumps(connect(address, token="secret", **settings))).settings.token == "secret"  # type: ignore[arg-type]  # noqa: S301  # fmt: skip


def test_the_command_line_holds_back_a_token_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text("secret\n")
    command = ["score", str(tmp_path / "none.jsonl"), "--addr", "judge:50051", "--token-file", str(tmp_path / "token")]
    assert main(command) == 2
    assert "--token-file: would cross the network to judge:50051 in clear" in capsys.readouterr().err
    assert main([*command, "--allow-insecure-token"]) == 2
    assert "in clear" not in capsys.readouterr().err  # it is the file that is missing


def test_what_a_file_ends_with_is_no_part_of_a_token() -> None:
    client = connect("localhost:1", token="  secret\r\n")
    assert client.settings.metadata == (("authorization", "Bearer secret"),)
    assert connect("localhost:1", token=" \n").settings.metadata == ()


async def test_the_environment_has_the_settings(scripted_server: Running, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    environ = {
        "JUDGER_ADDRESS": scripted_server.address,
        "JUDGER_TOKEN_FILE": str(tmp_path / "token"),
        "JUDGER_TIMEOUT": "7.5",
        "JUDGER_PATIENCE": "60",
        "JUDGER_MAX_ATTEMPTS": "2",
        "JUDGER_JUDGE_ID": "",
        "JUDGER_SOMETHING_ELSE": "x",
        "PATH": "/bin",
    }
    async with connect_from_env(environ=environ, timeout=9.0) as client:
        settings = client.settings
        assert (settings.token, settings.timeout, settings.patience) == ("secret", 9.0, 60.0)
        assert (settings.max_attempts, settings.judge_id, settings.tls) == (2, None, False)
        assert (await client.judge("", "an apple", ["apple"])).reward.value == 1.0
    (tmp_path / "ca.pem").write_bytes(PEM)
    encrypted = {"JUDGER_ROOT_CERTIFICATES_FILE": str(tmp_path / "ca.pem"), "JUDGER_TLS": "true"}
    blocking = connect_blocking_from_env(environ=encrypted, address="judge:1")
    assert (blocking.settings.root_certificates, blocking.settings.is_encrypted) == (PEM, True)


def test_the_processes_own_environment_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGER_ADDRESS", "localhost:7")
    assert connect_from_env().settings.address == "localhost:7"


@pytest.mark.parametrize(
    ("environ", "field"),
    [
        ({}, "JUDGER_ADDRESS"),
        ({"JUDGER_ADRESS": "localhost:1"}, "JUDGER_ADRESS"),
        ({"JUDGER_TOKN": "x"}, "JUDGER_TOKN"),
        ({"JUDGER_TIMEOUT": "five"}, "JUDGER_TIMEOUT"),
        ({"JUDGER_MAX_ATTEMPTS": "2.5"}, "JUDGER_MAX_ATTEMPTS"),
        ({"JUDGER_TLS": "perhaps"}, "JUDGER_TLS"),
        ({"JUDGER_TOKEN_FILE": "/nowhere"}, "JUDGER_TOKEN_FILE"),
        ({"JUDGER_CERTIFICATE": "pem"}, "JUDGER_CERTIFICATE"),
        ({"JUDGER_TIMEOUT": "-5"}, "timeout"),
    ],
)
def test_a_variable_that_is_wrong_missing_or_misspelt_is_named(environ: dict[str, str], field: str) -> None:
    given = environ if field in ("JUDGER_ADDRESS", "JUDGER_ADRESS") else {"JUDGER_ADDRESS": "localhost:1", **environ}
    with pytest.raises(InvalidRequest) as caught:
        connect_from_env(environ=given)
    assert caught.value.field == field
