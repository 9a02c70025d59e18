"""Chat templates for training: taken by name from TRL or from a file, with the token that ends a reply, and checked.

TRL ships training variants of common models' templates (`trl/chat_templates/*_training.jinja`): with the marks around
what the assistant writes, and without what rewrites earlier turns.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from policy.errors import ConfigError
from policy.model import Message, Schema
from policy.models import hermes
from policy.rendering import rendered

__all__ = ["add_template_flags", "check_template", "end_of", "render", "stand_in", "take_up"]

_GENERATION = re.compile(r"\{%-?\s*generation\b")
_PROBE: Schema = {
    "type": "function",
    "function": {
        "name": "probe_of_tools",
        "description": "Nothing.",
        "parameters": {
            "type": "object",
            "properties": {
                "words": {"type": "array", "items": {"type": "string"}, "description": "Words."},
                "text": {"type": "string", "description": "A text."},
                "count": {"type": "integer", "description": "A number."},
            },
        },
    },
}
_ARGUMENTS = {"words": ['the "Elm" bridge', "Łódź"], "text": "12", "count": 3}
_RESULT = "a result of the probe"


def add_template_flags(parser: argparse.ArgumentParser) -> None:
    """`--chat-template` and `--eos-token`."""
    parser.add_argument(
        "--chat-template", metavar="NAME|FILE",
        help="a Jinja file in place of the model's own template, or one of TRL's by name, such as qwen3_training",
    )  # fmt: skip
    parser.add_argument(
        "--eos-token", metavar="TOKEN", help="what ends a reply, where the tokenizer names another: <|im_end|>, mostly"
    )


def take_up(tokenizer: Any, chat_template: str | None, eos_token: str | None) -> None:
    """Give the tokenizer this template and this end of a reply. Raises ConfigError that names the option."""
    if chat_template is not None:
        tokenizer.chat_template = _read(chat_template)
    if eos_token is not None:
        if tokenizer.convert_tokens_to_ids(eos_token) in (None, tokenizer.unk_token_id):
            raise ConfigError(f"--eos-token: {eos_token!r} is no token of this tokenizer")
        tokenizer.eos_token = eos_token


def _variant_of(template: str) -> str:
    """The name of TRL's training variant of a template, where that is one it knows."""
    folder = files("trl").joinpath("chat_templates")
    for one in folder.iterdir():
        variant = one.name.removesuffix(".jinja") + "_training"
        is_known = one.name.endswith(".jinja") and folder.joinpath(f"{variant}.jinja").is_file()
        if is_known and one.read_text(encoding="utf-8") == template:
            return variant
    return ""


def _read(name: str) -> str:
    path = Path(name)
    if path.is_file():
        return path.read_text(encoding="utf-8")
    if re.fullmatch(r"\w+", name):
        folder = files("trl").joinpath("chat_templates")
        if (found := folder.joinpath(f"{name}.jinja")).is_file():
            return found.read_text(encoding="utf-8")
        known = sorted(one.name.removesuffix(".jinja") for one in folder.iterdir() if "_training" in one.name)
        raise ConfigError(f"--chat-template: neither a file nor one of TRL's: {name}. Those are: {', '.join(known)}")
    raise ConfigError(f"--chat-template: there is no file {name}")


def render(tokenizer: Any, messages: Sequence[Message], *, cue: bool, tools: Sequence[Schema] = ()) -> str:
    """The conversation as the template writes it; with `cue` up to where the next reply begins."""
    text: str = tokenizer.apply_chat_template(
        [rendered(message) for message in messages],
        tools=list(tools) or None,
        add_generation_prompt=cue,
        tokenize=False,
    )
    return text


def stand_in(results: int = 0) -> list[Message]:
    """A short conversation that messages may follow: a reply, or one with as many calls as there are results."""
    reply: Message = {"role": "assistant", "content": "-"}
    if results:
        calls = [_call(f"call_{number}", {}) for number in range(results)]
        reply = {"role": "assistant", "content": "", "tool_calls": calls}
    return [{"role": "user", "content": "-"}, reply]


