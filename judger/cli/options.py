"""Flags that several commands share, and what they mean: who judges, and how."""

from __future__ import annotations

import argparse
import math
import os
import re
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from judger.config import PROMPTED, EngineConfig, EngineName, Reading, ServeConfig, user_key_file
from judger.errors import InvalidRequest
from judger.prompt.fence import make_user_key
from judger.server.pem import read_pem
from judger.types import LIMITS, Explain, Lane, Mapping, Options

ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(\d{1,5})")
ENGINE_FLAGS = (
    "engine",
    "model",
    "device",
    "dtype",
    "threads",
    "max_batch_tokens",
    "max_wait",
    "max_prompt_tokens",
    "deterministic",
    "step_mb",
    "kv_cache_mb",
    "reason_tokens",
    "quantization",
    "tensor_parallel_size",
    "data_parallel_size",
    "base_url",
    "reading",
    "min_label_mass",
    "api",
    "api_key_file",
    "fence_key_file",
    "calibration",
)

OF_A_SERVER = ("token_file", "allow_insecure_token", "ca", "cert", "key")


def engine_flags() -> argparse.ArgumentParser:
    """A parent with serve's engine flags. What is left out has the default of `judger.config`."""
    parent = argparse.ArgumentParser(add_help=False)
    group = parent.add_argument_group("the judge, in this process")
    help_of = {name: field.description for name, field in EngineConfig.model_fields.items()}
    group.add_argument("--engine", choices=get_args(EngineName), help="which engine judges (default: mini)")
    group.add_argument("--model", metavar="NAME_OR_PATH", help=help_of["model"])
    group.add_argument("--device", metavar="D", help=help_of["device"])
    group.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"))
    group.add_argument("--threads", type=int, metavar="N", help=help_of["threads"])
    group.add_argument("--max-batch-tokens", type=int, metavar="N", help=help_of["max_batch_tokens"])
    group.add_argument("--max-wait", type=float, metavar="SECONDS", help=help_of["max_wait"])
    group.add_argument("--max-prompt-tokens", type=int, metavar="N", help=help_of["max_prompt_tokens"])
    group.add_argument("--deterministic", action="store_true", default=None, help=help_of["deterministic"])
    group.add_argument("--step-mb", type=int, metavar="N", help=help_of["step_mb"])
    group.add_argument("--kv-cache-mb", type=int, metavar="N", help=help_of["kv_cache_mb"])
    group.add_argument("--reason-tokens", type=int, metavar="N", help=help_of["reason_tokens"])
    group.add_argument("--quantization", metavar="NAME", help=help_of["quantization"])
    group.add_argument("--tensor-parallel-size", type=int, metavar="N", help=help_of["tensor_parallel_size"])
    group.add_argument("--data-parallel-size", type=int, metavar="N", help=help_of["data_parallel_size"])
    group.add_argument("--base-url", metavar="URL", help=help_of["base_url"])
    group.add_argument("--reading", choices=get_args(Reading), help=help_of["reading"])
    group.add_argument("--min-label-mass", type=float, metavar="P", help=help_of["min_label_mass"])
    group.add_argument("--api", choices=("openai", "systemone"), help=help_of["api"])
    group.add_argument("--api-key-file", type=Path, metavar="FILE", help=help_of["api_key_file"])
    group.add_argument("--fence-key-file", type=Path, metavar="FILE", help=help_of["fence_key_file"])
    group.add_argument("--calibration", type=Path, metavar="FILE", help=help_of["calibration"])
    return parent


def judge_flags() -> argparse.ArgumentParser:
    """A parent with both ways to a judge: a server's address, or the engine flags."""
    return argparse.ArgumentParser(add_help=False, parents=[engine_flags(), server_flags()])


def server_flags(title: str = "the judge, on a server (instead)", *, required: bool = False) -> argparse.ArgumentParser:
    """A parent with how to reach a server."""
    parent = argparse.ArgumentParser(add_help=False)
    group = parent.add_argument_group(title)
    group.add_argument("--addr", type=address, metavar="HOST:PORT", required=required, help="a running judger serve")
    group.add_argument("--token-file", type=Path, metavar="FILE", help="the server's bearer token, in its first line")
    group.add_argument(
        "--allow-insecure-token", action="store_true", default=None, help="send it without TLS to another machine, too"
    )
    trusted = "check the server's TLS certificate by it"
    group.add_argument("--ca", "--root-certificates", dest="ca", type=Path, metavar="PEM", help=trusted)
    group.add_argument("--cert", type=Path, metavar="PEM", help="this client's own certificate (mutual TLS)")
    group.add_argument("--key", type=Path, metavar="PEM", help="its private key")
    group.add_argument("--judge-id", default="", metavar="ID", help="refuse any other judge than this one")
    return parent


