"""Settings: what a deployment chooses, and the one way that it becomes an environment variable and back."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, field_validator

from contract.deferred import Deferred

_CDK_TOKEN = re.compile(r"[$#]\{Token\[")


class SettingsError(ValueError):
    """A setting has a value that is not allowed. The text names every such setting, its value and the rule."""


@dataclass(frozen=True)
class Allowed:
    """In a setting's type: what it may be, in the words of the sentence about a value that it may not be."""

    words: str


class Settings(Deferred):
    """Values that come as text from outside: an environment, or a command line. A field's alias is its variable's name.

    A stack builds one from names that are not known before it is deployed: CDK's tokens are kept as they are, in fields
    of numbers too, where such a token has to come as text (`Token.as_string`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def __init__(self, /, **values: Any) -> None:
        """Raises SettingsError naming every bad value."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            faults = error.errors(include_url=False)
            raise SettingsError("; ".join(self._sentence(fault, values) for fault in faults)) from None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the variables this class names; what is absent or empty takes its default. Raises SettingsError."""
        names = [field.alias or name for name, field in cls.model_fields.items()]
        return cls(**{name: environ[name] for name in names if environ.get(name)})

    def to_env(self) -> dict[str, str]:
        """The variables whose values were chosen, as text: `from_env(x.to_env()) == x`. Defaults stay unwritten."""
        chosen = self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True, warnings=False)
        return {name: _text(value) for name, value in chosen.items()}

    @classmethod
    def _sentence(cls, fault: Mapping[str, Any], values: Mapping[str, Any]) -> str:
        """What pydantic found wrong with one of the `values`, or with several that do not fit together."""
        message = str(fault["msg"]).removeprefix("Value error, ")
        if not fault["loc"]:
            return message
        return f"{fault['loc'][0]} is {fault['input']!r}: {message[0].lower()}{message[1:]}"

    @classmethod
    def _allowed(cls, name: str) -> str | None:
        """The words of `Allowed` for a field by its name or alias."""
        field = next(field for own, field in cls.model_fields.items() if name in (own, field.alias))
        return next((each.words for each in field.metadata if isinstance(each, Allowed)), None)

    @field_validator("*", mode="wrap")
    @classmethod
    def _keep_tokens(cls, value: Any, validate: Callable[[Any], Any]) -> Any:
        return value if isinstance(value, str) and _CDK_TOKEN.search(value) else validate(value)


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return str(int(value)) if isinstance(value, bool) else str(value)


def _switch(value: object) -> object:
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value


def _split(value: object) -> object:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() for part in parts if part.strip()) if isinstance(parts, list) else parts


Switch = Annotated[bool, Field(strict=True), BeforeValidator(_switch), PlainSerializer(str, when_used="json")]
"""True or False, in these words."""
Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Some of them, as text separated by commas."""
Origins = Annotated[tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/\s,*]+)$")], ...], BeforeValidator(_split)]
"""Which sites may call from a browser: all, or those named by scheme, host and port. As text, separated by commas."""
