"""The images of a dataset as training takes them: opened the server's way, and kept as pixels where they all fit.

Kept are the pixels that `model.clip.preprocess.resized` makes, in one file of equal rows that is mapped into memory. A
row is found by the sha256 of the image file, so an image is decoded once: in the pass that finds unreadable ones.
"""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from threading import Lock

import numpy as np
import PIL
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image

from model.clip.image import DRAFT_OVERSIZE, open_image, open_pixels
from model.clip.preparation import short_side
from model.clip.preprocess import ImageProcessor, resized
from model.data.shards import file_bytes

RgbImage = Image.Image | NDArray[np.uint8]
"""An RGB image, or what it was resized to: [3, height, width]"""

FREE_SHARE = 0.9
"""Of a disk's free space may be taken."""
BLOCK_BYTES = 512
"""POSIX's unit of st_blocks."""


class ImageFiles:
    """Images that are read and decoded anew every time they are asked for."""

    def __init__(self, directory: Path, processor: ImageProcessor) -> None:
        self.directory = directory
        self.processor = processor
        self.digests: dict[str, str] = {}
        """sha256 of each file that was added, by its name."""

    def add(self, name: str, data: bytes) -> None:
        """Take in an image's bytes. Raises ProblemError if they can't be opened."""
        self._open(data)
        self.digests[name] = hashlib.sha256(data).hexdigest()

    def image(self, name: str) -> RgbImage:
        """The image of a name."""
        return self._open(file_bytes(self.directory, name))

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Surrounds the pass in which every image is added."""
        yield

    def _open(self, data: bytes) -> Image.Image:
        return open_image(data, short_side(self.processor))


class CachedImages(ImageFiles):
    """Images that are decoded once. Processes that name the same folder share the work and the file; without a folder
    nothing is left on disk, however the process ends.
    """

    def __init__(self, directory: Path, processor: ImageProcessor, images: int, folder: Path | None = None) -> None:
        super().__init__(directory, processor)
        self._folder = folder
        versions = f"{PIL.__version__} {simplejpeg.__version__} {torch.__version__}"
        recipe = f"{processor.to_json_string()} {versions} {DRAFT_OVERSIZE}"
        self._name = f"{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.pixels"
        self._shape = resized(processor, Image.new("RGB", (1, 1))).shape
        self._images = images
        self._rows: dict[str, int] = {}
        self._places: dict[str, int] = {}
        self._lock = Lock()

    def fit(self, limit_bytes: int) -> bool:
        """Whether all images can be kept within a limit, and on this disk."""
        folder = self._folder or Path(gettempdir())
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / self._name
        taken_bytes = file.stat().st_blocks * BLOCK_BYTES if file.is_file() else 0
        free_bytes = shutil.disk_usage(folder).free + taken_bytes
        return self._images * prod(self._shape) <= min(limit_bytes, FREE_SHARE * free_bytes)

    def add(self, name: str, data: bytes) -> None:
        """Take in an image's bytes, and keep its pixels unless they are there. Raises ProblemError."""
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._rows:
            pixels = resized(self.processor, open_pixels(data, short_side(self.processor))[0])
            with self._lock:
                self._pixels[self._rows.setdefault(digest, len(self._rows))] = pixels
        self._places[name] = self._rows[digest]
        self.digests[name] = digest

    def image(self, name: str) -> RgbImage:
        """The pixels of an image that was added."""
        pixels: NDArray[np.uint8] = self._pixels[self._places[name]]
        return pixels

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Take up what the folder holds, and leave in it what was added; one process at a time."""
        scratch = nullcontext(str(self._folder)) if self._folder else TemporaryDirectory(prefix="wordsight-")
        with scratch as folder:  # a mapped file outlives its name
            file = Path(folder) / self._name
            file.parent.mkdir(parents=True, exist_ok=True)
            index = file.with_suffix(".json")
            with file.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                known = json.loads(index.read_bytes()) if index.is_file() else {}
                row_bytes = prod(self._shape)
                with file.open("ab") as pixels:
                    self._rows = known if len(known) * row_bytes <= pixels.tell() else {}
                    rows = len(self._rows) + self._images
                    pixels.truncate(max(pixels.tell(), rows * row_bytes))
                self._pixels = np.memmap(file, np.uint8, "r+", shape=(rows, *self._shape))
                yield
                self._pixels.flush()
                aside = index.with_suffix(".part")
                aside.write_text(json.dumps(self._rows))
                aside.replace(index)


def open_images(
    directory: Path, processor: ImageProcessor, images: int, limit_bytes: int, folder: Path | None
) -> ImageFiles:
    """Kept ones if `images` of them fit, else the others. Both give the same pixels."""
    kept = CachedImages(directory, processor, images, folder)
    return kept if kept.fit(limit_bytes) else ImageFiles(directory, processor)
