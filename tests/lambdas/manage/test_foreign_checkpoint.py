"""Checkpoints that somebody brings along, through the API's function."""

import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lambdas.manage.foreign_checkpoint import MAX_READ_BYTES, SMALL_BYTES
from tests.lambdas.manage.conftest import SHIPPED, TRAIN_SETTINGS, Stage, add

WEIGHTS = (SHIPPED / "model.safetensors").read_bytes()
HEADER_BYTES = int.from_bytes(WEIGHTS[:8], "little")
HEADER: dict[str, Any] = json.loads(WEIGHTS[8 : 8 + HEADER_BYTES])
DATA = WEIGHTS[8 + HEADER_BYTES :]
END = len(DATA)
CONFIG, PROCESSOR, TOKENIZER, OURS = "config.json", "preprocessor_config.json", "tokenizer.json", "wordsight.json"
SETTINGS, INDEX, SAFE = "tokenizer_config.json", "model.safetensors.index.json", "model.safetensors"
JOINT, GOLDEN = "processor_config.json", "golden.jsonl"


def said_in(name: str) -> Any:
    return json.loads((SHIPPED / name).read_text())


def changed(name: str, **changes: Any) -> bytes:
    """One of the shipped JSON files with other members, `tower__member` for one of a tower's."""
    said = said_in(name)
    for path, value in changes.items():
        *folders, member = path.split("__")
        place = said
        for folder in folders:
            place = place[folder]
        place[member] = value
    return json.dumps(said).encode()


def raw(name: str, member: str, text: str) -> bytes:
    """A shipped JSON file with one member as it stands in `text`, which json.dumps would not write."""
    return changed(name, **{member: "@"}).replace(b'"@"', text.encode())


def weights(header: Any, data: bytes = DATA) -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(content).to_bytes(8, "little") + content + data


def about(tensor: str, **changes: Any) -> bytes:
    return weights({**HEADER, tensor: {**HEADER[tensor], **changes}})


def beside(dtype: str, shape: list[int], first: int, end: int) -> dict[str, Any]:
    return {**HEADER, "beside": {"dtype": dtype, "shape": shape, "data_offsets": [first, end]}}


def holding(tensor: str, *halves: float) -> bytes:
    """The shipped weights' data, whose numbers have 16 bits, with a tensor that begins with these."""
    content = bytearray(DATA)
    first = HEADER[tensor]["data_offsets"][0]
    content[first : first + 2 * len(halves)] = struct.pack(f"<{len(halves)}e", *halves)
    return bytes(content)


def spoilt(tensor: str, *halves: float) -> bytes:
    return weights(HEADER, holding(tensor, *halves))


def joint(processor: bytes) -> bytes:
    """As CLIPProcessor.save_pretrained writes it."""
    return b'{"image_processor": ' + processor + b', "processor_class": "CLIPProcessor"}'


DEEP = b'{"a":' * 100_000
NAN, INF = float("nan"), float("inf")

