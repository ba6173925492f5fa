"""Every command of the command line and every example as a process, as a shell starts it, against one local system."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from local import sample
from tests.e2e.system import System
from tests.local.conftest import ROOT
from tests.node import NODE
from tests.wordsight.test_hub import MODEL, Repository, repository  # noqa: F401, a fixture

pytestmark = pytest.mark.slow

DRAWINGS = Path(__file__).parent / "drawings"
LABELS = ",".join(sample.LABELS)
SHIPPED = ROOT / "model/shipped"
EXAMPLES = ROOT / "examples"
RISE = 0.25
"""In accuracy, by five images of each class."""


def environ(system: System, **more: str) -> dict[str, str]:
    return {**os.environ, "WORDSIGHT_URL": system.url, "WORDSIGHT_API_KEY": system.api_key, **more}


def run(system: System, *argv: object, status: int = 0, **more: str) -> str:
    """What the command printed. Raises AssertionError if it ends with another status."""
    command = [sys.executable, "-m", "wordsight", *map(str, argv)]
    done = subprocess.run(command, cwd=ROOT, env=environ(system, **more), capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def refused(system: System, *argv: object) -> str:
    """What a command that ends with 1 says of it."""
    command = [sys.executable, "-m", "wordsight", *map(str, argv)]
    done = subprocess.run(command, cwd=ROOT, env=environ(system), capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def asked(system: System, *argv: object, **more: str) -> Any:
    return json.loads(run(system, *argv, "--json", **more))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings, one that is cut off, one that is too large to be sent at once, and no image."""
    folder = tmp_path_factory.mktemp("folder")
    for drawing in ("house", "tree", "sun"):
        (folder / drawing).mkdir()
        shutil.copy(DRAWINGS / f"{drawing}.png", folder / drawing)
    (folder / "cut.png").write_bytes((DRAWINGS / "cup.png").read_bytes()[:200])
    (folder / "large.png").write_bytes((DRAWINGS / "house.png").read_bytes() + bytes(5_000_000))
    (folder / "notes.txt").touch()
    return folder


def test_a_folder_is_classified_line_by_line_and_what_fails_costs_nothing_else(system: System, folder: Path) -> None:
    out = run(system, "classify", folder, "--labels", "house,tree,sun", "--top-k", 1, "--jsonl", status=1)
    best = {Path(each["path"]).name: each.get("answer") for each in map(json.loads, out.splitlines())}
    assert {name: answer and answer[0]["label"] for name, answer in best.items()} == {
        "cut.png": None, "house.png": "house", "large.png": "house", "sun.png": "sun", "tree.png": "tree",
    }  # fmt: skip


def test_a_reader_that_has_enough_ends_it_quietly(system: System, folder: Path) -> None:
    script = f"{sys.executable} -m wordsight classify {folder} --labels house,tree --jsonl | head -1"
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=environ(system), capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == 1 and b"Traceback" not in done.stderr


def test_health_models_and_completion_tell_what_there_is(system: System) -> None:
    assert "InService" in run(system, "health")
    assert "base" in run(system, "models") and len(run(system, "models", "base").splitlines()) < 20
    assert "_wordsight" in run(system, "completion", "bash")


def test_vectors_of_images_and_texts_are_of_one_space(system: System, folder: Path) -> None:
    out = run(system, "embed", folder / "house", "--text", "a house", "--text", "a tree")
    house, tree, image = (json.loads(line)["embedding"] for line in out.splitlines())
    assert sum(a * b for a, b in zip(house, image, strict=True)) > sum(a * b for a, b in zip(tree, image, strict=True))


def test_what_a_folder_says_is_kept_listed_trained_on_and_forgotten(system: System, folder: Path) -> None:
    run(system, "tasks", "thing", "--labels", "house,tree,sun")
    run(system, "annotate", folder, "--dataset", "things", "--task", "thing", status=1)
    records = [json.loads(line) for line in run(system, "annotations", "--dataset", "things", "--jsonl").splitlines()]
    assert sorted(each["label"] for each in records) == ["house", "sun", "tree"]
    first, second, _ = records
    run(system, "annotations", first["id"], "--dataset", "things", "--delete")
    assert "1 annotations" in run(system, "annotations", "--delete-image", second["image"])
    assert run(system, "annotations", "--dataset", "things").endswith(
        "1 annotations; thing: 1 " + records[2]["label"] + "\n"
    )
    assert "absent" in refused(system, "train", "--dataset", "absent")
    assert run(system, "trainings").split() == ["ID", "STATE", "DATASET", "VERSION"]


