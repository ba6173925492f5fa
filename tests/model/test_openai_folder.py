"""OpenAI's CLIPs as the hub has them go all the way: fetched, served as transformers serves them, and fine-tuned."""

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

from contract.questions import Parameters
from contract.requests import ClassifyRequest
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from model.serving.engine import Engine
from model.serving.towers import Towers
from model.serving.towers.torch import TorchTowers
from model.training.loop import Loop
from tests.hub import MODEL_ID, REVISION, Repository, serving
from tests.model.conftest import tiny_model, tiny_tokenizer
from tests.model.loops import exported
from tests.model.serving.engines import build_engine
from tests.model.serving.test_engine import answer
from tests.model.serving.test_exactness import photo
from tests.model.serving.towers.built import cpu_towers
from tests.openai_folder import save_openai_folder

pytestmark = pytest.mark.slow

LABELS = ["a cat", "a red bicycle", "rain on a window", "five"]
MAX_DIFFERENCE = 1e-4


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "clip"
    tokenizer = tiny_tokenizer()
    save_openai_folder(folder, tiny_model(tokenizer), tokenizer)
    return folder


@pytest.fixture(scope="module")
def fetched(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fetched")
    with serving({MODEL_ID: Repository.of(published)}) as hub:
        program = [sys.executable, "-m", "model.clip.fetch", f"{MODEL_ID}@main", str(root / "base")]
        environment = {**os.environ, **hub.environment(root / "home")}
        done = subprocess.run(program, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == f"{MODEL_ID}@{REVISION}\n"
    return root / "base"


def largest_difference(engine: Engine, published: Path) -> float:
    """From the scores that transformers makes of the files as they were published."""
    model = CLIPModel.from_pretrained(published, use_safetensors=False).eval()
    assert model.config.text_config.eos_token_id == 2
    texts = AutoTokenizer.from_pretrained(published)(LABELS, padding=True, return_tensors="pt")
    image = photo()
    pixels = CLIPImageProcessorPil.from_pretrained(published)(image, return_tensors="pt")
    with torch.inference_mode():
        expected = model(**texts, **pixels).logits_per_image.softmax(dim=1)[0].tolist()
    assert 0.3 < max(expected) < 0.999, "scores that are all alike, or 1 and 0, show no difference"
    image.save(file := io.BytesIO(), "PNG")
    asked = ClassifyRequest([file.getvalue()], Parameters(candidate_labels=LABELS, hypothesis_template="{}"))
    scores = {each["label"]: each["score"] for each in json.loads(asyncio.run(answer(engine, asked)))}
    return max(abs(scores[label] - score) for label, score in zip(LABELS, expected, strict=True))


def torch_towers(folder: Path) -> Towers:
    return TorchTowers(Clip(load_checkpoint(folder)), workers=1)


@pytest.mark.parametrize("towers", [torch_towers, cpu_towers])
def test_it_is_served_as_transformers_serves_it(
    published: Path, fetched: Path, towers: Callable[[Path], Towers]
) -> None:
    assert largest_difference(build_engine(fetched, towers(fetched)), published) <= MAX_DIFFERENCE


def test_three_steps_of_training_make_a_checkpoint_of_it(
    fetched: Path, coloured_job: Path, loop_of: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE_MODEL_DIR", str(fetched))
    loop = loop_of(steps="3")
    for _ in range(3):
        loop.take_step()
    exported(loop)
    before, after = load_checkpoint(fetched), load_checkpoint(coloured_job / "model")
    assert after.metadata.parent == before.metadata.version == f"{MODEL_ID}@{REVISION[:12]}"
    assert after.tokenizer(LABELS)["input_ids"] == before.tokenizer(LABELS)["input_ids"]
    name = "visual_projection.weight"
    assert not torch.equal(after.model.state_dict()[name], before.model.state_dict()[name])
