"""The model that a stage's images are built with: which revision of it, and whether it may be used.

A `model_id` without a `model_revision` gets the newest one, written into the stage's file: else each build of the
images could bake in other weights.
"""

import argparse
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from contract.model_cards import UNKNOWN_LICENCE, model_card
from operate.findings import Finding
from operate.hub import HubError, HubModel, UnreachableError, look_up
from operate.stage import OperatorError, Stage, chosen_stage
from stacks.config import StageConfig
from stacks.stage_files import STAGES_FOLDER

LookUp = Callable[[str, str], HubModel]
"""From a model's name and a revision, or "", to what the hub knows of it. Raises HubError."""


def base_model(config: StageConfig, look_up: LookUp = look_up) -> Iterator[Finding]:
    """Whether the hub has the stage's model, and its licence allows what the stage is for."""
    if not config.model_id:
        return
    name, card = config.model_id, model_card(config.model_id)
    try:
        card = look_up(name, config.model_revision).card
    except UnreachableError as error:
        yield Finding("warning", f"whether the hub has {name} could not be asked: {error}")
    except HubError as error:
        yield Finding("failure", str(error), "correct model_id and model_revision in the stage's file")
        return
    if refusal := card.refusal(name, commercial=config.commercial):
        yield Finding("failure", refusal)
    elif config.commercial and card.licence == UNKNOWN_LICENCE:
        yield Finding("warning", f"the licence of {name} is not known, and this stage is commercial: read its page")
    else:
        yield Finding("ok", f"the images are built with {name} (licence: {card.licence})")


def pinned_stage(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Stage:
    """`chosen_stage`, whose file is completed first; what was written is said. Raises OperatorError."""
    if written := pin_model(arguments.stage, arguments.context):
        print(f"{written}\n")
    return chosen_stage(arguments, environ)


def pin_model(
    stage: str, context: Sequence[str], folder: Path = STAGES_FOLDER, look_up: LookUp = look_up
) -> str | None:
    """Complete the stage's file, if it or one that it inherits from names a model alone; the sentence about it.

    `context` holds `name=value` strings. Raises OperatorError that says which line to add, where it can't be written.
    """
    chosen = dict(pair.split("=", 1) for pair in context if "=" in pair)
    if "model_revision" in chosen:
        return None
    if model_id := chosen.get("model_id"):
        found = _newest(model_id, look_up, f'CONTEXT="-c model_id={model_id} -c model_revision=COMMIT"')
        raise OperatorError(
            f"which revision of {model_id} is meant, so that every build has the same weights? The newest is "
            f'{found.revision}: CONTEXT="-c model_id={model_id} -c model_revision={found.revision}"'
        )
    named = _file_with_model(stage, folder)
    if named is None:
        return None
    path, model_id = named
    line = 'model_revision = "{}"'
    found = _newest(model_id, look_up, f"{line.format('COMMIT')} in {path}, with the 40 digits of one of its commits")
    text = path.read_text(encoding="utf-8")
    pinned = re.sub(r"(?m)^(\s*model_id\s*=.*)$", rf"\g<1>\n{line.format(found.revision)}", text, count=1)
    try:
        if pinned == text:
            raise OSError("it has no line model_id = …")
        path.write_text(pinned, encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"{path} can't be written ({error}): add {line.format(found.revision)}") from None
    return (
        f"{path} says {line.format(found.revision)} now, the newest of {model_id}. Commit it, to build the same again"
    )


def _file_with_model(stage: str, folder: Path) -> tuple[Path, str] | None:
    """The file that names a model without a revision, and that name. What is wrong with a file is said elsewhere."""
    seen: set[str] = set()
    while re.fullmatch(r"[a-z][a-z0-9]*", stage) and stage not in seen:
        seen.add(stage)
        path = folder / f"{stage}.toml"
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if values.get("model_revision"):
            return None
        if isinstance(model_id := values.get("model_id"), str):
            return (path, model_id) if model_id else None
        stage = str(values.get("inherit", ""))
    return None


def _newest(model_id: str, look_up: LookUp, otherwise: str) -> HubModel:
    try:
        return look_up(model_id, "")
    except HubError as error:
        raise OperatorError(f"the newest revision of {model_id} is not known: {error}. Or add {otherwise}") from None
