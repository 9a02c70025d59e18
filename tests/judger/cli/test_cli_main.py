"""What all commands share: start-up, usage, exit codes, and nothing that looks like a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import JUDGER, SCRIPTED, case, write

from judger.errors import EngineError, JudgerError
from judger.version import __version__

HEAVY = {"torch", "transformers", "sklearn", "scipy", "vllm", "numpy", "tokenizers"}


def test_start_up_loads_no_model_library():
    code = f"""
import sys
from judger.cli import build_parser, main
build_parser()
sys.exit(main(["--version"]) or bool(set(sys.modules) & {HEAVY!r}) and 9)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_version_is_said(run):
    assert run("--version") == (0, f"judger {__version__}\n", "")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["score"],
        ["score", "x.jsonl", "--mapping", "wrong"],
        ["score", "x.jsonl", "--engine", "gpt"],
        ["score", "x.jsonl", "--addr", "localhost"],
        ["score", "x.jsonl", "--addr", "localhost:0"],
        ["score", "x.jsonl", "--timeout", "0"],
        ["score", "x.jsonl", "--timeout", "nan"],
        ["score", "x.jsonl", "--explain-margin", "2"],
        ["score", "x.jsonl", "--eng", "mini"],
        ["filter", "x.jsonl"],
        ["eval", "adr"],
        ["eval"],
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(run, argv):
    ran = run(*argv)
    assert ran.code == 2
    assert "error:" in ran.err
    assert not ran.out


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--threads", "0"], "--threads"),
        (["--max-batch-tokens", "0"], "--max-batch-tokens"),
        (["--trials", "33"], "--trials"),
        (["--addr", "localhost:1", "--threads", "2"], "--threads"),
        (["--addr", "localhost:1", "--engine", "mini"], "--engine"),
        (["--calibration", "nowhere.json"], "nowhere.json"),
    ],
)
def test_a_setting_that_can_not_be_is_named_and_ends_with_2(run, tmp_path, flags, word):
    ran = run("score", write(tmp_path / "c.jsonl", case("a", "x")), *flags)
    assert ran.code == 2
    assert word in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["score", "agree", "calibrate", "filter"])
def test_every_fault_of_a_file_is_a_line_before_any_engine_is_loaded(run, tmp_path, command):
    bad = write(
        tmp_path / "bad.jsonl",
        case("a", {"text": "x", "weight": 0}),
        case("b", "x", report=""),
        case("a", {"text": "", "label": "fully_satisfied"}),
    )
    with open(bad, "a") as file:
        file.write('{"id": \n')
    flags = {"calibrate": ["-o", tmp_path / "o"], "filter": ["-o", tmp_path / "o", "--min-reward", "0"]}.get(
        command, []
    )
    ran = run(command, bad, *flags, "--engine", "vllm")  # loading it would be another complaint
    assert ran.code == 2
    assert not ran.out
    lines = ran.err.splitlines()
    assert len(lines) >= 4
    assert all(line.startswith(f"{bad}:") for line in lines)
    assert any(line.startswith(f"{bad}:2: report: ") for line in lines)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b'{"id": "a\xff"}\n', b"\x1f\x8b\x08broken"])
def test_a_file_that_can_not_be_read_is_one_line(run, tmp_path, content):
    path = tmp_path / "c.jsonl"
    if content is not None:
        path.write_bytes(content)
    ran = run("score", path, *SCRIPTED)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith(f"{path}:")


def test_a_folder_is_no_file(run, tmp_path):
    ran = run("score", tmp_path, *SCRIPTED)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1


def test_a_server_that_is_not_there_ends_with_3(run, tmp_path):
    ran = run("score", write(tmp_path / "c.jsonl", case("a", "x")), "--addr", "127.0.0.1:1")
    assert ran.code == 3
    assert "127.0.0.1:1" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_pin_on_another_judge_ends_with_2_and_names_both(run, tmp_path):
    ran = run("score", write(tmp_path / "c.jsonl", case("a", "x")), *SCRIPTED, "--judge-id", "mini-123")
    assert ran.code == 2
    assert "mini-123" in ran.err
    assert "scripted-" in ran.err


