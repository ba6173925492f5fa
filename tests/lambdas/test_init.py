"""What a function imports is what its every cold start waits for: `python -m benchmarks.serving.cold_start` says how
long, and here is what none of it may be.
"""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "lambdas").glob("*/main.py"))

FOR_NONE = {
    *("boto3", "s3transfer", "contract.bodies", "contract.containers", "contract.reports"),
    *("lambdas.classify.openapi", "lambdas.manage.report", "lambdas.manage.foreign_checkpoint"),
}
"""boto3 brings ways to move files that nothing here uses; the others are for containers, or for one route each."""
FOR_SOME = {
    "contract.checkpoints": {"gate", "rollout"},  # which read a checkpoint each time
    "contract.trainings": {"gate", "manage", "snapshot"},
    "contract.models": {"gate", "manage", "rollout", "snapshot"},
    "contract.batches": {"batch", "manage"},
    "contract.layouts.find": {"importer"},
    "contract.rollout_steps": {"rollout"},
    "contract.batch_steps": {"batch"},
    "contract.import_steps": {"importer"},
    "aws_lambda_powertools.event_handler": {"annotate", "classify", "manage"},
    "botocore": set(FUNCTIONS) - {"authorize"},
}
START = """
import gc, json, sys
collections = lambda: gc.get_stats()[0]["collections"]
before = collections()
import lambdas.{}.main
from contract.deferred import Deferred

def models_of(kind):
    for each in kind.__subclasses__():
        yield each
        yield from models_of(each)

made = [each.__name__ for each in models_of(Deferred) if each.__pydantic_complete__]
found = {{"modules": list(sys.modules), "made": made}}
if "botocore" in sys.modules:
    from lambdas.aws.clients import connect
    connect("s3")
    found["looked at by collections"] = len(gc.get_objects())
print(json.dumps(found | {{"collections": collections() - before}}))
"""


@cache
def start(function: str) -> dict[str, Any]:
    """What has happened when it is imported, and has a client."""
    done = subprocess.run(
        [sys.executable, "-c", START.format(function)],
        cwd=ROOT,
        env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_imports_nothing_that_it_does_not_need_at_once(function: str) -> None:
    imported = set(start(function)["modules"])
    assert imported & FOR_NONE == set()
    assert {module for module, functions in FOR_SOME.items() if function in functions} == imported & FOR_SOME.keys()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_validator_is_made_before_something_is_validated(function: str) -> None:
    assert start(function)["made"] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_garbage_is_looked_for_while_a_function_starts(function: str) -> None:
    assert start(function)["collections"] == 0


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"authorize"}))
def test_what_a_function_has_imported_is_never_looked_through_for_garbage(function: str) -> None:
    assert start(function)["looked at by collections"] < 50_000  # a client's, of 100,000 and more
