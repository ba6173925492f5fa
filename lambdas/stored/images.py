"""Images that were uploaded before: `s3_key` sources of a request, read from the data bucket."""

from collections.abc import Iterable, Iterator, Sequence
from threading import Lock

from contract.limits import MAX_INVOCATION_BYTES
from contract.problems import NotFound, PayloadTooLarge, ProblemError
from contract.requests import ImageSource, S3Object
from lambdas.aws.clients import concurrently
from lambdas.aws.s3 import Store


def read_images(sources: Sequence[ImageSource], store: Store) -> list[bytes | ProblemError]:
    """Each source's bytes, in order; a key without an object becomes NotFound in its place.

    Raises PayloadTooLarge if all images together can't be sent to the model, and ServiceUnavailable if S3 does not
    answer.
    """
    left_bytes, lock = MAX_INVOCATION_BYTES, Lock()

    def take(size_bytes: int) -> None:
        nonlocal left_bytes
        with lock:
            left_bytes -= size_bytes
            if left_bytes < 0:
                raise PayloadTooLarge(
                    f"the images are larger together than the {MAX_INVOCATION_BYTES:,} bytes allowed in one request: "
                    "send fewer, or upload them shrunk to 1024 px on the longer side"
                )

    take(sum(len(source) for source in sources if isinstance(source, bytes)))

    def read(source: ImageSource) -> bytes | ProblemError:
        if not isinstance(source, S3Object):
            return source
        image = store.read_image(source.s3_key, take)
        if image is None:
            return NotFound(f"no object with the s3_key {source.s3_key!r} in the data bucket: upload it first")
        return image

    return list(concurrently(read, sources))


def read_each_image(sources: Iterable[ImageSource], store: Store) -> Iterator[bytes | ProblemError]:
    """Each source's bytes, in order, no more than a few of them in memory before they are asked for.

    A key without an object, and an image that alone can't be sent to the model, become their problems in their places.
    """

    def read(source: ImageSource) -> bytes | ProblemError:
        try:
            (image,) = read_images([source], store)
        except PayloadTooLarge as problem:
            return problem
        return image

    return concurrently(read, sources)
