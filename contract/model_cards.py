"""Model cards: what a checkpoint was trained on, the languages it reads, and its licence.

A checkpoint's own `wordsight.json` says it best. What comes from the Hugging Face hub says who published it, and the
well-known ones are in a table here; of any other the head of its README.md tells, the hub's model card:
https://huggingface.co/docs/hub/model-cards
"""

import re
from collections.abc import Iterator, Mapping
from typing import Self

from pydantic import Field

from contract.validation import Stored

UNKNOWN = "It is not known what this model was trained on."
UNKNOWN_LICENCE = "unknown"
"""The hub's own word."""
MULTILINGUAL = "multilingual"
"""The hub's word for more languages than anybody lists."""

MAX_KNOWS_CHARS = 1000
MAX_LANGUAGES = 200
MAX_HEAD_BYTES = 64 * 1024
"""Of a README.md: its head is a few lines."""


class ModelCard(Stored):
    """What whoever uses a model has to know of it."""

    knows: str = Field(default=UNKNOWN, description="A sentence: what it was trained on")
    languages: list[str] = Field(
        default=[], description=f'Of its texts, as ISO codes, or "{MULTILINGUAL}"; none: not known'
    )
    licence: str = Field(
        default=UNKNOWN_LICENCE, description=f'As SPDX or the hub call it, such as "MIT", or "{UNKNOWN_LICENCE}"'
    )

    def taught(self, sentence: str) -> Self:
        """The card of a model that was fine-tuned from this one, of which the sentence tells."""
        said = f"{self.knows[: MAX_KNOWS_CHARS - len(sentence) - 1]} {sentence}"
        return self.model_copy(update={"knows": said[:MAX_KNOWS_CHARS]})

    def refusal(self, name: str, *, commercial: bool) -> str | None:
        """Why the model called `name` may not serve a stage, in a sentence: that is `commercial`, and the licence is
        known to allow no commercial use. Else None.
        """
        if not commercial or not _NON_COMMERCIAL.search(self.licence):
            return None
        return (
            f"the licence of {name} is {self.licence}, which allows no commercial use, and this stage is commercial: "
            "take another model, or deploy with commercial = false in the stage's file if its use is none"
        )


class EndpointCards(Stored):
    """What an endpoint says of itself: of the model that it serves, and of the one in its image."""

    served: ModelCard = Field(default_factory=ModelCard)
    base: ModelCard = Field(default_factory=ModelCard)


_NON_COMMERCIAL = re.compile(r"(?i)(^|[-_ ])nc([-_ ]|$)|non-?commercial|research|^apple-amlr$")
"""Creative Commons' NC, whatever names itself so, licences for research alone, and Apple's, which is one."""

_WEB = "This model knows what {images} of the web show, mostly photographs, and the {words} texts beside them"
_ENGLISH = "English"


def _known(data: str, images: str, licence: str, words: str = _ENGLISH) -> ModelCard:
    knows = f"{_WEB.format(images=images, words=words)} ({data})."
    languages = ["en"] if words == _ENGLISH else [MULTILINGUAL]
    return ModelCard.model_construct(knows=knows, languages=languages, licence=licence)


_OPENAI = _known("OpenAI's WebImageText", "400 million images", "MIT")
_LAION_2B = _known("LAION-2B", "2 billion images", "MIT")
_LAION_5B = _known("LAION-5B", "5 billion images", "MIT", "multilingual")
_LAION_400M = _known("LAION-400M", "400 million images", "MIT")
_DATACOMP = _known("DataComp-1B", "1.4 billion images", "MIT")
_SIGLIP = _known("WebLI, its English part", "billions of images", "Apache-2.0")
_SIGLIP_I18N = _known("WebLI", "10 billion images", "Apache-2.0", "multilingual")
_METACLIP = _known("MetaCLIP's balanced Common Crawl", "400 million to 2.5 billion images", "CC-BY-NC-4.0")
_METACLIP_2 = _known("MetaCLIP 2's worldwide Common Crawl", "billions of images", "CC-BY-NC-4.0", "multilingual")
_DFN = _known("Apple's Data Filtering Networks", "2 to 5 billion images", "apple-amlr")
_MOBILECLIP = _known(
    "Apple's DataCompDR or DFNDR, with captions that a model wrote", "billions of images", "apple-amlr"
)
_PERCEPTION = _known("Meta's Perception Encoder data", "5.4 billion images", "Apache-2.0")

