"""judger serve as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.judger.cli.conftest import JUDGER, SCRIPTED, case, serving, write


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_without_a_traceback(number):
    with serving() as (_, process):
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_a_port_that_is_taken_is_one_line():
    with serving() as (address, _):
        port = address.rsplit(":", 1)[1]
        ran = subprocess.run([*JUDGER, "serve", *SCRIPTED, "--port", port], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert port in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ["--port", "99999"],
        ["--host", "0.0.0.0"],
        ["--grace", "-1"],
        *(["--lane-weights", weights] for weights in ("6,3,0", "6,3,-1", "6,3,nan", "6,3,inf", "6,3,1e-320")),
    ],
)
def test_a_setting_that_can_not_be_is_one_line(run, flags):
    ran = run("serve", *SCRIPTED, *flags)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1


def test_lane_weights_are_three(run):
    ran = run("serve", *SCRIPTED, "--lane-weights", "6,3")
    assert ran.code == 2
    assert "--lane-weights: '6,3' has 2 values, not 3" in ran.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("8.8.8.8", "--host: 8.8.8.8:0 can't be listened on: Cannot assign"),
        ("no.such.host.invalid", "--host: no.such.host"),
    ],
)
def test_an_address_that_is_not_this_machines_is_said_to_be_that(host, said):
    argv = [*JUDGER, "serve", *SCRIPTED, "--port", "0", "--host", host, "--allow-remote"]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"judger: {said}")
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "number", "code"),
    [
        (["serve"], signal.SIGTERM, 0),
        (["serve"], signal.SIGINT, 0),
        (["score", "c.jsonl"], signal.SIGINT, 130),
        (["score", "c.jsonl"], signal.SIGTERM, 143),
    ],
)
def test_a_signal_while_the_judge_is_loaded_ends_it_at_once(tmp_path, command, number, code):
    write(tmp_path / "c.jsonl", case("a", "x"))
    key = tmp_path / "key"
    os.mkfifo(key)  # whoever reads it waits for ever, as for a hub that does not answer
    flags = ["--engine", "openai", "--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--api-key-file", str(key)]
    process = subprocess.Popen([*JUDGER, *command, *flags], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    writer = None
    try:
        writer = opened_by_a_reader(key)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        if writer is not None:
            os.close(writer)
    assert process.returncode == code
    assert err.splitlines()[-1] == f"judger: {number.name} while the judge was loaded: ended"


def opened_by_a_reader(fifo) -> int:
    """The writing end of a named pipe, once a process has opened it to read; it waits while this end is open."""
    end = time.monotonic() + 60
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)
