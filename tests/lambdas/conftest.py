from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdas.annotate import main as annotate_module
from lambdas.classify.main import create_app
from lambdas.settings import AnnotateSettings, ClassifySettings, TeachSettings
from tests.lambdas.control_plane import Functions
from tests.lambdas.gateway import Answer, Event, Resolve
from tests.lambdas.sagemaker import SageMaker

SETTINGS = ClassifySettings(endpoint_name="wordsight-test", data_bucket="wordsight-data")
ANNOTATE_SETTINGS = AnnotateSettings(
    endpoint_name=SETTINGS.endpoint_name,
    data_bucket=SETTINGS.data_bucket,
    import_machine_arn="arn:aws:states:us-east-1:123456789012:stateMachine:imports",
    teach_function_arn="arn:aws:lambda:us-east-1:123456789012:function:teach",
)
TEACH_SETTINGS = TeachSettings(endpoint_name=SETTINGS.endpoint_name, data_bucket=SETTINGS.data_bucket)

CONTEXT = SimpleNamespace(
    function_name="wordsight-api",
    function_version="$LATEST",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:wordsight-api",
    aws_request_id="lambda-request-1",
    get_remaining_time_in_millis=lambda: 26_900,
)

Call = Callable[[Event], Answer]


@pytest.fixture(autouse=True)
def _account_that_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.to_env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    # no service answers here: what is not given to a test on purpose fails at once
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "http://127.0.0.1:1")


@pytest.fixture
def sagemaker() -> SageMaker:
    return SageMaker()


@pytest.fixture
def resolve(sagemaker: SageMaker) -> Resolve:
    app = create_app(SETTINGS, sagemaker.connect)
    return lambda event: app.resolve(event, CONTEXT)  # type: ignore[arg-type]


@pytest.fixture
def call(resolve: Resolve) -> Call:
    return lambda event: Answer(resolve(event))


@pytest.fixture
def functions() -> Functions:
    """Lambda, which does nothing when it is told to teach."""
    return Functions()


@pytest.fixture
def annotate(sagemaker: SageMaker, functions: Functions, bucket: Any) -> Call:
    """The function that keeps things, over an empty bucket."""

    def connect(service: str) -> Any:
        return functions if service == "lambda" else sagemaker.connect(service)

    app = annotate_module.create_app(ANNOTATE_SETTINGS, connect)
    return lambda event: Answer(app.resolve(event, CONTEXT))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def _s3() -> Iterator[Any]:
    with mock_aws():
        yield boto3.resource("s3", region_name="us-east-1")


@pytest.fixture
def bucket(_s3: Any) -> Iterator[Any]:
    bucket = _s3.Bucket(SETTINGS.data_bucket)
    bucket.create()
    yield bucket
    bucket.objects.delete()
    bucket.delete()
