"""The registry: every version of the model as one document in the artifacts bucket, its promotions and checkpoint."""

from dataclasses import dataclass
from typing import Self

from contract.documents import MAX_FILE_BYTES
from contract.idempotency import now
from contract.models import (
    BASE,
    BASE_VERSION,
    MODELS_PREFIX,
    NO_MODEL_URI,
    PROMOTIONS_PREFIX,
    REGISTRY_PREFIX,
    UPLOADS_VERSION,
    Model,
    Promotion,
    model_key,
    promotion_key,
)
from contract.problems import BadRequest, Conflict, NotFound
from lambdas.aws.s3 import Store


class Registry:
    """What the artifacts bucket knows of models. The base, which is in the images, is always among them."""

    def __init__(self, artifacts: Store) -> None:
        self._artifacts = artifacts

    def models(self) -> list[Model]:
        """Every version, the base first and then the oldest."""
        models = self._artifacts.find_all(Model, list(self._artifacts.keys(REGISTRY_PREFIX)))
        return [BASE, *sorted(models, key=lambda model: (model.created, model.version))]

    def find(self, version: str) -> Model | None:
        """A version, or None where it is not registered."""
        return BASE if version == BASE_VERSION else self._artifacts.find(Model, model_key(version))

    def get(self, version: str) -> Model:
        """A version. Raises NotFound."""
        if model := self.find(version):
            return model
        raise NotFound(f"there is no model {version!r}: GET /models lists them")

    def at(self, artifact_s3_uri: str) -> Model | None:
        """The version whose checkpoint is in this folder."""
        if artifact_s3_uri == NO_MODEL_URI:
            return BASE
        return next((model for model in self.models() if model.artifact_s3_uri == artifact_s3_uri), None)

    def add(self, model: Model) -> None:
        """Register a version for good. Raises Conflict if another one has its name."""
        if model.version == BASE_VERSION:
            raise Conflict(f"{BASE_VERSION!r} is the model in the images: choose another version")
        if model.version == UPLOADS_VERSION:
            raise Conflict(f"{UPLOADS_VERSION!r} is what POST /models/uploads is called: choose another version")
        if not self._artifacts.create(model_key(model.version), model):
            raise Conflict(f"there is a model {model.version!r} already: choose another version")

    def put(self, promotion: Promotion) -> None:
        """Write down how far a promotion is."""
        self._artifacts.write(promotion_key(promotion.id), promotion)

    def request_promotion(self, id: str, model: Model) -> Promotion:
        """Write down that a version is to be promoted, under the id of what asks for it."""
        promotion = Promotion(
            id=id,
            version=model.version,
            artifact_s3_uri=model.artifact_s3_uri,
            served_version=model.served_version,
            created=now(),
        )
        self.put(promotion)
        return promotion

    def promotion(self, id: str) -> Promotion | None:
        """A promotion, or None where there is none of this id."""
        return self._artifacts.find(Promotion, promotion_key(id))

    def promotions(self) -> list[Promotion]:
        """Every promotion, the newest first."""
        keys = sorted(self._artifacts.keys(PROMOTIONS_PREFIX), reverse=True)
        return self._artifacts.find_all(Promotion, keys)


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint's folder. `prefix` is what its files' keys begin with, and ends with a slash."""

    store: Store
    prefix: str

    @classmethod
    def at(cls, s3_uri: str, store: Store) -> Self:
        """The folder at an address. Raises BadRequest if it is not one of this bucket's models."""
        root = f"s3://{store.bucket}/"
        prefix = s3_uri.removeprefix(root).rstrip("/") + "/"
        if not s3_uri.startswith(f"{root}{MODELS_PREFIX}") or prefix == MODELS_PREFIX:
            raise BadRequest(f"s3_uri is {s3_uri!r}, allowed: a folder under {root}{MODELS_PREFIX}")
        return cls(store, prefix)

    @property
    def s3_uri(self) -> str:
        return f"s3://{self.store.bucket}/{self.prefix}"

    def sizes_bytes(self) -> dict[str, int]:
        """The files of the folder with their sizes, without those of folders in it."""
        return {key.removeprefix(self.prefix): size for key, size in self.store.files(self.prefix).items()}

    def read(self, name: str, *, first: int = 0, size_bytes: int = MAX_FILE_BYTES) -> bytes | None:
        """At most `size_bytes` of a file beginning with its byte `first`, or None where there is none."""
        return self.store.read_file(self.prefix + name, first=first, size_bytes=size_bytes)

    def page_url(self, name: str, expires_in_s: int) -> str:
        """An address from which a browser shows a page of the folder without credentials."""
        return self.store.reading_url(self.prefix + name, expires_in_s, content_type="text/html; charset=utf-8")