def output_flags() -> argparse.ArgumentParser:
    """A parent with `--json` and `--quiet`."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--json", action="store_true", help="for machines: one JSON object a line, nothing else")
    parent.add_argument("-q", "--quiet", action="store_true", help="no progress on standard error")
    return parent


def judging_flags(*, mapping: Mapping | None = Mapping.STRICT, lane: Lane = Lane.BULK) -> argparse.ArgumentParser:
    """A parent with how a case is judged; `mapping` None where the command itself decides about rewards."""
    parent = argparse.ArgumentParser(add_help=False)
    group = parent.add_argument_group("how to judge")
    if mapping is not None:
        group.add_argument(
            "--mapping", choices=[m.value for m in Mapping], default=mapping.value, help=_default(mapping)
        )
        group.add_argument(
            "--allow-unscored", action="store_true", help="a reward over the scored criteria alone, instead of none"
        )
    group.add_argument(
        "--lane", choices=[m.value for m in Lane], default=lane.value, help=f"whose work it is; {_default(lane)}"
    )
    group.add_argument("--explain", choices=[m.value for m in Explain], default=Explain.NEVER.value)
    group.add_argument("--explain-margin", type=share, default=0.0, metavar="M", help="for --explain under_margin")
    group.add_argument(
        "--timeout", type=seconds, default=600.0, metavar="SECONDS", help="longest silence of the judge; default: 600"
    )
    group.add_argument("--trials", type=int, default=1, metavar="N", help="independent verdicts, averaged; default: 1")
    return parent


def judging_options(args: argparse.Namespace, *, mapping: Mapping | None = None) -> Options:
    """What `judging_flags` say. Raises InvalidRequest."""
    if not 1 <= args.trials <= LIMITS.trials:
        raise InvalidRequest("--trials", f"must lie between 1 and {LIMITS.trials}, not {args.trials}")
    return Options(
        mapping=mapping or Mapping(args.mapping),
        explain=Explain(args.explain),
        explain_margin=args.explain_margin,
        trials=args.trials,
        allow_unscored=mapping is None and args.allow_unscored,
        lane=Lane(args.lane),
    )


def _default(value: str) -> str:
    return f"default: {value}"


def engine_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The engine flags that were given."""
    return {name: getattr(args, name) for name in ENGINE_FLAGS if getattr(args, name) is not None}


def check_judge(args: argparse.Namespace) -> None:
    """Refuses an address with engine flags, and settings that can't be, before any case is read.

    Raises InvalidRequest, or InvalidFile for the calibration file.
    """
    given = engine_settings(args)
    if args.addr and given:
        names = ", ".join("--" + name.replace("_", "-") for name in given)
        raise InvalidRequest("--addr", f"the server has its own engine: leave out {names}, or --addr")
    if args.addr:
        connection(args)
        return
    if named := [name for name in OF_A_SERVER if getattr(args, name) is not None]:
        raise InvalidRequest("--" + named[0].replace("_", "-"), "says how to reach a server: give its --addr, too")
    serve_config(given)
    if args.calibration is not None:
        from judger.calibration.file import load_calibration

        load_calibration(args.calibration)


def connection(args: argparse.Namespace) -> dict[str, Any]:
    """How to reach the server of `--addr`: the client's settings. Raises InvalidRequest."""
    from judger.client.settings import Settings

    settings: dict[str, Any] = {"judge_id": args.judge_id or None}
    if args.token_file is not None:
        settings["token"] = _first_line("--token-file", args.token_file)
        settings["allow_insecure_token"] = bool(args.allow_insecure_token)
    if (args.cert is None) != (args.key is None):
        raise InvalidRequest("--cert", "certificate and key go together: give --cert and --key")
    for flag, path, name in (
        ("--ca", args.ca, "root_certificates"),
        ("--cert", args.cert, "certificate"),
        ("--key", args.key, "private_key"),
    ):
        if path is not None:
            settings[name] = read_pem(flag, path)
    try:
        Settings(address=args.addr or "localhost:1", **settings)
    except InvalidRequest as error:
        flag = "--token-file" if error.field == "token" else f"--{error.field.replace('_', '-')}"
        raise InvalidRequest(flag, error.reason) from error
    return settings


def _first_line(flag: str, path: Path) -> str:
    try:
        return path.read_text().splitlines()[0].strip()
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise InvalidRequest(flag, f"{path} has no token in its first line: {error}") from error


def serve_config(settings: dict[str, Any]) -> ServeConfig:
    """A checked configuration. Raises InvalidRequest with the flag's name."""
    try:
        return ServeConfig(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        flag = "--" + str(first["loc"][0]).replace("_", "-")
        raise InvalidRequest(flag, f"{first['msg']}, not {first['input']!r}") from error


def with_user_key(config: ServeConfig) -> ServeConfig:
    """The same with the user's own fence key, where the engine has one and no file was named: one judge_id a machine.

    Raises InvalidRequest where the user's file holds no key.
    """
    if config.engine not in PROMPTED or config.fence_key_file is not None:
        return config
    return config.model_copy(update={"fence_key_file": make_user_key(user_key_file(os.environ))})


def address(text: str) -> str:
    """HOST:PORT, or [IPv6]:PORT."""
    match = ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match[1]) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT, such as localhost:50051")
    return text


def share(text: str) -> float:
    """A number in [0, 1]."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number between 0 and 1")
    return value


def seconds(text: str) -> float:
    """A positive, finite duration."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return value
