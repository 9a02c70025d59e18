"""The wheel is whole: it runs where the source tree isn't."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project's wheel, built from a copy of what a source distribution would hold."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_holds_packages_prompts_and_weights_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"judger", "train", "policy", "checklist_judger.py", "checklist_research.py"}
    shown = ("judger/pages/page/main.js", "judger/evals/vote.html", "judger/evals/vote.js", "judger/evals/vote.css")
    for needed in ("judger/py.typed", "judger/v1/judger_pb2.pyi", "judger/demo/cases.jsonl", *shown):
        assert needed in names
    assert any(name.startswith("judger/engines/mini/weights/") and name.endswith(".safetensors") for name in names)
    assert not any(name.endswith(".proto") for name in names)


def test_an_installed_judger_scores_from_a_folder_that_has_a_train_py_of_its_own(wheel: Path, tmp_path: Path) -> None:
    """In an empty environment that finds the dependencies, but not this source tree, beside it."""
    environment = tmp_path / "env"
    venv.create(environment, with_pip=False)
    scripts = environment / "bin"
    site = Path(next((environment / "lib").glob("python3*"))) / "site-packages"
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(scripts / "python"),
        "install",
        "-q",
        "--no-deps",
        str(wheel),
    ]
    installed = subprocess.run(install, capture_output=True, text=True)
    assert installed.returncode == 0, installed.stderr

    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "train.py").write_text("raise RuntimeError('the wrong train')\n")
    case = {
        "id": "one",
        "query": "What is the capital of France?",
        "report": "The capital of France is Paris. It lies on the river Seine and has about two million inhabitants.",
        "criteria": [{"id": "c1", "text": "Names Paris as the capital of France."}],
    }
    (folder / "cases.jsonl").write_text(json.dumps(case) + "\n")
    command = [scripts / "judger", "score", "cases.jsonl", "--json"]
    scored = subprocess.run(command, capture_output=True, text=True, cwd=folder, env={"PATH": str(scripts)})
    assert scored.returncode == 0, scored.stderr
    response = json.loads(scored.stdout)
    assert response["request_id"] == "one"
    assert response["judge_id"].startswith("mini-")
    assert response["verdicts"][0]["score"]["label"]
