"""What serving and training are measured with."""

import io
from pathlib import Path

from PIL import Image
from transformers import CLIPConfig

from benchmarks import SHIPPED
from benchmarks.inputs import CONTEXT_LENGTH, clip_config, photo, write_checkpoint
from model.clip.checkpoint import load_checkpoint


def test_a_photo_is_as_large_as_a_cameras_and_a_function_of_its_seed() -> None:
    first, again, other = (photo((640, 480), seed) for seed in (0, 0, 1))
    assert first == again != other
    assert 60_000 < len(first) < 110_000
    assert Image.open(io.BytesIO(first)).size == (640, 480)


def test_the_default_shape_is_the_one_of_openais_vit_b32() -> None:
    ours, theirs = clip_config().to_dict(), CLIPConfig().to_dict()
    assert ours == theirs


def test_narrow_towers_have_narrow_heads() -> None:
    config = clip_config(vision=(192, 4), text=(8, 1))
    assert (config.vision_config.num_attention_heads, config.text_config.num_attention_heads) == (6, 1)


def test_a_checkpoint_has_the_same_random_weights_each_time_and_is_written_once(tmp_path: Path) -> None:
    tokenizer = load_checkpoint(SHIPPED).tokenizer
    config = clip_config(vision=(32, 1), text=(32, 1), image_px=64, patch_px=16, vocabulary=len(tokenizer))
    for name in ("first", "second"):
        write_checkpoint(tmp_path / name, config, tokenizer)
    first, second = (tmp_path / name / "model.safetensors" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    first.write_bytes(b"kept")
    write_checkpoint(tmp_path / "first", config, tokenizer)
    assert first.read_bytes() == b"kept"
    checkpoint = load_checkpoint(tmp_path / "second")
    assert checkpoint.processor.crop_size.height == 64
    assert checkpoint.model.config.text_config.eos_token_id == tokenizer.eos_token_id
    assert checkpoint.model.config.text_config.max_position_embeddings == CONTEXT_LENGTH
