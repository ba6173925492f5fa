from pathlib import Path
from typing import Any

import pytest

from stacks.config import POWERTOOLS_LAYER_VERSION
from tests.stacks.conftest import REPOSITORY, Assembly, Template, flat


def deployed(template: Template, value: Any, region: str) -> Any:
    """A template's value as CloudFormation computes it in a region, as far as conditions go."""
    match value:
        case {"Fn::If": [name, then, otherwise]}:
            (known, expected) = template.body["Conditions"][name]["Fn::Equals"]
            assert known == {"Ref": "AWS::Region"}
            return deployed(template, then if region == expected else otherwise, region)
        case {"Fn::Join": [separator, parts]}:
            return {"Fn::Join": [separator, [deployed(template, part, region) for part in parts]]}
    return value


@pytest.mark.parametrize(
    ("region", "account"),
    [
        ("us-east-1", "017000801446"),
        ("eu-central-1", "017000801446"),
        ("us-gov-west-1", "165093116878"),
        ("us-gov-east-1", "165087284144"),
        ("cn-north-1", "498634801083"),
    ],
)
def test_it_runs_on_arm_with_the_pinned_powertools_of_its_partition(dev: Assembly, region: str, account: str) -> None:
    layer_name = f"AWSLambdaPowertoolsPythonV3-python314-arm64:{POWERTOOLS_LAYER_VERSION}"
    for template in (dev.training, dev.api):
        functions = [
            each["Properties"]
            for each in template.of_type("AWS::Lambda::Function").values()
            if each["Properties"]["Handler"].startswith("lambdas.")
        ]
        assert len(functions) >= 3
        for function in functions:
            assert (function["Runtime"], function["Architectures"]) == ("python3.14", ["arm64"])
            (layer,) = (flat(deployed(template, each, region)) for each in function["Layers"])
            assert layer == f"arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:{account}:layer:{layer_name}"


def test_its_code_is_the_handlers_and_the_contract(dev: Assembly) -> None:
    key = dev.api.the("AWS::Lambda::Function", "Classify")["Code"]["S3Key"]
    staged = dev.directory / f"asset.{Path(key).stem}"
    files = {each.relative_to(staged) for each in staged.rglob("*") if each.is_file()}
    for folder in ("contract", "lambdas"):
        sources = {each.relative_to(REPOSITORY) for each in (REPOSITORY / folder).rglob("*.py")}
        assert sources <= files, folder
    pages = {each.relative_to(REPOSITORY) for each in (REPOSITORY / "lambdas/classify/page").glob("*.[hcj]*")}
    assert pages <= files and Path("lambdas/classify/page/index.html") in pages
    assert {each.parts[0] for each in files} == {"contract", "lambdas"}
    assert not [each for each in files if each.suffix == ".pyc"]
    assert dev.api.the("AWS::Lambda::Function", "Classify")["Handler"] == "lambdas.classify.main.handler"


def test_it_is_traced_and_takes_no_share_of_the_accounts_concurrency(dev: Assembly) -> None:
    function = dev.api.the("AWS::Lambda::Function", "Classify")
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert "ReservedConcurrentExecutions" not in function  # a new account has ten in all, and the deployment would fail


def test_its_log_ends_with_the_stack_after_as_many_days_as_the_stage_says(dev: Assembly, prod: Assembly) -> None:
    for assembly, days in ((dev, 14), (prod, 90)):
        function = assembly.api.the("AWS::Lambda::Function", "Classify")
        group = function["LoggingConfig"]["LogGroup"]["Ref"]
        log = assembly.api.of_type("AWS::Logs::LogGroup")[group]
        assert (log["Properties"]["RetentionInDays"], log["DeletionPolicy"]) == (days, "Delete")


def test_no_function_looks_for_plugins_of_pydantics(dev: Assembly) -> None:
    for template in (dev.training, dev.api):
        for function in template.of_type("AWS::Lambda::Function").values():
            if function["Properties"]["Handler"].startswith("lambdas."):
                assert function["Properties"]["Environment"]["Variables"]["PYDANTIC_DISABLE_PLUGINS"] == "__all__"