HOSTILE: dict[str, tuple[str, bytes | None, str]] = {
    # files
    "no configuration": (CONFIG, None, "lacks a configuration"),
    "no weights": (SAFE, None, "lacks weights"),
    "no tokenizer": (TOKENIZER, None, "lacks a tokenizer"),
    "no processor": (PROCESSOR, None, "lacks image sizes"),
    "a pickle by another name": (SAFE, b"\x80\x04\x95 a pickle by another name", "is no safetensors file"),
    "an empty configuration": (CONFIG, b"", "config.json can't be read as JSON"),
    "an empty processor": (PROCESSOR, b"", "preprocessor_config.json can't be read as JSON"),
    "an empty tokenizer": (TOKENIZER, b"", "tokenizer.json can't be read as JSON"),
    "empty weights": (SAFE, b"", "is no safetensors file"),
    "a huge configuration": (CONFIG, b'{"a": "' + bytes(8 * 1024 * 1024) + b'"}', "8,388,608 bytes that are allowed"),
    "a huge wordsight.json": (OURS, b'{"version": "1", "x": "' + b"x" * 1_100_000 + b'"}', "1,048,576 bytes"),
    # JSON
    "half a configuration": (CONFIG, b"{", "can't be read as JSON"),
    "a list for a configuration": (CONFIG, b"[]", "is not a JSON object"),
    "a deep configuration": (CONFIG, DEEP, "config.json can't be read as JSON: objects and lists lie in each other"),
    "a deep one that json reads": (CONFIG, b'{"a": ' + b"[" * 500 + b"]" * 500 + b"}", "32 deep at most"),
    "a deep processor": (PROCESSOR, DEEP, "lie in each other"),
    "a deep tokenizer": (TOKENIZER, DEEP, "lie in each other"),
    "a deep wordsight.json": (OURS, DEEP, "lie in each other"),
    "a deep header": (SAFE, weights(DEEP), "lie in each other"),
    "a surrogate": (CONFIG, rb'{"model_type": "\ud800"}', "half a character"),
    "a surrogate in a token": (TOKENIZER, rb'{"model": {"vocab": {"\udfff": 0}}}', "half a character"),
    "a surrogate in our version": (OURS, rb'{"version": "a\ud800"}', "half a character"),
    "Latin-1": (CONFIG, b'{"model_type": "\xe9"}', "can't be read as JSON"),
    "UTF-16": (CONFIG, (SHIPPED / CONFIG).read_text().encode("utf-16"), "can't be read as JSON"),
    "a name twice": (CONFIG, b'{"model_type": "clip", "model_type": "bert"}', "is given twice"),
    # config.json
    "another kind of model": (CONFIG, changed(CONFIG, model_type="bert"), "'bert' is not served, allowed are 'clip'"),
    "a kind that is no text": (CONFIG, changed(CONFIG, model_type=["clip"]), "model_type"),
    "a width that is NaN": (CONFIG, raw(CONFIG, "projection_dim", "NaN"), "NaN is no number of JSON"),
    "a width of 1e999": (CONFIG, raw(CONFIG, "projection_dim", "1e999"), "is too large"),
    "a width of 5,000 digits": (CONFIG, raw(CONFIG, "projection_dim", "9" * 5000), "can't be read as JSON"),
    "a width of 10^30": (CONFIG, changed(CONFIG, projection_dim=10**30), "projection_dim"),
    "a width of -1": (CONFIG, changed(CONFIG, text_config__hidden_size=-1), "text_config.hidden_size"),
    "a width that is a text": (CONFIG, changed(CONFIG, vision_config__hidden_size="192"), "vision_config.hidden_size"),
    "a width that is true": (CONFIG, changed(CONFIG, projection_dim=True), "projection_dim"),
    "a tower that is a list": (CONFIG, changed(CONFIG, text_config=[]), "text_config"),
    "a tower that is a number": (CONFIG, changed(CONFIG, vision_config=5), "vision_config"),
    "layers without end": (CONFIG, changed(CONFIG, text_config__num_hidden_layers=10**9), "num_hidden_layers"),
    "layers that are a text": (CONFIG, changed(CONFIG, text_config__num_hidden_layers="two"), "num_hidden_layers"),
    "one layer more": (CONFIG, changed(CONFIG, vision_config__num_hidden_layers=5), "lack 16 tensors"),
    "heads that do not share": (CONFIG, changed(CONFIG, text_config__num_attention_heads=3), "a width of 128"),
    "an unknown activation": (CONFIG, changed(CONFIG, text_config__hidden_act="magic"), "hidden_act"),
    "code of its own": (CONFIG, changed(CONFIG, auto_map={"AutoModel": "evil.Model"}), "auto_map is given"),
    "quantized": (CONFIG, changed(CONFIG, quantization_config={"bits": 4}), "quantization_config is given"),
    "an unknown dtype": (CONFIG, changed(CONFIG, dtype="float8"), "dtype"),
    "another projection": (CONFIG, changed(CONFIG, projection_dim=256), "text_projection.weight has the shape"),
    "another text width": (CONFIG, changed(CONFIG, text_config__hidden_size=256), "has the shape"),
    "another inner width": (CONFIG, changed(CONFIG, vision_config__intermediate_size=512), "fc1.weight has the shape"),
    "another vocabulary": (
        CONFIG,
        changed(CONFIG, text_config__vocab_size=900),
        "embedding.weight has the shape",
    ),
    "another context": (CONFIG, changed(CONFIG, text_config__max_position_embeddings=77), "asks for [77, 128]"),
    "another patch": (CONFIG, changed(CONFIG, vision_config__patch_size=32), "patch_embedding.weight has the shape"),
    "another image size": (CONFIG, changed(CONFIG, vision_config__image_size=80), "reads 80 x 80"),
    "a patch of 0": (CONFIG, changed(CONFIG, vision_config__patch_size=0), "patch_size"),
    "a patch larger than the image": (CONFIG, changed(CONFIG, vision_config__patch_size=128), "larger than the image"),
    "grey images": (CONFIG, changed(CONFIG, vision_config__num_channels=1), "num_channels"),
    "the end of a text elsewhere": (CONFIG, changed(CONFIG, text_config__eos_token_id=7), "read every text alike"),
    "an end without a row": (CONFIG, changed(CONFIG, text_config__eos_token_id=804), "it must be less"),
    "weights elsewhere": (
        CONFIG,
        changed(CONFIG, transformers_weights="x.safetensors"),
        "transformers_weights is given",
    ),
    "no scale to begin with": (CONFIG, changed(CONFIG, logit_scale_init_value=None), "logit_scale_init_value"),
    # processor_config.json, which comes first
    "a spread of 0 that comes first": (
        JOINT,
        joint(changed(PROCESSOR, image_std=[0.2, 0.0, 0.2])),
        "processor_config.json: image_processor: image_std",
    ),
    "a size that comes first": (JOINT, joint(changed(PROCESSOR, crop_size=32)), "reads 64 x 64"),
    "a processor that is a list": (JOINT, b'{"image_processor": []}', "processor_config.json: image_processor"),
    # tokenizer_config.json
    "tokens that are split by a text": (SETTINGS, changed(SETTINGS, split_special_tokens="x"), "split_special_tokens"),
    "padding in the middle": (SETTINGS, changed(SETTINGS, padding_side="middle"), "padding_side"),
    "truncation nowhere": (SETTINGS, changed(SETTINGS, truncation_side=None), "truncation_side"),
    "padding that is read": (SETTINGS, changed(SETTINGS, model_input_names=["input_ids"]), "lacks 'attention_mask'"),
    "added tokens in a list": (SETTINGS, changed(SETTINGS, added_tokens_decoder=[]), "added_tokens_decoder"),
    "special tokens that are a number": (SETTINGS, changed(SETTINGS, extra_special_tokens=5), "extra_special_tokens"),
    # preprocessor_config.json
    "a spread of 0": (PROCESSOR, changed(PROCESSOR, image_std=[0.2, 0.0, 0.2]), "image_std"),
    "a negative spread": (PROCESSOR, changed(PROCESSOR, image_std=[0.2, -0.2, 0.2]), "image_std"),
    "a spread of 1e-300": (PROCESSOR, changed(PROCESSOR, image_std=[1e-300] * 3), "image_std"),
    "a spread that is NaN": (PROCESSOR, changed(PROCESSOR, image_std=[NAN] * 3), "NaN is no number"),
    "two means": (PROCESSOR, changed(PROCESSOR, image_mean=[0.5, 0.5]), "image_mean"),
    "four means": (PROCESSOR, changed(PROCESSOR, image_mean=[0.5] * 4), "image_mean"),
    "a mean that is infinite": (PROCESSOR, changed(PROCESSOR, image_mean=[INF] * 3), "Infinity is no number"),
    "a mean that is a text": (PROCESSOR, changed(PROCESSOR, image_mean="0.5"), "image_mean"),
    "a factor of 0": (PROCESSOR, changed(PROCESSOR, rescale_factor=0), "rescale_factor"),
    "a factor of 1e300": (PROCESSOR, changed(PROCESSOR, rescale_factor=1e300), "rescale_factor"),
    "a resampling of 99": (PROCESSOR, changed(PROCESSOR, resample=99), "resample"),
    "another crop": (PROCESSOR, changed(PROCESSOR, crop_size={"height": 224, "width": 224}), "prepared to 224 x 224"),
    "a crop that is not square": (PROCESSOR, changed(PROCESSOR, crop_size={"height": 64, "width": 32}), "64 x 32"),
    "a crop as a number": (PROCESSOR, changed(PROCESSOR, crop_size=224), "224 x 224"),
    "a crop of 0": (PROCESSOR, changed(PROCESSOR, crop_size={"height": 0, "width": 0}), "crop_size"),
    "no crop": (PROCESSOR, changed(PROCESSOR, do_center_crop=False), "no size that is the same for all"),
    "a size without an edge": (PROCESSOR, changed(PROCESSOR, size={"longest_edge": 64}), "give shortest_edge"),
    "a size of a billion": (PROCESSOR, changed(PROCESSOR, size={"shortest_edge": 10**9}), "size.shortest_edge"),
    "a switch that is a text": (PROCESSOR, changed(PROCESSOR, do_normalize="no"), "do_normalize"),
    "a processor with code": (PROCESSOR, changed(PROCESSOR, auto_map={"a": "b"}), "auto_map is given"),
    # the tokenizer
    "a vocabulary that is a list": (TOKENIZER, changed(TOKENIZER, model__vocab=[]), "model.vocab"),
    "an empty vocabulary": (TOKENIZER, changed(TOKENIZER, model__vocab={}), "model.vocab"),
    "a token numbered by a text": (TOKENIZER, changed(TOKENIZER, model__vocab={"a": "1"}), "model.vocab.a"),
    "a token below 0": (TOKENIZER, changed(TOKENIZER, model__vocab={"a": -1}), "model.vocab.a"),
    "a token without a row": (TOKENIZER, changed(TOKENIZER, model__vocab__zebra=804), "'zebra' the number 804"),
    "an added token without a row": (
        TOKENIZER,
        changed(TOKENIZER, added_tokens=[{"id": 10**9, "content": "<new>"}]),
        "'<new>' the number 1000000000",
    ),
    "added tokens that are a number": (TOKENIZER, changed(TOKENIZER, added_tokens=3), "added_tokens"),
    "no end of a text": (
        TOKENIZER,
        changed(TOKENIZER, model__vocab={"a": 0}, model__merges=[], added_tokens=[]),
        "lacks the token '<|endoftext|>'",
    ),
    "a merge of three": (TOKENIZER, changed(TOKENIZER, model__merges=["a b c"]), "joins 3 tokens"),
    "a merge of what is not there": (
        TOKENIZER,
        changed(TOKENIZER, model__merges=[["zq", "q"]]),
        "the token 'zq'",
    ),
    "another kind of tokenizer": (TOKENIZER, changed(TOKENIZER, model__type="WordPiece"), "allowed is 'BPE'"),
    "a tokenizer with code": (SETTINGS, b'{"auto_map": {"AutoTokenizer": "x.y"}}', "auto_map"),
    "tokenizer settings that are a list": (SETTINGS, b"[1]", "tokenizer_config.json is not a JSON object"),
    "an end token that is a number": (SETTINGS, b'{"eos_token": 3}', "eos_token"),
    "another end token": (SETTINGS, b'{"eos_token": "</s>"}', "lacks the token '</s>'"),
    "special tokens that are none": ("special_tokens_map.json", b"no", "special_tokens_map.json can't be read"),
    # wordsight.json
    "CR LF in the version": (OURS, changed(OURS, version="one\r\nset-cookie: a=b"), "version"),
    "a line feed behind the version": (OURS, changed(OURS, version="one\n"), "version"),
    "a version beyond ASCII": (OURS, changed(OURS, version="größer"), "version"),
    "a version of 129 characters": (OURS, changed(OURS, version="v" * 129), "version"),
    "an empty version": (OURS, changed(OURS, version=""), "version"),
    "no version": (OURS, b"{}", "version: is missing"),
    "a version that is a number": (OURS, changed(OURS, version=1), "version"),
    "a temperature of 1e-300": (OURS, changed(OURS, calibration={"temperature": 1e-300}), "calibration.temperature"),
    "a temperature of 0": (OURS, changed(OURS, calibration={"temperature": 0}), "calibration.temperature"),
    "an infinite temperature": (OURS, raw(OURS, "calibration", '{"temperature": 1e999}'), "is too large"),
    "a temperature that is NaN": (OURS, raw(OURS, "calibration", '{"temperature": NaN}'), "NaN is no number"),
    "a temperature that is a text": (OURS, changed(OURS, calibration={"temperature": "1"}), "calibration.temperature"),
    "a curve of 1e300": (OURS, changed(OURS, calibration={"multi_label": {"a": 1e300, "b": 0}}), "multi_label.a"),
    "metrics that are a list": (OURS, changed(OURS, metrics=[1]), "metrics"),
    # the header of the weights
    "one byte less": (SAFE, WEIGHTS[:-1], "send it again"),
    "one byte more": (SAFE, WEIGHTS + b"\0", "send it again"),
    "a header longer than the file": (SAFE, (2**60).to_bytes(8, "little") + WEIGHTS[8:], "is no safetensors file"),
    "a header as long as the file": (SAFE, len(WEIGHTS).to_bytes(8, "little") + WEIGHTS[8:], "no safetensors file"),
    "a header of nothing": (SAFE, bytes(8) + WEIGHTS[8:], "a length of 0 bytes"),
    "a header that is cut": (SAFE, b"\x10" + bytes(7) + b'{"x": {"y": [1]}', "can't be read as JSON"),
    "a header that is a list": (SAFE, weights(b"[]", b""), "is not a JSON object"),
    "no tensor": (SAFE, weights({}, b""), "lack"),
    "a tensor that is a text": (SAFE, weights({**HEADER, "x": "y"}), "is no safetensors file: of x"),
    "no places": (SAFE, weights({"logit_scale": {"dtype": "F16", "shape": []}}), "data_offsets: is missing"),
    "places that are texts": (SAFE, about("logit_scale", data_offsets=["0", "2"]), "data_offsets"),
    "places that are negative": (SAFE, about("logit_scale", data_offsets=[-2, 0]), "data_offsets"),
    "places beyond 2^48": (SAFE, about("logit_scale", data_offsets=[2**62, 2**62 + 2]), "data_offsets"),
    "two in one place": (SAFE, weights(beside("F16", [1], 0, 2)), "overlap"),
    "a gap": (SAFE, weights(beside("F16", [1], END + 2, END + 4), DATA + bytes(4)), "gaps between"),
    "a tensor twice": (SAFE, weights(json.dumps(HEADER).encode()[:-1] + b', "logit_scale": {}}'), "is given twice"),
    "a shape that does not fill": (SAFE, about("text_projection.weight", shape=[128, 127]), "[128, 127] in F16 takes"),
    "another shape of the same size": (SAFE, about("text_projection.weight", shape=[64, 256]), "the shape [64, 256]"),
    "a shape that is negative": (SAFE, about("text_projection.weight", shape=[-128, -128]), "shape"),
    "a shape beyond counting": (SAFE, about("text_projection.weight", shape=[2**40] * 8), "takes"),
    "an unknown type": (SAFE, about("text_projection.weight", dtype="F4"), "as 'F4'"),
    "whole numbers": (SAFE, about("text_projection.weight", dtype="I16"), "of the type I16"),
    "a type that is a number": (SAFE, about("text_projection.weight", dtype=16), "dtype"),
    "metadata that is a list": (SAFE, weights({**HEADER, "__metadata__": [1]}), "no object of texts"),
    "metadata of numbers": (SAFE, weights({**HEADER, "__metadata__": {"format": 1}}), "no object of texts"),
    # the weights
    "a scale that is NaN": (SAFE, spoilt("logit_scale", NAN), "logit_scale is nan"),
    "a scale that is infinite": (SAFE, spoilt("logit_scale", INF), "logit_scale is inf"),
    "a scale of e^60": (SAFE, spoilt("logit_scale", 60.0), "logit_scale is 60"),
    "a scale of e^-60": (SAFE, spoilt("logit_scale", -60.0), "logit_scale is -60"),
    "a norm that is NaN": (SAFE, spoilt("vision_model.post_layernorm.weight", 1.0, NAN), "post_layernorm.weight holds"),
    "a bias that is infinite": (SAFE, spoilt("text_model.final_layer_norm.bias", 0.0, -INF), "norm.bias holds"),
    "a word that is NaN": (SAFE, spoilt("text_model.embeddings.token_embedding.weight", NAN), "token_embedding.weight"),
    # golden.jsonl
    "golden questions that are none": (GOLDEN, b"{}\n[", "golden.jsonl line 1: inputs: is missing"),
    "a golden score of 2": (
        GOLDEN,
        b'{"inputs": "", "parameters": {}, "scores": [{"label": "a", "score": 2}]}',
        "golden.jsonl line 1: scores.0.score",
    ),
    "a thousand golden questions": (GOLDEN, b"{}\n" * 1000, "golden.jsonl has 1000 lines"),
}


