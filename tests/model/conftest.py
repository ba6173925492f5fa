"""A tiny CLIP with random weights, built in code: everything a real checkpoint has, in a fraction of a second."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from contract.checkpoints import Calibration, CheckpointMetadata, MultiLabelCalibration
from model.clip.checkpoint import save_checkpoint
from model.training.loop import Loop
from tests.model.loops import ALONE, QUICK, build_loop, lay_out_job
from tests.model.siglips import gemma_tokenizer, write_siglip

IMAGE_SIDE_PX = 32
CONTEXT_LENGTH = 48
START, END = "<|startoftext|>", "<|endoftext|>"


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


def tiny_tokenizer() -> CLIPTokenizer:
    """Every letter, digit and punctuation mark is a token; the ids of start and end are the two highest, as CLIP's."""
    characters = [chr(code) for code in range(33, 127)]
    pieces = [*characters, *(character + "</w>" for character in characters), START, END]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], unk_token=END, bos_token=START, eos_token=END, pad_token=END)
    tokenizer.model_max_length = CONTEXT_LENGTH
    return tokenizer


def tiny_model(tokenizer: CLIPTokenizer, seed: int = 0) -> CLIPModel:
    torch.manual_seed(seed)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": CONTEXT_LENGTH,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = CLIPConfig(
        text_config={**tower, **text},
        vision_config={**tower, "image_size": IMAGE_SIDE_PX, "patch_size": 8},
        projection_dim=16,
        initializer_factor=5.0,  # weights large enough that different images and words get different scores
    )
    return CLIPModel(config).eval()


def tiny_processor() -> CLIPImageProcessorPil:
    side = {"height": IMAGE_SIDE_PX, "width": IMAGE_SIDE_PX}
    return CLIPImageProcessorPil(size={"shortest_edge": IMAGE_SIDE_PX}, crop_size=side)


@pytest.fixture(scope="session")
def checkpoint_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete uncalibrated checkpoint folder. Read it only: all tests share it."""
    directory = tmp_path_factory.mktemp("tiny-clip")
    tokenizer = tiny_tokenizer()
    metadata = CheckpointMetadata(version="tiny-1")
    save_checkpoint(directory, tiny_model(tokenizer), tokenizer, tiny_processor(), metadata)
    return directory


@pytest.fixture(scope="session")
def calibrated_checkpoint_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights with a fitted temperature and multi-label scores."""
    directory = tmp_path_factory.mktemp("tiny-clip-calibrated")
    tokenizer = tiny_tokenizer()
    calibration = Calibration(temperature=2.0, multi_label=MultiLabelCalibration(a=3.0, b=-1.0))
    metadata = CheckpointMetadata(version="tiny-2", parent="tiny-1", calibration=calibration)
    save_checkpoint(directory, tiny_model(tokenizer), tokenizer, tiny_processor(), metadata)
    return directory


@pytest.fixture(scope="session")
def siglip_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SigLIP 2 as a complete uncalibrated folder. Read it only: all tests share it."""
    directory = tmp_path_factory.mktemp("tiny-siglip")
    write_siglip(directory, gemma_tokenizer())
    return directory


@pytest.fixture
def coloured_job(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job that teaches four colours to the tiny CLIP."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.setenv("BASE_MODEL_DIR", str(checkpoint_dir))
    lay_out_job(tmp_path, QUICK)
    return tmp_path


@pytest.fixture
def patterned(coloured_job: Path) -> None:
    """The images of that job in patterns: of a plain one any part looks like all of it."""
    rng = np.random.default_rng(0)
    for path in (coloured_job / "input/data/train").glob("*.png"):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((40, 40)).save(path)


@pytest.fixture
def loop_of(coloured_job: Path) -> Iterator[Callable[..., Loop]]:
    """Loops of that job in this process."""
    loops: list[Loop] = []

    def build(**values: object) -> Loop:
        loops.append(build_loop(ALONE, **values))
        return loops[-1]

    yield build
    for loop in loops:
        loop.prefetcher.close()
