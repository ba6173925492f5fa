"""Where in the data bucket the images lie that are read by their keys, or by what these begin with."""

from contract.annotations import IMAGES_PREFIX
from contract.limits import MAX_S3_KEY_BYTES, UPLOADS_PREFIX
from contract.problems import shorten

COLLECTIONS_PREFIX = "collections/"
"""Where in the data bucket images can be put that are to stay: uploads are gone after a day."""
SOURCE_PREFIXES = (UPLOADS_PREFIX, COLLECTIONS_PREFIX, IMAGES_PREFIX)


def check_source(key: str, prefixes: tuple[str, ...] = SOURCE_PREFIXES, images: str = "the images of a batch") -> str:
    """The key or prefix itself. Raises ValueError for a place in the bucket from which no batch, or whose `images` else
    these are, reads, and for what no key can be.
    """
    try:
        size_bytes = len(key.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{shorten(key)!r} is no text: it holds half a character") from None
    if size_bytes > MAX_S3_KEY_BYTES:
        raise ValueError(f"a key has at most {MAX_S3_KEY_BYTES} bytes, got {size_bytes:,}: {shorten(key)!r}")
    if not key.startswith(prefixes):
        raise ValueError(f"{images} lie under {' or '.join(prefixes)}, got {shorten(key)!r}")
    return key
