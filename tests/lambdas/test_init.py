"""What a function imports is what its every cold start waits for: `python -m benchmarks.serving.cold_start` says how
long, and here is what none of it may be.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "lambdas").glob("*/main.py"))

FOR_NONE = {"boto3", "s3transfer", "contract.bodies", "contract.containers", "lambdas.classify.openapi"}
"""boto3 brings ways to move files that nothing here uses; the others are for descriptions, and for containers."""
FOR_SOME = {
    "contract.checkpoints": {"gate", "rollout"},  # which read a checkpoint each time
    "contract.trainings": {"gate", "manage", "snapshot"},
    "contract.models": {"gate", "manage", "rollout", "snapshot"},
    "contract.reports": {"manage"},
    "contract.layouts.find": {"annotate", "importer"},
    "aws_lambda_powertools.event_handler": {"annotate", "classify", "manage"},
    "botocore": set(FUNCTIONS) - {"authorize"},
}
MOST_COLLECTIONS = 20
"""Python's own thresholds make it 145, on a function that imports much."""
IMPORTED = """
import gc, json, sys, lambdas.{}.main
print(json.dumps([list(sys.modules), sum(each["collections"] for each in gc.get_stats())]))
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_imports_nothing_that_it_does_not_need_at_once(function: str) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED.format(function)], cwd=ROOT, capture_output=True, check=True)
    modules, collections = json.loads(done.stdout)
    imported = set(modules)
    assert imported & FOR_NONE == set()
    assert {module for module, functions in FOR_SOME.items() if function in functions} == imported & FOR_SOME.keys()
    assert collections < MOST_COLLECTIONS
