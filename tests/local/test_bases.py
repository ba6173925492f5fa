"""Which checkpoint stands in the images: one of the hub, which is kept, or a folder."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.bases import Base, deployed, find_base, prepare, register
from local.settings import LocalSettings
from tests.hub import MODEL_ID, REVISION, Hub, Repository, publish, serving


@pytest.fixture
def hub(shipped_as_others_do: Path, tmp_path: Path) -> Iterator[Hub]:
    """With one model."""
    with serving({MODEL_ID: Repository({REVISION: shipped_as_others_do}, {"v1": REVISION})}) as hub:
        yield hub


@pytest.fixture(scope="session")
def shipped_as_others_do(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "clip"
    publish(Path(__file__).parents[2] / "model/shipped", folder)
    return folder


def environment(hub: Hub, home: Path) -> dict[str, str]:
    return {**os.environ, **hub.environment(home)}


@pytest.mark.slow
def test_a_name_and_a_revision_are_fetched_once_and_kept_beside_the_hubs_cache(hub: Hub, tmp_path: Path) -> None:
    base = prepare(f"{MODEL_ID}@v1", environment(hub, tmp_path))
    assert (base.id, base.revision) == (MODEL_ID, REVISION)
    assert base.folder.is_relative_to(tmp_path) and (base.folder / "model.safetensors").is_file()
    assert json.loads((base.folder / "wordsight.json").read_text())["version"] == f"{MODEL_ID}@{REVISION[:12]}"
    assert base.context == [f"model_id={MODEL_ID}", f"model_revision={REVISION}"]
    sent = len(hub.sent)
    assert prepare(f"{MODEL_ID}@v1", environment(hub, tmp_path)) == base
    assert prepare(f"{MODEL_ID}@v1", {**environment(hub, tmp_path), "HF_HUB_OFFLINE": "1"}) == base
    assert len(hub.sent) == sent


@pytest.mark.slow
@pytest.mark.parametrize(
    "model, sentence",
    [("somebody/nothing", "the hub has no model somebody/nothing"), ("/no/such", "there is no folder /no/such")],
)
def test_what_there_is_not_is_said_in_a_sentence(
    hub: Hub, tmp_path: Path, capfd: pytest.CaptureFixture[str], model: str, sentence: str
) -> None:
    with pytest.raises(SystemExit):
        prepare(model, environment(hub, tmp_path))
    said = capfd.readouterr().err
    assert sentence in said and said.count("\n") == 1


def checkpoint(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"0")
    return folder


def test_a_folder_is_served_as_it_is_and_is_another_model_once_it_changes(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "my clip")
    (folder / "wordsight.json").write_text('{"version": "mine"}')
    base = prepare(str(folder), {})
    assert (base.folder, base.id) == (folder, "folder/my-clip")
    assert prepare(f"{folder}/", {}) == base
    (folder / "model.safetensors").write_bytes(b"01")
    assert prepare(str(folder), {}).revision != base.revision


def test_a_folder_without_a_version_is_given_one_beside_links_to_its_files(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "my clip")
    environ = {"HF_HOME": str(tmp_path / "home")}
    base = prepare(str(folder), environ)
    assert (base.folder / "model.safetensors").resolve() == folder / "model.safetensors"
    said = json.loads((base.folder / "wordsight.json").read_text())
    assert said == {"version": f"folder/my-clip@{base.revision[:12]}"}
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}
    assert prepare(str(folder), environ) == base
    (base.folder / "wordsight.json").unlink()  # as if its making had been interrupted
    assert prepare(str(folder), environ) == base and (base.folder / "wordsight.json").is_file()


@pytest.mark.slow
def test_pickled_weights_of_a_folder_are_read_into_a_copy_that_is_kept(
    shipped_as_others_do: Path, tmp_path: Path
) -> None:
    before = {path.name for path in shipped_as_others_do.iterdir()}
    base = prepare(str(shipped_as_others_do), {**os.environ, "HF_HOME": str(tmp_path)})
    assert base.folder.is_relative_to(tmp_path)
    assert {"config.json", "model.safetensors", "wordsight.json"} <= {path.name for path in base.folder.iterdir()}
    assert not (base.folder / "pytorch_model.bin").exists()
    assert {path.name for path in shipped_as_others_do.iterdir()} == before


@pytest.mark.slow
def test_a_folder_that_is_none_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = checkpoint(tmp_path / "photos")
    (folder / "config.json").unlink()
    with pytest.raises(SystemExit):
        prepare(str(folder), {**os.environ, "HF_HOME": str(tmp_path / "home")})
    assert "is no CLIP" in capfd.readouterr().err


def test_the_images_build_arguments_name_the_folder_and_without_them_it_is_the_shipped_one(
    settings: LocalSettings, tmp_path: Path
) -> None:
    settings.directory.mkdir()
    base = Base("folder/mine", REVISION, tmp_path)
    register(settings, base)
    arguments = {"DEVICE": "cpu", "MODEL_ID": "folder/mine", "MODEL_REVISION": REVISION}
    assert find_base(settings.bases, arguments) == tmp_path
    assert find_base(settings.bases, {"DEVICE": "cpu"}) is None
    assert find_base(settings.bases, {**arguments, "MODEL_REVISION": "f" * 40}) is None


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
