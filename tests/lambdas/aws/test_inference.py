from contract.limits import MAX_IMAGES, MAX_INVOCATION_BYTES
from contract.problems import NotFound
from lambdas.aws.inference import invocation_chunks

LARGE = bytes(MAX_INVOCATION_BYTES // 2)


def sizes(images: list[bytes], **limits: int) -> list[int]:
    return [len(chunk) for chunk in invocation_chunks(list(enumerate(images)), **limits)]


def test_a_chunk_has_no_more_images_than_one_request_may_have() -> None:
    assert sizes([b"i"] * (2 * MAX_IMAGES + 1)) == [MAX_IMAGES, MAX_IMAGES, 1]
    assert sizes([b"i"] * 7, max_images=3) == [3, 3, 1]


def test_a_chunk_has_no_more_bytes_than_one_invocation_takes() -> None:
    assert sizes([LARGE, LARGE, b"i", LARGE]) == [2, 2]


def test_nothing_is_lost_and_the_order_stays() -> None:
    images = [b"1", LARGE, NotFound("no"), LARGE, b"2"]
    pairs = list(enumerate(images))
    assert [pair for chunk in invocation_chunks(pairs) for pair in chunk] == pairs
    assert list(invocation_chunks([])) == []