@pytest.fixture(scope="module")
def folder(_s3: Any) -> Iterator[Any]:
    """A bucket with the shipped checkpoint, which is sent there once."""
    bucket = _s3.Bucket(TRAIN_SETTINGS.data_bucket)
    bucket.create()
    for path in SHIPPED.iterdir():
        bucket.upload_file(str(path), f"models/mine/{path.name}")
    yield bucket
    bucket.objects.delete()
    bucket.delete()


@pytest.fixture
def uploaded(folder: Any) -> Iterator[Stage]:
    """What a test has changed is as it was for the next one."""
    before = {each.key: each.e_tag for each in folder.objects.all()}
    yield Stage(folder)
    after = {each.key: each.e_tag for each in folder.objects.all()}
    for key in after.keys() - before.keys():
        folder.Object(key).delete()
    for key in (key for key in before if after.get(key) != before[key]):
        folder.upload_file(str(SHIPPED / key.rpartition("/")[2]), key)


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_the_endpoint_could_not_load_is_refused_with_the_reason(uploaded: Stage, kind: str) -> None:
    name, content, said = HOSTILE[kind]
    if content is None:
        uploaded.bucket.Object(f"models/mine/{name}").delete()
    else:
        uploaded.bucket.put_object(Key=f"models/mine/{name}", Body=content)
    answer = add(uploaded)
    assert answer.status == 400, answer.text
    assert said in answer.detail and len(answer.text) < 4_000
    assert uploaded.ask("GET", "/models/mine-1").status == 404


