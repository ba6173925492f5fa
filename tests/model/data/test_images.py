"""Kept pixels are those that decoding anew would give, and they are made once."""

import json
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPImageProcessorPil

from contract.problems import UnprocessableImage
from model.clip.preprocess import resized
from model.data.images import CachedImages, ImageFiles, open_images
from tests.model.conftest import IMAGE_SIDE_PX, tiny_processor

ROW_BYTES = 3 * IMAGE_SIDE_PX * IMAGE_SIDE_PX
SIZES = ((400, 300), (32, 32), (1, 1), (50, 90), (31, 200))


def photos(directory: Path) -> list[str]:
    """JPEGs, one of them large enough to be decoded small, with detail everywhere."""
    rng = np.random.default_rng(0)
    for number, size in enumerate(SIZES):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(directory / f"{number}.jpg")
    return [f"{number}.jpg" for number in range(len(SIZES))]


def fill(pictures: ImageFiles, names: Sequence[str]) -> None:
    with pictures.filling():
        for name in names:
            pictures.add(name, (pictures.directory / name).read_bytes())


def as_pixels(pictures: ImageFiles, name: str) -> np.ndarray:
    picture = pictures.image(name)
    return picture if isinstance(picture, np.ndarray) else resized(pictures.processor, picture)


@pytest.mark.parametrize(
    "processor",
    [tiny_processor(), CLIPImageProcessorPil(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 24})],
    ids=["as large as the crop", "larger than the crop"],
)
def test_kept_pixels_are_exactly_those_of_decoding_anew(tmp_path: Path, processor: CLIPImageProcessorPil) -> None:
    names = photos(tmp_path)
    kept, anew = CachedImages(tmp_path, processor, len(names)), ImageFiles(tmp_path, processor)
    fill(kept, names)
    for name in names:
        assert np.array_equal(as_pixels(kept, name), as_pixels(anew, name)), name
    assert isinstance(anew.image(names[0]), Image.Image)


def test_an_image_that_was_seen_is_not_read_again(tmp_path: Path) -> None:
    names = photos(tmp_path)
    kept = CachedImages(tmp_path, tiny_processor(), len(names))
    fill(kept, names)
    before = [as_pixels(kept, name).copy() for name in names]
    for name in names:
        (tmp_path / name).unlink()
    assert all(np.array_equal(old, as_pixels(kept, name)) for old, name in zip(before, names, strict=True))


def test_what_cannot_be_opened_is_refused_every_time(tmp_path: Path) -> None:
    for pictures in (ImageFiles(tmp_path, tiny_processor()), CachedImages(tmp_path, tiny_processor(), 2)):
        with pictures.filling():
            for name in ("a.jpg", "the same again.jpg"):
                with pytest.raises(UnprocessableImage):
                    pictures.add(name, b"no image")


def test_images_are_kept_if_all_of_them_fit(tmp_path: Path) -> None:
    def choice(limit_bytes: int, folder: Path | None = None) -> type[ImageFiles]:
        return type(open_images(tmp_path, tiny_processor(), 10, limit_bytes, folder))

    assert choice(10 * ROW_BYTES) is CachedImages
    assert choice(10 * ROW_BYTES - 1) is ImageFiles
    assert choice(0, tmp_path / "pixels") is ImageFiles


def test_more_than_the_disk_has_room_for_is_decoded_anew(tmp_path: Path) -> None:
    assert type(open_images(tmp_path, tiny_processor(), 2**50, 2**63, None)) is ImageFiles


def test_without_a_folder_nothing_is_left_on_disk_once_it_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = photos(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    kept = CachedImages(tmp_path, tiny_processor(), len(names))
    fill(kept, names)
    assert list(scratch.iterdir()) == []
    assert as_pixels(kept, names[0]).any()


def test_a_folder_serves_the_next_run_which_adds_what_is_new(tmp_path: Path) -> None:
    names, folder = photos(tmp_path), tmp_path / "pixels"
    fill(CachedImages(tmp_path, tiny_processor(), 3, folder), names[:3])
    (index,) = folder.glob("*.json")
    first = json.loads(index.read_text())
    (tmp_path / "renamed.jpg").write_bytes((tmp_path / names[1]).read_bytes())
    (tmp_path / names[0]).write_bytes((tmp_path / names[4]).read_bytes())  # another picture under an old name
    again = CachedImages(tmp_path, tiny_processor(), 3, folder)
    fill(again, ["renamed.jpg", names[0], names[2]])
    second = json.loads(index.read_text())
    assert len(first) == 3 and len(second) == 4 and first.items() <= second.items()
    anew = ImageFiles(tmp_path, tiny_processor())
    for name in ("renamed.jpg", names[0], names[2]):
        assert np.array_equal(as_pixels(again, name), as_pixels(anew, name))


def test_an_index_without_its_pixels_is_not_believed(tmp_path: Path) -> None:
    names, folder = photos(tmp_path), tmp_path / "pixels"
    fill(CachedImages(tmp_path, tiny_processor(), len(names), folder), names)
    next(folder.glob("*.pixels")).unlink()
    again = CachedImages(tmp_path, tiny_processor(), len(names), folder)
    fill(again, names)
    assert np.array_equal(as_pixels(again, names[0]), as_pixels(ImageFiles(tmp_path, tiny_processor()), names[0]))


def test_another_processor_has_pixels_of_its_own(tmp_path: Path) -> None:
    names, folder = photos(tmp_path), tmp_path / "pixels"
    wide = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    for processor, side in ((tiny_processor(), IMAGE_SIDE_PX), (wide, 16)):
        kept = CachedImages(tmp_path, processor, len(names), folder)
        fill(kept, names)
        assert as_pixels(kept, names[0]).shape == (3, side, side)


def _fill_in_a_process(directory: Path, names: Sequence[str]) -> None:
    kept = CachedImages(directory, tiny_processor(), len(names), directory / "pixels")
    fill(kept, names)
    anew = ImageFiles(directory, tiny_processor())
    assert all(np.array_equal(as_pixels(kept, name), as_pixels(anew, name)) for name in names)


def test_processes_share_a_folder(tmp_path: Path) -> None:
    names = photos(tmp_path)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_fill_in_a_process, args=(tmp_path, names)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    (index,) = (tmp_path / "pixels").glob("*.json")
    assert sorted(json.loads(index.read_text()).values()) == list(range(len(names)))
