"""judger gateway, and judger serve with HTTP doors, as processes of their own."""

from __future__ import annotations

import contextlib
import signal
import subprocess

import httpx
import pytest

from tests.judger.cli.conftest import JUDGER, SCRIPTED, make_certificate, serving
from tests.ports import free_port

CASE = {"report": "The sky is blue.", "criteria": [{"text": "[[fully]]"}]}


@contextlib.contextmanager
def gateway(addr, *flags):
    """A gateway before a server: its URL and its process."""
    command = [*JUDGER, "gateway", "--listen", "127.0.0.1:1", "--addr", addr, *flags]
    command[command.index("127.0.0.1:1")] = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("judger: http on 127.0.0.1:"), line
        yield f"http://{line.split()[3].rstrip(',')}", process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def test_it_judges_and_ends_with_0_at_a_signal(addr):
    with gateway(addr, "--unscored", "-1") as (url, process):
        assert httpx.post(f"{url}/v1/judge", json=CASE, timeout=60).json()["reward"]["value"] == 1.0
        asked = {"response": "The sky is blue.", "label": ["[[unscored=too_long]]"]}
        assert httpx.post(f"{url}/reward", json=asked, timeout=60).json() == -1.0
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert "path=/v1/judge" in err


def test_a_server_with_doors_says_where_they_are():
    with serving("--http-port", "0") as (_, process):
        line = process.stderr.readline()
        assert line.startswith("judger: http on 127.0.0.1:")
        answer = httpx.post(f"http://{line.split()[-1]}/v1/judge", json=CASE, timeout=60)
    assert answer.json()["reward"]["value"] == 1.0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--listen", "127.0.0.1:1"], "--addr"),
        (["--addr", "localhost:1"], "--listen"),
        (["--addr", "localhost:1", "--listen", "0.0.0.0:8080"], "not a loopback address"),
        (["--addr", "localhost:1", "--listen", "127.0.0.1:8080", "--unscored", "nan"], "--unscored"),
        (["--addr", "localhost:1", "--listen", "127.0.0.1:8080", "--token-file", "/nowhere"], "--token-file"),
        (["--addr", "localhost:1", "--listen", "127.0.0.1:8080", "--tokens", "/nowhere"], "/nowhere"),
        (["--addr", "localhost:1", "--listen", "127.0.0.1:8080", "--cert", "/nowhere"], "--key"),
    ],
)
def test_a_setting_that_can_not_be_is_one_line(run, flags, said):
    ran = run("gateway", *flags)
    assert ran.code == 2
    assert said in ran.err.splitlines()[-1]


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_number_for_what_is_unscored_is_finite(run, number):
    ran = run("serve", *SCRIPTED, "--http-port", "0", "--unscored", number)
    assert ran.code == 2
    assert "--unscored" in ran.err


def test_a_judge_behind_its_doors_is_a_decision_model_to_another(run, tmp_path):
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"id": "1", "report": "The sky is blue.", "criteria": [{"text": "[[p=0.1,0.2,0.7]]"}]}\n')
    with serving("--http-port", "0") as (_, process):
        url = f"http://{process.stderr.readline().split()[-1]}/v1"
        ran = run("score", cases, "--engine", "decisions", "--model", "m", "--base-url", url, "--json")
    assert ran.code == 0
    (line,) = ran.lines
    assert line["judge_id"].startswith("decisions-")
    assert line["verdicts"][0]["score"]["p_full"] == pytest.approx(0.7)


def test_the_decisions_engine_says_what_it_needs(run, tmp_path):
    cases = tmp_path / "cases.jsonl"
    cases.write_text('{"id": "1", "report": "r", "criteria": [{"text": "t"}]}\n')
    ran = run("score", cases, "--engine", "decisions", "--model", "m")
    assert ran.code == 2
    assert "--base-url" in ran.err


@pytest.mark.parametrize("command", ["gateway", "ui"])
def test_a_wrong_key_of_its_certificate_is_said_to_be_that(run, tmp_path, command):
    cert, _ = make_certificate(tmp_path, "a")
    _, other = make_certificate(tmp_path, "b")
    flags = ["--addr", "localhost:1", "--listen", "127.0.0.1:8080", "--tls-cert", cert, "--tls-key"]
    ran = run(command, *flags, other)
    assert (ran.code, ran.err.splitlines()[-1]) == (
        2,
        f"judger: --tls-key: {other} is not the private key of the certificate in {cert}",
    )
    assert "--tls-key" in run(command, *flags, tmp_path / "none.key").err