def test_a_judge_that_writes_no_rationales_is_not_asked_for_them(run, tmp_path):
    ran = run("score", write(tmp_path / "c.jsonl", case("a", "x")), *SCRIPTED, "--explain", "always")
    assert ran.code == 2
    assert "--explain" in ran.err


@pytest.mark.parametrize("command", [["score"], ["filter", "--min-reward", "0"]])
@pytest.mark.parametrize("place", ["nowhere/out.jsonl", ".", "c.jsonl"])
def test_an_output_that_can_not_be_is_refused_before_any_engine_is_loaded(run, tmp_path, command, place):
    path = write(tmp_path / "c.jsonl", case("a", "x"))
    before = path.read_text()
    ran = run(*command, path, "-o", tmp_path / place, "--engine", "vllm")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert "engine" not in ran.err
    assert path.read_text() == before


def judger(*argv: object, **keywords) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*JUDGER, *map(str, argv)], capture_output="stdout" not in keywords, text=True, check=False, **keywords
    )


@pytest.mark.parametrize("flag", ["--json", ""])
def test_a_reader_that_leaves_ends_the_command_quietly(tmp_path, flag):
    path = write(tmp_path / "c.jsonl", *(case(f"a{i}", "x", report="word " * 500) for i in range(300)))
    command = f"{' '.join(JUDGER)} score {path} --engine scripted {flag} | head -1; echo ${{PIPESTATUS[0]}} >&2"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=100)
    assert ran.stdout.count("\n") == 1
    assert ran.stderr == "141\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line(tmp_path):
    path = write(tmp_path / "c.jsonl", case("a", "x"))
    with open("/dev/full", "w") as full:
        ran = judger("score", path, *SCRIPTED, stdout=full, stderr=subprocess.PIPE)
    assert (ran.returncode, ran.stderr) == (2, "judger: No space left on device\n")
    ran = judger("score", path, *SCRIPTED, "-o", "/dev/full")
    assert (ran.returncode, ran.stderr) == (2, "judger: No space left on device\n")


@pytest.mark.parametrize("command", ["score", "filter"])
def test_ctrl_c_ends_with_130_and_without_a_traceback(tmp_path, command):
    path = write(tmp_path / "c.jsonl", *(case(f"a{i}", f"{i} [[slow=0.5]]") for i in range(100)))
    out = tmp_path / "out.jsonl"
    flags = ["--json"] if command == "score" else ["-o", str(out), "--min-reward", "-1"]
    argv = [*JUDGER, command, str(path), *SCRIPTED, *flags, "--max-batch-tokens", "10"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if command == "score":
                process.stdout.readline()
            until = time.monotonic() + 60
            while command == "filter" and not (out.exists() and out.read_text()) and time.monotonic() < until:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert err.splitlines()[-1] == "judger: interrupted"
    assert "Traceback" not in err


def test_an_engine_that_dies_leaves_its_cases_unscored_and_no_traceback(run, tmp_path):
    ran = run("score", write(tmp_path / "c.jsonl", case("a", "x [[crash]]"), case("b", "sky")), *SCRIPTED, "--json")
    assert ran.code == 1
    assert ran.lines[0]["verdicts"][0]["unscored"]["reason"] == "ENGINE_ERROR"
    assert "score" in ran.lines[1]["verdicts"][0]
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("error", [EngineError("it died"), JudgerError("something else")])
def test_whatever_ends_the_judge_ends_with_3(error, capsys):
    from judger.cli.exits import report

    assert report(ExceptionGroup("of tasks", [error])) == 3
    assert capsys.readouterr().err == f"judger: {error}\n"


def test_a_bug_is_not_hidden():
    from judger.cli.exits import report

    with pytest.raises(KeyError):
        report(KeyError("a bug"))
