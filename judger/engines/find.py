"""Looks at what `--model` names before any library does: they would ask the hub for a mistyped folder, for a minute."""

from __future__ import annotations

import re
from pathlib import Path

from judger.errors import InvalidRequest

__all__ = ["check_model", "show_bars"]

HUB_NAME = re.compile(r"[\w.-]{1,96}(?:/[\w.-]{1,96})?")
PATIENCE = 10.0
"""Seconds for the hub's one answer."""


def check_model(name: str) -> None:
    """Raises InvalidRequest, at once and with what to do, for what is no checkpoint folder and no model of the hub."""
    path = Path(name)
    if path.is_file():
        raise fault(name, [path] if path.suffix == ".gguf" else [], "is a file, not a folder with a model")
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise fault(name, sorted(path.glob("*.gguf")), "there is no config.json in it")
    elif not HUB_NAME.fullmatch(name) or name.startswith((".", "~")) or ("/" in name and path.parent.is_dir()):
        raise fault(name, [], "there is no such folder")
    else:
        check_hub(name)


def check_hub(name: str) -> None:
    """Raises InvalidRequest unless the hub's cache has this model, or the hub itself: asked once, without retries."""
    import httpx
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
        HfApi().model_info(name, timeout=PATIENCE)
    except HFValidationError:
        raise fault(name, [], "there is no such folder") from None
    except HfHubHTTPError as error:
        why = str(error).strip().splitlines()[0]
        raise fault(name, [], f"there is no such folder, and the hub does not give it: {why}") from error
    except (httpx.HTTPError, OfflineModeIsEnabled, OSError) as error:
        why = f"{type(error).__name__}: {error}"
        raise fault(name, [], f"there is no such folder, and the hub can't be reached ({why})") from error


def fault(name: str, ggufs: list[Path], why: str) -> InvalidRequest:
    """The error, which for GGUF files says how to make a model of them."""
    if ggufs:
        files = ", ".join(file.name for file in ggufs)
        why = f"GGUF ({files}) is not read as it is: judger convert {ggufs[0]} OUT makes a folder that is"
    return InvalidRequest("model", f"{name}: can't be loaded: {why}")


def show_bars(wanted: bool) -> None:
    """Whether transformers and the hub draw progress bars in this process. They draw them into files and pipes, too."""
    from huggingface_hub.utils import disable_progress_bars, enable_progress_bars
    from transformers.utils import logging

    if wanted:
        logging.enable_progress_bar()
        enable_progress_bars()
    else:
        logging.disable_progress_bar()
        disable_progress_bars()
