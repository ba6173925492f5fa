"""The card of a checkpoint's folder."""

from pathlib import Path

from contract.model_cards import UNKNOWN, ModelCard
from model.clip.cards import checkpoint_card

SHIPPED = Path(__file__).parents[3] / "model/shipped"


def test_the_shipped_model_says_that_it_knows_drawings_and_no_photographs() -> None:
    card = checkpoint_card(SHIPPED)
    assert "drawings" in card.knows and "never seen a photograph" in card.knows
    assert (card.languages, card.licence) == (["en"], "MIT")


def test_a_fetched_one_is_known_by_its_name_and_another_by_its_readme(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    assert checkpoint_card(tmp_path) == ModelCard(knows=UNKNOWN, licence="cc-by-4.0")
    (tmp_path / "wordsight.json").write_text('{"version": "openai/clip-vit-base-patch16@0123456789ab"}')
    assert "photographs" in checkpoint_card(tmp_path).knows


def test_nothing_is_known_of_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "wordsight.json").write_text("{")
    assert checkpoint_card(tmp_path) == checkpoint_card(tmp_path / "absent") == ModelCard()
