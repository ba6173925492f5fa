"""Images' vectors for a lesson: those that are kept, and for images that have none yet, made by the endpoint."""

from collections.abc import Callable, Sequence

from contract.annotations import image_key
from contract.problems import ProblemError, ServiceUnavailable
from contract.requests import S3Object
from contract.taught import Progress
from lambdas.aws.clients import concurrently
from lambdas.aws.inference import Inspect, invocation_chunks
from lambdas.aws.s3 import Store
from lambdas.stored.embeddings import EmbeddingStore
from lambdas.stored.images import read_each_image

AT_ONCE = 32
"""Images that are shown to the endpoint together: few, as callers wait for it, too."""
REMEMBERED = 20_000
"""By one process."""
RETRY_AFTER_S = 30
Tell = Callable[[Progress | None], None]
"""Hears that the work goes on, and how far it is. It raises what ends the work."""


class Vectors:
    """Those of one bucket's images. A process remembers those that it has read."""

    def __init__(self, store: Store, inspect: Inspect, max_image_bytes: int) -> None:
        """`max_image_bytes`: of what `inspect` is shown together."""
        self._store = store
        self._kept = EmbeddingStore(store)
        self._inspect = inspect
        self._max_bytes = max_image_bytes
        self._known: dict[tuple[str, str], bytes] = {}

    def of(self, images: Sequence[str], model_version: str, tell: Tell) -> dict[str, bytes]:
        """The vectors of images, given by their sha256. What can't be read any more is left out.

        `tell` hears how far it is. Raises ServiceUnavailable while another version of the model answers.
        """
        if len(self._known) > REMEMBERED:
            self._known.clear()
        unread = [image for image in images if (model_version, image) not in self._known]
        missing = []
        kept = concurrently(lambda image: self._kept.read(model_version, image), unread)
        for image, numbers in zip(unread, kept, strict=True):
            tell(None)
            if numbers is None:
                missing.append(image)
            else:
                self._known[model_version, image] = numbers
        self._make(missing, model_version, tell)
        return {image: self._known[model_version, image] for image in images if (model_version, image) in self._known}

    def _make(self, images: Sequence[str], model_version: str, tell: Tell) -> None:
        sources = (S3Object.model_construct(s3_key=image_key(image)) for image in images)
        read = zip(images, read_each_image(sources, self._store, self._max_bytes), strict=True)
        done = 0
        for chunk in invocation_chunks(read, self._max_bytes, AT_ONCE):
            tell(Progress(done=done, of=len(images)))
            looks = self._inspect([image for _, image in chunk if isinstance(image, bytes)])
            for look in looks:
                if isinstance(look, ProblemError):
                    continue
                if look["model_version"] != model_version:
                    raise ServiceUnavailable("the model is being replaced: try again", retry_after_s=RETRY_AFTER_S)
                self._known[model_version, look["sha256"]] = self._kept.keep(look)
            shown = [image for image, content in chunk if isinstance(content, bytes)]
            for image in concurrently(self._erased, shown):
                self._known.pop((model_version, image or ""), None)
            done += len(chunk)

    def _erased(self, image: str) -> str | None:
        """The image itself, if it was erased while it was being looked at: no vector of it is kept."""
        if next(self._store.keys(image_key(image)), None) is not None:
            return None
        self._kept.erase(image)
        return image
