"""What the tests of decoders share: images, a preparation, and which processes there are."""

import io
from pathlib import Path

from PIL import Image

from model.clip.preparation import Preparation, Resize

PREPARATION = Preparation(32, Resize("bicubic", 32, (32, 32), (32, 32)), None)


def small_png(color: str = "red") -> bytes:
    Image.new("RGB", (8, 8), color).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


def children_of(parent: int) -> set[int]:
    """Their numbers, without those that have ended and wait to be buried."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(ppid) == parent and state != "Z":
            found.add(int(stat.parent.name))
    return found


def alive(number: int) -> bool:
    try:
        return (Path("/proc") / str(number) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