def end_of(tokenizer: Any, name: str = "") -> str:
    """What the template writes after the end token of a reply. Raises ConfigError where that is not the tokenizer's."""
    text = render(tokenizer, stand_in(), cue=False)
    before, mark, tail = text.rpartition(tokenizer.eos_token)
    if mark and before.rstrip().endswith("-"):
        return tail
    after = text.rpartition("-")[2]
    special = sorted(
        (token for token in tokenizer.get_added_vocab() if token in after and token != tokenizer.eos_token),
        key=after.index,
    )
    hint = f"; it writes {special[0]!r} there: give --eos-token {special[0]!r}" if special else ""
    raise ConfigError(
        f"{name}the chat template does not end a reply with {tokenizer.eos_token!r}, the tokenizer's eos token{hint}"
    )


def check_template(tokenizer: Any, name: str, *, for_rollouts: bool = True) -> None:
    """Raises ConfigError where the template lacks what training the agent needs.

    A call and its result go through it and back: what the model is taught to write must be read as what it means.
    `for_rollouts`: also that an earlier reply stays as it was when messages follow it.
    """
    where = f"--model {name}: "
    template = tokenizer.chat_template
    if not isinstance(template, str):
        raise ConfigError(f"{where}there is no chat template")
    if not _GENERATION.search(template):
        known = _variant_of(template)
        hint = f"--chat-template {known}" if known else "--chat-template NAME|FILE"
        raise ConfigError(
            f"{where}the chat template has no {{% generation %}} markers around replies, so what the assistant writes "
            f"is unknown; give one that has with {hint}"
        )
    try:
        shown = render(tokenizer, [{"role": "user", "content": "-"}], cue=True, tools=[_PROBE])
        end_of(tokenizer, where)
        _check_call(tokenizer, where)
        _check_results(tokenizer, where, for_rollouts=for_rollouts)
    except ConfigError:
        raise
    except Exception as error:  # a template may raise anything of its own
        raise ConfigError(f"{where}the chat template can't render a call and its result: {error}") from error
    if "probe_of_tools" not in shown:
        raise ConfigError(f"{where}the chat template does not show the tools to the model")


def _check_call(tokenizer: Any, where: str) -> None:
    messages: list[Message] = [
        {"role": "user", "content": "-"},
        {"role": "assistant", "content": "I look.", "tool_calls": [_call("call_0", _ARGUMENTS)]},
    ]
    coded = tokenizer.apply_chat_template(
        [rendered(message) for message in messages], tools=[_PROBE], return_dict=True, return_assistant_tokens_mask=True
    )
    learned = [t for t, m in zip(coded["input_ids"], coded["assistant_masks"], strict=True) if m]
    text, mark, _ = tokenizer.decode(learned).rpartition(tokenizer.eos_token)
    if not mark:
        raise ConfigError(f"{where}a reply with a call does not end with {tokenizer.eos_token!r} as one without does")
    content, _, calls, faults = hermes.parse(text, tools=[_PROBE])
    if [(call.name, call.arguments) for call in calls] != [("probe_of_tools", _json(_ARGUMENTS))] or faults:
        raise ConfigError(f"{where}the calls that the chat template writes can't be read: {text!r}")
    if content != "I look.":
        raise ConfigError(f"{where}the chat template drops what is said before a call")


def _check_results(tokenizer: Any, where: str, *, for_rollouts: bool) -> None:
    for results in (1, 2):
        messages = stand_in(results)
        said = [{"role": "tool", "tool_call_id": f"call_{i}", "content": f"{_RESULT} {i}"} for i in range(results)]
        base, whole = render(tokenizer, messages, cue=False), render(tokenizer, [*messages, *said], cue=True)
        if not all(message["content"] in whole for message in said):
            raise ConfigError(f"{where}the chat template does not show a call's result to the model")
        if for_rollouts and not whole.startswith(base):
            raise ConfigError(
                f"{where}the chat template rewrites a reply when a result follows it: it can't be used for rollouts; "
                "TRL's training templates don't (--chat-template)"
            )


def _call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "type": "function", "function": {"name": "probe_of_tools", "arguments": _json(arguments)}}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
