"""What all commands share: start-up, usage, exit codes, and nothing that looks like a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from judger.errors import EngineError, JudgerError
from judger.version import __version__
from tests.judger.cli.conftest import JUDGER, SCRIPTED, case, make_certificate, serving, write

HEAVY = {"torch", "transformers", "sklearn", "scipy", "vllm", "numpy", "tokenizers", "judger.rubric.linting.lint"}


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
        ["score", "x.jsonl", "--judge-id", "\udcff"],
        ["score", "x.jsonl", "--addr", "\udcff:1"],
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
        (["--trials", "5"], "--trials: are of written reasons"),
        (["--explain", "always", "--explain-margin", "0.2"], "--explain-margin: says which criteria"),
        (["--engine", "mini", "--quantization", "awq"], "--quantization: is for vllm; the engine is mini"),
        (["--base-url", "http://x/v1"], "--base-url: is for openai or decisions; the engine is mini"),
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


def test_without_a_command_there_is_help(run):
    ran = run()
    assert (ran.code, ran.err) == (0, "")
    assert "score" in ran.out


def test_a_commands_help_has_the_engines_flags_in_one_place(run):
    short, long = run("score", "--help"), run("score", "--help-engine")
    assert (short.code, long.code) == (0, 0)
    assert "--help-engine" in short.out
    assert "--kv-cache-mb" not in short.out
    assert "torch: megabytes for keys and values" in " ".join(long.out.split())
    assert "--rubric" not in long.out


def test_many_faults_are_a_few_lines_and_a_count_for_each_file(run, tmp_path):
    short, long = tmp_path / "short.jsonl", tmp_path / "long.jsonl"
    short.write_text("no,json\n" * 50)
    long.write_text("no,json\n" * 5000)
    ran = run("score", long, short, *SCRIPTED)
    lines = ran.err.splitlines()
    assert ran.code == 2
    assert len(lines) == 42
    assert lines[20] == f"{long}: and 981 more"
    assert lines[-1] == f"{short}: and 30 more"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b'[\n {"id": "a"},\n {"id": "b"}\n]\n',
            "1: json: is one JSON document over several lines: name the file .json",
        ),
        (b'\n{\n "id": "a"\n}', "2: json: is one JSON document over several lines: name the file .json"),
        (b"PAR1\x15\x04\nx\n\xff\n", "1: file: looks like a Parquet file"),
        (b"PK\x03\x04\n\xff\n", "1: file: looks like a zip archive"),
    ],
)
def test_a_file_that_is_something_else_is_one_line_that_says_what(run, tmp_path, content, said):
    path = tmp_path / "c.jsonl"
    path.write_bytes(content)
    ran = run("score", path, *SCRIPTED)
    assert ran.code == 2
    assert ran.err.startswith(f"{path}:{said}")
    assert len(ran.err.splitlines()) == 1


def test_a_broken_first_line_is_still_a_fault_like_another(run, tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text('{"id": \n' + json.dumps(case("a", "x", report="")) + "\n{\n")
    ran = run("score", path, *SCRIPTED)
    assert [line.removeprefix(f"{path}:").split(":")[0] for line in ran.err.splitlines()] == ["1", "2", "3"]


def test_a_server_that_is_not_there_is_one_line_and_grpc_says_nothing_before_it(tmp_path):
    path = write(tmp_path / "c.jsonl", case("a", "x"))
    with serving() as (address, _):
        flags = ["--addr", address, "--ca", make_certificate(tmp_path, "a")[0], "--timeout", "5"]
        argv = [*JUDGER, "score", str(path), *map(str, flags)]
        ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=100)
    assert ran.returncode == 3
    assert len(ran.stderr.splitlines()) == 1
    assert address in ran.stderr


@pytest.mark.parametrize(
    ("cert", "key", "said"),
    [
        ("a.pem", "b.key", "--tls-key: {}/b.key is not the private key of the certificate in {}/a.pem"),
        ("a.pem", "locked.key", "--tls-key: {}/locked.key is encrypted"),
        ("a.pem", "a.pem", "--tls-key: {}/a.pem holds no private key"),
        ("a.key", "a.key", "--tls-cert: {}/a.key holds no certificate"),
        ("a.pem", "cut.key", "--tls-key: {}/cut.key holds no private key"),
    ],
)
def test_a_wrong_tls_key_or_certificate_is_said_to_be_that(tmp_path, cert, key, said):
    make_certificate(tmp_path, "a")
    make_certificate(tmp_path, "b")
    openssl = ["openssl", "pkey", "-in", "a.key", "-aes128", "-passout", "pass:x", "-out", "locked.key"]
    subprocess.run(openssl, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "cut.key").write_text((tmp_path / "a.key").read_text()[:100])
    said = said.replace("{}", str(tmp_path))
    argv = ["serve", *SCRIPTED, "--port", "0", "--tls-cert", tmp_path / cert, "--tls-key", tmp_path / key]
    ran = subprocess.run([*JUDGER, *map(str, argv)], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"judger: {said}")
    assert len(ran.stderr.splitlines()) == 1
