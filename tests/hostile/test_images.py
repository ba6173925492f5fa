"""Every image of the corpus, sent to the container: it is seen as it is or refused with a sentence, and nobody else
notices.
"""

import json
from collections.abc import Sequence

import numpy as np
import pytest

from model.clip.image import open_image
from tests.hostile.images import BLACK, BLUE, CASES, GOOD, GREEN, GREY, LOSSY, ORANGE, RED, WHITE, WHOLE, Case, saved
from tests.model.serving.http_client import Answer, Client, as_base64

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # what Pillow thinks of these files; the answer is what counts
]

EMBED = {"operation": "embed"}
COLOURS = (RED, GREEN, BLUE, GREY, WHITE, BLACK, ORANGE)
MAX_PROBLEM_BYTES = 65_536
TOLD_APART = 2 * LOSSY
"""Such a tolerance is for coders that lose much of a colour: the nearest one may be another."""


def embed(client: Client, images: Sequence[bytes]) -> Answer:
    body = {**EMBED, "inputs": {"images": [as_base64(image) for image in images]}}
    return client.post(json.dumps(body).encode())


@pytest.fixture(scope="module")
def vectors(client: Client) -> np.ndarray:
    """Of plain pictures of COLOURS, [C, D]"""
    return np.array(embed(client, [saved("PNG", colour) for colour in COLOURS]).json["images"])


def seen(vectors: np.ndarray, found: Sequence[float]) -> tuple[int, int, int]:
    """The colour whose picture is most like it."""
    return COLOURS[int(np.argmax(vectors @ np.array(found)))]


def test_there_are_as_many_as_there_should_be() -> None:
    assert len(CASES) >= 250


@pytest.mark.parametrize("name", CASES)
def test_an_image_is_answered_or_refused_and_the_server_is_well(client: Client, name: str) -> None:
    case, image = CASES[name], CASES[name].make()
    answer = client.post(image, "application/octet-stream", "/invocations?candidate_labels=red,blue")
    assert answer.status in case.statuses, answer.body[:300]
    if answer.status == 200:
        assert sum(each["score"] for each in answer.json) == pytest.approx(1)
    else:
        assert answer.json["detail"] == answer.json["error"] and len(answer.body) < MAX_PROBLEM_BYTES
    assert client.request("GET", "/ping").status == 200


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.statuses == GOOD and case.colour])
def test_what_is_good_is_opened_as_a_person_sees_it(name: str) -> None:
    case = CASES[name]
    assert np.abs(_mean(case) - case.colour).max() <= case.tolerance


def _mean(case: Case) -> np.ndarray:
    """Of the part of the picture whose colour is known."""
    image = open_image(case.make())
    ends = [int(share * side) for share, side in zip(case.box, (*image.size, *image.size), strict=True)]
    part = image.crop((ends[0], ends[1], max(ends[2], 1), max(ends[3], 1)))
    return np.asarray(part).mean(axis=(0, 1))


def test_in_a_list_every_image_has_its_own_answer_in_its_place(client: Client, vectors: np.ndarray) -> None:
    light = [case for case in CASES.values() if not case.heavy]
    for start in range(0, len(light), 32):
        some = light[start : start + 32]
        sent = [image for number, case in enumerate(some) for image in (case.make(), saved("PNG", COLOURS[number % 7]))]
        answers = embed(client, sent).json["images"]
        assert len(answers) == len(sent)
        for number, case in enumerate(some):
            hostile, known = answers[2 * number : 2 * number + 2]
            assert (hostile["status"] if isinstance(hostile, dict) else 200) in case.statuses
            if isinstance(hostile, list) and case.colour and case.box == WHOLE and case.tolerance < TOLD_APART:
                assert seen(vectors, hostile) == case.colour
            assert seen(vectors, known) == COLOURS[number % 7]
