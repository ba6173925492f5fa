from typing import Any

import pytest

from stacks.config import STAGES, ConfigError
from stacks.context import from_context


def test_without_a_stage_it_is_dev() -> None:
    assert from_context({}) == STAGES["dev"]


def test_keys_of_cdk_are_not_ours() -> None:
    assert from_context({"aws:cdk:bundling-stacks": ["**"], "@aws-cdk/core:x": True, "nag": "true"}) == STAGES["dev"]


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
    assert config.endpoint_instance_type == STAGES["prod"].endpoint_instance_type


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        ({"stage": "staging"}, "stage is 'staging', allowed: dev, prod"),
        ({"instance_typ": "x"}, "there is no setting 'instance_typ'"),
        ({"auht": "none"}, "did you mean auth?"),
        ({"spot": "yes"}, "spot is 'yes', allowed: true, false"),
        ({"endpoint_instance_count": "two"}, "endpoint_instance_count is 'two', allowed: a whole number"),
        ({"throttling_rate_rps": "fast"}, "throttling_rate_rps is 'fast', allowed: a number"),
        ({"auth": "basic"}, "auth is 'basic', allowed: api_key, iam, none"),
    ],
)
def test_a_bad_key_or_value_is_named_with_what_is_allowed(context: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        from_context(context)
    assert sentence in str(raised.value)