WELL_KNOWN: tuple[tuple[str, ModelCard], ...] = (
    (r"^openai/clip-vit-", _OPENAI),
    (r"^(laion|timm)/.*laion-?5b", _LAION_5B),
    (r"^(laion|timm)/.*laion-?2b", _LAION_2B),
    (r"^(laion|timm)/.*laion-?400m", _LAION_400M),
    (r"^(laion|mlfoundations|timm)/.*datacomp", _DATACOMP),
    (r"^(google|timm)/.*siglip-?2", _SIGLIP_I18N),
    (r"^(google|timm)/.*siglip.*(i18n|multilingual)", _SIGLIP_I18N),
    (r"^(google|timm)/.*siglip", _SIGLIP),
    (r"^(facebook|timm)/.*metaclip[-_]?2", _METACLIP_2),
    (r"^(facebook|timm)/.*metaclip", _METACLIP),
    (r"^(apple|timm)/.*mobileclip", _MOBILECLIP),
    (r"^(apple|timm)/.*dfn", _DFN),
    (r"^(facebook|timm)/pe-core", _PERCEPTION),
    (r"^timm/.*clip.*\.?openai", _OPENAI),
)
"""Names on the hub and what is known of them, written without a look at their cards, which decide: who publishes them
may change a licence. The first that fits counts. `timm` publishes many of them again.

OpenAI: https://github.com/openai/CLIP · LAION and DataComp: https://github.com/mlfoundations/open_clip · SigLIP:
https://github.com/google-research/big_vision · MetaCLIP: https://github.com/facebookresearch/MetaCLIP · DFN and
MobileCLIP: https://github.com/apple/ml-mobileclip · https://github.com/facebookresearch/perception_models
"""


def model_card(
    model_id: str = "",
    said: Mapping[str, list[str]] | None = None,
    *,
    knows: str | None = None,
    languages: list[str] | None = None,
    licence: str | None = None,
) -> ModelCard:
    """What is known of a checkpoint, each from the first that says it: what is given here, the table, its hub card.

    `model_id` is its name on the hub, with or without a revision behind an @. `said`: of its card, by the hub's names.
    """
    name = model_id.partition("@")[0].lower()
    card = next((known for pattern, known in WELL_KNOWN if re.search(pattern, name)), None) or _of_card(said or {})
    own = {"knows": knows, "languages": languages, "licence": licence}
    return card.model_copy(update={field: value for field, value in own.items() if value})


def _of_card(said: Mapping[str, list[str]]) -> ModelCard:
    (licence, *_) = [*said.get("license", []), ""]
    if licence.lower() in ("", "other"):
        (licence, *_) = [*said.get("license_name", []), licence]
    data = ", ".join(said.get("datasets", [])[:5])
    trained = f"This model was trained on {data}, as its card says."
    return ModelCard(
        knows=trained[:MAX_KNOWS_CHARS] if data else UNKNOWN,
        languages=said.get("language", [])[:MAX_LANGUAGES],
        licence=licence[:100] or UNKNOWN_LICENCE,
    )


def head_of(readme: bytes) -> dict[str, list[str]]:
    """The members of a README.md's head, lines of YAML between two lines of `---`, that are a text or a list of texts,
    each as a list. What can't be read there is left out; nothing in it is an error.
    """
    lines = iter(readme[:MAX_HEAD_BYTES].decode("utf-8", "replace").removeprefix("\ufeff").splitlines())
    if next(lines, "").rstrip() != "---":
        return {}
    found: dict[str, list[str]] = {}
    values: list[str] = []
    for line in lines:
        if line.rstrip() in ("---", "..."):
            return found
        if member := re.match(r"([A-Za-z_]+):(?:\s+(.*))?$", line):
            values = found[member[1]] = list(_values(member[2] or ""))
        elif item := re.match(r"\s*-\s+(.*)$", line):
            values.extend(_values(item[1]))
    return {}  # without its end it is no head


def _values(text: str) -> Iterator[str]:
    """`a`, `"a"` and `[a, b]`, without a comment behind it."""
    text = re.sub(r"(^|\s)#.*", "", text).strip()
    parts = text[1:-1].split(",") if text.startswith("[") and text.endswith("]") else [text]
    yield from (word for part in parts if (word := part.strip().strip("\"'").strip()))
