"""Checkpoints that somebody brings along, through the API's function."""

import json

import pytest

from tests.lambdas.manage.conftest import SHIPPED, Stage, add


def test_a_checkpoint_of_ones_own_is_registered_by_what_it_says(uploaded: Stage) -> None:
    answer = add(uploaded, parent="base")
    assert answer.status == 201, answer.text
    metadata = json.loads((SHIPPED / "wordsight.json").read_text())
    assert answer.json["served_version"] == metadata["version"]
    assert (answer.json["source"], answer.json["parent"], answer.json["gate"]) == ("import", "base", None)
    assert uploaded.ask("POST", "/models/mine-1/promote").status == 202


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", b'{"model_type": "bert"}', "model_type 'bert'"),
        ("config.json", b"{", "config.json can't be read as JSON"),
        ("config.json", None, "lacks a configuration"),
        ("model.safetensors", None, "lacks weights"),
        ("tokenizer.json", None, "lacks a tokenizer"),
        ("preprocessor_config.json", None, "lacks image sizes"),
        ("pytorch_model.bin", b"\x80", "is a pickle, which runs code"),
        ("model.safetensors", b"\x80\x04\x95 a pickle by another name", "is no safetensors file"),
        ("model.safetensors", (SHIPPED / "model.safetensors").read_bytes()[:-1], "send it again"),
        ("model.safetensors", b"\x10" + b"\0" * 7 + b'{"x": {"y": [1]}}'[:16], "can't be read as JSON"),
        ("model.safetensors", b"\x2a" + b"\0" * 7 + b'{"logit_scale": {"data_offsets": [0, 2]}} ' + b"\0\0", "lack"),
    ],
)
def test_what_the_endpoint_could_not_load_is_refused(
    uploaded: Stage, name: str, content: bytes | None, said: str
) -> None:
    if content is None:
        uploaded.bucket.Object(f"models/mine/{name}").delete()
    else:
        uploaded.bucket.put_object(Key=f"models/mine/{name}", Body=content)
    answer = add(uploaded)
    assert answer.status == 400 and said in answer.detail


def test_shards_are_looked_at_one_by_one(uploaded: Stage) -> None:
    weights = (SHIPPED / "model.safetensors").read_bytes()
    uploaded.bucket.Object("models/mine/model.safetensors").delete()
    uploaded.bucket.put_object(Key="models/mine/model-1.safetensors", Body=weights)
    index = {"weight_map": {"logit_scale": "model-1.safetensors"}}
    uploaded.bucket.put_object(Key="models/mine/model.safetensors.index.json", Body=json.dumps(index))
    assert add(uploaded).status == 201
    index["weight_map"]["other"] = "model-2.safetensors"
    uploaded.bucket.put_object(Key="models/mine/model.safetensors.index.json", Body=json.dumps(index))
    assert "names model-2.safetensors, which is not there" in add(uploaded, version="mine-2").detail
