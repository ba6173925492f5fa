"""Batches that are prepared ahead are those that would be prepared in turn."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model.clip.preprocess import normalized, resized
from model.data.crops import cropped
from model.data.examples import ManifestExamples
from model.data.images import CachedImages, ImageFiles
from model.data.records import Record
from model.training.distributed import Ranks
from model.training.prefetch import Prefetcher
from tests.model.conftest import tiny_processor

CPU = torch.device("cpu")
SLOW_S = 0.05


class SlowImageFiles(ImageFiles):
    """Images from a storage that takes its time."""

    def image(self, name: str) -> Image.Image:
        time.sleep(SLOW_S)
        return self._open((self.directory / name).read_bytes())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(rng.integers(0, 256, (300, 200, 3), dtype=np.uint8)).save(tmp_path / f"{number}.jpg")
    return tmp_path


def examples(pictures: ImageFiles, crop_area_min: float = 1.0) -> ManifestExamples:
    records = [
        Record(image=f"{n}.jpg", captions=(f"number {n}",), split="validation" if n == 0 else "train")
        for n in range(12)
    ]
    with pictures.filling():
        for record in records:
            pictures.add(record.image, (pictures.directory / record.image).read_bytes())
    return ManifestExamples(
        pictures, records, captions_per_image=1, validation_share=0.1, seed=0, crop_area_min=crop_area_min
    )


@pytest.fixture
def prefetcher_of() -> Iterator[type[Prefetcher]]:
    """Prefetchers that are closed in the end."""
    prefetchers: list[Prefetcher] = []

    class Closed(Prefetcher):
        def __init__(self, *arguments: object, **options: bool) -> None:
            super().__init__(*arguments, **options)  # type: ignore[arg-type]
            prefetchers.append(self)

    yield Closed
    for prefetcher in prefetchers:
        prefetcher.close()


def test_a_step_has_its_own_batch_in_whatever_order_steps_are_asked_for(
    directory: Path, prefetcher_of: type[Prefetcher]
) -> None:
    data, processor = examples(ImageFiles(directory, tiny_processor())), tiny_processor()
    prefetcher = prefetcher_of(data, processor, Ranks(0, 1, CPU), 3)
    for step in (0, 1, 2, 7, 7, 3):
        batch, pixels = prefetcher.read(step, 4)
        assert batch.rows == data.batch(step, 4).rows
        images = [data.image(row) for row in batch.rows]
        shrunk = [resized(processor, image) for image in images if isinstance(image, Image.Image)]
        assert torch.equal(pixels, normalized(processor, np.stack(shrunk)))


def test_kept_pixels_make_the_same_batches_as_decoding_anew(directory: Path, prefetcher_of: type[Prefetcher]) -> None:
    kept, anew = (
        prefetcher_of(examples(pictures), tiny_processor(), Ranks(0, 1, CPU), threads)
        for pictures, threads in (
            (CachedImages(directory, tiny_processor(), 12), 1),
            (ImageFiles(directory, tiny_processor()), 2),
        )
    )
    for step in range(6):
        assert torch.equal(kept.read(step, 5)[1], anew.read(step, 5)[1])


def test_the_ranks_parts_are_the_whole_batch(directory: Path, prefetcher_of: type[Prefetcher]) -> None:
    data = examples(ImageFiles(directory, tiny_processor()))
    whole, *parts = (
        prefetcher_of(data, tiny_processor(), Ranks(rank, count, CPU), 1).read(3, 4)[1]
        for rank, count in ((0, 1), (0, 2), (1, 2))
    )
    assert torch.equal(whole, torch.cat(parts))


def test_waiting_for_slow_data_is_counted(directory: Path, prefetcher_of: type[Prefetcher]) -> None:
    prefetcher = prefetcher_of(
        examples(SlowImageFiles(directory, tiny_processor())), tiny_processor(), Ranks(0, 1, CPU), 1
    )
    prefetcher.read(0, 4)
    assert prefetcher.waited_s >= 4 * SLOW_S


def test_after_the_last_step_images_can_still_be_had_and_nothing_is_read_ahead(directory: Path) -> None:
    prefetcher = Prefetcher(examples(ImageFiles(directory, tiny_processor())), tiny_processor(), Ranks(0, 1, CPU), 1)
    prefetcher.read(0, 4)
    prefetcher.close()
    assert prefetcher.pixels((0, 1)).shape == (2, 3, 32, 32)
    assert not any(thread.name.startswith("prefetcher") for thread in threading.enumerate())


def crops_of(prefetcher: Prefetcher, step: int) -> torch.Tensor:
    return prefetcher.read(step, 4)[1]


def test_crops_are_the_same_for_kept_pixels_any_number_of_threads_and_any_number_of_processes(
    directory: Path, prefetcher_of: type[Prefetcher]
) -> None:
    kept, anew = (
        examples(pictures(directory, tiny_processor(), *count), 0.9)
        for pictures, count in ((CachedImages, (12,)), (ImageFiles, ()))
    )
    one, three = (prefetcher_of(kept, tiny_processor(), Ranks(0, 1, CPU), threads) for threads in (1, 3))
    decoding = prefetcher_of(anew, tiny_processor(), Ranks(0, 1, CPU), 1)
    halves = [prefetcher_of(kept, tiny_processor(), Ranks(rank, 2, CPU), 1) for rank in (0, 1)]
    for step in (5, 0, 1):
        expected = crops_of(one, step)
        for others in (crops_of(three, step), crops_of(decoding, step), torch.cat([crops_of(h, step) for h in halves])):
            assert torch.equal(expected, others)


def test_a_step_shows_crops_and_what_is_looked_at_besides_is_whole(
    directory: Path, prefetcher_of: type[Prefetcher]
) -> None:
    data, processor = examples(ImageFiles(directory, tiny_processor()), 0.9), tiny_processor()
    prefetcher = prefetcher_of(data, processor, Ranks(0, 1, CPU), 1)
    batch, pixels = prefetcher.read(2, 4)
    assert batch.crops is not None
    whole = prefetcher.pixels(batch.rows)
    shown = np.stack([cropped(image, crop) for image, crop in zip(whole, batch.crops, strict=True)])
    assert torch.equal(pixels, normalized(processor, shown)) and not np.array_equal(shown, whole)
