from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from wordsight.api import Api, CommandError, RefusedError
from wordsight.bulk import MAX_FAILURES, Failed, ask_each

NOWHERE = Api("http://127.0.0.1:1", "")


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Twelve images; the content of each is its number."""
    for number in range(12):
        (tmp_path / f"{number:02}.jpg").write_bytes(bytes([number]))
    return sorted(map(str, tmp_path.iterdir()))


def numbers(images: list[Any]) -> list[int]:
    return [int.from_bytes(b64decode(image)) for image in images]


def test_answers_come_in_the_order_of_the_images_with_those_that_can_not_be_read_between(paths: list[str]) -> None:
    Path(paths[3]).unlink()
    outcomes = list(ask_each(NOWHERE, paths, lambda _, images: numbers(images)))
    assert [path for path, _ in outcomes] == paths
    assert [answer for _, answer in outcomes if not isinstance(answer, Failed)] == [0, 1, 2, *range(4, 12)]
    assert "can't be read" in outcomes[3][1].sentence


@pytest.mark.parametrize("status", [400, 413, 502, 504])
def test_a_request_with_too_many_images_is_cut_down_to_the_one_at_fault(paths: list[str], status: int) -> None:
    def ask(_: Api, images: list[Any]) -> list[Any]:
        if 7 in numbers(images):
            raise RefusedError("too much for one answer", status)
        return numbers(images)

    outcomes = [answer for _, answer in ask_each(NOWHERE, paths, ask)]
    assert outcomes == [*range(7), Failed("too much for one answer"), *range(8, 12)]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_question_that_is_refused_is_asked_once(paths: list[str], status: int) -> None:
    asked: list[int] = []

    def ask(_: Api, images: list[Any]) -> list[Any]:
        asked.append(len(images))
        raise RefusedError("there is no such task", status)

    with pytest.raises(RefusedError, match="there is no such task"):
        list(ask_each(NOWHERE, paths, ask))
    assert asked == [1]


def test_a_key_that_is_taken_away_meanwhile_ends_it(paths: list[str]) -> None:
    def ask(_: Api, images: list[Any]) -> list[Any]:
        if 0 not in numbers(images):
            raise RefusedError("the key is wrong", 403)
        return numbers(images)

    with pytest.raises(RefusedError, match="the key is wrong"):
        list(ask_each(NOWHERE, paths, ask))


def test_an_api_that_answers_no_more_is_not_asked_for_every_image(paths: list[str]) -> None:
    def ask(_: Api, images: list[Any]) -> list[Any]:
        if 0 not in numbers(images):
            raise RefusedError("bad gateway", 500)
        return numbers(images)

    outcomes = ask_each(NOWHERE, [*paths, *10 * paths[1:]], ask)
    assert next(outcomes)[1] == 0
    with pytest.raises(CommandError, match=f"bad gateway .the {MAX_FAILURES} last requests failed"):
        list(outcomes)


def test_one_request_that_fails_costs_its_images_and_no_others(paths: list[str]) -> None:
    def ask(_: Api, images: list[Any]) -> list[Any]:
        if 2 in numbers(images):
            raise CommandError("the connection was lost")
        return numbers(images)

    outcomes = [answer for _, answer in ask_each(NOWHERE, paths, ask)]
    assert outcomes == [0, *[Failed("the connection was lost")] * 4, *range(5, 12)]


def test_what_is_too_much_at_once_is_waited_for(paths: list[str]) -> None:
    waited_s: list[float] = []

    def ask(patient: Api, images: list[Any]) -> list[Any]:
        patient.pause(7.0)
        return numbers(images)

    outcomes = list(ask_each(Api("http://127.0.0.1:1", "", waited_s.append), paths, ask))
    assert len(outcomes) == 12 and waited_s == [7.0] * 3
