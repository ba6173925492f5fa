"""What the servers are asked."""

from pathlib import Path

from benchmarks.serving.requests import (
    classify,
    classify_tasks,
    clip_tokenizer,
    embed,
    infinity_embed,
    labels,
    made_up_merges,
    photos,
    thin_config,
)
from contract.requests import ClassifyRequest, EmbedRequest, parse_request


def test_labels_are_all_different_and_so_are_later_ones() -> None:
    assert len({*labels(1000), *labels(1000, first=1000)}) == 2000
    assert labels(2) == ["red bicycle", "small bicycle"]


def test_the_server_understands_what_is_sent() -> None:
    request = parse_request(*classify([b"one", b"two"], ["cat", "dog"]))
    assert isinstance(request, ClassifyRequest) and request.images == [b"one", b"two"] and request.listed
    assert [each.label for each in request.parameters.candidate_labels] == ["cat", "dog"]
    request = parse_request(*classify_tasks(b"one", {"animal": ["cat", "dog"], "place": ["sea", "land"]}))
    assert isinstance(request, ClassifyRequest) and list(request.parameters.questions) == ["animal", "place"]
    vectors = parse_request(*embed([b"one"]))
    assert isinstance(vectors, EmbedRequest) and vectors.images == [b"one"]
    assert b'"data:image/jpeg;base64,b25l"' in infinity_embed([b"one"])[1]


def test_thin_towers_take_the_same_images_and_words() -> None:
    config = thin_config()
    assert (config.vision_config.image_size, config.vision_config.patch_size) == (224, 32)
    assert config.text_config.vocab_size == 49408


def test_a_tokenizer_of_made_up_words_has_as_many_tokens_as_clips() -> None:
    tokenizer = clip_tokenizer(made_up_merges())
    assert len(tokenizer) == thin_config().text_config.vocab_size
    assert tokenizer.tokenize("abcd") == ["abc", "d</w>"]


def test_photos_are_drawn_once(tmp_path: Path) -> None:
    first, second = photos("VGA", 2, tmp_path)
    assert first != second
    (tmp_path / "VGA-1.jpg").write_bytes(b"kept")
    assert photos("VGA", 2, tmp_path) == [first, b"kept"]
