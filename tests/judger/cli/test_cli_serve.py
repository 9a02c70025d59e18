"""judger serve as a process of its own."""

from __future__ import annotations

import signal
import subprocess

import pytest
from conftest import JUDGER, SCRIPTED, serving


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
        *(["--lane-weights", weights] for weights in ("6,3,0", "6,3,-1", "6,3,nan", "6,3,inf", "6,3,1e-320", "6,3")),
    ],
)
def test_a_setting_that_can_not_be_is_one_line(run, flags):
    ran = run("serve", *SCRIPTED, *flags)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
