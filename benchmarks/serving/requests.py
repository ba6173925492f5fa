"""What the servers are asked: photographs, labels, and bodies as each of them wants them; of a model in CLIP's size."""

import base64
import gzip
import itertools
import json
import math
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

from transformers import CLIPConfig, CLIPTokenizer, PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from benchmarks import SITE
from benchmarks.inputs import CONTEXT_LENGTH, clip_config, photo, write_checkpoint
from benchmarks.serving.client import Body, post
from benchmarks.serving.server import WORK
from contract.questions import Parameters
from contract.requests import ClassifyRequest, to_multipart

CHECKPOINT = WORK / "checkpoint"
MERGES = SITE / "open_clip/bpe_simple_vocab_16e6.txt.gz"
"""CLIP's byte pair encoding, as open_clip's wheel carries it."""
MERGE_COUNT = 49152 - 256 - 2
LOGIT_SCALE = 100.0
"""What OpenAI's checkpoints have learnt; a new model starts at 14.3."""
THIN_WIDTH = 8
"""Of all layers of towers that cost next to nothing."""

SIZES_PX = {
    "VGA": (640, 480),
    "2 MP": (1600, 1200),
    "5 MP": (2560, 1920),
    "12 MP": (4000, 3000),
    "24 MP": (6000, 4000),
    "48 MP": (8000, 6000),
}


def write_clip(directory: Path = CHECKPOINT, config: CLIPConfig | None = None) -> None:
    """A checkpoint in ViT-B/32's shape, or another one, with random weights and OpenAI's tokenizer; where that was not
    downloaded, one of its size.
    """
    config = config or clip_config()
    config.logit_scale_init_value = math.log(LOGIT_SCALE)
    write_checkpoint(directory, config, clip_tokenizer(openai_merges() if MERGES.is_file() else made_up_merges()))


def thin_config() -> CLIPConfig:
    """Towers that cost next to nothing, with the same images and vocabulary: what is left is the server."""
    return clip_config(vision=(THIN_WIDTH, 1), text=(THIN_WIDTH, 1))


def openai_merges() -> list[tuple[str, ...]]:
    """CLIP's, as open_clip's SimpleTokenizer reads them."""
    lines = gzip.decompress(MERGES.read_bytes()).decode().split("\n")[1 : MERGE_COUNT + 1]
    return [tuple(line.split()) for line in lines]


def made_up_merges() -> list[tuple[str, ...]]:
    """As many, each of a word of letters and one letter more."""
    words = itertools.chain(*(itertools.product(string.ascii_letters, repeat=length) for length in (2, 3)))
    return [("".join(word[:-1]), word[-1]) for word in itertools.islice(words, MERGE_COUNT)]


def clip_tokenizer(merges: Sequence[tuple[str, ...]]) -> PreTrainedTokenizerBase:
    """OpenAI's own, put together from its list of merges."""
    characters = bytes_to_unicode().values()
    words = [*characters, *(f"{each}</w>" for each in characters), *map("".join, merges)]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=list(merges), model_max_length=CONTEXT_LENGTH)


def photos(size: str, count: int, directory: Path = WORK / "photos") -> list[bytes]:
    """`count` different JPEGs of a size of SIZES_PX, drawn once and kept in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"{size.replace(' ', '')}-{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.is_file():
            path.write_bytes(photo(SIZES_PX[size], number))
    return [path.read_bytes() for path in paths]


def labels(count: int, first: int = 0) -> list[str]:
    """Different labels of two or three words; other ones from another `first` on."""
    words = ("red", "small", "old", "wooden", "wet", "broken", "bright", "quiet", "northern", "striped")
    things = ("bicycle", "dog", "harbour", "kettle", "violin", "tram", "meadow", "lighthouse", "sweater", "bridge")
    numbers = range(first, first + count)
    return [f"{words[n % 10]} {things[n // 10 % 10]}" + (f" {n // 100}" if n >= 100 else "") for n in numbers]


def vga_questions() -> list[bytes]:
    """What capacities are measured with: VGA photographs, each with 10 known labels."""
    return [post("/invocations", classify([image], labels(10))) for image in photos("VGA", 8)]


def embed(images: Sequence[bytes]) -> Body:
    """For one vector per image, as JSON with base64."""
    told = {"operation": "embed", "inputs": {"images": [_base64(image) for image in images]}}
    return "application/json", json.dumps(told).encode()


def infinity_embed(images: Sequence[bytes]) -> Body:
    """The same, as infinity-emb's /embeddings wants it."""
    urls = [f"data:image/jpeg;base64,{_base64(image)}" for image in images]
    return "application/json", json.dumps({"model": "clip", "input": urls, "modality": "image"}).encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def classify(images: Sequence[bytes], candidate_labels: Sequence[str]) -> Body:
    """A question as the Lambda sends it to the container: a form with the images as they are."""
    asked = Parameters.model_validate({"candidate_labels": list(candidate_labels)})
    return to_multipart(ClassifyRequest(list(images), asked, listed=len(images) > 1), images)


def classify_tasks(image: bytes, questions: Mapping[str, Sequence[str]]) -> Body:
    """Several questions about one image."""
    tasks = {name: {"candidate_labels": list(each)} for name, each in questions.items()}
    return to_multipart(ClassifyRequest([image], Parameters.model_validate({"tasks": tasks})), [image])
