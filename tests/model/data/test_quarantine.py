"""What happens to images that can't be opened."""

from pathlib import Path

import pytest

from model.data.images import ImageFiles
from model.data.quarantine import Unreadable, quarantine, read_each
from model.data.records import DataError, Record
from tests.model.conftest import tiny_processor
from tests.model.data.test_examples import with_images


def test_unreadable_images_are_left_out_and_listed(tmp_path: Path) -> None:
    records = with_images(tmp_path, 20)
    (tmp_path / "3.png").write_bytes((tmp_path / "3.png").read_bytes()[:40])
    (tmp_path / "5.png").unlink()
    see = ImageFiles(tmp_path, tiny_processor()).add
    readable, bad = quarantine(tmp_path, records, see, max_share=0.1, threads=2)
    assert [one.image for one in bad] == ["3.png", "5.png"]
    assert readable == [record for record in records if record.image not in ("3.png", "5.png")]


def test_too_many_unreadable_images_stop_the_run_with_their_names(tmp_path: Path) -> None:
    records = with_images(tmp_path, 20)
    (tmp_path / "3.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"1 of 20 images can't be read, allowed is a share of 0\.01.*3\.png"):
        quarantine(tmp_path, records, ImageFiles(tmp_path, tiny_processor()).add, max_share=0.01, threads=1)


def test_an_image_that_is_left_out_is_listed_with_the_datasets_own_name_of_it(tmp_path: Path) -> None:
    records = [Record(image="gone.png", captions=("red",), id="7"), Record(image="too.png", captions=("red",))]
    _, bad = quarantine(tmp_path, records, ImageFiles(tmp_path, tiny_processor()).add, max_share=1, threads=1)
    assert [(one.image, one.id) for one in bad] == [("gone.png", "7"), ("too.png", None)]


def test_results_come_in_the_order_of_the_records_however_many_there_are(tmp_path: Path) -> None:
    records = with_images(tmp_path, 40)
    (tmp_path / "9.png").unlink()
    results = read_each(tmp_path, records, lambda name, data: (name, len(data)), threads=3)
    assert isinstance(results[9], Unreadable)
    assert [result for result in results if not isinstance(result, Unreadable)] == [
        (record.image, (tmp_path / record.image).stat().st_size) for record in records if record.image != "9.png"
    ]
