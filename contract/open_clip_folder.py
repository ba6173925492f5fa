"""A checkpoint's folder as open_clip lays it out, looked at as strictly as CLIPModel's: as what it would be as one."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from pydantic import BaseModel

from contract.clip_config import ClipConfig, Processor
from contract.documents import object_of
from contract.models import CONFIG, WEIGHTS
from contract.open_clip import (
    OPEN_CLIP_CONFIG,
    OPEN_CLIP_WEIGHTS,
    TRANSPOSED,
    check_names,
    clip_config,
    clip_tensors,
    is_open_clip,
    preprocessor_config,
)
from contract.problems import BadRequest, shorten
from contract.tokenizer_files import MERGES, TOKENIZERS
from contract.validation import validate
from contract.weights import Tensor, about_pickles

TOKENIZER_SOURCE = "openai/clip-vit-base-patch32"
"""A model on the hub whose tokenizer is the one that open_clip has in its package."""

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class OpenClipFolder:
    """What `open_clip_config.json` says, in CLIPModel's words. `preprocessor`: as `preprocessor_config.json`."""

    config: ClipConfig
    preprocessor: dict[str, Any]
    processor: Processor

    @classmethod
    def found(cls, files: Collection[str], read: Callable[[str], bytes | None], where: str) -> Self | None:
        """What a folder with these files says; None: it is not to be read as open_clip's. `where`: as a sentence names
        it. Raises BadRequest for a file that is missing, and for a model that is no plain CLIP.
        """
        if OPEN_CLIP_CONFIG not in files:
            return None
        config = object_of(CONFIG, read(CONFIG)) if CONFIG in files else None
        if not is_open_clip(files, config, WEIGHTS):
            return None
        said = object_of(OPEN_CLIP_CONFIG, read(OPEN_CLIP_CONFIG))
        try:
            ours, preprocessor = clip_config(said), preprocessor_config(said)
        except ValueError as error:
            raise BadRequest(f"{OPEN_CLIP_CONFIG}: {error}") from None
        _check_files(files, said, where)
        return cls(_valid(ClipConfig, ours), preprocessor, _valid(Processor, preprocessor))

    @property
    def layers(self) -> tuple[int, int]:
        """How many there are in the image tower, and in the text tower."""
        return self.config.vision_config.num_hidden_layers, self.config.text_config.num_hidden_layers

    def clip_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """These tensors of open_clip's as CLIPModel's, each in the bytes where it lies. Raises BadRequest for what is
        missing, of another shape, or more than a plain CLIP has.
        """
        places, shapes = clip_tensors(*self.layers), self.config.tensors()
        try:
            check_names(tensors, places)
        except ValueError as error:
            raise BadRequest(f"{OPEN_CLIP_WEIGHTS}: {shorten(str(error), 200)}") from None
        found: dict[str, Tensor] = {}
        for theirs, names in places.items():
            tensor, shape = tensors[theirs], shapes[names[0]]
            wanted = shape[::-1] if theirs in TRANSPOSED else (len(names) * shape[0], *shape[1:]) if shape else ()
            if tensor.shape != wanted:
                raise BadRequest(
                    f"{theirs} has the shape {list(tensor.shape)}, and {OPEN_CLIP_CONFIG} asks for {list(wanted)}"
                )
            part = (tensor.end - tensor.first) // len(names)
            for number, name in enumerate(names):
                first = tensor.first + number * part
                found[name] = Tensor(tensor.file, tensor.dtype, shape, first, first + part)
        return found


def _check_files(files: Collection[str], said: Mapping[str, Any], where: str) -> None:
    listed = shorten(", ".join(sorted(files)), 200)
    if OPEN_CLIP_WEIGHTS not in files:
        raise BadRequest(f"{where} lacks weights: {OPEN_CLIP_WEIGHTS} is needed, found {listed}{about_pickles(files)}")
    if not any(name in files for name in TOKENIZERS):
        text = said.get("model_cfg", said)["text_cfg"]
        source = shorten(str(text.get("hf_tokenizer_name") or TOKENIZER_SOURCE), 100)
        raise BadRequest(
            f"{where} lacks a tokenizer: copy {TOKENIZERS[0]}, or {TOKENIZERS[1]} and {MERGES}, from "
            f"https://huggingface.co/{source} beside {OPEN_CLIP_CONFIG}; found {listed}"
        )


def _valid(model: type[_Model], found: object) -> _Model:
    try:
        return validate(model, found)
    except BadRequest as problem:
        raise BadRequest(f"{OPEN_CLIP_CONFIG}, read as CLIPModel's: {problem.detail}") from None
