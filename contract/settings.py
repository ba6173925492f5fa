"""Settings: the one way a value becomes an environment variable and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError


class Settings(BaseModel):
    """Values read from an environment. A field's alias is the variable's name."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables this class names; what is absent or empty takes its default.

        Raises SettingsError naming every bad variable.
        """
        names = [field.alias or name for name, field in cls.model_fields.items()]
        try:
            return cls.model_validate({name: environ[name] for name in names if environ.get(name)})
        except ValidationError as error:
            raise SettingsError("; ".join(sentence(fault) for fault in error.errors(include_url=False))) from None

    def to_env(self) -> dict[str, str]:
        """The variables whose values were chosen, as strings: `from_env(x.to_env()) == x`. Defaults stay unwritten."""
        chosen = self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
        return {name: _text(value) for name, value in chosen.items()}


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


class SettingsError(ValueError):
    """A setting has a value that is not allowed. The text names the setting, the value and the rule."""


def sentence(fault: Mapping[str, object]) -> str:
    """What pydantic found wrong with one setting, or with several that do not fit together."""
    location = fault["loc"]
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not (isinstance(location, tuple) and location):
        return message
    return f"{location[0]} is {fault['input']!r}: {message[0].lower()}{message[1:]}"
