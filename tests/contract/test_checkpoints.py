"""A folder that could be served. What is refused: tests/lambdas/manage/test_foreign_checkpoint.py."""

import json
from pathlib import Path
from typing import Any

import pytest

from contract.checkpoints import Calibration, CheckpointMetadata, check_checkpoint, read_golden, read_metadata
from contract.models import METADATA
from contract.problems import BadRequest
from contract.validation import validate

SHIPPED = Path(__file__).parents[2] / "model/shipped"


class Folder:
    """The shipped checkpoint, with what each read cost."""

    def __init__(self) -> None:
        self.reads: dict[str, int] = {}

    def sizes_bytes(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in SHIPPED.iterdir()}

    def read(self, name: str, *, first: int = 0, size_bytes: int = 2**23) -> bytes:
        content = (SHIPPED / name).read_bytes()[first : first + size_bytes]
        self.reads[name] = self.reads.get(name, 0) + len(content)
        return content


def test_of_the_weights_a_header_and_one_number_are_read() -> None:
    folder = Folder()
    metadata, tensors, *_ = check_checkpoint(folder, "here")
    assert metadata == read_metadata((SHIPPED / METADATA).read_bytes())
    assert folder.reads["model.safetensors"] == tensors["text_model.embeddings.position_embedding.weight"].first


def test_what_is_written_is_what_is_read() -> None:
    metadata = CheckpointMetadata(version="a@1/b", metrics={"step": 3}, calibration=Calibration(temperature=2))
    assert read_metadata(metadata.model_dump_json().encode()) == metadata
    with pytest.raises(BadRequest, match=r"wordsight.json: version: is missing"):
        read_metadata(b"{}")


@pytest.mark.parametrize("temperature", [0, -1, 1e-300, 1e300, float("nan"), float("inf"), "1", True])
def test_a_temperature_leaves_scores_between_0_and_1(temperature: Any) -> None:
    with pytest.raises(BadRequest, match="temperature"):
        validate(Calibration, {"temperature": temperature})


def test_golden_questions_are_lines() -> None:
    said = {"inputs": "aQ==", "parameters": {}, "scores": [{"label": "a\u2028b", "score": 1}]}
    line = json.dumps(said, ensure_ascii=False)
    (one, other) = read_golden(f"{line}\n\n{line}\r\n".encode())
    assert one == other and one.scores[0].label == "a\u2028b"
    assert read_golden(None) == read_golden(b"\n") == []
