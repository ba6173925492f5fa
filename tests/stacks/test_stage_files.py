"""Stages as their files and the command line have them."""

from pathlib import Path
from typing import Any

import pytest

from contract.settings import SettingsError
from stacks.config import StageConfig
from stacks.stage_files import from_context, stage_config, stage_names

DEV, PROD = stage_config("dev"), stage_config("prod")


@pytest.mark.parametrize("stage", stage_names())
def test_every_file_is_a_stage_that_is_called_like_it(stage: str) -> None:
    assert stage_config(stage).stage == stage


def test_a_stage_without_a_file_is_refused_with_those_that_have_one_and_how_to_make_it(tmp_path: Path) -> None:
    stages(tmp_path, dev="", prod="")
    with pytest.raises(SettingsError) as raised:
        stage_config("test", tmp_path)
    said = str(raised.value)
    assert said.startswith("stage is 'test', allowed: dev, prod (the files of ")
    assert said.endswith('/test.toml: a line inherit = "dev", and what is to differ')


@pytest.mark.parametrize("stage", ["../dev", "Dev", "a-b", "", 5, None])
def test_what_is_no_name_of_a_stage_is_no_file(stage: Any) -> None:
    with pytest.raises(SettingsError, match=r"stage is .*, allowed: a short lower-case name such as dev"):
        stage_config(stage)


def stages(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_stage_takes_what_it_does_not_say_from_the_one_it_inherits_from(tmp_path: Path) -> None:
    folder = stages(
        tmp_path,
        base='auth = "iam"\nlog_retention_days = 90\ncors_origins = ["https://a.example"]',
        team='inherit = "base"\nlog_retention_days = 7\nspot = true',
        alice='inherit = "team"\nspot = false\nendpoint_instance_count = 2',
    )
    assert stage_config("alice", folder) == StageConfig(
        stage="alice",
        auth="iam",
        log_retention_days=7,
        cors_origins=("https://a.example",),
        endpoint_instance_count=2,
    )


def test_two_developers_of_one_account_do_not_meet(tmp_path: Path) -> None:
    folder = stages(tmp_path, dev="", alice='inherit = "dev"', bob='inherit = "dev"')
    alice, bob = stage_config("alice", folder), stage_config("bob", folder)
    assert alice.name != bob.name
    assert alice.stack_name("Api") == "WordsightApi-alice"


@pytest.mark.parametrize(
    ("text", "file", "sentence"),
    [
        ("endpoint_instance_type = 5", "alice", "endpoint_instance_type is 5, allowed: an x86-64 type"),
        ("instance_typ = 5", "alice", "there is no setting 'instance_typ'"),
        ('spot = "yes"', "alice", "spot is 'yes', allowed: true, false"),
        ("[auth]\nkind = 1", "alice", "auth is {'kind': 1}, allowed: api_key, iam, none"),
        ('stage = "bob"', "alice", "stage is 'bob', but a stage is called as its file is: leave it out"),
        ('precision = "fp16"', "alice", "precision is 'fp16', allowed on a CPU"),
        ('inherit = "staging"', "alice", "inherit is 'staging', allowed: bad, circle, dev"),
        ('inherit = ["dev"]', "alice", "inherit is ['dev'], allowed: bad, circle, dev"),
        ('inherit = "alice"', "alice", "inherit is 'alice', which leads in a circle: alice → alice"),
        ('inherit = "circle"', "circle", "inherit is 'alice', which leads in a circle: alice → circle → alice"),
        ('inherit = "bad"', "bad", "throttling_burst is 0, allowed: 1 to 5000"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_name(tmp_path: Path, text: str, file: str, sentence: str) -> None:
    folder = stages(tmp_path, alice=text, bad="throttling_burst = 0", circle='inherit = "alice"', dev="")
    with pytest.raises(SettingsError) as raised:
        stage_config("alice", folder)
    said = str(raised.value)
    assert f"/{file}.toml: {sentence}" in said
    assert said.count(".toml") == 1


def test_a_file_that_is_no_toml_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"/alice\.toml is not TOML: .*line 1"):
        stage_config("alice", stages(tmp_path, alice="auth: iam"))
    (tmp_path / "bob.toml").write_bytes(b'auth = "\xff"')
    with pytest.raises(SettingsError, match=r"/bob\.toml is not TOML"):
        stage_config("bob", tmp_path)


def test_the_command_line_comes_before_the_file(tmp_path: Path) -> None:
    folder = stages(tmp_path, alice='auth = "iam"\nspot = true\nthrottling_burst = 5')
    config = from_context({"stage": "alice", "spot": "false", "throttling_burst": "7"}, folder)
    assert (config.auth, config.spot, config.throttling_burst) == ("iam", False, 7)


def test_without_a_stage_it_is_dev() -> None:
    assert from_context({}) == DEV


def test_keys_of_cdk_are_not_ours() -> None:
    assert from_context({"aws:cdk:bundling-stacks": ["**"], "@aws-cdk/core:x": True, "nag": "true"}) == DEV


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("endpoint_instance_count", "3", 3),
        ("throttling_rate_rps", "0.5", 0.5),
        ("spot", "true", True),
        ("spot", True, True),
        ("autoscaling", "False", False),
        ("cors_origins", "https://a.example, https://b.example", ("https://a.example", "https://b.example")),
        ("cors_origins", ["https://a.example"], ("https://a.example",)),
        ("cors_origins", "", ()),
        ("auth", "none", "none"),
    ],
)
def test_a_value_of_the_command_line_takes_the_type_of_its_setting(key: str, text: Any, value: Any) -> None:
    assert getattr(from_context({key: text}), key) == value


def test_what_the_context_does_not_name_stays_the_stages() -> None:
    config = from_context({"stage": "prod", "log_retention_days": "7"})
    assert config.log_retention_days == 7
    assert config.endpoint_instance_type == PROD.endpoint_instance_type


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        ({"stage": "staging"}, "stage is 'staging', allowed: "),
        ({"instance_typ": "x"}, "there is no setting 'instance_typ'"),
        ({"auht": "none"}, "did you mean auth?"),
        ({"spot": "yes"}, "spot is 'yes', allowed: true, false"),
        ({"endpoint_instance_count": "two"}, "endpoint_instance_count is 'two', allowed: a whole number"),
        ({"throttling_rate_rps": "fast"}, "throttling_rate_rps is 'fast', allowed: a number"),
        ({"auth": "basic"}, "auth is 'basic', allowed: api_key, iam, none"),
    ],
)
def test_a_bad_key_or_value_is_named_with_what_is_allowed(context: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as raised:
        from_context(context)
    assert sentence in str(raised.value)


def test_a_whole_configuration_may_come_as_text() -> None:
    texts = {key: "true" if value is True else str(value) for key, value in dict(PROD).items()}
    assert from_context({**texts, "cors_origins": ""}) == PROD


def test_a_bad_key_and_a_bad_value_are_named_together() -> None:
    with pytest.raises(SettingsError, match=r"spot is 'yes', allowed: true, false; there is no setting 'auht'"):
        from_context({"spot": "yes", "auht": "none"})
