"""Models: every checkpoint that was trained or brought along, what the gate says of it, and how one is promoted."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, StringConstraints

from contract.deferred import Deferred
from contract.model_cards import ModelCard
from contract.problems import BadRequest, shorten
from contract.validation import Stored, Strict

MODELS_PREFIX = "models/"
"""Where in the artifacts bucket checkpoints are: one folder each."""
REGISTRY_PREFIX = "registry/"
PROMOTIONS_PREFIX = "promotions/"

BROUGHT_PREFIX = f"{MODELS_PREFIX}uploads/"
"""Where in it checkpoints are that were sent through the API: one folder for each POST /models/uploads."""

BASE_VERSION = "base"
"""The checkpoint that is baked into the images: it is always there, and can always be promoted again."""
UPLOADS_VERSION = "uploads"
"""Not a version: the path of POST /models/uploads would hide it."""
NO_MODEL_URI = "s3://none/"
"""Stands for it where an S3 prefix is asked for. Not empty: CDK's own checks put a default where an S3 URI must be."""

MODEL_URI_PARAMETER = "ModelUri"
"""Of the serving stack: names the checkpoint's folder that is served."""

GOLDEN_TOLERANCE = 0.05
"""How far an endpoint's scores may be from these: other hardware and reduced precision round differently. bf16
moves the small checkpoint's by up to .03 (benchmarks/zen5/serving.md); another model answers quite otherwise.
"""

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
"""One file, or an index of several."""
PROCESSOR = "preprocessor_config.json"
JOINT_PROCESSOR = "processor_config.json"
"""As newer transformers save it. Its member `image_processor`, if it has one, comes before the other file."""

METADATA = "wordsight.json"
"""Its version, where it comes from, and how good it was found to be."""
README = "README.md"
"""Its model card."""
GOLDEN = "golden.jsonl"
"""Questions with the scores it gave when it was trained, so that an endpoint can be asked them."""

_VERSION = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9._]){0,62}")

ServedVersion = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
"""What an endpoint calls its weights: visible ASCII, as it goes into a header of every answer."""

Version = Annotated[str, StringConstraints(pattern=f"^{_VERSION.pattern}$")]


class Gate(Stored):
    """Whether a model may go live: better on the new data than its base, and the old not forgotten."""

    passed: bool
    reasons: list[str] = Field(default=[], description="Why it may not, one sentence each")
    figures: dict[str, JsonValue] = Field(default={}, description="What was looked at")


class Model(ModelCard):
    """A version of the model, and where it comes from."""

    version: str
    parent: str | None = Field(default=None, description="The version it was fine-tuned from")
    artifact_s3_uri: str = Field(description="The checkpoint's folder")
    served_version: str | None = Field(
        default=None, description="What the endpoint calls it (`x-model-version`); null: its weights have no name"
    )
    created: str
    source: Literal["training", "import", "image"]
    training: str | None = None
    dataset: str | None = None
    data_digest: str | None = None
    image: str | None = Field(default=None, description="The container image that trained it")
    git_revision: str | None = None
    gate: Gate | None = Field(default=None, description="Null for a model that no training made")
    metrics: dict[str, JsonValue] = Field(default={})


BASE = Model.model_construct(version=BASE_VERSION, artifact_s3_uri=NO_MODEL_URI, created="", source="image")

PromotionState = Literal["requested", "updating", "verifying", "restoring", "live", "failed"]
ENDED: frozenset[PromotionState] = frozenset({"live", "failed"})


class Promotion(Stored):
    """One attempt to let a version go live."""

    id: str
    version: str
    artifact_s3_uri: str
    served_version: str | None = None
    created: str
    state: PromotionState = "requested"
    reason: str | None = Field(default=None, description="Why it failed")
    previous_s3_uri: str | None = Field(default=None, description="What was live before")


class ModelSummary(ModelCard):
    """A version as GET /models lists it."""

    version: str
    parent: str | None
    created: str
    source: Literal["training", "import", "image"]
    dataset: str | None
    artifact_s3_uri: str
    gate: Gate | None
    live: bool = Field(description="Whether it is what the endpoint serves")


class ModelView(Model):
    """A version with everything that is known of it."""

    live: bool = Field(description="Whether it is what the endpoint serves")
    verdict: str | None = Field(description="The gate's, in a sentence, with what was learnt and lost")
    promotion: Promotion | None = Field(description="The newest attempt to let it go live")


class ModelList(Deferred):
    """The answer of GET /models: the base, then the oldest first."""

    models: list[ModelSummary]
    live_s3_uri: str = Field(
        description="What is served: a version's artifact_s3_uri, or one that was never registered"
    )
    rolling_out: Promotion | None = Field(description="The promotion that is under way")


class ImportBody(Strict):
    """The JSON body of POST /models."""

    s3_uri: str = Field(
        description=f"A folder of CLIPModel's, SiglipModel's or open_clip's under {MODELS_PREFIX} of the artifacts"
        " bucket"
    )
    version: Version = Field(description="What it will be called: letters, digits, dots and hyphens, at most 63")
    parent: Version | None = None

    EXAMPLES: ClassVar = {
        "checkpoint": {"s3_uri": "s3://artifacts-bucket/models/clip-vit-large-patch14/", "version": "large-1"}
    }


class PromoteBody(Strict):
    """The JSON body of POST /models/{version}/promote; it may be left out."""

    force: bool = Field(default=False, description="Even if the gate refused it")

    EXAMPLES: ClassVar = {"forced: Although the gate refused it": {"force": True}}


def model_key(version: str) -> str:
    """Where in the artifacts bucket a version is registered. Raises BadRequest for a name that none may have."""
    if not _VERSION.fullmatch(version):
        raise BadRequest(f"the version is {shorten(version)!r}, allowed: letters, digits, dots and hyphens, at most 63")
    return f"{REGISTRY_PREFIX}{version}.json"


def promotion_key(id: str) -> str:
    """Where in the artifacts bucket a promotion is."""
    return f"{PROMOTIONS_PREFIX}{id}.json"


def brought_prefix(id: str) -> str:
    """Where in the artifacts bucket the files of one POST /models/uploads go."""
    return f"{BROUGHT_PREFIX}{id}/"
