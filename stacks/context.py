"""Reads a stage's configuration from the CDK context: `-c stage=prod -c spot=true`."""

import difflib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from stacks.config import ConfigError, StageConfig, stage_config

_SWITCHES = ("nag",)
"""Keys that are ours and configure no stage."""


def from_context(context: Mapping[str, Any]) -> StageConfig:
    """The stage named by the context's `stage` (dev by default) with every field that the context sets.

    Keys with a colon, as CDK's own all have, are not ours. Raises ConfigError.
    """
    ours = {key: value for key, value in context.items() if ":" not in key and key not in _SWITCHES}
    stage = ours.pop("stage", "dev")
    defaults = stage_config(stage)
    known = [each.name for each in fields(StageConfig)]
    for key in ours:
        if key not in known:
            guess = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {guess[0]}?" if guess else f"allowed: {', '.join(known)}"
            raise ConfigError(f"there is no setting {key!r}: {hint}")
    return replace(defaults, **{key: _typed(key, value, getattr(defaults, key)) for key, value in ours.items()})


def _typed(name: str, value: Any, default: Any) -> Any:
    """`value` as the type of `default`: the command line gives every value as text."""
    text = str(value).strip()
    try:
        match default:
            case bool():
                return {"true": True, "false": False}[text.lower()]
            case int():
                return int(text)
            case float():
                return float(text)
            case tuple():
                parts = value if isinstance(value, list) else text.split(",")
                return tuple(part.strip() for part in parts if part.strip())
            case _:
                return text
    except (KeyError, ValueError):
        allowed = {bool: "true, false", int: "a whole number", float: "a number"}[type(default)]
        raise ConfigError(f"{name} is {text!r}, allowed: {allowed}") from None
