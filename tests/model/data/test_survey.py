"""Facts about a dataset: what is there twice, and what a model can't spell."""

from pathlib import Path

from PIL import Image

from contract.hyperparameters import Hyperparameters
from model.data.survey import survey
from tests.model.conftest import CONTEXT_LENGTH, tiny_tokenizer
from tests.model.data.test_main import dataset


def test_images_on_both_sides_of_a_split_are_named(tmp_path: Path) -> None:
    dataset(tmp_path)
    (tmp_path / "9.png").write_bytes((tmp_path / "0.png").read_bytes())
    Image.open(tmp_path / "1.png").resize((100, 100)).save(tmp_path / "10.png", "JPEG", quality=80)
    (tmp_path / "3.png").write_bytes((tmp_path / "2.png").read_bytes())
    report = survey(tmp_path, Hyperparameters(), None, 0)
    assert report.same_file == [("2.png", "3.png"), ("0.png", "9.png")]
    assert report.same_file_across_splits == [("0.png", "9.png")]
    assert report.look_alike_across_splits == [("9.png", "0.png"), ("10.png", "1.png")]


def test_what_the_model_cuts_off_and_cannot_spell_is_counted(tmp_path: Path) -> None:
    dataset(tmp_path, ["x " * 60, "a b c", "fish fish"])
    reading = survey(tmp_path, Hyperparameters(), tiny_tokenizer(), CONTEXT_LENGTH).reading
    assert reading is not None
    assert (reading.captions, reading.too_long) == (48, 12)
    assert reading.frequent_unknown == {"fish": 24, "number": 12}
    assert (reading.words, reading.known_words) == (12 * 66, 12 * 63)
