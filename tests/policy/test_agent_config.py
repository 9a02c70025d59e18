"""Settings: refused where they are wrong, documented where they are right."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from policy import config
from policy.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "key"),
    [("[agent.budget]\nturnz = 3\n", "agent.budget.turnz"), ("[model]\nmax_retries = 3\n", "model.max_retries")],
)
def test_an_unknown_key_is_refused_with_its_path(tmp_path, text, key):
    path = tmp_path / "agent.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"agent\.toml: {key}: there is no such setting"):
        config.load_settings(path)


def test_settings_are_read_from_toml_and_json(tmp_path):
    toml, json = tmp_path / "a.toml", tmp_path / "a.json"
    toml.write_text("[agent.budget]\nturns = 7\n")
    json.write_text('{"agent": {"budget": {"turns": 7}}}')
    assert config.load_settings(toml) == config.load_settings(json)
    assert config.load_settings(toml).agent.budget.turns == 7


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        config.Settings().agent.budget.turns = 3


def test_a_broken_or_missing_file_is_a_config_error(tmp_path):
    (tmp_path / "bad.toml").write_text("[")
    for name in ("bad.toml", "none.toml"):
        with pytest.raises(ConfigError, match=name):
            config.load_settings(tmp_path / name)


def test_a_setting_that_was_renamed_says_what_it_is_now(tmp_path):
    (tmp_path / "old.toml").write_text("[model]\nmax_retries = 3\nmax_retreis = 3\n")
    with pytest.raises(ConfigError) as caught:
        config.load_settings(tmp_path / "old.toml")
    first, second = str(caught.value).splitlines()
    assert first.endswith("model.max_retries: there is no such setting; it is now `model.patience`, in seconds")
    assert second.endswith("model.max_retreis: there is no such setting")


def test_every_setting_has_a_line_that_explains_it():
    models = [
        m for m in vars(config).values() if isinstance(m, type) and issubclass(m, BaseModel) and m is not BaseModel
    ]
    undocumented = [f"{m.__name__}.{name}" for m in models for name, f in m.model_fields.items() if not f.description]
    assert undocumented == []
