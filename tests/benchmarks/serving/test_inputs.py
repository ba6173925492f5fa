"""What serving is measured with."""

import io

from PIL import Image

from benchmarks.serving.inputs import (
    SIZES_PX,
    byte_characters,
    classify,
    classify_tasks,
    embed,
    infinity_embed,
    labels,
    photo,
    thin_config,
)
from contract.requests import ClassifyRequest, EmbedRequest, parse_request


def test_a_photo_is_as_large_as_a_cameras_and_a_function_of_its_seed() -> None:
    first, again, other = (photo(SIZES_PX["VGA"], seed) for seed in (0, 0, 1))
    assert first == again != other
    assert 60_000 < len(first) < 110_000
    assert Image.open(io.BytesIO(first)).size == (640, 480)


def test_every_byte_has_a_character_of_its_own_and_printable_ones_come_first() -> None:
    characters = byte_characters()
    assert len(set(characters)) == 256
    assert "".join(characters[:4]) == '!"#$' and characters[188] == "Ā"


def test_labels_are_all_different_and_so_are_later_ones() -> None:
    assert len({*labels(1000), *labels(1000, first=1000)}) == 2000
    assert labels(2) == ["red bicycle", "small bicycle"]


def test_the_server_understands_what_is_sent() -> None:
    asked = classify([b"one", b"two"], ["cat", "dog"], top_k=1)
    request = parse_request(asked.content_type, asked.content)
    assert isinstance(request, ClassifyRequest) and request.images == [b"one", b"two"] and request.listed
    assert [each.label for each in request.parameters.candidate_labels] == ["cat", "dog"]
    body = classify_tasks(b"one", {"animal": ["cat", "dog"], "place": ["sea", "land"]})
    request = parse_request(body.content_type, body.content)
    assert isinstance(request, ClassifyRequest) and list(request.parameters.questions) == ["animal", "place"]
    vectors = parse_request(embed([b"one"]).content_type, embed([b"one"]).content)
    assert isinstance(vectors, EmbedRequest) and vectors.images == [b"one"]
    assert b'"data:image/jpeg;base64,b25l"' in infinity_embed([b"one"]).content


def test_thin_towers_take_the_same_images_and_words() -> None:
    config = thin_config()
    assert (config.vision_config.image_size, config.vision_config.patch_size) == (224, 32)
    assert config.text_config.vocab_size == 49408
