"""Image files written by hand: what no library would write, byte by byte as the formats' specifications have it."""

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

Colour = tuple[int, int, int]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type: grey, RGB, palette, grey with alpha, RGB with alpha. https://www.w3.org/TR/png-3/#11IHDR"""
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and the steps, of an interlaced PNG's passes."""


def chunk(kind: bytes, content: bytes, crc: int | None = None) -> bytes:
    """A PNG's chunk; `crc` stands in place of the right checksum."""
    found = zlib.crc32(kind + content) if crc is None else crc
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", found)


def png(
    samples: Sequence[int],
    depth: int = 8,
    kind: int = 2,
    size: tuple[int, int] = (16, 16),
    interlaced: bool = False,
    before: Iterable[bytes] = (),
    after: Iterable[bytes] = (),
    data: bytes | None = None,
    declared: tuple[int, int] | None = None,
) -> bytes:
    """A PNG of one colour: each pixel has these samples, each of `depth` bits. `before` and `after`: chunks around the
    pixels; `data`: what is compressed in their place; `declared`: the size that the header tells.
    """
    width, height = size
    if data is None:
        passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
        data = b"".join(
            _png_rows(samples, depth, len(range(left, width, across)), len(range(top, height, down)))
            for left, top, across, down in passes
        )
    head = struct.pack(">IIBBBBB", *(declared or size), depth, kind, 0, 0, int(interlaced))
    parts = [chunk(b"IHDR", head), *before, chunk(b"IDAT", zlib.compress(data, 9)), *after, chunk(b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(parts)


def _png_rows(samples: Sequence[int], depth: int, width: int, height: int) -> bytes:
    if not width or not height:
        return b""
    bits = "".join(f"{sample:0{depth}b}" for sample in samples) * width
    bits += "0" * (-len(bits) % 8)
    return (b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")) * height


@cache
def text_bomb(kind: bytes, size_bytes: int = 50_000_000) -> bytes:
    """A chunk whose compressed text or profile is that long."""
    head = {b"zTXt": b"a\0\0", b"iCCP": b"a\0\0", b"iTXt": b"a\0\1\0\0\0"}[kind]
    return chunk(kind, head + zlib.compress(bytes(size_bytes), 9))


def bmp(
    rows: bytes,
    depth: int,
    size: tuple[int, int] = (16, 16),
    compression: int = 0,
    palette: Sequence[Colour] = (),
    masks: Sequence[int] = (),
    offset: int | None = None,
) -> bytes:
    """A BMP with the header of Windows 3; a negative height is one whose first row is the top one."""
    colours = b"".join(bytes((blue, green, red, 0)) for red, green, blue in palette)
    fields = struct.pack("<III", *masks) if masks else b""
    width, height = size
    start = 14 + 40 + len(fields) + len(colours)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, depth, compression, len(rows), 0, 0, len(palette), 0)
    head = b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start if offset is None else offset)
    return head + info + fields + colours + rows


def row_of(pixel: bytes, width: int) -> bytes:
    """A BMP's row, which ends at a multiple of four bytes."""
    row = pixel * width
    return row + bytes(-len(row) % 4)


def tiff(
    pages: Sequence[Mapping[int, Sequence[int] | bytes]],
    data: bytes,
    big: bool = False,
    order: str = "<",
    next_page: int | None = None,
) -> bytes:
    """A TIFF whose pages have these tags: numbers are 16 or 32 bits wide as they need, bytes as they are. The pixels
    `data` come first, at offset 16. `next_page`: where the last page says that another one is.

    TIFF 6.0, and https://www.awaresystems.be/imaging/tiff/bigtiff.html
    """
    place, count_code, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    body = bytearray(b"II" if order == "<" else b"MM")
    body += struct.pack(order + "HHHQ", 43, 8, 0, 0) if big else struct.pack(order + "HI", 42, 0)
    links = [len(body) - (8 if big else 4)]
    body += bytes(16 - len(body)) + data + bytes(len(data) % 2)
    for tags in pages:
        entries = []
        for tag, values in sorted(tags.items()):
            kind, size = (7, 1) if isinstance(values, bytes) else (3, 2) if max(values) < 1 << 16 else (4, 4)
            content = (
                values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{'xBxHI'[kind]}", *values)
            )
            room = 8 if big else 4
            if len(content) > room:
                at, content_here = len(body), struct.pack(order + place, len(body))
                body += content + bytes(len(content) % 2)
                assert at + len(content) <= len(body)
            else:
                content_here = content.ljust(room, b"\0")
            entries.append(struct.pack(order + "HH" + place, tag, kind, len(content) // size) + content_here)
        link = links[-1]
        body[link : link + struct.calcsize(place)] = struct.pack(order + place, len(body))
        body += struct.pack(order + count_code, len(entries)) + b"".join(entries)
        assert all(len(each) == entry for each in entries)
        links.append(len(body))
        body += struct.pack(order + place, next_page or 0)
    return bytes(body)


def page_of(
    size: tuple[int, int], samples: int, bits: Sequence[int], photometric: int, length: int
) -> dict[int, Sequence[int] | bytes]:
    """The tags of a page in one strip at the file's beginning."""
    width, height = size
    return {
        256: [width], 257: [height], 258: bits, 259: [1], 262: [photometric], 273: [16], 277: [samples],
        278: [height], 279: [length],
    }  # fmt: skip


class Bits:
    """Bits as WebP's lossless format packs them, the lowest first."""

    def __init__(self) -> None:
        self._value = self._count = 0

    def put(self, value: int, count: int) -> None:
        self._value |= value << self._count
        self._count += count

    def bytes(self) -> bytes:
        return self._value.to_bytes((self._count + 7) // 8, "little")


def webp_lossless(colour: Colour, size: tuple[int, int]) -> bytes:
    """A WebP of one colour in some 40 bytes, however large: every code has one symbol, so a pixel takes no bit.

    https://developers.google.com/speed/webp/docs/webp_lossless_bitstream_specification
    """
    bits = Bits()
    bits.put(0x2F, 8)
    bits.put(size[0] - 1, 14)
    bits.put(size[1] - 1, 14)
    bits.put(0, 1 + 3)  # no alpha, version 0
    bits.put(0, 3)  # no transform, no colour cache, one group of codes
    red, green, blue = colour
    for symbol in (green, red, blue, 255, 0):  # and alpha, and distances
        bits.put(1, 1)  # a simple code
        bits.put(0, 1)  # of one symbol
        bits.put(1, 1)  # in eight bits
        bits.put(symbol, 8)
    content = bits.bytes()
    part = b"VP8L" + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(part)) + b"WEBP" + part


def segments(jpeg: bytes) -> list[tuple[int, bytes]]:
    """A JPEG's segments by their markers, each with what follows it: of a scan also its coded pixels."""
    found, at = [], 2
    while at < len(jpeg):
        marker = jpeg[at + 1]
        end = at + 2 + (0 if marker == 0xD9 else int.from_bytes(jpeg[at + 2 : at + 4], "big"))
        if marker == 0xDA:
            while jpeg[end] != 0xFF or jpeg[end + 1] in (0, *range(0xD0, 0xD8)):
                end += 1
        found.append((marker, jpeg[at:end]))
        at = end
    return found


def with_scans(progressive: bytes, times: int) -> bytes:
    """The JPEG with its last scan so many times more."""
    parts = segments(progressive)
    last = max(number for number, (marker, _) in enumerate(parts) if marker == 0xDA)
    bodies = [part for _, part in parts]
    return progressive[:2] + b"".join([*bodies[: last + 1], bodies[last] * times, *bodies[last + 1 :]])


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    """The JPEG whose frame header tells another size."""
    parts = [
        part[:5] + struct.pack(">HH", height, width) + part[9:] if 0xC0 <= marker <= 0xC2 else part
        for marker, part in segments(jpeg)
    ]
    return jpeg[:2] + b"".join(parts)


def exif(orientation: int, loop: bool = False, kind: int = 3, order: str = "<") -> bytes:
    """EXIF with an orientation; `loop`: its directory says that the next one is itself."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + "H", orientation) + b"\0\0" if kind == 3 else struct.pack(order + "I", orientation)
    entry = struct.pack(order + "HHI", 0x0112, kind, 1) + value
    return b"Exif\0\0" + mark + struct.pack(order + "IH", 8, 1) + entry + struct.pack(order + "I", 8 if loop else 0)


def with_exif(jpeg: bytes, content: bytes) -> bytes:
    """The JPEG with this EXIF."""
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def gif(
    size: tuple[int, int] = (16, 16),
    frame: tuple[int, int, int, int] = (0, 0, 16, 16),
    palette: Sequence[Colour] = ((255, 0, 0), (0, 0, 255)),
    codes: bytes | None = None,
    least_bits: int = 2,
    extensions: bytes = b"",
) -> bytes:
    """A GIF with one frame of the palette's first colour. `codes`: its compressed pixels, in blocks.

    https://www.w3.org/Graphics/GIF/spec-gif89a.txt
    """
    table = b"".join(map(bytes, palette))
    left, top, width, height = frame
    if codes is None:
        bits = Bits()
        for _ in range(min(width * height, 10_000)):  # a clear code before every pixel: the codes never grow
            bits.put(4, 3)
            bits.put(0, 3)
        bits.put(5, 3)
        content = bits.bytes()
        codes = b"".join(
            bytes([len(content[at : at + 255])]) + content[at : at + 255] for at in range(0, len(content), 255)
        )
    head = b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + table + extensions
    return head + b"," + struct.pack("<HHHHB", left, top, width, height, 0) + bytes([least_bits]) + codes + b"\0;"
