"""Images of every format and with every trick, made in code, each with what must come of it.

What is good by construction has the colour that a person sees; what may be either is never a fault of ours.
"""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, features

from tests.hostile import files
from tests.hostile.files import Colour

GOOD = frozenset({200})
UNREADABLE = frozenset({422})
TOO_LARGE = frozenset({413})
UNKNOWN = frozenset({415, 422})
EITHER = frozenset({200, 413, 415, 422})
"""Of what is damaged here and there: a decoder may see it or not."""

RED, GREEN, BLUE, GREY, WHITE, BLACK, ORANGE = (
    (255, 0, 0), (0, 160, 0), (0, 0, 255), (128, 128, 128), (255, 255, 255), (0, 0, 0), (230, 120, 20),
)  # fmt: skip
Box = tuple[float, float, float, float]
WHOLE: Box = (0, 0, 1, 1)
LOSSY = 12.0
EXACT = 1.5
"""How far the mean of a channel may be off, of 255."""

SIZE = (48, 32)
MANY_PIXELS = (7000, 7000)
"""Just allowed: 49 million."""


@dataclass(frozen=True)
class Case:
    """One file, the statuses that may come, and where it is answered the colour that must be seen in a part of it."""

    make: Callable[[], bytes]
    statuses: frozenset[int]
    colour: Colour | None = None
    tolerance: float = EXACT
    box: Box = WHOLE
    heavy: bool = False
    """Asks for much memory or time, if it is let."""


def good(make: Callable[[], bytes], colour: Colour, tolerance: float = EXACT, box: Box = WHOLE) -> Case:
    """It must be answered, and be seen as it is."""
    return Case(make, GOOD, colour, tolerance, box)


def saved(
    kind: str, colour: Colour | int = RED, mode: str = "RGB", size: tuple[int, int] = SIZE, **options: object
) -> bytes:
    """A file of one colour as Pillow writes it."""
    Image.new(mode, size, colour).save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


def halves(kind: str, **options: object) -> bytes:
    """Red at the left, blue at the right."""
    image = Image.new("RGB", SIZE, RED)
    image.paste(BLUE, (SIZE[0] // 2, 0, *SIZE))
    image.save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


def noise(kind: str, **options: object) -> bytes:
    """Pixels that compress badly, so that a cut or flipped byte falls among them."""
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


BASES: Mapping[str, Callable[[], bytes]] = {
    "jpeg": lambda: noise("JPEG"),
    "progressive jpeg": lambda: noise("JPEG", progressive=True),
    "cmyk jpeg": lambda: saved("JPEG", mode="CMYK", colour=(0, 255, 255, 0)),
    "png": lambda: noise("PNG"),
    "palette png": lambda: saved("PNG", mode="P", colour=3),
    "gif": lambda: noise("GIF"),
    "webp": lambda: noise("WEBP"),
    "lossless webp": lambda: noise("WEBP", lossless=True),
    "bmp": lambda: noise("BMP"),
    "tiff": lambda: noise("TIFF"),
    "lzw tiff": lambda: noise("TIFF", compression="tiff_lzw"),
    **({"avif": lambda: noise("AVIF")} if features.check("avif") else {}),
}
"""What is cut, flipped and prolonged."""


def every_encoding_of_a_colour() -> Iterator[tuple[str, Case]]:
    """A red picture stays red."""
    for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE), ("orange", ORANGE), ("black", BLACK)):
        for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", *(["AVIF"] if features.check("avif") else [])):
            yield f"{name} {kind}", good(lambda k=kind, c=colour: saved(k, c), colour, LOSSY)
    for quality in (1, 10, 50, 100):
        yield f"jpeg quality {quality}", good(lambda q=quality: saved("JPEG", quality=q), RED, 40)
    for sampling in (0, 1, 2):
        for progressive in (False, True):
            options = {"subsampling": sampling, "progressive": progressive, "quality": 95}
            yield f"jpeg {options}", good(lambda o=options: saved("JPEG", **o), RED, LOSSY)
    yield "jpeg optimized with restarts", good(lambda: saved("JPEG", optimize=True, restart_marker_rows=1), RED, LOSSY)
    yield "jpeg grey", good(lambda: saved("JPEG", 128, "L"), GREY, LOSSY)
    yield "jpeg cmyk", good(lambda: saved("JPEG", (0, 255, 255, 0), "CMYK", quality=95), RED, 30)
    yield "mpo, the first picture counts", good(several("MPO"), RED, LOSSY)
    yield "apng, the first picture counts", good(several("PNG"), RED)
    yield "animated gif", good(several("GIF", duration=40), RED)
    yield "animated webp", good(several("WEBP", lossless=True, duration=40), RED)
    yield "tiff of two pages", good(several("TIFF"), RED)
    yield "webp lossless", good(lambda: saved("WEBP", lossless=True), RED)
    yield "webp by hand", good(lambda: files.webp_lossless(RED, SIZE), RED)
    yield "webp transparent", good(lambda: saved("WEBP", (255, 0, 0, 0), "RGBA", lossless=True, exact=True), WHITE)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "raw"):
        yield f"tiff {compression}", good(lambda c=compression: saved("TIFF", compression=c), RED, LOSSY)
    for compression in ("group3", "group4", "tiff_ccitt"):
        yield f"tiff {compression}", good(lambda c=compression: saved("TIFF", 1, "1", compression=c), WHITE)


