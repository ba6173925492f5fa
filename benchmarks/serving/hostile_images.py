"""Images that cost far more than they are worth, each a kind of its own, and made in code."""

import io
import struct
import zlib
from collections.abc import Callable, Mapping

from PIL import Image

SIDE_PX = 7_000
"""Just below the limit of 50 million pixels."""


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    """An image as a file."""
    image.save(file := io.BytesIO(), format, **options)
    return file.getvalue()


def many_scans(side_px: int = SIDE_PX, scans: int = 15_000) -> bytes:
    """A progressive JPEG whose last scan comes again and again: the decoder visits every block for each."""
    plain = saved(Image.new("L", (side_px, side_px), 128), "JPEG", progressive=True)
    last = plain.rindex(b"\xff\xda")
    return plain[:last] + plain[last:-2] * scans + plain[-2:]


def few_scans_of_many_blocks(scans: int = 90) -> bytes:
    """As many scans as are let through."""
    return many_scans(scans=scans)


def empty_webp(side_px: int = SIDE_PX) -> bytes:
    """Some dozens of bytes for as many pixels as are allowed."""
    return saved(Image.new("RGB", (side_px, side_px)), "WEBP", lossless=True)


def rle_bmp(side_px: int = SIDE_PX) -> bytes:
    """One pixel in each row; the decoder fills the rest of the row byte by byte."""
    rows = b"\x01\x01\x00\x00" * side_px + b"\x00\x01"
    palette = bytes(1024)
    offset = 14 + 40 + len(palette)
    header = b"BM" + struct.pack("<LHHL", offset + len(rows), 0, 0, offset)
    info = struct.pack("<LllHHLLllLL", 40, side_px, side_px, 1, 8, 1, len(rows), 2835, 2835, 256, 0)
    return header + info + palette + rows


def small_rle_bmp() -> bytes:
    """The same as large as is let through."""
    return rle_bmp(1_000)


def tiny_tiles(side_px: int = 2_000, tile_px: int = 2) -> bytes:
    """A TIFF of tiles of four pixels, each with a place and a length."""
    tiles = (side_px // tile_px) ** 2
    data_at = 8 + 2 + 12 * 9 + 4
    offsets_at = data_at + tile_px**2
    counts_at = offsets_at + 4 * tiles
    entries = [
        (256, 4, 1, side_px), (257, 4, 1, side_px), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (322, 4, 1, tile_px), (323, 4, 1, tile_px), (324, 4, tiles, offsets_at), (325, 4, tiles, counts_at),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHLL", *each) for each in entries) + bytes(4)
    places = struct.pack("<L", data_at) * tiles + struct.pack("<L", tile_px**2) * tiles
    return b"II*\0" + struct.pack("<L", 8) + directory + bytes(tile_px**2) + places


def chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def empty_chunks(chunks: int = 300_000) -> bytes:
    """A PNG with chunks that hold nothing before its pixels."""
    plain = saved(Image.new("RGB", (8, 8)), "PNG")
    return plain[:33] + chunk(b"tEXt", b"a\0b") * chunks + plain[33:]


def text_bombs(chunks: int = 60) -> bytes:
    """A PNG with texts that unpack to a megabyte each."""
    plain = saved(Image.new("RGB", (8, 8)), "PNG")
    return plain[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000))) * chunks + plain[33:]


def large_rgba_png(side_px: int = SIDE_PX) -> bytes:
    """With transparency, which asks for one image more."""
    return saved(Image.new("RGBA", (side_px, side_px), (1, 2, 3, 128)), "PNG", compress_level=1)


def gif_comments(blocks: int = 500_000) -> bytes:
    """A GIF with a comment in pieces of one byte."""
    plain = saved(Image.new("P", (8, 8)), "GIF")
    start = 13 + (3 << (plain[10] & 7) + 1)
    return plain[:start] + b"\x21\xfe" + b"\x01a" * blocks + b"\0" + plain[start:]


def jpeg_segments(segments: int = 500_000) -> bytes:
    """A JPEG with comments of no bytes before its picture."""
    plain = saved(Image.new("RGB", (8, 8)), "JPEG")
    return plain[:2] + b"\xff\xfe\x00\x02" * segments + plain[2:]


def jpeg_padding(padding_bytes: int = 3_000_000) -> bytes:
    """A JPEG whose first marker has fill bytes before it."""
    plain = saved(Image.new("RGB", (8, 8)), "JPEG")
    return plain[:2] + b"\xff" * padding_bytes + plain[2:]


def large_avif(side_px: int = SIDE_PX) -> bytes:
    """Slow to decode, however few bytes it has."""
    return saved(Image.new("RGB", (side_px, side_px)), "AVIF", speed=10)


def large_gif(side_px: int = SIDE_PX) -> bytes:
    """LZW of one colour."""
    return saved(Image.new("P", (side_px, side_px)), "GIF")


def large_tiff(side_px: int = SIDE_PX) -> bytes:
    """Deflated strips of one row each."""
    return saved(Image.new("RGB", (side_px, side_px)), "TIFF", compression="tiff_adobe_deflate", tiffinfo={278: 1})


KINDS: Mapping[str, Callable[[], bytes]] = {
    each.__name__: each
    for each in (
        many_scans, few_scans_of_many_blocks, empty_webp, rle_bmp, small_rle_bmp, tiny_tiles, empty_chunks, text_bombs,
        large_rgba_png, gif_comments, jpeg_segments, jpeg_padding, large_avif, large_gif, large_tiff,
    )
}  # fmt: skip
"""All of them by name."""
