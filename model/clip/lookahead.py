"""What an image file says of itself, read from its bytes alone before any decoder sees it.

A few formats can ask for far more work than their pixels are worth: a JPEG of thousands of scans, a TIFF of tiles of
four pixels, a million empty chunks. Who counts first refuses them in milliseconds. Nothing here is decoded, and every
loop ends after a bounded number of steps; the searches for a byte run in C and pass over the file once.
"""

import re
import struct
from collections.abc import Iterator

from contract.problems import UnprocessableImage

Size = tuple[int, int]
"""Width and height in pixels."""

MAX_JPEG_SCANS = 100
"""Encoders write 10 or so (libjpeg's script for progressive colour), and each may cost as much as the whole picture."""
MAX_SCANNED_PIXELS = 1_000_000_000
"""Scans times pixels: 20 scans of the largest image."""
MAX_JPEG_SEGMENTS = 5_000
"""Before the first scan. A panorama's depth map in 64 kB pieces takes some hundreds."""
MAX_JPEG_PADDING_BYTES = 100_000
"""Before a marker; Pillow reads it byte by byte."""
MAX_RLE_PIXELS = 1_000_000
"""Of a run-length encoded BMP, which Pillow unpacks in Python, byte by byte."""
MIN_TILE_PX = 16
"""TIFF 6.0, section 15: the sides of tiles are multiples of 16."""
MAX_TIFF_PIECES = 100_000
"""Strips or tiles: more than an image of the largest size has rows."""
MAX_TIFF_TAGS = 4_096
MAX_PNG_CHUNKS = 1_000
"""Beside one for every 256 bytes of the file: libpng writes pixels in pieces of 8 kB."""
MAX_GIF_BLOCKS = 10_000
"""Before the first frame: 2.5 MB of comments."""

WEBP_BYTES_PER_PIXEL = 16
"""libwebp's two canvases, a copy for Pillow, and Pillow's image."""
AVIF_BYTES_PER_PIXEL = 11
"""The colours as they were coded, and the same two."""

JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
"""The next one in compressed data, where FF 00 is a byte and D0 to D7 are restarts (ITU T.81, B.1.1.2)."""
JPEG_NEXT = re.compile(rb"\xff+[^\x00\xff]")
"""The next one outside of it."""
SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
SINGLE_SCAN_SOF = {0xC0, 0xC1, 0xC9}
SOS, EOI = 0xDA, 0xD9
STANDALONE = {0x01, *range(0xD0, 0xD9)}

JPEG_MAGIC = b"\xff\xd8\xff"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WIDTH, HEIGHT, STRIP_OFFSETS = 256, 257, 273
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS = 322, 323, 324
TIFF_TYPES = {1: "B", 3: "H", 4: "L", 16: "Q"}


def declared_size(data: bytes) -> Size | None:
    """What the header says, before the image is turned upright; None if nothing does. No promise that it's true."""
    try:
        return _declared_size(data)
    except (struct.error, IndexError, KeyError, UnprocessableImage):  # cut off, or endless
        return None


def working_bytes(data: bytes) -> int:
    """At least so much memory does a decoder that makes room for several copies of its image take; of others 0."""
    width, height = declared_size(data) or (0, 0)
    if data[:4] == b"RIFF":
        return WEBP_BYTES_PER_PIXEL * width * height
    return AVIF_BYTES_PER_PIXEL * width * height if data[4:8] == b"ftyp" else 0


def check_cost(data: bytes) -> None:
    """Raises UnprocessableImage for a file that would cost far more time than its pixels are worth."""
    try:
        if data.startswith(JPEG_MAGIC):
            _check_jpeg(data)
        elif data[:2] == b"BM":
            _check_bmp(data)
        elif data[:4] in TIFF_MAGICS:
            _check_tiff(data)
        elif data[:8] == PNG_MAGIC:
            _check_png(data)
        elif data[:4] == b"GIF8":
            _check_gif(data)
    except (struct.error, IndexError, KeyError):  # cut off: the decoder says where
        pass