def several(kind: str, **options: object) -> Callable[[], bytes]:
    """A red picture, and a blue one behind it."""

    def make() -> bytes:
        first, second = (Image.new("RGB", SIZE, colour) for colour in (RED, BLUE))
        first.save(file := io.BytesIO(), kind, save_all=True, append_images=[second], **options)
        return file.getvalue()

    return make


def pngs() -> Iterator[tuple[str, Case]]:
    """Every colour type and bit depth of PNG, plain and interlaced, with and without transparency."""
    for interlaced in (False, True):
        how = "interlaced" if interlaced else "plain"
        for depth in (1, 2, 4, 8, 16):
            most = 2**depth - 1
            yield f"png grey {depth} bit {how}", good(_png([most], depth, 0, interlaced), WHITE)
            yield f"png black {depth} bit {how}", good(_png([0], depth, 0, interlaced), BLACK)
        for depth in (8, 16):
            most = 2**depth - 1
            yield f"png rgb {depth} bit {how}", good(_png([most, 0, 0], depth, 2, interlaced), RED)
            yield f"png grey alpha {depth} bit {how}", good(_png([0, most], depth, 4, interlaced), BLACK)
            yield f"png grey, all transparent {depth} bit {how}", good(_png([0, 0], depth, 4, interlaced), WHITE)
            yield f"png rgba {depth} bit {how}", good(_png([most, 0, 0, most], depth, 6, interlaced), RED)
            yield (
                f"png rgba, all transparent {depth} bit {how}",
                good(_png([most, 0, 0, 0], depth, 6, interlaced), WHITE),
            )
        for depth in (1, 2, 4, 8):
            table = files.chunk(b"PLTE", bytes(BLUE + RED))
            yield f"png palette {depth} bit {how}", good(_png([1], depth, 3, interlaced, before=[table]), RED)
            clear = [table, files.chunk(b"tRNS", b"\xff\0")]
            yield (
                f"png palette, transparent {depth} bit {how}",
                good(_png([1], depth, 3, interlaced, before=clear), WHITE),
            )
    yield (
        "png rgb, that colour is transparent",
        good(_png([255, 0, 0], 8, 2, before=[files.chunk(b"tRNS", b"\0\xff\0\0\0\0")]), WHITE),
    )
    yield "png grey, that grey is transparent", good(_png([0], 8, 0, before=[files.chunk(b"tRNS", b"\0\0")]), WHITE)
    for kind in (b"zTXt", b"iCCP", b"iTXt"):
        for place in ("before", "after"):
            yield (
                f"png {kind.decode()} bomb {place} the pixels",
                Case(lambda k=kind, p=place: _png([255, 0, 0], **{p: [files.text_bomb(k)]})(), EITHER, RED),
            )
    yield "png pixels that inflate to 100 MB", Case(lambda: _png([0], data=bytes(100_000_000))(), EITHER, heavy=True)
    yield "png of too few pixels", Case(_png([0], data=b"\0" * 10), UNREADABLE)
    yield "png without pixels", Case(_png([0], data=b""), UNREADABLE)
    yield "png with a palette that is not there", Case(_png([1], 8, 3), EITHER)
    yield "png of an unknown colour type", Case(_png([1], 8, 5, data=b"\0" * 300), UNREADABLE)
    yield "png of 3 bits", Case(_png([1], 3, 0, data=b"\0" * 300), UNREADABLE)
    yield (
        "png with a wrong checksum",
        Case(
            lambda: files.PNG_SIGNATURE + files.chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0), crc=1),
            UNREADABLE,
        ),
    )
    yield "png chunk of 4 GB", Case(lambda: _png([255, 0, 0])()[:33] + b"\xff\xff\xff\xffIDAT" + bytes(100), UNREADABLE)
    yield "png of 100,000 chunks", Case(_png([255, 0, 0], before=[files.chunk(b"teXt", b"")] * 100_000), EITHER, RED)
    yield "png of 20,000 pieces of pixels", Case(_pieces, EITHER, RED)


