from pathlib import Path

import pytest

from contract.limits import API_KEY_HEADER, MAX_IMAGES
from tests.lambdas.sagemaker import JPEG_START
from tests.wordsight.conftest import KEY, Shell, System


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(JPEG_START + b"a")
    return path


def test_the_labels_are_shown_with_bars_the_best_first(shell: Shell, system: System, image: Path) -> None:
    ran = shell("classify", image, "--labels", "cat,dog")
    assert (ran.status, ran.err) == (0, "")
    name, first, second = ran.out.splitlines()
    assert name == str(image) and {first.split()[0], second.split()[0]} == {"cat", "dog"}
    assert first.count("█") > second.count("█") and first.count("█") + first.count("░") == 30
    headers = {name.lower(): value for name, value in system.events[0]["headers"].items()}
    assert headers[API_KEY_HEADER] == KEY


def test_json_is_the_answer_as_it_is(shell: Shell, image: Path) -> None:
    (scores,) = shell("classify", image, "--labels", "cat,dog", "--top-k", 1, "--json").json
    assert len(scores) == 1 and scores[0].keys() == {"label", "score"}


def test_saved_tasks_are_asked_by_their_names(shell: Shell, image: Path) -> None:
    for task in ("pet", "mood"):
        assert shell("tasks", task, "--labels", "good,bad", "--description", "How it is").status == 0
    (answer,) = shell("classify", image, "--task", "pet", "--task", "mood", "--json").json
    assert answer.keys() == {"pet", "mood"}
    assert "mood" in shell("classify", image, "--task", "pet", "--task", "mood").out


def test_more_images_than_one_request_takes_are_sent_in_several(shell: Shell, system: System, tmp_path: Path) -> None:
    paths = []
    for number in range(MAX_IMAGES + 1):
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes(JPEG_START + str(number).encode())
    answers = shell("classify", *paths, "--labels", "cat,dog", "--json").json
    assert len(answers) == len(paths) and len(system.events) == 2
    alone = shell("classify", paths[-1], "--labels", "cat,dog", "--json").json
    assert answers[-1:] == alone


def test_an_image_that_is_none_is_told_of_after_the_others(shell: Shell, image: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    ran = shell("classify", image, bad, "--labels", "cat,dog")
    assert ran.status == 1 and "█" in ran.out
    assert f"1 of 2 images were not classified: {bad}" in ran.err


def test_the_apis_refusal_is_printed_as_it_says_it(shell: Shell, image: Path) -> None:
    ran = shell("classify", image, "--labels", "cat")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("parameters: a lone label ('cat') would always score 1.0")
    assert "GET /tasks lists them" in shell("classify", image, "--task", "absent").err


def test_a_file_that_is_not_there_is_named(shell: Shell, tmp_path: Path) -> None:
    ran = shell("classify", tmp_path / "absent.jpg", "--labels", "cat,dog")
    assert ran.status == 1 and "absent.jpg can't be read" in ran.err
