"""A checkpoint comes from a hub, or a folder, whole, in one of the usual forms, and no code in a pickle is run.

Everything is fetched by two processes: the hub's client reads its environment when it is imported.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from contract import models
from model.clip import fetch as program
from model.clip.checkpoint import load_checkpoint
from tests.hub import MODEL_ID, REVISION, Hub, Repository, publish, serving
from tests.model.clip.open_clip_folders import reference, save_folder
from tests.model.conftest import tiny_tokenizer
from tests.model.dockerfile import WORKDIR, lay_out

OLDER = "89abcdef0123456789abcdef0123456789abcdef"
DRIVER = """
import json, pathlib, sys
from model.clip.fetch import FetchError, fetch
for source, directory in json.load(sys.stdin):
    try:
        print(json.dumps(fetch(source, pathlib.Path(directory))))
    except FetchError as error:
        print(json.dumps({"error": str(error)}))
"""
Outcome = str | dict[str, str]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fetch")


@pytest.fixture(scope="module")
def hub(root: Path, checkpoint_dir: Path) -> Iterator[Hub]:
    pickled, safe, theirs, text = (root / name for name in ("pickled", "safe", "theirs", "text"))
    publish(checkpoint_dir, pickled)
    (pickled / "tf_model.h5").write_bytes(bytes(100))
    shutil.copytree(checkpoint_dir, safe)
    (safe / "wordsight.json").write_text('{"version": "theirs", "calibration": {"temperature": 2.0}}')
    save_folder(theirs, reference("gelu-256"), pickled=True)
    tiny_tokenizer().save_pretrained(theirs)
    text.mkdir()
    (text / "config.json").write_text('{"model_type": "llama", "hidden_size": 4096}')
    (text / "model.safetensors").write_bytes(bytes(1000))
    repositories = {
        MODEL_ID: Repository({REVISION: pickled, OLDER: safe}, {"main": REVISION, "v1": OLDER}),
        "somebody/gated": Repository.of(safe, gated=True),
        "somebody/damaged": Repository.of(safe, damaged=frozenset({"model.safetensors"})),
        "somebody/open-clip": Repository.of(theirs),
        "somebody/text": Repository.of(text),
    }
    with serving(repositories) as hub:
        yield hub


def fetched(hub: Hub, root: Path, *asked: tuple[str, str], **environment: str) -> list[Outcome]:
    """What `fetch` returned or raised for each source and directory, by the image's files alone."""
    image = root / "image"
    if not image.exists():
        lay_out("weights", image)
    folder = image / WORKDIR.removeprefix("/")
    variables = {**os.environ, **hub.environment(root / "home"), "PYTHONPATH": str(folder), **environment}
    sources = json.dumps([(source, str(root / directory)) for source, directory in asked])
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], input=sources, cwd=folder, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def outcomes(hub: Hub, root: Path) -> dict[str, Outcome]:
    """By the directory that was asked for."""
    (root / "full").mkdir()
    (root / "full" / "mine.txt").write_text("mine")
    asked = [
        (MODEL_ID, "base"),
        (f"{MODEL_ID}@v1", "older"),
        ("somebody/open-clip", "open-clip"),
        (str(root / "pickled"), "from-folder"),
        (str(root / "text"), "text-folder"),
        ("somebody/gated", "gated"),
        ("somebody/damaged", "damaged"),
        ("somebody/text", "no-clip"),
        ("somebody/nobody", "nobody"),
        (f"{MODEL_ID}@v9", "v9"),
        ("a/b/c", "no-name"),
        (MODEL_ID, "full"),
    ]
    return {directory: outcome for (_, directory), outcome in zip(asked, fetched(hub, root, *asked), strict=True)}


@pytest.fixture(scope="module")
def later(outcomes: dict[str, Outcome], hub: Hub, root: Path) -> list[Outcome]:
    """The same hub when nothing reaches it any more."""
    hub.sent.clear()
    shutil.copytree(root / "base", root / "there")
    asked = [(MODEL_ID, "there"), (f"{MODEL_ID}@v1", "again"), ("somebody/other", "other")]
    return fetched(hub, root, *asked, HF_ENDPOINT="http://127.0.0.1:9")