def _png(
    samples: list[int], depth: int = 8, kind: int = 2, interlaced: bool = False, **more: object
) -> Callable[[], bytes]:
    samples = samples if len(samples) == files.PNG_CHANNELS.get(kind, 1) else samples * files.PNG_CHANNELS.get(kind, 1)
    return lambda: files.png(samples, depth, kind, interlaced=interlaced, **more)  # type: ignore[arg-type]


def _pieces() -> bytes:
    rows = zlib.compress((b"\0" + bytes(RED) * 256) * 256, 0)
    data = b"".join(files.chunk(b"IDAT", rows[at : at + 10]) for at in range(0, len(rows), 10))
    head = files.chunk(b"IHDR", struct.pack(">IIBBBBB", 256, 256, 8, 2, 0, 0, 0))
    return files.PNG_SIGNATURE + head + data + files.chunk(b"IEND", b"")


def bmps() -> Iterator[tuple[str, Case]]:
    """Every bit depth and compression of BMP."""
    width, height = 16, 16
    for name, signed in (("bottom up", height), ("top down", -height)):
        size = (width, signed)

        def made(
            pixel: bytes, depth: int, repeated: int = width, size: tuple[int, int] = size, **more: object
        ) -> bytes:
            return files.bmp(files.row_of(pixel, repeated) * height, depth, size, **more)  # type: ignore[arg-type]

        for depth, repeated in ((1, 2), (4, 8), (8, 16)):
            pixel = {1: b"\xff", 4: b"\x11", 8: b"\x01"}[depth]
            table = [BLUE, RED] + [BLACK] * (2**depth - 2)
            yield (
                f"bmp {depth} bit {name}",
                good(lambda p=pixel, d=depth, r=repeated, t=table, m=made: m(p, d, r, palette=t), RED),
            )
        yield f"bmp 16 bit 555 {name}", good(lambda m=made: m(struct.pack("<H", 0x7C00), 16), RED)
        yield (
            f"bmp 16 bit 565 {name}",
            good(lambda m=made: m(struct.pack("<H", 0xF800), 16, compression=3, masks=[0xF800, 0x7E0, 0x1F]), RED),
        )
        yield f"bmp 24 bit {name}", good(lambda m=made: m(b"\0\0\xff", 24), RED)
        yield f"bmp 32 bit {name}", good(lambda m=made: m(b"\0\0\xff\0", 32), RED)
        yield (
            f"bmp 32 bit with masks {name}",
            good(lambda m=made: m(b"\0\0\xff\0", 32, compression=3, masks=[0xFF0000, 0xFF00, 0xFF]), RED),
        )
    table = [BLUE, RED] + [BLACK] * 254
    runs = (bytes([16, 1]) + b"\0\0") * 16 + b"\0\1"
    yield "bmp rle8", good(lambda: files.bmp(runs, 8, compression=1, palette=table), RED)
    runs4 = (bytes([16, 0x11]) + b"\0\0") * 16 + b"\0\1"
    yield "bmp rle4", good(lambda: files.bmp(runs4, 4, compression=2, palette=table[:16]), RED)
    yield (
        "bmp rle8, one pixel per row",
        Case(lambda: files.bmp(b"\1\1\0\0" * 7000 + b"\0\1", 8, MANY_PIXELS, 1, palette=table), EITHER, heavy=True),
    )
    yield (
        "bmp rle8, nothing but an end",
        Case(lambda: files.bmp(b"\0\1", 8, MANY_PIXELS, 1, palette=table), EITHER, heavy=True),
    )
    yield (
        "bmp rle8, jumps out of the picture",
        Case(lambda: files.bmp(b"\0\2\xff\xff" * 1000 + b"\0\1", 8, compression=1, palette=table), EITHER),
    )
    yield "bmp of 3 bits", Case(lambda: files.bmp(bytes(64), 3), UNREADABLE)
    yield "bmp of 64 bits", Case(lambda: files.bmp(bytes(2048), 64), UNREADABLE)
    yield "bmp whose pixels lie behind its end", Case(lambda: files.bmp(bytes(768), 24, offset=1_000_000), UNREADABLE)
    yield "bmp whose pixels lie in its header", Case(lambda: files.bmp(bytes(768), 24, offset=2), EITHER)
    yield "bmp of an unknown compression", Case(lambda: files.bmp(bytes(768), 24, compression=99), UNREADABLE)
    yield "bmp with a JPEG in it", Case(lambda: files.bmp(saved("JPEG"), 24, compression=4), EITHER)
    for size in ((0, 16), (16, 0), (-16, 16)):
        yield f"bmp of {size}", Case(lambda s=size: files.bmp(bytes(768), 24, s), frozenset({413, 422}))
    for size in ((2**31 - 1, 2**31 - 1), (10_000, 10_000), (16, -(2**31))):
        yield f"bmp of {size}", Case(lambda s=size: files.bmp(bytes(768), 24, s), frozenset({413, 422}), heavy=True)