def test_a_checkpoint_of_ones_own_is_registered_by_what_it_says(uploaded: Stage) -> None:
    answer = add(uploaded, parent="base")
    assert answer.status == 201, answer.text
    assert answer.json["served_version"] == said_in(OURS)["version"]
    assert (answer.json["source"], answer.json["parent"], answer.json["gate"]) == ("import", "base", None)
    assert uploaded.ask("POST", "/models/mine-1/promote").status == 202


HONEST: dict[str, tuple[str, Callable[[], bytes]]] = {
    "sizes as numbers, as OpenAI's": (PROCESSOR, lambda: changed(PROCESSOR, size=64, crop_size=64)),
    "nulls": (PROCESSOR, lambda: changed(PROCESSOR, do_rescale=None, rescale_factor=None)),
    "OpenAI's end token": (CONFIG, lambda: changed(CONFIG, text_config__eos_token_id=2)),
    "an older name of a tower": (
        CONFIG,
        lambda: changed(
            CONFIG, text_config_dict=said_in(CONFIG)["text_config"], text_config={}, vision_config_dict=None
        ),
    ),
    "PyTorch's own file beside": ("pytorch_model.bin", lambda: b"\x80"),
    "what a training left": ("training_args.bin", lambda: b"\x80"),
    "a processor of texts and images": (JOINT, lambda: joint((SHIPPED / PROCESSOR).read_bytes())),
    "a processor of texts": (JOINT, lambda: b'{"processor_class": "CLIPProcessor"}'),
    "all that a tokenizer may say": (
        SETTINGS,
        lambda: changed(
            SETTINGS,
            added_tokens_decoder={"802": {"content": "<|startoftext|>", "special": True}},
            additional_special_tokens=["<|startoftext|>"],
            extra_special_tokens={},
            model_input_names=["input_ids", "attention_mask"],
            padding_side="right",
        ),
    ),
    "what nobody knows": (CONFIG, lambda: changed(CONFIG, id2label={"0": "a"}, transformers_version=None)),
    "positions beside the weights": (SAFE, lambda: weights(beside("I64", [1], END, END + 8), DATA + bytes(8))),
    "texts of any length": (SETTINGS, lambda: changed(SETTINGS, model_max_length=10**30)),
    "merges as texts": (
        TOKENIZER,
        lambda: changed(TOKENIZER, model__merges=[" ".join(pair) for pair in said_in(TOKENIZER)["model"]["merges"]]),
    ),
}


