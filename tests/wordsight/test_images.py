import io
from pathlib import Path

import pytest

from contract.forms import read_fields
from contract.limits import API_KEY_HEADER, MAX_IMAGES, MAX_INLINE_IMAGE_BYTES, MAX_INVOCATION_BYTES
from tests.wordsight.test_api import Answers, answering
from wordsight.api import Api, CommandError
from wordsight.images import find_images, image_chunks, image_source, read_image


def test_a_folder_gives_all_images_below_it_in_order_and_counts_what_is_none(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "b/1.png", "a.webp", "notes.txt", ".hidden/3.png", "b/Thumbs.db"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    (tmp_path / "b/again").symlink_to(tmp_path)
    found = find_images([str(tmp_path), "given.xyz"])
    assert found.paths == [*(str(tmp_path / name) for name in ("a.webp", "b/1.png", "b/2.JPG")), "given.xyz"]
    assert found.skipped == 3


def test_a_folder_without_images_says_what_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"there is no image in .*: no file \(\.jpg"):
        find_images([str(tmp_path)])
    (tmp_path / "notes.txt").touch()
    with pytest.raises(CommandError, match="1 files, none of them called like an image"):
        find_images([str(tmp_path)])


def test_standard_input_is_one_image() -> None:
    assert read_image("-", io.BytesIO(b"image")) == b"image"
    with pytest.raises(CommandError, match="give it once"):
        find_images(["-", "-"])


def test_what_can_not_be_read_or_sent_is_said_before_it_is(tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(10**12)
    (tmp_path / "empty.jpg").touch()
    for path, sentence in {
        large: "the image has 1,000,000,000,000 bytes, at most 24,000,000 are taken: shrink it",
        tmp_path / "empty.jpg": "it is empty",
        tmp_path / "absent.jpg": "it can't be read: No such file",
        tmp_path / "a\0b": "can't be read",
        tmp_path: "can't be read: Is a directory",
    }.items():
        with pytest.raises(CommandError, match=sentence):
            read_image(path)
    with pytest.raises(CommandError, match="more than 24,000,000 bytes"):
        read_image("-", io.BytesIO(bytes(MAX_INVOCATION_BYTES + 1)))


def test_images_are_sent_in_their_order_as_many_at_once_as_a_request_may_have() -> None:
    small, large = b"1", bytes(MAX_INLINE_IMAGE_BYTES)
    sizes = [len(chunk) for chunk in image_chunks(enumerate([small] * (MAX_IMAGES + 1)))]
    assert sizes == [MAX_IMAGES, 1]
    chunks = list(image_chunks(enumerate([large, small, large])))
    assert [[number for number, _ in chunk] for chunk in chunks] == [[0], [1], [2]]
    assert list(image_chunks([])) == []


def test_an_image_too_large_for_a_request_is_uploaded_by_the_form_it_gets() -> None:
    image = bytes(MAX_INLINE_IMAGE_BYTES + 1)
    answers: Answers = []
    with answering(answers) as (url, seen):
        form = f'{{"uploads": [{{"url": "{url}bucket", "fields": {{"key": "uploads/1"}}, "s3_key": "uploads/1"}}]}}'
        answers += [(201, {}, form.encode()), (204, {}, b"")]
        assert image_source(Api(url, "k"), image) == {"s3_key": "uploads/1"}
    path, headers, body = seen[-1]
    assert path == "/v1/bucket" and API_KEY_HEADER not in headers
    # the contract calls a file `image`, S3 calls it `file`, and wants it last
    sent, fields = read_fields(headers["content-type"], body.replace(b'name="file"', b'name="image"'), {})
    assert (sent, fields) == ([image], {"key": ["uploads/1"]})