def tiffs() -> Iterator[tuple[str, Case]]:
    """Bit depths, photometric interpretations, tiles, strips and directories of TIFF."""
    size = (16, 16)
    for bits in (1, 2, 4, 8, 16):
        row = b"\xff" * (16 * bits // 8)
        for photometric, colour in ((1, WHITE), (0, BLACK)):
            page = files.page_of(size, 1, [bits], photometric, 16 * len(row))
            yield (
                f"tiff grey {bits} bit, {'white' if photometric else 'black'} is highest",
                good(lambda p=page, d=row * 16: files.tiff([p], d), colour),
            )
    pixels = bytes(RED) * 256
    for order in "<>":
        for big in (False, True):
            page = files.page_of(size, 3, [8, 8, 8], 2, len(pixels))
            statuses = EITHER if big and order == ">" else GOOD  # which Pillow does not know
            yield (
                f"tiff rgb {order} {'big' if big else 'classic'}",
                Case(lambda p=page, o=order, b=big: files.tiff([p], pixels, b, o), statuses, RED),
            )
    deep = b"\xff\xff\0\0\0\0" * 256
    yield "tiff rgb 16 bit", good(lambda: files.tiff([files.page_of(size, 3, [16] * 3, 2, len(deep))], deep), RED)
    cmyk = b"\0\xff\xff\0" * 256
    yield "tiff cmyk", good(lambda: files.tiff([files.page_of(size, 4, [8] * 4, 5, len(cmyk))], cmyk), RED, 30)
    table = [0] * 256 + [0] * 256 + [0] * 256
    table[1] = 0xFFFF
    palette = {**files.page_of(size, 1, [8], 3, 256), 320: table}
    yield "tiff palette", good(lambda: files.tiff([palette], b"\1" * 256), RED)
    ramp = np.linspace(0, 1, 256, dtype="<f4").tobytes()
    for name, fmt, depth, data in (
        ("float", 3, 32, ramp), ("float NaN", 3, 32, b"\0\0\xc0\x7f" * 256), ("signed", 2, 16, b"\0\x80" * 256),
        ("32 bit", 1, 32, struct.pack("<I", 200) * 256), ("64 bit float", 3, 64, bytes(2048)),
        ("complex", 6, 64, bytes(2048)),
    ):  # fmt: skip
        page = {**files.page_of(size, 1, [depth], 1, len(data)), 339: [fmt]}
        yield f"tiff {name}", Case(lambda p=page, d=data: files.tiff([p], d), EITHER)
    plain = files.page_of(size, 3, [8, 8, 8], 2, len(pixels))
    yield "tiff in tiles", good(lambda: files.tiff([_tiled(size, (16, 16), [16])], pixels), RED)
    yield (
        "tiff in strips of a row",
        good(
            lambda: files.tiff(
                [{**plain, 273: [16 + 48 * row for row in range(16)], 278: [1], 279: [48] * 16}], pixels
            ),
            RED,
        ),
    )
    yield (
        "tiff of tiles of 2 x 2 pixels",
        Case(lambda: files.tiff([_tiled((1600, 1600), (2, 2), [16] * 640_000)], pixels), EITHER, heavy=True),
    )
    yield "tiff of tiles of no pixels", Case(lambda: files.tiff([_tiled(size, (0, 0), [16])], pixels), EITHER)
    yield (
        "tiff of one huge tile",
        Case(lambda: files.tiff([_tiled((16, 16), (60_000, 60_000), [16])], pixels), EITHER, heavy=True),
    )
    yield "tiff of 65,000 pages", Case(lambda: files.tiff([plain] * 5000, pixels), EITHER, RED)
    first = 16 + len(pixels)
    yield (
        "tiff whose page is followed by itself",
        Case(lambda: files.tiff([plain], pixels, next_page=first), EITHER, RED),
    )
    yield "tiff whose next page lies behind its end", Case(lambda: files.tiff([plain], pixels, next_page=2**31), EITHER)
    for tag, values in (
        (258, [0]), (258, [8] * 60_000), (259, [65_000]), (259, [7]), (262, [65_000]), (262, [6]), (273, [2**32 - 1]),
        (277, [0]), (277, [65_000]), (278, [0]), (279, [2**32 - 1]), (274, [65_000]), (284, [2]), (317, [2]),
        (322, [7]), (330, [16]), (34665, [16]), (34675, b"\xff" * 5000), (700, b"<x" * 5000), (50838, [1] * 1000),
    ):  # fmt: skip
        yield (
            f"tiff with {len(values)} x {values[:1]} in tag {tag}",
            Case(lambda t=tag, v=values: files.tiff([{**plain, t: v}], pixels), EITHER),
        )
    for wide in ((0, 16), (16, 0), (10_000, 10_000), (2**32 - 1, 2**32 - 1)):
        page = {**plain, 256: [wide[0]], 257: [wide[1]]}
        yield f"tiff of {wide}", Case(lambda p=page: files.tiff([p], pixels), frozenset({413, 422}), heavy=True)


def _tiled(size: tuple[int, int], tile: tuple[int, int], offsets: list[int]) -> dict[int, list[int]]:
    length = min(tile[0] * tile[1] * 3, 2**32 - 1)
    return {
        256: [size[0]], 257: [size[1]], 258: [8, 8, 8], 259: [1], 262: [2], 277: [3], 322: [tile[0]], 323: [tile[1]],
        324: offsets, 325: [length] * len(offsets),
    }  # fmt: skip


def jpegs() -> Iterator[tuple[str, Case]]:
    """Scans, sizes, coders and metadata of JPEG."""
    for scans in (1, 10):
        yield (
            f"jpeg, {scans} scans more",
            good(lambda s=scans: files.with_scans(saved("JPEG", progressive=True), s), RED, LOSSY),
        )
    yield "jpeg, 3,000 scans more", Case(lambda: files.with_scans(saved("JPEG", progressive=True), 3000), EITHER)
    yield "jpeg, 15,000 scans of 49 megapixels", Case(_many_scans, frozenset({413, 422}), heavy=True)
    for width, height in ((0, 0), (0, 32), (48, 0)):
        yield (
            f"jpeg of {width} x {height}",
            Case(lambda w=width, h=height: files.with_size(saved("JPEG"), w, h), UNREADABLE),
        )
    for width, height in ((65_535, 65_535), (10_000, 10_000)):
        yield (
            f"jpeg of {width} x {height}",
            Case(lambda w=width, h=height: files.with_size(saved("JPEG"), w, h), TOO_LARGE, heavy=True),
        )
    yield "jpeg that says it is larger", Case(lambda: files.with_size(saved("JPEG"), 480, 320), EITHER)
    yield "jpeg that says it is smaller", Case(lambda: files.with_size(saved("JPEG"), 8, 8), EITHER, RED, LOSSY)
    for marker, name in (
        (0xC9, "arithmetic"),
        (0xC3, "lossless"),
        (0xCA, "arithmetic progressive"),
        (0xC5, "hierarchical"),
    ):
        yield f"jpeg called {name}", Case(lambda m=marker: saved("JPEG").replace(b"\xff\xc0", bytes([0xFF, m])), EITHER)
    yield "jpeg without its last two bytes", good(lambda: saved("JPEG")[:-2], RED, LOSSY)
    yield (
        "jpeg of 12 bits",
        Case(lambda: saved("JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), UNREADABLE),
    )
    yield "jpeg without tables", Case(lambda: _without(0xC4), EITHER, RED, LOSSY)
    yield "jpeg without quantization", Case(lambda: _without(0xDB), UNREADABLE)
    yield (
        "jpeg with 2,000 comments",
        good(lambda: saved("JPEG")[:2] + (b"\xff\xfe\0\x10" + b"comment" * 2) * 2000 + saved("JPEG")[2:], RED, LOSSY),
    )
    yield "jpeg with 64 kB of 0xff", good(lambda: saved("JPEG")[:2] + b"\xff" * 65_536 + saved("JPEG")[2:], RED, LOSSY)
    yield "jpeg of nothing but a start and an end", Case(lambda: b"\xff\xd8\xff\xd9", UNREADABLE)
    yield "two jpegs, one behind the other", good(lambda: saved("JPEG") + saved("JPEG", BLUE), RED, LOSSY)
    red_at: dict[int, Box] = {
        1: (0, 0, 0.4, 1), 2: (0.6, 0, 1, 1), 3: (0.6, 0, 1, 1), 4: (0, 0, 0.4, 1), 5: (0, 0, 1, 0.4),
        6: (0, 0, 1, 0.4), 7: (0, 0.6, 1, 1), 8: (0, 0.6, 1, 1),
    }  # fmt: skip
    for orientation, box in red_at.items():
        for order in "<>":
            content = files.exif(orientation, order=order)
            yield (
                f"jpeg held as {orientation} {order}",
                good(lambda c=content: files.with_exif(halves("JPEG", quality=95, subsampling=0), c), RED, LOSSY, box),
            )
    for orientation in (0, 9, 65_535):
        yield (
            f"jpeg held as {orientation}, which is no way",
            good(
                lambda o=orientation: files.with_exif(halves("JPEG", quality=95), files.exif(o)), RED, LOSSY, red_at[1]
            ),
        )
    yield (
        "jpeg whose EXIF goes round in circles",
        good(lambda: files.with_exif(halves("JPEG", quality=95), files.exif(6, loop=True)), RED, LOSSY, red_at[6]),
    )
    for name, content in (
        ("nothing", b"Exif\0\0"), ("half a head", b"Exif\0\0II*"), ("noise", b"Exif\0\0" + bytes(range(256)) * 20),
        ("an offset behind its end", b"Exif\0\0II*\0\xff\xff\xff\x7f"),
        ("65,535 entries", b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\1\3\0\1\0\0\0\6\0\0\0" * 5000),
    ):  # fmt: skip
        yield (
            f"jpeg with {name} for EXIF",
            good(lambda c=content: files.with_exif(saved("JPEG", quality=95), c), RED, LOSSY),
        )
    yield "png held as 6", good(lambda: _held(halves, "PNG", 6), RED, EXACT, red_at[6])
    yield "webp held as 8", good(lambda: _held(halves, "WEBP", 8), RED, 40, red_at[8])


@cache
def _many_scans() -> bytes:
    return files.with_scans(saved("JPEG", 128, "L", MANY_PIXELS, progressive=True, quality=30), 15_000)


def _without(unwanted: int) -> bytes:
    jpeg = saved("JPEG")
    return jpeg[:2] + b"".join(part for marker, part in files.segments(jpeg) if marker != unwanted)


def _held(draw: Callable[..., bytes], kind: str, orientation: int) -> bytes:
    known = Image.Exif()
    known[0x0112] = orientation
    return draw(kind, exif=known.tobytes(), **({"quality": 95} if kind == "WEBP" else {}))


def gifs_and_webps() -> Iterator[tuple[str, Case]]:
    """Frames that lie elsewhere, codes that are none, and sizes that nobody sends."""
    yield "gif by hand", good(files.gif, RED)
    yield "gif in interlaced rows", good(lambda: saved("GIF", interlace=1), RED)
    yield "gif that is transparent", good(lambda: saved("GIF", 0, "P", transparency=0), WHITE)
    yield "gif whose frame is larger than it", Case(lambda: files.gif((4, 4), (0, 0, 64, 64)), EITHER)
    yield "gif whose frame lies outside", Case(lambda: files.gif((16, 16), (1000, 1000, 16, 16)), EITHER)
    yield "gif whose frame is nothing", Case(lambda: files.gif((16, 16), (0, 0, 0, 0)), EITHER)
    yield "gif with codes that are none", Case(lambda: files.gif(codes=b"\xff" * 256 + b"\0"), EITHER)
    yield "gif with codes of 20 bits", Case(lambda: files.gif(least_bits=20), EITHER)
    yield "gif without pixels", Case(lambda: files.gif(codes=b""), EITHER)
    yield "gif of 10,000 extensions", Case(lambda: files.gif(extensions=b"\x21\xfe\x03abc\0" * 10_000), EITHER, RED)
    yield "gif of 5,000 pictures", Case(lambda: _frames(5000), EITHER, RED)
    for size in ((65_535, 65_535), (10_000, 10_000)):
        yield f"gif of {size}", Case(lambda s=size: files.gif(s), TOO_LARGE, heavy=True)
    yield "gif of no pixels", Case(lambda: files.gif((0, 0), (0, 0, 0, 0)), UNREADABLE)
    yield (
        "webp lossless of 49 megapixels",
        Case(lambda: files.webp_lossless(GREEN, MANY_PIXELS), frozenset({200, 413, 422}), GREEN, heavy=True),
    )
    for size in ((16_383, 16_383), (10_000, 10_000)):
        yield f"webp lossless of {size}", Case(lambda s=size: files.webp_lossless(RED, s), TOO_LARGE, heavy=True)
    yield "webp lossless that ends in its codes", Case(lambda: files.webp_lossless(RED, SIZE)[:-4], UNREADABLE)
    yield (
        "webp whose RIFF is longer than the file",
        Case(lambda: b"RIFF\xff\xff\xff\x7f" + saved("WEBP")[8:], EITHER, RED, LOSSY),
    )
    yield "webp of nothing", Case(lambda: b"RIFF\x04\0\0\0WEBP", UNREADABLE)
    yield "webp of an unknown part", Case(lambda: b"RIFF\x0c\0\0\0WEBPABCD\0\0\0\0", UNREADABLE)
    yield "heic", Case(lambda: HEIC, frozenset({415}))
    for brand in (b"mif1", b"heix", b"hevc"):
        yield f"heif {brand.decode()}", Case(lambda b=brand: HEIC[:8] + b + HEIC[12:], frozenset({415}))
    yield "avif of nothing", Case(lambda: HEIC[:8] + b"avif" + HEIC[12:], UNKNOWN)
    yield "mp4", Case(lambda: b"\0\0\0\x18ftypisom\0\0\0\0isommp41" + bytes(200), UNKNOWN)


HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64)


def _frames(count: int) -> bytes:
    first = files.gif()
    start = first.index(b",", 19)
    return first[:-1] + first[start:-1] * count + b";"


def sizes() -> Iterator[tuple[str, Case]]:
    """What the header declares, and what is allowed."""
    for size in ((10_000, 10_000), (50_001, 1000), (2**31 - 1, 2**31 - 1), (65_535, 65_535)):
        yield f"png of {size}", Case(_png([255, 0, 0], declared=size), TOO_LARGE, heavy=True)
    yield (
        "png of 100 megapixels in one bit",
        Case(lambda: saved("PNG", 0, "1", (10_000, 10_000)), TOO_LARGE, heavy=True),
    )
    for size in ((0, 0), (0, 16), (16, 0), (2**32 - 1, 1)):
        yield f"png of {size}", Case(_png([255, 0, 0], declared=size), frozenset({413, 422}))
    yield "png of one pixel", good(lambda: saved("PNG", size=(1, 1)), RED)
    yield "png of 100 x 1", good(lambda: saved("PNG", size=(100, 1)), RED)
    yield "png of 101 x 1", Case(lambda: saved("PNG", size=(101, 1)), UNREADABLE)
    yield "jpeg of 1 x 5,000", Case(lambda: saved("JPEG", size=(1, 5000)), UNREADABLE)
    yield "png that says it is longer than it is", Case(_png([255, 0, 0], declared=(16, 1600)), EITHER)
    yield "png that says it is shorter than it is", Case(_png([255, 0, 0], declared=(16, 8)), EITHER, RED)
    yield (
        "png of 49 megapixels with alpha",
        Case(lambda: files.png([255, 0, 0, 0], 8, 6, MANY_PIXELS), EITHER, WHITE, heavy=True),
    )


def polyglots() -> Iterator[tuple[str, Case]]:
    """What is something else, too, or nothing of the kind."""
    tail = b"PK\3\4" + bytes(100) + b"PK\5\6" + bytes(18)
    for name, make in BASES.items():
        if name not in ("jpeg", "png", "gif", "webp", "bmp", "tiff"):
            continue
        kind = name.upper()
        yield f"{name} with a zip behind it", good(lambda k=kind: saved(k) + tail, RED, LOSSY)
        yield f"{name} with 1 MB of nothing behind it", good(lambda k=kind: saved(k) + bytes(1_000_000), RED, LOSSY)
        yield f"{name} behind a blank", Case(lambda m=make: b" " + m(), UNREADABLE)
    yield "jpeg with a page in it", good(lambda: saved("JPEG", comment=b"<script>alert(1)</script>"), RED, LOSSY)
    for name, content in (
        ("text", b"this is text"), ("a page", b"<!DOCTYPE html><html><img src=x></html>"),
        ("svg", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
        ("xml of a billion laughs", b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">]><svg>&a;</svg>'),
        ("pdf", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"), ("zip", tail), ("gzip", b"\x1f\x8b\x08" + bytes(100)),
        ("an ELF program", b"\x7fELF" + bytes(200)), ("JSON", b'{"inputs": "x"}'), ("one byte", b"\0"),
        ("zeros", bytes(10_000)), ("0xff", b"\xff" * 10_000), ("a pickle", b"\x80\4\x95" + bytes(50)),
        ("postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), ("xpm", b"/* XPM */\nstatic char"),
        ("ppm", b"P6 4 4 255\n" + bytes(48)), ("ico", b"\0\0\1\0\1\0" + bytes(100)), ("icns", b"icns" + bytes(100)),
        ("psd", b"8BPS\0\1" + bytes(100)), ("jpeg 2000", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100)),
        ("jpeg xl", b"\xff\n" + bytes(100)), ("fits", b"SIMPLE  =                    T" + bytes(100)),
        ("wmf", b"\xd7\xcd\xc6\x9a" + bytes(100)), ("dds", b"DDS \x7c\0\0\0" + bytes(200)),
        ("tga", bytes([0, 0, 2]) + bytes(40)),
    ):  # fmt: skip
        yield f"no image but {name}", Case(lambda c=content: c, UNKNOWN)


def damaged() -> Iterator[tuple[str, Case]]:
    """Every format cut off at many places, and with some bytes flipped."""
    for name, make in BASES.items():
        for kept in (2, 10, 30):
            yield f"{name}, its first {kept} bytes", Case(lambda m=make, k=kept: m()[:k], UNREADABLE)
        for share in (0.3, 0.6, 0.9):
            yield f"{name}, {share:.0%} of it", Case(lambda m=make, s=share: m()[: int(len(m()) * s)], EITHER)
        for seed in range(4):
            yield f"{name}, bytes flipped by {seed}", Case(lambda m=make, s=seed: flipped(m(), s), EITHER)


def flipped(data: bytes, seed: int) -> bytes:
    """A few bytes are others, more of them near the beginning."""
    rng, found = random.Random(seed), bytearray(data)
    for _ in range(1 + 3 * seed):
        found[int(len(found) * rng.random() ** 2)] ^= 1 << rng.randrange(8)
    return bytes(found)


FAMILIES = (every_encoding_of_a_colour, pngs, bmps, tiffs, jpegs, gifs_and_webps, sizes, polyglots, damaged)
CASES: Mapping[str, Case] = {name: case for family in FAMILIES for name, case in family()}
