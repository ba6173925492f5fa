"""A checkpoint's folder: could it be served? Asked of one that somebody brings along, and before one is loaded.

    config.json  model.safetensors  preprocessor_config.json (or processor_config.json)  tokenizer files
    wordsight.json (optional)

or as open_clip saves one (contract/open_clip.py). Nothing is loaded for it: all is read as bytes, in as few as say
enough.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from contract.clip_config import ClipConfig, Processor
from contract.deferred import Deferred
from contract.documents import MAX_FILE_BYTES, object_of
from contract.model_cards import MAX_KNOWS_CHARS, MAX_LANGUAGES, ModelCard, head_of, model_card
from contract.models import CONFIG, GOLDEN, JOINT_PROCESSOR, METADATA, PROCESSOR, WEIGHTS, ServedVersion
from contract.open_clip import OPEN_CLIP_WEIGHTS
from contract.open_clip_folder import OpenClipFolder
from contract.problems import BadRequest, shorten
from contract.siglip_config import SiglipConfig, SiglipProcessor
from contract.siglip_tokenizer import check_siglip_tokenizer
from contract.tokenizer_files import TOKENIZERS, check_tokenizer
from contract.validation import Stored, validate
from contract.weights import FLOATS, Tensor, about_pickles, number_of, tensors_of

MAX_METADATA_BYTES = 1024 * 1024
"""Of wordsight.json: the registry keeps its metrics, and GET /models/{version} answers with them."""
MAX_GOLDEN_QUESTIONS = 100
MAX_LOGIT_SCALE = 10_000
"""CLIP clips it to 100 when it learns."""
MIN_LOGIT_SCALE = 0.01
MAX_LOGIT_BIAS = 10_000
"""SigLIP's begins at -10, and those that were published have some -16."""

_Finite = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e6, le=1e6)]
_Word = Annotated[str, Field(min_length=1, max_length=100)]
_Document = TypeVar("_Document", bound=BaseModel)


class MultiLabelCalibration(Deferred):
    """Platt scaling: the score of a label on its own is sigmoid(a * cosine + b)."""

    model_config = ConfigDict(frozen=True)

    a: _Finite
    b: _Finite


class UnknownCalibration(Deferred):
    """That no label fits has the probability sigmoid(a * ln((1 - c) / c) + b * ln(labels) + offset), where c is how far
    the best label's score is from chance, 0, to certainty, 1.
    """

    model_config = ConfigDict(frozen=True)

    a: _Finite
    b: _Finite
    offset: _Finite


class Calibration(Deferred):
    """What turns similarities into honest probabilities, fitted on validation data. None: not fitted."""

    model_config = ConfigDict(frozen=True)

    temperature: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0.001, le=1000)] | None = Field(
        default=None, description="softmax(logits / temperature)"
    )
    multi_label: MultiLabelCalibration | None = None
    unknown: UnknownCalibration | None = None


class CheckpointMetadata(Deferred):
    """`wordsight.json`: where a checkpoint comes from and how good it was found to be."""

    model_config = ConfigDict(frozen=True)

    version: ServedVersion = Field(description="Names these weights, and no others, for good")
    parent: str | None = Field(default=None, max_length=256, description="The version it was fine-tuned from")
    data_digest: str | None = Field(default=None, max_length=128, description="sha256 of the data it was trained on")
    metrics: dict[str, JsonValue] = Field(default={})
    calibration: Calibration = Field(default_factory=Calibration)
    knows: Annotated[str, Field(min_length=1, max_length=MAX_KNOWS_CHARS)] | None = Field(
        default=None, description="A sentence: what it was trained on"
    )
    languages: Annotated[list[_Word], Field(max_length=MAX_LANGUAGES)] | None = None
    licence: _Word | None = Field(default=None, description="As SPDX or the Hugging Face hub call it")

    def card(self, readme: bytes | None = None) -> ModelCard:
        """What is known of the model: of one from the hub, the version begins with its name there."""
        said = head_of(readme or b"")
        return model_card(self.version, said, knows=self.knows, languages=self.languages, licence=self.licence)