@pytest.mark.parametrize("kind", HONEST)
def test_what_honest_folders_say_otherwise_is_taken(uploaded: Stage, kind: str) -> None:
    name, content = HONEST[kind]
    uploaded.bucket.put_object(Key=f"models/mine/{name}", Body=content())
    answer = add(uploaded)
    assert answer.status == 201, answer.text


def test_openais_older_tokenizer_files_are_taken_together(uploaded: Stage) -> None:
    model = said_in(TOKENIZER)["model"]
    uploaded.bucket.Object("models/mine/tokenizer.json").delete()
    uploaded.bucket.put_object(Key="models/mine/vocab.json", Body=json.dumps(model["vocab"]))
    assert "vocab.json needs merges.txt" in add(uploaded).detail
    merges = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in model["merges"])])
    uploaded.bucket.put_object(Key="models/mine/merges.txt", Body=merges.encode())
    assert add(uploaded).status == 201


def test_the_processor_of_newer_transformers_is_enough(uploaded: Stage) -> None:
    uploaded.bucket.Object(f"models/mine/{PROCESSOR}").delete()
    uploaded.bucket.put_object(Key=f"models/mine/{JOINT}", Body=b"{}")
    assert "processor_config.json has no image_processor" in add(uploaded).detail
    uploaded.bucket.put_object(Key=f"models/mine/{JOINT}", Body=joint((SHIPPED / PROCESSOR).read_bytes()))
    assert add(uploaded).status == 201


