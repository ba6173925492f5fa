"""The model of a stage: pinned in the stage's file, and held against what the stage is for."""

from pathlib import Path

import pytest

from contract.model_cards import ModelCard, model_card
from operate.base_model import base_model, pin_model
from operate.findings import Finding
from operate.hub import HubError, HubModel, UnreachableError
from operate.stage import OperatorError
from stacks.config import StageConfig
from stacks.stage_files import stage_config

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OPENAI, THEIRS = "openai/clip-vit-large-patch14", "facebook/metaclip-b32-400m"


def newest(model_id: str, revision: str) -> HubModel:
    return HubModel(model_id, revision or COMMIT, model_card(model_id), 0)


def unreachable(model_id: str, revision: str) -> HubModel:
    raise UnreachableError("the hub can't be reached")


def unknown(model_id: str, revision: str) -> HubModel:
    raise HubError(f"there is no model {model_id!r}")


def test_a_model_without_a_revision_gets_the_newest_into_the_stages_file(tmp_path: Path) -> None:
    file = tmp_path / "dev.toml"
    file.write_text(f'# Mine\nmodel_id = "{OPENAI}"  # large\nexact = true')
    said = pin_model("dev", [], tmp_path, newest)
    assert said is not None and str(file) in said and COMMIT in said
    assert file.read_text() == f'# Mine\nmodel_id = "{OPENAI}"  # large\nmodel_revision = "{COMMIT}"\nexact = true'
    assert stage_config("dev", tmp_path).model_revision == COMMIT
    assert pin_model("dev", [], tmp_path, unknown) is None


def test_it_is_written_where_the_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").write_text(f'model_id = "{OPENAI}"')
    (tmp_path / "alice.toml").write_text('inherit = "dev"\n')
    assert pin_model("alice", [], tmp_path, newest)
    assert (tmp_path / "alice.toml").read_text() == 'inherit = "dev"\n'
    assert stage_config("alice", tmp_path).model_revision == COMMIT


@pytest.mark.parametrize(
    "text", ["exact = true", f'model_id = "{OPENAI}"\nmodel_revision = "{"f" * 40}"', "not TOML ["]
)
def test_any_other_file_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "dev.toml").write_text(text)
    assert pin_model("dev", [], tmp_path, unknown) is None
    assert (tmp_path / "dev.toml").read_text() == text
    assert pin_model("nobody", [], tmp_path, unknown) is None


def test_a_model_given_for_one_command_is_refused_with_the_revision_to_add(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").write_text("")
    with pytest.raises(OperatorError, match=f"-c model_id={OPENAI} -c model_revision={COMMIT}"):
        pin_model("dev", [f"model_id={OPENAI}"], tmp_path, newest)
    assert pin_model("dev", [f"model_id={OPENAI}", f"model_revision={COMMIT}"], tmp_path, unknown) is None


def test_without_the_hub_the_line_to_add_is_said(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").write_text(f'model_id = "{OPENAI}"')
    with pytest.raises(OperatorError, match=r'hub can.t be reached. Or add model_revision = "COMMIT"'):
        pin_model("dev", [], tmp_path, unreachable)


def found(look_up: object = newest, **knobs: object) -> list[Finding]:
    return list(base_model(StageConfig(stage="dev", **knobs), look_up))  # type: ignore[arg-type]


def test_the_licence_of_the_model_is_held_against_what_the_stage_is_for() -> None:
    assert found() == []
    (fine,) = found(model_id=OPENAI, model_revision=COMMIT, commercial=True)
    assert (fine.level, "MIT" in fine.text) == ("ok", True)
    (refused,) = found(model_id=THEIRS, model_revision=COMMIT, commercial=True)
    assert refused.level == "failure" and "CC-BY-NC-4.0" in refused.text and "commercial = false" in refused.text
    (allowed,) = found(model_id=THEIRS, model_revision=COMMIT)
    assert allowed.level == "ok"


def test_it_is_so_without_the_hub_too() -> None:
    warned, refused = found(unreachable, model_id=THEIRS, model_revision=COMMIT, commercial=True)
    assert (warned.level, refused.level) == ("warning", "failure")


def test_a_commit_that_is_not_there_is_found_before_the_build() -> None:
    (failure,) = found(unknown, model_id=THEIRS, model_revision=COMMIT)
    assert failure.level == "failure" and "there is no model" in failure.text


def test_a_licence_that_nobody_knows_is_a_warning_where_it_matters() -> None:
    def silent(model_id: str, revision: str) -> HubModel:
        return HubModel(model_id, revision, ModelCard(), 0)

    model = {"model_id": "somebody/clip", "model_revision": COMMIT}
    assert [each.level for each in found(silent, **model, commercial=True)] == ["warning"]
    assert [each.level for each in found(silent, **model)] == ["ok"]
