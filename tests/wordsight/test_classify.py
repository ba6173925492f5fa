import csv
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from contract.limits import API_KEY_HEADER, MAX_IMAGES
from tests.lambdas.sagemaker import JPEG_START
from tests.servers import Quiet, serving
from tests.wordsight.conftest import KEY, ROOT, Shell, System, started


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
    for number in range(MAX_IMAGES + 22):
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes(JPEG_START + str(number).encode())
    answers = shell("classify", *paths, "--labels", "cat,dog", "--json").json
    assert len(answers) == len(paths)
    sizes = [len(json.loads(event["body"])["inputs"]) for event in system.events]
    assert sorted(sizes) == [1, 1, 4, 16, MAX_IMAGES], "the first requests are small, for an answer that comes soon"
    alone = shell("classify", paths[-1], "--labels", "cat,dog", "--json").json
    assert answers[-1:] == alone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images, two that are none or can't be read, and a text."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(JPEG_START + b"a")
    (folder / "b.jpg").write_bytes(b"no image")
    (folder / "c.jpg").touch()
    (folder / "d.jpg").write_bytes(JPEG_START + b"d")
    (folder / "notes.txt").touch()
    return folder


def test_what_fails_is_told_with_its_path_and_the_others_are_answered(shell: Shell, folder: Path) -> None:
    ran = shell("classify", folder, "--labels", "cat,dog")
    assert ran.status == 1 and [line for line in ran.out.splitlines() if line[:1] not in ("", " ")] == [
        str(folder / "a.jpg"),
        str(folder / "d.jpg"),
    ]
    why_b, why_c, skipped, how_many = ran.err.splitlines()
    assert why_b.startswith(f"{folder}/b.jpg: ") and why_c == f"{folder}/c.jpg: it can't be read: it is empty"
    assert skipped == "skipped 1 files that are not called like images"
    assert how_many == "2 of 4 images have no answer"


def test_every_image_has_a_line_of_json_with_its_answer_or_its_error(shell: Shell, folder: Path) -> None:
    ran = shell("classify", folder, "--labels", "cat,dog", "--top-k", 1, "--jsonl")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [Path(line["path"]).name for line in lines] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert [sorted(line.keys() - {"path"}) for line in lines] == [["answer"], ["error"], ["error"], ["answer"]]
    assert lines[0]["answer"][0].keys() == {"label", "score"} and "it is empty" in lines[2]["error"]


def test_a_table_has_a_row_per_image_and_label_and_names_the_task_of_several(shell: Shell, folder: Path) -> None:
    rows = list(csv.DictReader(shell("classify", folder, "--labels", 'a "cat",dog', "--csv").out.splitlines()))
    assert [(Path(row["path"]).name) for row in rows] == ["a.jpg", "a.jpg", "d.jpg", "d.jpg"]
    assert {row["label"] for row in rows} == {'a "cat"', "dog"} and 0 < float(rows[0]["score"]) < 1
    for task in ("pet", "mood"):
        shell("tasks", task, "--labels", "good,bad")
    rows = list(csv.DictReader(shell("classify", folder, "--task", "pet", "--task", "mood", "--csv").out.splitlines()))
    assert [row["task"] for row in rows[:4]] == ["pet", "pet", "mood", "mood"]


def test_progress_is_told_where_nobody_looks_only_if_that_is_asked_for(shell: Shell, image: Path) -> None:
    assert "1/1 images" in shell("classify", image, "--labels", "cat,dog", "--progress").err


def test_the_apis_refusal_is_printed_as_it_says_it(shell: Shell, image: Path) -> None:
    ran = shell("classify", image, "--labels", "cat")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("parameters: a lone label ('cat') would always score 1.0")
    assert "GET /tasks lists them" in shell("classify", image, "--task", "absent").err


def test_a_file_that_is_not_there_is_named(shell: Shell, tmp_path: Path) -> None:
    ran = shell("classify", tmp_path / "absent.jpg", "--labels", "cat,dog")
    assert ran.status == 1 and "absent.jpg: it can't be read" in ran.err


class Classifies(Quiet):
    """An API to which everything is a cat."""

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.reply([[{"label": "cat", "score": 1.0}] for _ in sent["inputs"]])

    def reply(self, answer: object) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many images that their answers don't fit into a pipe."""
    folder = tmp_path_factory.mktemp("many") / ("long" * 50)
    folder.mkdir()
    for number in range(500):
        (folder / f"{number:03}.jpg").write_bytes(JPEG_START)
    return folder


def test_a_reader_that_has_enough_ends_it_quietly(many: Path) -> None:
    with serving(Classifies) as port:
        process = started(f"http://127.0.0.1:{port}", "classify", many, "--labels", "cat,dog", "--jsonl")
        assert process.stdout and process.stderr
        first = process.stdout.readline()
        process.stdout.close()
        assert (process.stderr.read(), process.wait(), json.loads(first)["path"]) == (b"", 141, str(many / "000.jpg"))
        process.stderr.close()


def test_a_reader_that_is_gone_before_the_last_line_is_written_is_no_traceback(many: Path) -> None:
    with serving(Classifies) as port:
        shell = f"{{ sleep 0.1; {sys.executable} -m wordsight classify {many}/001.jpg --labels a,b --jsonl; }} | true"
        environ = {**os.environ, "WORDSIGHT_URL": f"http://127.0.0.1:{port}", "WORDSIGHT_API_KEY": KEY}
        done = subprocess.run(["bash", "-c", shell], cwd=ROOT, env=environ, capture_output=True, check=False)
    assert done.stderr == b""


def test_an_image_comes_from_standard_input_and_its_answer_at_once() -> None:
    with serving(Classifies) as port:
        argv = ("classify", "-", "--labels", "cat,dog", "--jsonl")
        process = started(f"http://127.0.0.1:{port}", *argv, stdin=subprocess.PIPE)
        out, err = process.communicate(JPEG_START)
    assert (process.returncode, json.loads(out), err) == (
        0,
        {"path": "-", "answer": [{"label": "cat", "score": 1.0}]},
        b"",
    )


def test_ctrl_c_ends_it_with_one_line_although_requests_are_on_their_way(many: Path) -> None:
    hang, asked = threading.Event(), threading.Event()

    class Hangs(Classifies):
        def do_POST(self) -> None:
            if asked.is_set():
                hang.wait()
            asked.set()
            super().do_POST()

    with serving(Hangs) as port:
        process = started(f"http://127.0.0.1:{port}", "classify", many, "--labels", "cat,dog", "--jsonl")
        assert process.stdout and process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        hang.set()
    assert (process.returncode, err) == (130, b"interrupted\n")