def test_a_pickle_alone_is_no_weights(uploaded: Stage) -> None:
    uploaded.bucket.Object("models/mine/model.safetensors").delete()
    uploaded.bucket.put_object(Key="models/mine/pytorch_model.bin", Body=b"\x80")
    assert "lacks weights: model.safetensors or" in add(uploaded).detail


def test_without_our_metadata_a_checkpoint_has_no_name_of_its_own(uploaded: Stage) -> None:
    uploaded.bucket.Object("models/mine/wordsight.json").delete()
    answer = add(uploaded)
    assert (answer.status, answer.json["served_version"], answer.json["metrics"]) == (201, None, {})


def in_shards(stage: Stage, **index: str) -> None:
    stage.bucket.Object("models/mine/model.safetensors").delete()
    stage.bucket.put_object(Key="models/mine/model-1.safetensors", Body=WEIGHTS)
    stage.bucket.put_object(Key=f"models/mine/{INDEX}", Body=json.dumps({"weight_map": index}))


def test_shards_are_looked_at_one_by_one(uploaded: Stage) -> None:
    in_shards(uploaded, logit_scale="model-1.safetensors")
    assert add(uploaded).status == 201
    in_shards(uploaded, logit_scale="model-1.safetensors", other="model-2.safetensors")
    assert "names model-2.safetensors, which is not there" in add(uploaded, version="mine-2").detail
    in_shards(uploaded, other="model-1.safetensors")
    assert "says that other is in model-1.safetensors, which does not hold it" in add(uploaded, version="mine-2").detail
    uploaded.bucket.put_object(Key="models/mine/model-2.safetensors", Body=WEIGHTS)
    in_shards(uploaded, logit_scale="model-1.safetensors", text_projection="model-2.safetensors")
    assert "which another file holds as well" in add(uploaded, version="mine-2").detail