class GoldenScore(Stored):
    label: str
    score: Annotated[float, Field(strict=True, ge=0, le=1)]


class GoldenQuestion(Stored):
    """A line of golden.jsonl: the body of POST /classify about one image, and what the checkpoint answered once."""

    inputs: str | list[str]
    parameters: dict[str, Any]
    scores: tuple[GoldenScore, ...] = ()


class Files(Protocol):
    """A checkpoint's folder, wherever it lies."""

    def sizes_bytes(self) -> Mapping[str, int]:
        """The files of the folder with their sizes, without those of folders in it."""

    def read(self, name: str, *, first: int = 0, size_bytes: int = MAX_FILE_BYTES) -> bytes | None:
        """At most `size_bytes` of a file beginning with its byte `first`, or None where there is none."""


@dataclass(frozen=True)
class Folder:
    """A folder on disk as `Files`. `counts`: by its name, whether a file is one of them."""

    directory: Path
    counts: Callable[[str], bool] = lambda name: True

    def sizes_bytes(self) -> dict[str, int]:
        found = (path for path in self.directory.iterdir() if path.is_file() and self.counts(path.name))
        return {path.name: path.stat().st_size for path in found}

    def read(self, name: str, *, first: int = 0, size_bytes: int = MAX_FILE_BYTES) -> bytes | None:
        path = self.directory / name
        if not path.is_file():
            return None
        with path.open("rb") as file:
            file.seek(first)
            return file.read(size_bytes)


class Checked(NamedTuple):
    """What a folder says: its wordsight.json, if it has one, where its tensors lie, its configuration, and how images
    are prepared; of a folder of open_clip's as CLIPModel's would.
    """

    metadata: CheckpointMetadata | None
    tensors: dict[str, Tensor]
    config: ClipConfig | SiglipConfig
    processor: Processor
    open_clip: OpenClipFolder | None = None


def check_checkpoint(files: Files, where: str) -> Checked:
    """What the folder says. `where`: the folder, as the sentence is to name it.

    Raises BadRequest that says what is missing or wrong: a file, a width, the tokenizer, sizes of images, calibration,
    or the scale of the logits. Whether the other weights are numbers is not asked: `are_finite` tells.
    """
    sizes_bytes = files.sizes_bytes()

    def read(name: str, most_bytes: int = MAX_FILE_BYTES) -> bytes | None:
        return files.read(name, size_bytes=most_bytes + 1) if name in sizes_bytes else None

    def read_part(name: str, first: int, size: int) -> bytes:
        return files.read(name, first=first, size_bytes=size) or b""

    open_clip = OpenClipFolder.found(sizes_bytes, read, where)
    config: ClipConfig | SiglipConfig
    if open_clip:
        config, processor = open_clip.config, open_clip.processor
    else:
        _check_files(sizes_bytes, where)
        config = _config(read(CONFIG))
        processor = _processor(read, SiglipProcessor if isinstance(config, SiglipConfig) else Processor)
    processor.check_fits(config.vision_config.image_size)
    if isinstance(config, SiglipConfig):
        check_siglip_tokenizer(read, config.text_config)
    else:
        check_tokenizer(read, config.text_config)
    if open_clip:
        tensors = open_clip.clip_tensors(tensors_of(sizes_bytes, OPEN_CLIP_WEIGHTS, "", read_part))
    else:
        tensors = tensors_of(sizes_bytes, *WEIGHTS, read_part)
    _check_tensors(config, tensors)
    _check_number(files, "logit_scale", tensors, math.log(MIN_LOGIT_SCALE), math.log(MAX_LOGIT_SCALE))
    if isinstance(config, SiglipConfig):
        _check_number(files, "logit_bias", tensors, -MAX_LOGIT_BIAS, MAX_LOGIT_BIAS)
    read_golden(read(GOLDEN))
    content = read(METADATA)
    return Checked(None if content is None else read_metadata(content), tensors, config, processor, open_clip)


