import re
from pathlib import Path

import pytest
from botocore.exceptions import (
    BotoCoreError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    UnauthorizedSSOTokenError,
)

from operate.causes import CAUSES, Cause, Evidence, Subject, as_markdown
from operate.evidence import said

GUIDE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"


def test_the_guide_says_what_the_table_says() -> None:
    assert GUIDE.read_text() == as_markdown(), "python -m operate.causes > docs/troubleshooting.md"


def test_every_cause_is_known_by_one_name() -> None:
    keys = [cause.key for cause in CAUSES]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.key)
def test_a_remedy_can_be_filled_in_without_what_the_line_names(cause: Cause) -> None:
    heading = re.escape(cause.title)
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", as_markdown(), re.DOTALL | re.MULTILINE)
    assert "You see" in section and "What to do" in section


def test_a_quota_is_named_as_service_quotas_names_it() -> None:
    quota = next(cause for cause in CAUSES if cause.key == "quota")
    # aws/sagemaker-python-sdk#35 and awsdocs/amazon-sagemaker-developer-guide#70
    old = "The account-level service limit for training-job/ml.p2.xlarge is 0 Instances"
    new = "The account-level service limit 'ml.m4.xlarge for endpoint usage' is 0 Instances"
    named = []
    for text in (old, new):
        found = quota.find(Subject("Endpoint", (Evidence("event", "Endpoint", text),)))
        named.append(found and found[1]["quota"])
    assert named == ["training-job/ml.p2.xlarge", "ml.m4.xlarge for endpoint usage"]


def test_a_subject_without_evidence_has_no_cause() -> None:
    assert [cause.key for cause in CAUSES if cause.find(Subject("sound"))] == []


def test_words_count_only_where_they_were_said() -> None:
    memory = Evidence("log", "an endpoint", "CUDA out of memory")
    causes = [cause.key for cause in CAUSES if cause.find(Subject("Endpoint", (memory,)))]
    assert causes == ["oom"]


@pytest.mark.parametrize(
    "error",
    [
        NoCredentialsError(),
        PartialCredentialsError(provider="env", cred_var="aws_secret_access_key"),
        NoRegionError(),
        ProfileNotFound(profile="prod"),
        UnauthorizedSSOTokenError(),
        EndpointConnectionError(endpoint_url="https://sts.eu-west-1.amazonaws.com"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_boto_says_before_it_reaches_aws_is_a_matter_of_credentials(error: BotoCoreError) -> None:
    shell = Subject("credentials", (Evidence("account", "this shell", said(error)),))
    assert next(cause.key for cause in CAUSES if cause.find(shell)) == "credentials"


def test_resources_that_cannot_go_back_are_spelled_as_the_cli_takes_them() -> None:
    (cause,) = (each for each in CAUSES if each.key == "rollback-failed")
    said = "S is in UPDATE_ROLLBACK_FAILED: The following resource(s) failed to update: [Endpoint, Model]. "
    found = cause.find(Subject("S", (Evidence("stack", "S", said),)))
    assert found and found[1]["resource"] == "Endpoint Model"