def test_a_revision_that_holds_a_pickle_becomes_a_safetensors_checkpoint_named_after_it(
    outcomes: dict[str, Outcome], root: Path, checkpoint_dir: Path
) -> None:
    assert outcomes["base"] == f"{MODEL_ID}@{REVISION}"
    made, original = load_checkpoint(root / "base"), load_checkpoint(checkpoint_dir)
    assert made.metadata.version == "somebody/tiny-clip@0123456789ab"
    for name, weight in original.model.state_dict().items():
        assert torch.equal(made.model.state_dict()[name], weight)
    assert not (root / "base" / "pytorch_model.bin").exists()
    assert not (root / "base" / "tf_model.h5").exists()


def test_a_tag_is_a_commit_whose_safetensors_are_linked_from_the_cache(
    outcomes: dict[str, Outcome], root: Path
) -> None:
    assert outcomes["older"] == f"{MODEL_ID}@{OLDER}"
    made = root / "older" / "model.safetensors"
    assert made.read_bytes() == (root / "safe" / "model.safetensors").read_bytes()
    assert made.stat().st_nlink > 1
    (cached,) = (root / "home").glob(f"hub/models--somebody--tiny-clip/snapshots/{OLDER}/model.safetensors")
    assert cached.samefile(made)


def test_what_it_says_of_itself_is_kept_but_for_its_name(outcomes: dict[str, Outcome], root: Path) -> None:
    metadata = load_checkpoint(root / "older").metadata
    assert (metadata.version, metadata.calibration.temperature) == (f"{MODEL_ID}@{OLDER[:12]}", 2.0)
    assert json.loads((root / "safe" / "wordsight.json").read_text())["version"] == "theirs"


def test_open_clips_pickle_becomes_a_folder_of_clip_models(outcomes: dict[str, Outcome], root: Path) -> None:
    assert outcomes["open-clip"] == f"somebody/open-clip@{REVISION}"
    made = root / "open-clip"
    assert {path.name for path in made.iterdir()} == {
        *("config.json", "model.safetensors", "preprocessor_config.json", "wordsight.json"),
        *(path.name for path in (root / "theirs").iterdir() if path.name.startswith(("tokenizer", "special"))),
    }
    save_folder(root / "unconverted", reference("gelu-256"))
    tiny_tokenizer().save_pretrained(root / "unconverted")
    one, other = load_checkpoint(made), load_checkpoint(root / "unconverted")
    assert one.processor.to_dict() == other.processor.to_dict()
    for name, weight in other.model.state_dict().items():
        assert torch.equal(one.model.state_dict()[name], weight)


def test_a_folder_is_converted_as_well_and_left_as_it_was(outcomes: dict[str, Outcome], root: Path) -> None:
    assert outcomes["from-folder"] == str(root / "pickled")
    made = load_file(root / "from-folder" / "model.safetensors")
    assert torch.equal(made["logit_scale"], load_file(root / "base" / "model.safetensors")["logit_scale"])
    assert (root / "pickled" / "pytorch_model.bin").exists()
    assert (root / "from-folder" / "config.json").stat().st_nlink == 1, "its owner may change it"


@pytest.mark.parametrize(
    ("directory", "sentence"),
    [
        ("text-folder", "is no CLIP: its config.json should describe a text_config and a vision_config"),
        ("no-clip", "somebody/text is no CLIP"),
        ("gated", "somebody/gated is gated: accept its conditions at http://127.0.0.1"),
        ("damaged", "model.safetensors arrived damaged: its checksum is"),
        ("nobody", "the hub has no model somebody/nobody, or it is private"),
        ("v9", "has no revision 'v9': give a branch, a tag or a commit"),
        ("no-name", "'a/b/c' is no name of a model: give OWNER/NAME"),
        ("full", "is not empty: give a folder that is new"),
    ],
)
def test_what_goes_wrong_is_said_in_a_sentence_and_leaves_no_folder(
    outcomes: dict[str, Outcome], root: Path, directory: str, sentence: str
) -> None:
    outcome = outcomes[directory]
    assert isinstance(outcome, dict) and sentence in outcome["error"], outcome
    assert "\n" not in outcome["error"]
    assert not (root / directory).exists() or directory == "full"
    assert (root / "full" / "mine.txt").read_text() == "mine"
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == []


def test_what_is_not_a_clip_is_known_before_its_weights_are_loaded(outcomes: dict[str, Outcome], root: Path) -> None:
    assert outcomes["no-clip"]
    assert not list((root / "home").glob("hub/models--somebody--text/**/model.safetensors"))


