"""What a training's program tells of itself, from the file to the answer."""

import pytest
from pydantic import ValidationError

from contract.progress import (
    MAX_HISTORY_POINTS,
    MAX_PROGRESS_BYTES,
    PHASES_IN_WORDS,
    HistoryPoint,
    TrainingProgress,
    progress_key,
)


def curves(points: int) -> list[HistoryPoint]:
    number = 0.123456
    return [
        HistoryPoint(step=10**7 + step, loss=number, validation_loss=number, accuracy=number) for step in range(points)
    ]


def test_the_longest_file_is_read_in_one_look_and_comes_back_as_it_was() -> None:
    told = TrainingProgress(phase="training", updated_s=1.8e9, history=curves(MAX_HISTORY_POINTS))
    content = told.model_dump_json().encode()
    assert len(content) < MAX_PROGRESS_BYTES
    assert TrainingProgress.read(content) == told
    with pytest.raises(ValidationError):
        TrainingProgress(phase="training", updated_s=1.8e9, history=curves(MAX_HISTORY_POINTS + 1))


def test_what_is_no_such_file_says_nothing() -> None:
    assert [TrainingProgress.read(content) for content in (None, b"", b"{", b'{"phase": "training"}')] == [None] * 4


def test_every_phase_has_its_words_and_the_file_lies_with_the_states() -> None:
    assert all(TrainingProgress(phase=phase, updated_s=0) for phase in PHASES_IN_WORDS)
    assert progress_key("20260101000000-abcdef") == "checkpoints/20260101000000-abcdef/progress.json"
