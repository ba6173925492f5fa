"""SageMaker's API on the emulator, as boto3 meets it."""

from typing import Any

import pytest
from botocore.client import ClientError

from tests.local.emulated import deployed, serving


def test_a_containers_refusal_is_a_model_error_to_boto3(aws: Any) -> None:
    runtime = aws("sagemaker-runtime")
    with deployed(aws, "serving", serving()):
        answer = runtime.invoke_endpoint(EndpointName="clip", Body=b"x", CustomAttributes="id=1")
        assert answer["CustomAttributes"].startswith("process=")
        with pytest.raises(runtime.exceptions.ModelError) as refusal:
            runtime.invoke_endpoint(EndpointName="clip", Body=b"refuse")
        assert refusal.value.response["OriginalStatusCode"] == 422
        assert refusal.value.response["OriginalMessage"] == "not an image"


def test_an_operation_that_local_mode_does_not_have_is_named(aws: Any) -> None:
    with pytest.raises(ClientError, match="Local mode has no SageMaker 'CreateNotebookInstance'"):
        aws("sagemaker").create_notebook_instance(
            NotebookInstanceName="n", InstanceType="ml.t3.medium", RoleArn="a" * 20
        )
