"""Images in the data bucket: those that were uploaded before, which are `s3_key` sources of a request, and annotated
ones, shrunk.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock

from contract.annotations import image_key
from contract.images import thumbnail_key
from contract.problems import NotFound, PayloadTooLarge, ProblemError, ServiceUnavailable, UnprocessableImage, shorten
from contract.requests import ImageSource, S3Object
from lambdas.aws.clients import concurrently
from lambdas.aws.s3 import Store

READ_TRIES = 2
"""Of an image for which nobody waits; each is several of botocore's."""


def read_images(sources: Sequence[ImageSource], store: Store, max_bytes: int) -> list[bytes | ProblemError]:
    """Each source's bytes, in order; a key without an object becomes NotFound in its place, and UnprocessableImage one
    that is empty or that S3 does not hand out.

    Raises PayloadTooLarge if all images together are larger than `max_bytes`, which is what the model can be sent, and
    ServiceUnavailable if S3 does not answer.
    """
    left_bytes, lock = max_bytes, Lock()

    def take(size_bytes: int) -> None:
        nonlocal left_bytes
        with lock:
            left_bytes -= size_bytes
            if left_bytes < 0:
                raise PayloadTooLarge(
                    f"the images are larger together than the {max_bytes:,} bytes allowed in one request: "
                    "send fewer, or upload them shrunk to 1024 px on the longer side"
                )

    take(sum(len(source) for source in sources if isinstance(source, bytes)))

    def read(source: ImageSource) -> bytes | ProblemError:
        if not isinstance(source, S3Object):
            return source
        try:
            image = store.read_image(source.s3_key, take)
        except UnprocessableImage as problem:
            return problem
        if image == b"":
            return UnprocessableImage(f"the object {shorten(source.s3_key, 120)!r} is empty: upload it again")
        if image is None:
            return NotFound(f"no object with the s3_key {shorten(source.s3_key)!r} in the data bucket: upload it first")
        return image

    return list(concurrently(read, sources))


def read_each_image(sources: Iterable[ImageSource], store: Store, max_bytes: int) -> Iterator[bytes | ProblemError]:
    """Each source's bytes, in order, no more than a few of them in memory before they are asked for.

    What can't be read, or is larger than `max_bytes`, becomes its problem in its place, also an object at which S3
    falls silent twice while it answers about others. Raises ServiceUnavailable if S3 is silent about all.
    """

    def read_one(source: ImageSource) -> bytes | ProblemError:
        for _ in range(READ_TRIES):
            try:
                (image,) = read_images([source], store, max_bytes)
            except PayloadTooLarge as problem:
                return problem
            except ServiceUnavailable as problem:
                if isinstance(source, S3Object):
                    store.check_answers_beside(source.s3_key)
                image = problem
            else:
                break
        return image

    return concurrently(read_one, sources)


def read_thumbnail(image: str, size_px: int, store: Store, shrink: Callable[[bytes], bytes]) -> bytes | None:
    """An annotated image, given by its sha256, shrunk as JPEG, or None where there is none. What `shrink` makes of the
    file is kept. Raises BadRequest for what is no sha256, UnprocessableImage, and what `shrink` raises.
    """
    of_image, key = image_key(image), thumbnail_key(image, size_px)
    if (kept := store.read_file(key)) is not None:
        return kept
    if (content := store.read_image(of_image, lambda size_bytes: None)) is None:
        return None
    shrunk = shrink(content)
    store.keep(key, shrunk, "image/jpeg")
    if next(store.keys(of_image), None) is None:  # erased meanwhile: no trace of it is kept
        store.erase(key)
        return None
    return shrunk