def read_metadata(content: bytes) -> CheckpointMetadata:
    """A wordsight.json. Raises BadRequest."""
    if len(content) > MAX_METADATA_BYTES:
        raise BadRequest(f"{METADATA} has more than the {MAX_METADATA_BYTES:,} bytes that are allowed")
    return _document(CheckpointMetadata, METADATA, content)


def read_golden(content: bytes | None) -> list[GoldenQuestion]:
    """The lines of a golden.jsonl. Raises BadRequest."""
    if len(content or b"") > MAX_FILE_BYTES:
        raise BadRequest(f"{GOLDEN} has more than the {MAX_FILE_BYTES:,} bytes that are allowed")
    lines = [line for line in (content or b"").split(b"\n") if line.strip()]
    if len(lines) > MAX_GOLDEN_QUESTIONS:
        raise BadRequest(f"{GOLDEN} has {len(lines)} lines, at most {MAX_GOLDEN_QUESTIONS} are allowed")
    return [_document(GoldenQuestion, f"{GOLDEN} line {number}", line) for number, line in enumerate(lines, 1)]


def _check_files(names: Mapping[str, int], where: str) -> None:
    for kind, allowed in (
        ("a configuration", (CONFIG,)),
        ("weights", WEIGHTS),
        ("a tokenizer", TOKENIZERS),
        ("image sizes", (PROCESSOR, JOINT_PROCESSOR)),
    ):
        if not any(name in names for name in allowed):
            found = shorten(", ".join(sorted(names)), 200) or "no file"
            why = about_pickles(names) if allowed == WEIGHTS else ""
            raise BadRequest(f"{where} lacks {kind}: {' or '.join(allowed)} is needed, found {found}{why}")


def _processor(read: Callable[[str], bytes | None], kind: type[Processor]) -> Processor:
    """The one that transformers takes, if there are two."""
    joint = read(JOINT_PROCESSOR)
    said = None if joint is None else object_of(JOINT_PROCESSOR, joint).get("image_processor")
    if said is not None:
        return _valid(kind, f"{JOINT_PROCESSOR}: image_processor", said)
    if (content := read(PROCESSOR)) is None:
        raise BadRequest(f"{JOINT_PROCESSOR} has no image_processor: add it, or {PROCESSOR}")
    return _document(kind, PROCESSOR, content)


def _check_tensors(config: ClipConfig | SiglipConfig, tensors: Mapping[str, Tensor]) -> None:
    wanted = config.tensors()
    if missing := [name for name in wanted if name not in tensors]:
        raise BadRequest(f"the weights lack {len(missing)} tensors of a {config.NAME} model, such as {missing[0]}")
    for name, shape in wanted.items():
        tensor = tensors[name]
        if tensor.shape != shape:
            raise BadRequest(f"{name} has the shape {list(tensor.shape)}, and {CONFIG} asks for {list(shape)}")
        if tensor.dtype not in FLOATS:
            raise BadRequest(f"{name} is of the type {tensor.dtype}, allowed are {', '.join(FLOATS)}")


def _check_number(files: Files, name: str, tensors: Mapping[str, Tensor], low: float, high: float) -> None:
    tensor = tensors[name]
    content = files.read(tensor.file, first=tensor.first, size_bytes=tensor.end - tensor.first)
    found = number_of(tensor.dtype, content or b"")
    if not low <= found <= high:  # nor is this true of NaN
        raise BadRequest(f"{name} is {found:g}, allowed is a number between {low:.2f} and {high:.2f}")


def _config(content: bytes | None) -> ClipConfig | SiglipConfig:
    """By the kind of model that it says it is of."""
    said = object_of(CONFIG, content)
    kind: type[ClipConfig] | type[SiglipConfig] = SiglipConfig if said.get("model_type") == "siglip" else ClipConfig
    return _valid(kind, CONFIG, said)


def _document(model: type[_Document], name: str, content: bytes | None) -> _Document:
    return _valid(model, name, object_of(name, content))


def _valid(model: type[_Document], name: str, found: object) -> _Document:
    try:
        return validate(model, found)
    except BadRequest as problem:
        raise BadRequest(f"{name}: {problem.detail}") from None