@pytest.mark.parametrize(
    "index",
    [
        b"{}",
        b'{"weight_map": []}',
        b'{"weight_map": {}}',
        b'{"weight_map": {"a": 1}}',
        b'{"weight_map": {"a": ["b"]}}',
        b'{"weight_map": {"a": "../other/model.safetensors"}}',
        b'{"weight_map": {"a": "/etc/passwd"}}',
        b'{"weight_map": {"a": "s3://elsewhere/model.safetensors"}}',
        DEEP,
    ],
    ids=lambda index: index[:40].decode(),
)
def test_an_index_names_files_of_its_own_folder(uploaded: Stage, index: bytes) -> None:
    in_shards(uploaded)
    uploaded.bucket.put_object(Key="models/other/model.safetensors", Body=WEIGHTS)
    uploaded.bucket.put_object(Key=f"models/mine/{INDEX}", Body=index)
    answer = add(uploaded)
    assert answer.status == 400, answer.text
    assert INDEX in answer.detail or "weight_map" in answer.detail


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tensor", "status"),
    [("vision_model.post_layernorm.bias", 400), ("text_model.embeddings.token_embedding.weight", 201)],
)
def test_of_more_than_can_be_read_the_small_tensors_are_looked_at(uploaded: Stage, tensor: str, status: int) -> None:
    first, end = HEADER[tensor]["data_offsets"]
    assert (end - first <= SMALL_BYTES) == (status == 400)
    header = beside("F16", [MAX_READ_BYTES // 2], END, END + MAX_READ_BYTES)
    content = weights(header, holding(tensor, NAN) + bytes(MAX_READ_BYTES))
    uploaded.bucket.put_object(Key="models/mine/model.safetensors", Body=content)
    assert add(uploaded).status == status