def test_damaged_weights_do_not_stay_in_the_cache(outcomes: dict[str, Outcome], root: Path) -> None:
    assert outcomes["damaged"]
    assert not list((root / "home").glob("hub/models--somebody--damaged/**/model.safetensors"))


def test_what_was_fetched_once_needs_no_network(later: list[Outcome], hub: Hub, root: Path) -> None:
    there, again, _ = later
    assert (there, again) == (f"{MODEL_ID}@{REVISION}", f"{MODEL_ID}@{OLDER}")
    assert load_checkpoint(root / "again").metadata.version == f"{MODEL_ID}@{OLDER[:12]}"
    assert hub.sent == []


def test_what_was_not_is_told_with_where_it_was_looked_for(later: list[Outcome], root: Path) -> None:
    outcome = later[2]
    assert isinstance(outcome, dict)
    wanted = f"somebody/other is not in the cache ({root / 'home' / 'hub'}), and the hub can't be reached"
    assert wanted in outcome["error"]


def test_a_pickle_that_would_run_code_is_not_read(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parents[3] / "model/shipped", tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save({"weight": print}, tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(program.FetchError, match=r"pytorch_model\.bin can't be read without running code"):
        program.fetch(str(tmp_path / "pickled"), tmp_path / "base")
    assert not (tmp_path / "base").exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", b"PK\x03\x04", [1], {"state_dict": 5}, {"a": {}}])
def test_a_pickle_that_holds_no_weights_ends_in_a_sentence(tmp_path: Path, content: object) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(reference("gelu-256")["config"]))
    file = folder / "open_clip_pytorch_model.bin"
    file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    with pytest.raises(program.FetchError, match=r"open_clip_pytorch_model\.bin (can't be read|holds no weights)"):
        program.fetch(str(folder), tmp_path / "base")


def test_shards_of_a_pickle_become_one_file(checkpoint_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint_dir, tmp_path / "sharded")
    weights = load_file(tmp_path / "sharded" / "model.safetensors")
    (tmp_path / "sharded" / "model.safetensors").unlink()
    placed = {name: f"pytorch_model-{number % 2 + 1}.bin" for number, name in enumerate(sorted(weights))}
    for shard in set(placed.values()):
        torch.save({name: weights[name] for name in placed if placed[name] == shard}, tmp_path / "sharded" / shard)
    index = tmp_path / "sharded" / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": placed}))
    program.fetch(str(tmp_path / "sharded"), tmp_path / "base")
    assert load_file(tmp_path / "base" / "model.safetensors").keys() == weights.keys()
    assert not list((tmp_path / "base").glob("*.index.json"))
    index.write_text(json.dumps({"weight_map": {"logit_scale": "../pickled/elsewhere.bin"}}))
    with pytest.raises(program.FetchError, match="should name the files of the weights in its weight_map"):
        program.fetch(str(tmp_path / "sharded"), tmp_path / "other")


def test_weights_as_a_training_of_open_clips_left_them_are_taken(tmp_path: Path) -> None:
    """Within `state_dict`, each behind `module.`, as epoch_32.pt has them."""
    found = reference("gelu-256")
    save_folder(tmp_path / "theirs", found, pickled=True)
    file = tmp_path / "theirs" / "open_clip_pytorch_model.bin"
    weights = torch.load(file, weights_only=True)
    torch.save({"epoch": 32, "state_dict": {f"module.{name}": each for name, each in weights.items()}}, file)
    program.fetch(str(tmp_path / "theirs"), tmp_path / "base")
    assert torch.equal(load_file(tmp_path / "base" / "model.safetensors")["logit_scale"], weights["logit_scale"])


def test_a_model_of_open_clips_that_is_no_plain_clip_is_named(tmp_path: Path) -> None:
    found = reference("gelu-256")
    found["config"]["model_cfg"]["multimodal_cfg"] = {"layers": 12}
    save_folder(tmp_path / "coca", found)
    with pytest.raises(program.FetchError, match=r"coca: model_cfg\.multimodal_cfg is"):
        program.fetch(str(tmp_path / "coca"), tmp_path / "base")


def test_its_names_are_the_contracts_which_it_does_not_import() -> None:
    ours = (program.WEIGHTS, program.METADATA, program.CONFIG, program.PROCESSOR, program.JOINT_PROCESSOR)
    assert ours == (models.WEIGHTS, models.METADATA, models.CONFIG, models.PROCESSOR, models.JOINT_PROCESSOR)