def _declared_size(data: bytes) -> Size | None:
    if data.startswith(JPEG_MAGIC):
        for marker, at in _jpeg_segments(data):
            if marker in SOF:
                height, width = struct.unpack_from(">HH", data, at + 3)
                return width, height
        return None
    if data[:8] == PNG_MAGIC:
        return struct.unpack_from(">LL", data, 16)
    if data[:4] == b"GIF8":
        return struct.unpack_from("<HH", data, 6)
    if data[:2] == b"BM":
        return _bmp_header(data)[:2]
    if data[:4] in TIFF_MAGICS:
        tags = _tiff_tags(data)
        return tags[WIDTH][1], tags[HEIGHT][1]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_size(data)
    if data[4:8] == b"ftyp":
        return _avif_size(data)
    return None


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The marker and the place of each segment's length (T.81, B.1.1.4), from the first to the first scan. Junk and
    padding before a marker, which decoders skip, is passed over.
    """
    at = 2
    for _ in range(MAX_JPEG_SEGMENTS):
        if not (found := JPEG_NEXT.search(data, at)):
            return
        if found.end() - at > MAX_JPEG_PADDING_BYTES:
            raise UnprocessableImage(
                f"the JPEG has {found.end() - at:,} bytes of padding in one place, at most {MAX_JPEG_PADDING_BYTES:,} "
                "are allowed: save it again"
            )
        marker, at = data[found.end() - 1], found.end()
        if marker in STANDALONE:
            continue
        yield marker, at
        if marker in (SOS, EOI):
            return
        at += struct.unpack_from(">H", data, at)[0]
    raise UnprocessableImage(
        f"the JPEG has more than {MAX_JPEG_SEGMENTS:,} segments before its picture: save it again without metadata"
    )


def _check_jpeg(data: bytes) -> None:
    components = 0
    for marker, at in _jpeg_segments(data):
        if marker in SOF:
            frame, components = marker, data[at + 7]
            height, width = struct.unpack_from(">HH", data, at + 3)
        elif marker == SOS:
            # a first scan of all colours is the only one that a decoder of baseline files reads
            if not components or (frame in SINGLE_SCAN_SOF and data[at + 2] == components):
                return
            _check_scans(data, at, min(MAX_JPEG_SCANS, MAX_SCANNED_PIXELS // max(1, width * height)))


def _check_scans(data: bytes, first: int, most: int) -> None:
    scans = 1
    for number, found in enumerate(JPEG_MARKER.finditer(data, first)):
        marker = found[0][1]
        if marker == EOI:
            return
        scans += marker == SOS
        if scans > most or number > MAX_JPEG_SEGMENTS:
            raise UnprocessableImage(
                f"the JPEG has more than {most} scans, the most for one of its size, where encoders write about 10: "
                "save it again"
            )


def _bmp_header(data: bytes) -> tuple[int, int, int]:
    """Width, height, compression. In the oldest header sides are 16 bits; rows from the top have a negative height."""
    if struct.unpack_from("<L", data, 14)[0] == 12:
        return (*struct.unpack_from("<HH", data, 18), 0)
    width, height, _, _, compression = struct.unpack_from("<llHHL", data, 18)
    return width, abs(height), compression


def _check_bmp(data: bytes) -> None:
    width, height, compression = _bmp_header(data)
    if compression in (1, 2) and width * height > MAX_RLE_PIXELS:
        raise UnprocessableImage(
            f"the BMP is run-length encoded and has {width * height:,} pixels, of this kind at most "
            f"{MAX_RLE_PIXELS:,} are read: save it as PNG"
        )


def _tiff_tags(data: bytes) -> dict[int, tuple[int, int]]:
    """Of the first image, by tag: how many values there are, and the first one if it lies in the tag itself."""
    order = "<" if data[:1] == b"I" else ">"
    big = 43 in data[2:4]
    start = struct.unpack_from(order + ("Q" if big else "L"), data, 8 if big else 4)[0]
    entry, counted = ("HHQ8s", "Q") if big else ("HHL4s", "H")
    first = start + struct.calcsize("=" + counted)
    tags = {}
    for number in range(min(struct.unpack_from(order + counted, data, start)[0], MAX_TIFF_TAGS)):
        tag, kind, count, value = struct.unpack_from(order + entry, data, first + number * struct.calcsize("=" + entry))
        tags[tag] = count, struct.unpack_from(order + TIFF_TYPES[kind], value)[0] if kind in TIFF_TYPES else 0
    return tags


def _check_tiff(data: bytes) -> None:
    tags = _tiff_tags(data)
    tile = [tags[each][1] for each in (TILE_WIDTH, TILE_HEIGHT) if each in tags]
    if tile and min(tile) < MIN_TILE_PX:
        raise UnprocessableImage(
            f"the TIFF has tiles of {' x '.join(map(str, tile))} pixels, where TIFF allows multiples of {MIN_TILE_PX}: "
            "save it as PNG"
        )
    pieces = max(tags.get(each, (0, 0))[0] for each in (STRIP_OFFSETS, TILE_OFFSETS))
    if pieces > MAX_TIFF_PIECES:
        raise UnprocessableImage(
            f"the TIFF lies in {pieces:,} pieces, at most {MAX_TIFF_PIECES:,} are read: save it as PNG"
        )


def _check_png(data: bytes) -> None:
    most = MAX_PNG_CHUNKS + len(data) // 256
    at = len(PNG_MAGIC)
    for _ in range(most):
        length, kind = struct.unpack_from(">L4s", data, at)
        if kind == b"IEND":
            return
        at += 12 + length
    raise UnprocessableImage(f"the PNG has more than {most:,} chunks: save it again without metadata")


def _check_gif(data: bytes) -> None:
    flags = data[10]
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    blocks = 0
    while data[at] == 0x21:  # an extension: its label, then blocks, each behind its length, the last one empty
        at += 2
        while data[at]:
            at += 1 + data[at]
            blocks += 1
            if blocks > MAX_GIF_BLOCKS:
                raise UnprocessableImage(
                    f"the GIF has more than {MAX_GIF_BLOCKS:,} blocks before its picture: save it without comments"
                )
        at += 1
        blocks += 1


def _webp_size(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":  # 14 bits each
        bits = struct.unpack_from("<L", data, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _avif_size(data: bytes) -> Size | None:
    """The largest picture in the file: it may hold thumbnails and masks."""
    sizes: list[Size] = []
    at = data.find(b"ispe")
    while at >= 0 and len(sizes) < 100:
        sizes.append(struct.unpack_from(">LL", data, at + 8))
        at = data.find(b"ispe", at + 4)
    return max(sizes, key=lambda size: size[0] * size[1], default=None)
