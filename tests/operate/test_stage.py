import json

import boto3
import pytest
from moto import mock_aws

from operate.stage import OperatorError, Stage, connected
from stacks.config import StageConfig

TEMPLATE = {
    "Resources": {"Any": {"Type": "AWS::S3::Bucket"}},
    "Outputs": {"ApiUrl": {"Value": "https://dev.example/v1"}},
}


@mock_aws
def test_a_stage_knows_its_stacks_by_name_and_their_outputs() -> None:
    clients = {name: boto3.client(name, region_name="us-east-1") for name in ("cloudformation",)}
    stage = Stage(StageConfig(stage="dev"), clients.__getitem__)
    assert stage.stack_names == [
        f"Wordsight{part}-dev" for part in ("Data", "Training", "Serving", "Api", "Operations")
    ]
    assert stage.stack("Api") is None
    with pytest.raises(OperatorError, match="WordsightApi-dev is not deployed here: make deploy STAGE=dev"):
        stage.outputs("Api")
    clients["cloudformation"].create_stack(StackName="WordsightApi-dev", TemplateBody=json.dumps(TEMPLATE))
    assert stage.outputs("Api") == {"ApiUrl": "https://dev.example/v1"}


def test_the_region_is_the_one_that_the_cdk_deploys_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert connected({"AWS_REGION": "eu-west-1"})("cloudformation").meta.region_name == "eu-west-1"
    assert connected({})("cloudformation").meta.region_name == "us-east-1"
