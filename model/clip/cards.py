"""The model card of a checkpoint's folder, from its `wordsight.json` and its `README.md`."""

from pathlib import Path

from contract.checkpoints import read_metadata
from contract.model_cards import MAX_HEAD_BYTES, ModelCard, head_of, model_card
from contract.models import METADATA, README
from contract.problems import BadRequest


def checkpoint_card(directory: Path) -> ModelCard:
    """What is known of the model in a folder; of one that can't be read, or is none, nothing is."""
    readme, metadata = b"", None
    try:
        if (directory / README).is_file():
            with (directory / README).open("rb") as file:
                readme = file.read(MAX_HEAD_BYTES)
        if (directory / METADATA).is_file():
            metadata = read_metadata((directory / METADATA).read_bytes())
    except (OSError, BadRequest):
        return ModelCard()
    return metadata.card(readme) if metadata else model_card(said=head_of(readme))
