"""Stages: a file of `stages/` each, read with what it inherits and with what the command line says.

A stage is called like its file: `field = value` for what differs from the defaults, and perhaps `inherit = "dev"`,
which takes all that another file says first. Any field may also be set with `-c field=value`.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contract.settings import SettingsError
from stacks.config import StageConfig

STAGES_FOLDER = Path(__file__).parent / "stages"
DEFAULT_STAGE = "dev"

NO_KNOBS = ("nag", "cli-telemetry")
"""What else the context holds: whether cdk-nag runs, and the CDK CLI's own telemetry."""


def stage_names(folder: Path = STAGES_FOLDER) -> list[str]:
    """The stages that have a file."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def stage_config(stage: str, folder: Path = STAGES_FOLDER) -> StageConfig:
    """The stage's configuration as its file has it. Raises SettingsError, naming the file that is to be corrected."""
    StageConfig(stage=stage)  # a name that no stage may have is refused before it becomes a path
    names = stage_names(folder)
    if stage not in names:
        raise SettingsError(
            f"stage is {stage!r}, allowed: {', '.join(names)} (the files of {os.path.relpath(folder)}). To make it, "
            f'write {os.path.relpath(folder / stage)}.toml: a line inherit = "{DEFAULT_STAGE}", and what is to differ'
        )
    return _read_stage(stage, folder, ())


def _read_stage(stage: str, folder: Path, heirs: tuple[str, ...]) -> StageConfig:
    """`heirs`: the stages that inherit from this one, through whose files the way led here."""
    path = folder / f"{stage}.toml"
    file, chain = os.path.relpath(path), (*heirs, stage)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from None
    if "stage" in values:
        raise SettingsError(f"{file}: stage is {values['stage']!r}, but a stage is called as its file is: leave it out")
    inherited: dict[str, Any] = {}
    if (parent := values.pop("inherit", None)) is not None:
        if parent in chain:
            raise SettingsError(
                f"{file}: inherit is {parent!r}, which leads in a circle: {' → '.join((*chain, parent))}"
            )
        if parent not in (names := stage_names(folder)):
            others = ", ".join(name for name in names if name not in chain)
            raise SettingsError(f"{file}: inherit is {parent!r}, allowed: {others}")
        inherited = dict(_read_stage(parent, folder, chain))
    try:
        return StageConfig(**{**inherited, **values, "stage": stage})
    except SettingsError as error:
        raise SettingsError(f"{file}: {error}") from None


def from_context(context: Mapping[str, Any], folder: Path = STAGES_FOLDER) -> StageConfig:
    """The stage named by the context's `stage`, or else dev, with every field that the context sets, as text or not.

    Keys with a colon, as CDK's own have, and NO_KNOBS are not about the stage. Raises SettingsError.
    """
    chosen = {key: value for key, value in context.items() if ":" not in key and key not in NO_KNOBS}
    return StageConfig(**{**dict(stage_config(chosen.get("stage", DEFAULT_STAGE), folder)), **chosen})
