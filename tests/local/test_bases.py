"""Which checkpoint stands in the images: one of the hub, which is kept, or a folder."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from local.bases import Base, deployed, find_base, prepare, register
from local.settings import LocalError, LocalSettings
from tests.hub import MODEL_ID, REVISION, Hub, Repository, publish, serving

NEWER = "f" * 40


@pytest.fixture
def hub(shipped_as_others_do: Path, tmp_path: Path) -> Iterator[Hub]:
    """With one model at two commits, one that is gated, and nothing else."""
    commits = {REVISION: shipped_as_others_do, NEWER: shipped_as_others_do}
    repository = Repository(commits, {"main": NEWER, "v1": REVISION})
    gated = Repository.of(shipped_as_others_do, gated=True)
    with serving({MODEL_ID: repository, "somebody/gated": gated}) as hub:
        yield hub


@pytest.fixture(scope="session")
def shipped_as_others_do(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "clip"
    publish(Path(__file__).parents[2] / "model/shipped", folder)
    return folder


def environment(hub: Hub, home: Path) -> dict[str, str]:
    return {**os.environ, **hub.environment(home)}


def test_a_name_and_a_revision_are_fetched_once_and_kept_beside_the_hubs_cache(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = prepare(f"{MODEL_ID}@v1", environment(hub, tmp_path))
    assert (base.id, base.revision) == (MODEL_ID, REVISION)
    assert base.folder.is_relative_to(tmp_path) and (base.folder / "model.safetensors").is_file()
    assert json.loads((base.folder / "wordsight.json").read_text())["version"] == f"{MODEL_ID}@{REVISION[:12]}"
    assert base.context == [f"model_id={MODEL_ID}", f"model_revision={REVISION}"]
    sent = len(hub.sent)
    assert prepare(f"https://huggingface.co/{MODEL_ID}/tree/{REVISION}", environment(hub, tmp_path)) == base
    assert len(hub.sent) == sent
    assert capsys.readouterr().out.count("Fetching") == 1


def test_without_the_hub_the_newest_that_was_fetched_is_taken(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "wordsight/somebody--tiny-clip" / REVISION
    kept.mkdir(parents=True)
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    assert prepare(MODEL_ID, nowhere) == Base(MODEL_ID, REVISION, kept)
    assert "can't be reached" in capsys.readouterr().out
    with pytest.raises(LocalError, match=r"somebody/other can't be fetched: the Hugging Face hub can't be reached"):
        prepare("somebody/other", nowhere)


@pytest.mark.parametrize(
    "model, sentence",
    [
        ("somebody/nothing", "there is no model 'somebody/nothing' on the Hugging Face hub, or it is private"),
        (f"{MODEL_ID}@nothing", "has no revision 'nothing'"),
        ("clip", "neither a folder nor a name of the Hugging Face hub's: give a checkpoint's folder, or a name like"),
        ("/no/such/folder", "neither a folder nor a name"),
        ("a b/c", "neither a folder nor a name"),
        (__file__, "a file: give a checkpoint's folder"),
        (str(Path(__file__).parent), "is no checkpoint: it holds __init__.py"),
    ],
)
def test_what_there_is_not_is_said_in_a_sentence(hub: Hub, tmp_path: Path, model: str, sentence: str) -> None:
    with pytest.raises(LocalError) as refused:
        prepare(model, environment(hub, tmp_path))
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


def checkpoint(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"0")
    return folder


def test_a_folder_is_served_as_it_is_and_is_another_model_once_it_changes(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "my clip")
    base = prepare(str(folder), {})
    assert (base.folder, base.id) == (folder, "folder/my-clip")
    assert prepare(f"{folder}/", {}) == base
    (folder / "model.safetensors").write_bytes(b"01")
    assert prepare(str(folder), {}).revision != base.revision


def test_pickled_weights_of_a_folder_are_read_into_a_copy_that_is_kept(
    shipped_as_others_do: Path, tmp_path: Path
) -> None:
    before = {path.name for path in shipped_as_others_do.iterdir()}
    base = prepare(str(shipped_as_others_do), {"HF_HOME": str(tmp_path)})
    assert base.folder.is_relative_to(tmp_path)
    assert {"config.json", "model.safetensors"} <= {path.name for path in base.folder.iterdir()}
    assert not (base.folder / "pytorch_model.bin").exists()
    assert {path.name for path in shipped_as_others_do.iterdir()} == before


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "evil")
    (folder / "model.safetensors").unlink()
    torch.save({"weight": print}, folder / "pytorch_model.bin")
    with pytest.raises(LocalError, match=r"pytorch_model.bin can't be read"):
        prepare(str(folder), {"HF_HOME": str(tmp_path / "home")})


def test_the_images_build_arguments_name_the_folder_and_without_them_it_is_the_shipped_one(
    settings: LocalSettings, tmp_path: Path
) -> None:
    settings.directory.mkdir()
    base = Base("folder/mine", REVISION, tmp_path)
    register(settings, base)
    arguments = {"DEVICE": "cpu", "MODEL_ID": "folder/mine", "MODEL_REVISION": REVISION}
    assert find_base(settings.bases, arguments) == tmp_path
    assert find_base(settings.bases, {"DEVICE": "cpu"}) is None
    assert find_base(settings.bases, {**arguments, "MODEL_REVISION": NEWER}) is None


def test_another_base_than_the_deployed_one_is_noticed_and_so_is_the_way_back(
    settings: LocalSettings, tmp_path: Path
) -> None:
    settings.directory.mkdir()
    base = Base("folder/mine", REVISION, tmp_path)
    assert not register(settings, None)
    assert register(settings, base)
    assert register(settings, base)  # the first one was not deployed
    deployed(settings, base)
    assert not register(settings, base)
    assert register(settings, None)
