import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.containers import Images
from local.functions import Functions
from tests.local.conftest import IMAGE, Generous
from tests.local.emulated import ROLE, ROLE_OF_A_FUNCTION, deployed, settle


@pytest.fixture
def functions(tmp_path: Path, images: Images, permissions: Generous) -> Iterator[Functions]:
    functions = Functions(tmp_path / "programs", images, permissions, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    yield functions
    functions.stop_all()


def function(timeout_s: float = 60, image: str = IMAGE, **variables: str) -> Any:
    return {
        "config": {
            "FunctionName": "clip",
            "PackageType": "Image",
            "ImageUri": image,
            "ImageConfigResponse": {"ImageConfig": {"Command": ["function"]}},
            "Role": ROLE,
            "Environment": {"Variables": variables},
            "LoggingConfig": {"LogGroup": "clips"},
            "Timeout": timeout_s,
        }
    }


def answer(functions: Functions, event: Any, **members: Any) -> Any:
    outcome = functions.execute(function(**members), event, "1")
    assert not outcome["error"], outcome
    return json.loads(outcome["body"])


def failure(functions: Functions, event: Any, **members: Any) -> Any:
    outcome = functions.execute(function(**members), event, "1")
    assert outcome["error"] and outcome["function_error"] == "Unhandled"
    return json.loads(outcome["body"])


def test_the_images_program_answers_events_with_the_credentials_of_its_role(functions: Functions) -> None:
    found = answer(functions, {"a": "ü"}, COLOUR="green")
    assert found["asked"] == {"a": "ü"}
    environment = found["environment"]
    assert (environment["COLOUR"], environment["GREETING"]) == ("green", "hello there")
    assert environment["AWS_ACCESS_KEY_ID"] == f"of {ROLE}"
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["TMPDIR"].startswith(environment["SAGEMAKER_BASE_DIR"])


def test_one_process_answers_until_the_function_is_changed(functions: Functions, tmp_path: Path) -> None:
    first, again = answer(functions, 1)["pid"], answer(functions, 2)["pid"]
    changed = answer(functions, 3, COLOUR="green")["pid"]
    assert first == again != changed
    with pytest.raises(ProcessLookupError):
        os.kill(first, signal.SIGTERM)
    functions.stop("clip")
    with pytest.raises(ProcessLookupError):
        os.kill(changed, signal.SIGTERM)
    assert list((tmp_path / "programs").iterdir()) == []


def test_a_process_that_dies_is_lambdas_own_error_and_the_next_call_finds_another(functions: Functions) -> None:
    died = failure(functions, "die")
    assert died["errorType"] == "Runtime.ExitError" and "exit status 3" in died["errorMessage"]
    assert answer(functions, "again")["asked"] == "again"


def test_a_process_that_takes_too_long_is_ended(functions: Functions) -> None:
    assert answer(functions, "quick", timeout_s=30)
    assert failure(functions, "slow", timeout_s=0.5)["errorType"] == "Sandbox.Timedout"


def test_a_start_that_fails_says_why(functions: Functions) -> None:
    assert failure(functions, 1, REFUSE_TO_START="1") == {
        "errorType": "NoModel",
        "errorMessage": "this container refuses to start",
    }


def test_an_image_that_is_none_of_the_apps_is_named(functions: Functions) -> None:
    said = failure(functions, 1, image="000000000000.dkr.ecr.us-east-1.amazonaws.com/a:b")
    assert said["errorType"] == "Runtime.InvalidImage" and "No build context for" in said["errorMessage"]


def template(**variables: str) -> str:
    properties = {
        "FunctionName": "clip",
        "PackageType": "Image",
        "Code": {"ImageUri": IMAGE},
        "ImageConfig": {"Command": ["function"]},
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Timeout": 60,
        "Environment": {"Variables": variables},
    }
    made = {"Type": "AWS::Lambda::Function", "Properties": properties}
    return json.dumps({"Resources": {"Function": made, "Role": ROLE_OF_A_FUNCTION}})


def test_a_stack_makes_changes_and_removes_one_that_is_invoked_as_any_function(aws: Any) -> None:
    def invoke(event: Any) -> Any:
        response = aws("lambda").invoke(FunctionName="clip", Payload=json.dumps(event).encode())
        return response.get("FunctionError"), json.loads(response["Payload"].read())

    with deployed(aws, "images", template(COLOUR="red")) as stacks:
        error, found = invoke("hello")
        assert (error, found["asked"], found["environment"]["COLOUR"]) == (None, "hello", "red")
        stacks.update_stack(StackName="images", TemplateBody=template(COLOUR="blue"), Capabilities=["CAPABILITY_IAM"])
        settle(stacks, "images", "update")
        assert invoke("hello")[1]["environment"]["COLOUR"] == "blue"
        error, found = invoke("die")
        assert (error, found["errorType"]) == ("Unhandled", "Runtime.ExitError")
        pid = invoke("hello")[1]["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
