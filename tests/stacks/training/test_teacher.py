"""The function that teaches saved tasks: what it may do, and what it is told."""

from lambdas.settings import PROCESS, TeachSettings
from tests.stacks.conftest import DATA, ENDPOINT, Assembly, granted


def test_it_may_read_what_is_said_of_images_and_keep_what_tasks_learn_and_nothing_else(dev: Assembly) -> None:
    read = ("tasks", "annotations", "images", "embeddings", "taught", "endpoint")
    assert granted(dev.training, "Teach") == {
        "s3:GetObject": {f"{DATA}/{name}/*" for name in read},
        "s3:PutObject": {f"{DATA}/{name}/*" for name in ("embeddings", "heads", "taught")},
        "s3:DeleteObjectVersion": {f"{DATA}/{name}/*" for name in ("embeddings", "heads")},
        "s3:ListBucket": {DATA},
        "s3:ListBucketVersions": {DATA},
        "sagemaker:InvokeEndpoint": {ENDPOINT},
    }


def test_it_is_told_its_bucket_and_the_endpoint_by_its_name(dev: Assembly) -> None:
    function = dev.training.the("AWS::Lambda::Function", "Teach")
    assert function["Handler"] == "lambdas.teach.main.handler"
    told = function["Environment"]["Variables"]
    assert told.keys() == {field.alias for field in TeachSettings.model_fields.values()} | PROCESS.keys()
    assert told["ENDPOINT_NAME"] == dev.serving.the("AWS::SageMaker::Endpoint")["EndpointName"]
