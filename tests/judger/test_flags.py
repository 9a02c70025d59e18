"""Flags made from a model: one list of settings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from judger.config import ENGINE_SETTINGS, SERVER_SETTINGS, EngineConfig, ServeConfig
from judger.flags import Flag, add_flags, flag_of, given


class Settings(BaseModel):
    """Of every kind there is."""

    name: Annotated[str | None, Flag("WHO", "people")] = Field(None, description="who; 100% text")
    count: int = Field(3, description="how many")
    share: float = 0.5
    mode: Literal["a", "b"] = Field("a", description="which")
    on: bool = Field(False, description="turns it on")
    where: Path | None = Field(None, description="a file")
    pair: Annotated[tuple[float, float], Flag("A,B", only=("x", "y"))] = Field((1.0, 2.0), description="two")


NAMES = tuple(Settings.model_fields)


def parser(**keywords):
    made = argparse.ArgumentParser(prog="p", exit_on_error=False)
    add_flags(made, Settings, NAMES, **keywords)
    return made


def test_what_is_left_out_is_not_given_and_what_is_given_has_the_fields_type():
    assert given(parser().parse_args([]), NAMES) == {}
    argv = "--name n --count 4 --share 1e-3 --mode b --on --where f.txt --pair 3,4.5".split()
    settings = {"name": "n", "count": 4, "share": 0.001, "mode": "b", "on": True, "where": Path("f.txt")}
    assert given(parser().parse_args(argv), NAMES) == settings | {"pair": (3.0, 4.5)}


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["--count", "x"], "invalid int value: 'x'"),
        (["--mode", "c"], "invalid choice: 'c'"),
        (["--pair", "1"], "has 1 values, not 2 with commas"),
        (["--pair", "1,b"], "could not convert string to float: 'b'"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused_by_name(argv, word):
    with pytest.raises(argparse.ArgumentError, match=word) as raised:
        parser().parse_args(argv)
    assert raised.value.argument_name == argv[0]


def test_the_help_has_descriptions_defaults_groups_and_who_reads_a_setting():
    text = " ".join(parser().format_help().split())
    assert "people: --name WHO who; 100% text" in text
    assert "--count N how many (default: 3)" in text
    assert "--share X default: 0.5" in text
    assert "--on turns it on" in text
    assert "--where FILE a file" in text
    assert "--pair A,B x, y: two (default: 1,2)" in text


def test_what_is_not_shown_works_all_the_same():
    made = parser(shown=("name",))
    assert "--count" not in made.format_help()
    assert given(made.parse_args(["--count", "7"]), NAMES) == {"count": 7}


def test_every_setting_of_the_server_is_said_in_words():
    for name in (*ENGINE_SETTINGS, *SERVER_SETTINGS):
        assert ServeConfig.model_fields[name].description, name


def test_a_setting_that_the_engine_never_reads_is_refused_and_its_default_is_not():
    values = {int: 77, float: 0.5, str: "cpu", bool: True}
    values_of = {"dtype": "float16", "threads": 2, "max_prompt_tokens": 99, "reason_tokens": 99}
    values_of |= {"api": "openai", "reading": "choice", "cascade_level": "first"}
    for name, field in EngineConfig.model_fields.items():
        only = flag_of(field).only
        value = values_of.get(name) or values.get(type(field.default), "something")
        for engine in ("mini", "torch", "vllm", "openai", "decisions", "scripted", "cascade"):
            if only and engine not in only:
                with pytest.raises(ValidationError, match=f"is for .*{only[-1]}; the engine is {engine}"):
                    EngineConfig.model_validate({"engine": engine, name: value})
                EngineConfig.model_validate({"engine": engine, name: field.default})
