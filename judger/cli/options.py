"""Flags that several commands share, and what they mean: who judges, and how."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from judger.config import ENGINE_SETTINGS, FENCED, EngineConfig, ServeConfig, user_key_file, with_user_base
from judger.errors import InvalidRequest
from judger.flags import add_flags, flag_name, given
from judger.prompt.fence import make_user_key
from judger.server.pem import read_certificates, read_pair
from judger.types import Explain, Lane, Mapping, Options
from judger.validate import check_options

ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(\d{1,5})")
SHOWN = ("engine", "model", "device", "calibration")
"""The engine's flags that every command's own help has; `--help-engine` has all."""
OF_A_SERVER = ("token_file", "allow_insecure_token", "ca", "cert", "key")
IN_PROCESS = "the judge, in this process"


def engine_flags(*, shown: Collection[str] | None = None) -> argparse.ArgumentParser:
    """A parent with serve's engine flags; the help has those that are `shown`, all without it."""
    parent = argparse.ArgumentParser(add_help=False)
    add_flags(parent, EngineConfig, ENGINE_SETTINGS, shown=shown, title=IN_PROCESS)
    return parent


class HelpEngine(argparse.Action):
    """Prints the engine's flags, all of them, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        flags = engine_flags()
        flags.prog, flags.usage = parser.prog, f"{parser.prog} ... [engine flags]"
        flags.print_help()
        parser.exit()


def judge_flags() -> argparse.ArgumentParser:
    """A parent with both ways to a judge: a server's address, or the engine flags."""
    parent = argparse.ArgumentParser(add_help=False, parents=[engine_flags(shown=SHOWN), server_flags()])
    parent.add_argument("--help-engine", action=HelpEngine, nargs=0, help="show all flags of the engines and exit")
    return parent


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
    group.add_argument("--judge-id", default="", type=word, metavar="ID", help="refuse any other judge than this one")
    return parent


def output_flags() -> argparse.ArgumentParser:
    """A parent with `--json` and `--quiet`."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--json", action="store_true", help="for machines: one JSON object a line, nothing else")
    parent.add_argument("-q", "--quiet", action="store_true", help="no progress on standard error")
    return parent


def add_evidence_text(parser: argparse.ArgumentParser) -> None:
    """Adds `--evidence-text`, for commands that write responses."""
    help_ = "in JSON, the text of each passage of evidence beside its offsets"
    parser.add_argument("--evidence-text", action="store_true", help=help_)


def add_monitors(parser: argparse.ArgumentParser) -> None:
    """Adds `--monitors`, for commands that judge cases."""
    help_ = "let a criterion weigh 0: judged and shown, and no part of the reward"
    parser.add_argument("--monitors", action="store_true", help=help_)


def judging_flags(
    *,
    mapping: Mapping | None = Mapping.STRICT,
    lane: Lane = Lane.BULK,
    trials: str = "with --explain: independent verdicts, averaged",
) -> argparse.ArgumentParser:
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
    group.add_argument(
        "--explain",
        choices=[m.value for m in Explain],
        default=Explain.NEVER.value,
        help=f"which criteria get a written reason; {_default(Explain.NEVER)}",
    )
    group.add_argument("--explain-margin", type=share, default=0.0, metavar="M", help="for --explain under_margin")
    group.add_argument(
        "--timeout", type=seconds, default=600.0, metavar="SECONDS", help="longest silence of the judge; default: 600"
    )
    group.add_argument("--trials", type=int, default=1, metavar="N", help=f"{trials}; default: 1")
    return parent


def judging_options(args: argparse.Namespace, *, mapping: Mapping | None = None) -> Options:
    """What `judging_flags` say. Raises InvalidRequest."""
    options = Options(
        mapping=mapping or Mapping(args.mapping),
        explain=Explain(args.explain),
        explain_margin=args.explain_margin,
        trials=args.trials,
        allow_unscored=mapping is None and args.allow_unscored,
        lane=Lane(args.lane),
    )
    try:
        check_options(options)
    except InvalidRequest as error:
        raise InvalidRequest(flag_name(error.field), error.reason) from error
    return options


def _default(value: str) -> str:
    return f"default: {value}"


def engine_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The engine flags that were given."""
    return given(args, ENGINE_SETTINGS)


def check_judge(args: argparse.Namespace) -> None:
    """Refuses an address with engine flags, and settings that can't be, before any case is read.

    Raises InvalidRequest, or InvalidFile for the calibration file.
    """
    settings = engine_settings(args)
    if args.addr and settings:
        names = ", ".join(map(flag_name, settings))
        raise InvalidRequest("--addr", f"the server has its own engine: leave out {names}, or --addr")
    if args.addr:
        connection(args)
        return
    if named := [name for name in OF_A_SERVER if getattr(args, name) is not None]:
        raise InvalidRequest(flag_name(named[0]), "says how to reach a server: give its --addr, too")
    config = serve_config(settings)
    if config.cascade is not None:
        from judger.engines.cascade.settings import read_settings

        read_settings(config.cascade)
    if args.calibration is not None:
        from judger.engines.calibration_file import load_calibration

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
    if args.ca is not None:
        settings["root_certificates"] = read_certificates("--ca", args.ca)
    if args.cert is not None:
        settings["certificate"], settings["private_key"] = read_pair("--cert", args.cert, "--key", args.key)
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


C = TypeVar("C", bound=ServeConfig)


def serve_config(settings: dict[str, Any]) -> ServeConfig:
    """A checked configuration. Raises InvalidRequest with the flag's name."""
    return checked(ServeConfig, settings)


def checked(kind: type[C], settings: dict[str, Any]) -> C:
    """The same of any kind of server."""
    try:
        return kind(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        was = "" if first["type"] == "without_effect" else f", not {first['input']!r}"
        raise InvalidRequest(flag_name(str(first["loc"][0])), f"{first['msg']}{was}") from error


def with_user_files(config: ServeConfig) -> ServeConfig:
    """The same with the user's own files, where the engine has such and none was named: the small judge's base; the
    fence key, so that there is one judge_id a machine.

    Raises InvalidRequest where the user's file holds no key.
    """
    config = with_user_base(config, os.environ)
    if config.engine not in FENCED or config.fence_key_file is not None:
        return config
    return config.model_copy(update={"fence_key_file": make_user_key(user_key_file(os.environ))})


def address(text: str) -> str:
    """HOST:PORT, or [IPv6]:PORT."""
    match = ADDRESS.fullmatch(word(text))
    if match is None or not 0 < int(match[1]) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT, such as localhost:50051")
    return text


def word(text: str) -> str:
    """A text that a message can hold; the shell passes on any bytes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no Unicode text") from error
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
