"""Who a judge is: everything that changes a verdict, and for a calibration the model alone."""

from __future__ import annotations

import ast
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest

import judger
from judger.engines.base import Identity
from judger.engines.code import GENERATIVE, SHARED, code_digest, digest_of
from judger.engines.mini.engine import MiniEngine
from judger.verdict import IDENTITY, Calibration

PACKAGE = Path(judger.__file__).parent
ME = Identity(engine="torch", model="m", engine_version="1", weights="w", tokenizer="t", prompt="p")
OF_A_MODEL = {"engine", "weights", "tokenizer", "prompt", "precision", "endpoint"}
ENGINES = {
    "scripted": ("engines/scripted.py",),
    "mini": ("engines/mini",),
    "torch": (*GENERATIVE, "engines/torch"),
    "vllm": (*GENERATIVE, "engines/vllm.py"),
    "openai": (*GENERATIVE, "engines/endpoint.py", "engines/openai"),
    "decisions": (*GENERATIVE, "engines/endpoint.py", "engines/decisions"),
}
MAKES_NO_VERDICT = {
    "errors.py", "version.py", "config.py", "flags.py", "engines/code.py", "engines/find.py", "engines/again.py"
}  # fmt: skip
"""What engines import that no verdict comes of."""


@pytest.mark.parametrize("name", [field.name for field in fields(Identity)])
def test_everything_that_an_identity_says_changes_the_judge_id(name: str) -> None:
    other = replace(ME, **{name: "other"})
    assert other.judge_id(IDENTITY) != ME.judge_id(IDENTITY)
    assert (other.model_id != ME.model_id) == (name in OF_A_MODEL)
    assert ME.judge_id(Calibration(temperature=2.0)) != ME.judge_id(IDENTITY)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_module_that_an_engine_reaches_is_part_of_its_code(engine: str) -> None:
    covered = (*SHARED, *ENGINES[engine])
    place = PACKAGE / "engines" / engine
    reached: set[Path] = set()
    waiting = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += imported(path)
    names = {path.relative_to(PACKAGE).as_posix() for path in reached}
    missing = {name for name in names if not any(name == part or name.startswith(f"{part}/") for part in covered)}
    assert missing <= MAKES_NO_VERDICT
    assert code_digest(*ENGINES[engine]) == digest_of(PACKAGE, *covered)


def imported(path: Path) -> list[Path]:
    """The files of this package that a module imports."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "judger":
            for name in [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]:
                place = PACKAGE.joinpath(*name.split(".")[1:])
                found += [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]
    return [file for file in found if file != PACKAGE / "__init__.py"]


def test_any_line_of_the_code_changes_its_digest(tmp_path: Path) -> None:
    for part in ("engines", "prompt"):
        shutil.copytree(PACKAGE / part, tmp_path / part, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    for part in ("verdict.py", "types.py"):
        shutil.copy(PACKAGE / part, tmp_path / part)
    parts = (*SHARED, *ENGINES["torch"])
    before = digest_of(tmp_path, *parts)
    assert before == digest_of(PACKAGE, *parts)
    for name in ("verdict.py", "engines/tokens.py", "engines/torch/cascade.py", "prompt/tree.py"):
        path = tmp_path / name
        text = path.read_text()
        path.write_text(f"{text}\nX = 1\n")
        assert digest_of(tmp_path, *parts) != before
        path.write_bytes(text.replace("\n", "\r\n").encode())  # as a checkout elsewhere may have it
        assert digest_of(tmp_path, *parts) == before
    (tmp_path / "engines" / "torch" / "more.py").write_text("")
    assert digest_of(tmp_path, *parts) != before
    with pytest.raises(FileNotFoundError):
        digest_of(tmp_path, "nowhere.py")


def test_the_built_in_judge_names_its_libraries_its_device_and_its_code() -> None:
    identity = MiniEngine.load(device="cpu").identity
    for library in ("torch", "tokenizers", "numpy", "py3langid"):
        assert f"{library} " in identity.engine_version
    assert identity.device == "cpu"
    assert identity.code == code_digest("engines/mini")
