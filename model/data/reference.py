"""A reference set: images of the user's own, of which nothing is said. Part of them is trained on, by what the base
answers, and the others tell how far the answers have moved.
"""

import hashlib
from collections.abc import Iterable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from contract.layouts.places import is_hidden
from contract.problems import ProblemError
from contract.reference import kept_back, may_be_image, sample
from model.clip.preprocess import ImageProcessor
from model.data.images import ImageFiles, RgbImage, open_images
from model.data.quarantine import Unreadable


@dataclass(frozen=True)
class ReferenceImages:
    """`learnt` and `kept_back` are names; which is which depends on what the files hold alone. `left_out` could not be
    read; `of_dataset` of the others are left out because the dataset has them, whose answers are to change, and copies
    count once.
    """

    images: ImageFiles
    learnt: tuple[str, ...]
    kept_back: tuple[str, ...]
    left_out: tuple[Unreadable, ...] = ()
    of_dataset: int = 0

    def image(self, name: str) -> RgbImage:
        """The RGB image of a name, or what it was resized to."""
        return self.images.image(name)

    def digest(self) -> str:
        """sha256 of what the images that are trained on hold."""
        return hashlib.sha256("\n".join(self.images.digests[name] for name in self.learnt).encode()).hexdigest()


def read_reference(
    directory: Path,
    processor: ImageProcessor,
    dataset: Set[str],
    *,
    limit_bytes: int,
    folder: Path | None,
    threads: int,
) -> ReferenceImages:
    """A sample of the images in a folder and those below it. `dataset`: the sha256 of each of the dataset's files;
    `limit_bytes` and `folder`: of decoded images, as `open_images` has them.
    """
    names = sample(image_names(directory))
    pictures = open_images(directory, processor, len(names), limit_bytes, folder)

    def read(name: str) -> Unreadable | None:
        try:
            pictures.add(name, (directory / name).read_bytes())
        except (OSError, ProblemError) as error:
            return Unreadable(name, str(error))
        return None

    with pictures.filling(), ThreadPoolExecutor(threads) as pool:
        left_out = tuple(filter(None, pool.map(read, names)))
    by_digest = {digest: name for name, digest in sorted(pictures.digests.items(), reverse=True)}
    own = sorted(by_digest.keys() - dataset)
    back = kept_back(len(own))
    return ReferenceImages(
        pictures,
        tuple(by_digest[digest] for digest in own[back:]),
        tuple(by_digest[digest] for digest in own[:back]),
        left_out,
        len(by_digest.keys() & dataset),
    )


def image_names(directory: Path) -> Iterator[str]:
    """The files in a folder and those below it that may be images, as paths from there. Raises OSError."""
    names: Iterable[str] = (path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    return (name for name in names if may_be_image(name) and not is_hidden(name))
