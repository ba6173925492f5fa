"""Images' vectors in the data bucket, by the version of the model that made them."""

from contract.taught import EMBEDDINGS_PREFIX, embedding_key
from contract.teaching import embedding_bytes
from lambdas.aws.inference import Look
from lambdas.aws.s3 import Store


class EmbeddingStore:
    """Those of one bucket. Every method raises ServiceUnavailable if S3 does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, look: Look) -> bytes:
        """Store the vector that an inspection has answered, as little-endian fp32, and return it."""
        numbers = embedding_bytes(look["embedding"], "embedding")
        self._store.keep(embedding_key(look["model_version"], look["sha256"]), numbers, "application/octet-stream")
        return numbers

    def read(self, model_version: str, image: str) -> bytes | None:
        """The vector of an image by this version of the model, or None where there is none."""
        return self._store.read_file(embedding_key(model_version, image))

    def erase(self, image: str) -> None:
        """Remove an image's vectors by every version of the model, with every trace of them."""
        for folder in self._store.folders(EMBEDDINGS_PREFIX):
            self._store.erase(f"{EMBEDDINGS_PREFIX}{folder}/{image}")