def test_a_folder_becomes_a_batch_whose_answers_have_its_paths(system: System, folder: Path) -> None:
    out = run(system, "batch", folder, "--labels", "house,tree,sun", "--top-k", 1, "--download")
    lines = {Path(each["path"]): each for each in map(json.loads, out.splitlines())}
    assert lines[folder / "tree/tree.png"]["answer"][0]["label"] == "tree"
    assert len(lines) == 5 and "error" in lines[folder / "cut.png"]
    (listed,) = asked(system, "batch")["batches"]
    assert (listed["state"], listed["results"], listed["problems"]) == ("done", 4, 1)
    assert len(run(system, "batch", listed["id"], "--download").splitlines()) == 5


def example(system: System, *command: object) -> str:
    """What one of the examples printed."""
    done = subprocess.run(
        list(map(str, command)), cwd=EXAMPLES, env=environ(system), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_products_are_sorted_by_several_questions_at_once(system: System, tmp_path: Path) -> None:
    said = example(system, sys.executable, "sort_products.py", tmp_path / "products.csv")
    right = [int(each) for each in re.findall(r"(\d+) of 48 right", said)]
    assert len(right) == 3 and min(right) >= 44, said
    rows = list(csv.DictReader((tmp_path / "products.csv").read_text().splitlines()))
    assert len(rows) == 48 and rows == sorted(rows, key=lambda row: [row["kind"], row["colour"], row["count"]])


def test_a_new_domain_is_taught_corrected_and_undone(system: System) -> None:
    said = example(system, sys.executable, "teach_domain.py")
    before, taught, undone = (int(each) / 100 for each in re.findall(r"(\d+)%", said))
    assert taught >= before + RISE and undone == before, said
    taken_for, told, now = re.findall(r"taken for '(\w+)', told that it is '(\w+)': now '(\w+)'", said)[0]
    assert taken_for != told == now, said


def test_a_folder_is_labelled_in_bulk(system: System, tmp_path: Path) -> None:
    example(system, sys.executable, "label_folder.py", "--out", tmp_path / "labels.csv")
    rows = list(csv.DictReader((tmp_path / "labels.csv").read_text().splitlines()))
    right = sum(row["label"] == "a " + row["file"].split("-")[0] for row in rows)
    assert len(rows) == 60 and right >= 56, rows


def test_node_classifies_a_file(system: System) -> None:
    said = example(system, NODE, "classify.mjs", sample.IMAGE, "house", "fish", "tree")
    assert re.match(r" *\d+\.\d %  fish\n", said), said


def test_the_notebooks_cells_run_in_their_order(system: System) -> None:
    cells = json.loads((EXAMPLES / "teach.ipynb").read_text())["cells"]
    program = "\n\n".join("".join(each["source"]) for each in cells if each["cell_type"] == "code")
    before, after = (int(each) for each in re.findall(r"(\d+)% of", example(system, sys.executable, "-c", program)))
    assert after > before and after >= 80


def test_a_model_comes_from_a_hub_and_goes_live(
    system: System,
    repository: Repository,  # noqa: F811
    tmp_path: Path,
) -> None:
    kept = (each for each in SHIPPED.iterdir() if each.suffix in (".json", ".safetensors", ".md"))
    repository.files = {each.name: each.read_bytes() for each in kept if each.name != "wordsight.json"}
    hub = {"HF_ENDPOINT": repository.url, "XDG_CACHE_HOME": str(tmp_path)}
    assert "tiny-clip is live" in run(system, "models", "add", MODEL.id, "--promote", **hub)
    assert system.classify()[1]["x-model-version"].startswith(f"{MODEL.id}@")
    assert not list(tmp_path.glob("wordsight/*")), "what was fetched is not kept once it is registered"
    assert "there is no model" in refused(system, "promote", "absent")


def test_a_folder_becomes_a_version(system: System) -> None:
    model = asked(system, "models", "add", SHIPPED, "--version", "mine", "--parent", "base")
    assert model["artifact_s3_uri"].partition("/models/")[2].startswith("uploads/")
    assert "mine" in run(system, "models")
    run(system, "models", "add", SHIPPED, "--version", "mine", status=1)


def test_the_page_opens_without_a_key_in_the_browser(system: System) -> None:
    command = [sys.executable, "-m", "wordsight", "open", "--no-browser"]
    with subprocess.Popen(command, cwd=ROOT, env=environ(system), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(address) as page:
            assert b"<title>" in page.read()
        question = urllib.request.Request(f"{address}classify?candidate_labels=fish,tree", sample.IMAGE.read_bytes())
        question.add_header("content-type", "image/png")
        with urllib.request.urlopen(question) as answer:
            assert json.load(answer)[0]["label"] == "fish"
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0
