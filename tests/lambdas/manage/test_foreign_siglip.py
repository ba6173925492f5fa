"""A SigLIP that somebody brings along, through the API's function."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lambdas.manage.conftest import Stage, add
from tests.model.siglips import gemma_tokenizer, write_first_siglip, write_siglip

SAFE, CONFIG, PROCESSOR = "model.safetensors", "config.json", "preprocessor_config.json"
TOKENIZER, SETTINGS = "tokenizer.json", "tokenizer_config.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("siglip")
    write_siglip(directory, gemma_tokenizer())
    return directory


@pytest.fixture
def brought(stage: Stage, folder: Path) -> Stage:
    upload(stage, folder)
    return stage


def upload(stage: Stage, folder: Path) -> None:
    for path in folder.iterdir():
        stage.bucket.upload_file(str(path), f"models/mine/{path.name}")


def test_siglip_2_and_the_first_one_are_registered(brought: Stage, tmp_path: Path) -> None:
    answer = add(brought)
    assert (answer.status, answer.json["served_version"]) == (201, "tiny-siglip"), answer.text
    write_first_siglip(tmp_path)
    upload(brought, tmp_path)
    answer = add(brought, version="mine-2")
    assert (answer.status, answer.json["served_version"]) == (201, "tiny-siglip-1"), answer.text


def edited(name: str, *path: str, value: Any) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        whole = part = json.loads(files[name])
        for step in path[:-1]:
            part = part[step]
        part[path[-1]] = value
        files[name] = json.dumps(whole).encode()

    return change


def header(tensor: str, **changes: Any) -> Callable[[dict[str, bytes]], None]:
    """Another header of the weights; None takes a member away."""

    def change(files: dict[str, bytes]) -> None:
        length = int.from_bytes(files[SAFE][:8], "little")
        found = json.loads(files[SAFE][8 : 8 + length])
        found[tensor] |= changes
        content = json.dumps(found).encode()
        files[SAFE] = len(content).to_bytes(8, "little") + content + files[SAFE][8 + length :]

    return change


def number(tensor: str, value: float) -> Callable[[dict[str, bytes]], None]:
    """A tensor that begins with another number of 32 bits."""

    def change(files: dict[str, bytes]) -> None:
        length = int.from_bytes(files[SAFE][:8], "little")
        first = 8 + length + json.loads(files[SAFE][8 : 8 + length])[tensor]["data_offsets"][0]
        files[SAFE] = files[SAFE][:first] + struct.pack("<f", value) + files[SAFE][first + 4 :]

    return change


HOSTILE: dict[str, tuple[Callable[[dict[str, bytes]], None], str]] = {
    "NaFlex": (edited(CONFIG, "model_type", value="siglip2"), "'siglip2' is not served, allowed are 'clip' and"),
    "code of its own": (edited(CONFIG, "auto_map", value={"AutoModel": "evil.Model"}), "auto_map is given"),
    "CLIP's weights wanted": (edited(CONFIG, "model_type", value="clip"), "224 x 224 pixels, and the model reads 32"),
    "no head": (edited(CONFIG, "vision_config", "vision_use_head", value=False), "vision_use_head"),
    "a width of 10^30": (edited(CONFIG, "text_config", "hidden_size", value=10**30), "text_config.hidden_size"),
    "one layer more": (edited(CONFIG, "text_config", "num_hidden_layers", value=3), "lack 16 tensors of a SigLIP"),
    "another context": (edited(CONFIG, "text_config", "max_position_embeddings", value=77), "asks for [77, 32]"),
    "another image size": (edited(CONFIG, "vision_config", "image_size", value=64), "reads 64 x 64"),
    "another space": (edited(CONFIG, "text_config", "projection_size", value=16), "not one space"),
    "another kind of processor": (
        edited(PROCESSOR, "image_processor_type", value="ViTImageProcessor"),
        "allowed is 'SiglipImageProcessor'",
    ),
    "a spread of 0": (edited(PROCESSOR, "image_std", value=[0.5, 0.0, 0.5]), "image_std"),
    "an oblong": (edited(PROCESSOR, "size", value={"height": 32, "width": 16}), "32 x 16"),
    "SentencePiece's file alone": (
        lambda files: files.update({"spiece.model": files.pop(TOKENIZER)}),
        "lacks a tokenizer: tokenizer.json",
    ),
    "an older tokenizer": (
        lambda files: files.update({"vocab.json": files.pop(TOKENIZER)}),
        "a SigLIP needs a tokenizer.json",
    ),
    "a tokenizer of another kind": (edited(SETTINGS, "tokenizer_class", value="BertTokenizer"), "'BertTokenizer'"),
    "a token without a row": (edited(TOKENIZER, "model", "vocab", "zebra", value=10**6), "'zebra' the number 1000000"),
    "a scale that is NaN": (number("logit_scale", float("nan")), "logit_scale is nan"),
    "a bias that is infinite": (number("logit_bias", float("-inf")), "logit_bias is -inf"),
    "a bias beyond reason": (number("logit_bias", 1e30), "logit_bias is 1e+30, allowed is a number between -10000"),
    "a scale without a place": (header("logit_scale", shape=[]), "logit_scale has the shape [], and config.json asks"),
    "a bias of whole numbers": (header("logit_bias", dtype="I32"), "of the type I32"),
    "a probe that is NaN": (number("vision_model.head.probe", float("nan")), "vision_model.head.probe holds numbers"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_the_endpoint_could_not_load_is_refused_with_the_reason(stage: Stage, folder: Path, kind: str) -> None:
    change, said = HOSTILE[kind]
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    change(files)
    for name, content in files.items():
        stage.bucket.put_object(Key=f"models/mine/{name}", Body=content)
    answer = add(stage)
    assert answer.status == 400, answer.text
    assert said in answer.detail and len(answer.text) < 4_000
