"""What a model's name on the hub stands for."""

import json
from collections.abc import Iterator

import pytest

from contract.model_cards import model_card
from operate.hub import HubError, UnreachableError, look_up
from tests.hub import MODEL_ID, REVISION, Hub, Repository, serving

NEWER = "f" * 40


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("repository")
    (folder / "config.json").write_text(json.dumps({}))
    repository = Repository({REVISION: folder, NEWER: folder}, {"main": NEWER, "v1": REVISION})
    with serving({MODEL_ID: repository, "openai/clip-vit-base-patch32": repository}) as hub:
        yield hub


@pytest.mark.parametrize("revision, commit", [("", NEWER), ("main", NEWER), ("v1", REVISION), (REVISION, REVISION)])
def test_a_name_of_a_revision_stands_for_a_commit(hub: Hub, revision: str, commit: str) -> None:
    assert look_up(MODEL_ID, revision, hub.url).revision == commit


def test_a_well_known_one_is_known_by_its_name(hub: Hub) -> None:
    known = look_up("openai/clip-vit-base-patch32", "", hub.url)
    assert known.card == model_card("openai/clip-vit-base-patch32")


@pytest.mark.parametrize(
    "model_id, revision, sentence",
    [
        ("somebody/nothing", "", "there is no model 'somebody/nothing' on the Hugging Face hub, or it is private"),
        (MODEL_ID, "v2", "somebody/tiny-clip has no revision 'v2'"),
        ("a/b/c", "", "'a/b/c' is no name of the hub's"),
    ],
)
def test_what_there_is_not_is_said_with_what_to_do(hub: Hub, model_id: str, revision: str, sentence: str) -> None:
    with pytest.raises(HubError) as refused:
        look_up(model_id, revision, hub.url)
    assert sentence in str(refused.value) and not isinstance(refused.value, UnreachableError)


def test_a_hub_that_does_not_answer_is_another_thing_than_one_that_says_no() -> None:
    with pytest.raises(UnreachableError, match="can't be reached"):
        look_up(MODEL_ID, "", "http://127.0.0.1:9")
