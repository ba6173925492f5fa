"""Golden questions, asked of the code that serves."""

import asyncio
import json
from pathlib import Path

import pytest

from contract.models import GOLDEN
from contract.requests import parse_request
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.clip.golden import PARAMETERS, write_golden
from model.world.examples import GOLDEN_QUESTIONS, golden_scenes
from model.world.scene import COLOURS, SHAPES, THINGS
from tests.model.serving.engines import build_engine
from tests.model.serving.test_engine import answer


@pytest.mark.slow
def test_the_served_checkpoint_answers_as_is_written_down(calibrated_checkpoint_dir: Path, tmp_path: Path) -> None:
    clip = Clip(load_checkpoint(calibrated_checkpoint_dir))
    write_golden(tmp_path, clip, clip.calibration, golden_scenes())
    lines = (tmp_path / GOLDEN).read_text().splitlines()
    assert len(lines) == GOLDEN_QUESTIONS
    engine = build_engine(clip)
    tops = set()
    for line in lines:
        question = json.loads(line)
        scores = {each["label"]: each["score"] for each in question.pop("scores")}
        request = parse_request("application/json", json.dumps(question).encode())
        answered = {each["label"]: each["score"] for each in json.loads(asyncio.run(answer(engine, request)))}
        assert answered.keys() == scores.keys()
        assert max(abs(answered[label] - scores[label]) for label in scores) < 1e-5
        tops.add(max(scores.values()))
    assert len(tops) > 2  # the questions tell images apart


def test_the_questions_are_about_what_the_world_shows() -> None:
    things, colours = (parameters["candidate_labels"] for parameters in PARAMETERS)
    assert (things, colours) == ([*SHAPES, *THINGS], list(COLOURS))
