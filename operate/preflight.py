"""Before money is spent: would a deployment of this stage, here, now, by this person, come to an end?

    python -m operate.preflight dev -c endpoint_instance_type=ml.g4dn.xlarge

Takes seconds, changes nothing, and says of everything that would stop a deployment how to mend it.
"""

import argparse
import json
import os
import re
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
from botocore.parsers import ResponseParserError

from operate.alerts import alerts
from operate.base_model import base_model, pinned_stage
from operate.builder import DOCKER_MANIFEST, OCI_MANIFEST, builder, tools
from operate.causes import BOOTSTRAP_PARAMETER
from operate.findings import Finding
from operate.prices import prices
from operate.quotas import concurrency, quotas
from operate.stage import OperatorError, Site, Stage, add_stage_arguments, paused_since
from stacks.config import (
    POWERTOOLS_ACCOUNT,
    POWERTOOLS_ACCOUNTS,
    POWERTOOLS_LAYER,
    POWERTOOLS_LAYER_VERSION,
    StackPart,
)

MINIMUM_BOOTSTRAP = 6
"""What the CDK's default synthesizer asks for: the first with a repository for images of every app."""
EXPLAINING_BOOTSTRAP = 30
"""The first whose role may read why CloudFormation refused a change set, which the CDK CLI would tell."""

ANSWER_TIMEOUT_S = 5

Unanswered = (ClientError, BotoCoreError, ResponseParserError)
"""How a question to AWS ends that it does not answer, or not to these credentials."""


def identity(stage: Stage) -> tuple[Site | None, Finding]:
    """Who deploys, and where; None if that can't be said."""
    try:
        region = stage.connect("cloudformation").meta.region_name
        caller = stage.connect("sts").get_caller_identity()
    except NoRegionError:
        return None, Finding("failure", "no region is chosen", "export AWS_REGION=us-east-1, or: aws configure")
    except NoCredentialsError:
        return None, Finding("failure", "there are no AWS credentials", "aws configure sso, or: aws configure")
    except Unanswered as error:
        remedy = "aws sso login, or new credentials; a region that is off by default has to be enabled for the account"
        return None, Finding("failure", f"AWS does not take these credentials: {error}", remedy)
    partition = caller["Arn"].split(":")[1]
    found = Finding("ok", f"the account is {caller['Account']}, the region {region}, as {caller['Arn']}")
    return Site(stage, caller["Account"], region, partition), found


def bootstrap(site: Site) -> Iterator[Finding]:
    """Whether the CDK's own stack is there."""
    ssm = site.ask("ssm")
    try:
        version = int(ssm.get_parameter(Name=BOOTSTRAP_PARAMETER)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        where = f"account {site.account} in {site.region}"
        yield Finding("failure", f"the CDK is not bootstrapped: {where} has no {BOOTSTRAP_PARAMETER}", "make bootstrap")
        return
    if version < MINIMUM_BOOTSTRAP:
        needed = f"{MINIMUM_BOOTSTRAP} or newer is needed"
        yield Finding("failure", f"the CDK's bootstrap has version {version}, {needed}", "make bootstrap")
    elif version < EXPLAINING_BOOTSTRAP:
        silent = "its role may not read why CloudFormation refuses a change set"
        yield Finding("warning", f"the CDK's bootstrap has version {version}: {silent}", "make bootstrap")
    else:
        yield Finding("ok", f"the CDK is bootstrapped, version {version}")


def images(site: Site) -> Iterator[Finding]:
    """Whether SageMaker can run the images that were pushed before."""
    for name in ("serve_image_uri", "train_image_uri"):
        if uri := getattr(site.config, name):
            yield _image(site, name, uri)


_BUILD = "docker buildx build --platform linux/amd64"


def _image(site: Site, name: str, uri: str) -> Finding:
    registry, region, repository, tag, digest = re.match(
        r"(\d+)\.dkr\.ecr\.([^.]+)\.[^/]+/([^:@]+)(?::(.+)|@(.+))$", uri
    ).groups()  # type: ignore[union-attr]  # StageConfig has checked it
    if region != site.region:
        return Finding(
            "failure",
            f"{name} is in {region}, and SageMaker pulls from its own region only, here {site.region}",
            f"push the image to ECR in {site.region}",
        )
    ecr = site.ask("ecr")
    wanted = {"imageTag": tag} if tag else {"imageDigest": digest}
    try:
        found = ecr.batch_get_image(registryId=registry, repositoryName=repository, imageIds=[wanted])["images"]
    except ecr.exceptions.RepositoryNotFoundException:
        found = []
    if not found:
        return Finding("failure", f"there is no image {uri}, as {name} says", f"docker push {uri}")
    media_type = found[0].get("imageManifestMediaType")
    of_lambda = name == "serve_image_uri" and site.config.serving == "lambda"
    if media_type != DOCKER_MANIFEST and not (of_lambda and media_type == OCI_MANIFEST):
        return Finding(
            "failure",
            f"{name} has the manifest {media_type}, which SageMaker refuses: it takes {DOCKER_MANIFEST}",
            f"{_BUILD} --provenance=false --output type=docker -t {uri} …, then push it",
        )
    architecture = _architecture(ecr, registry, repository, json.loads(found[0]["imageManifest"]))
    if architecture not in (None, "amd64"):
        return Finding(
            "failure",
            f"{name} is for {architecture}, and SageMaker's instances are amd64",
            f"{_BUILD} -t {uri} …, then push it",
        )
    unknown = "" if architecture else ", for an architecture that can't be read from here"
    return Finding("ok", f"{name} is an image that SageMaker takes{unknown}")


def _architecture(ecr: Any, registry: str, repository: str, manifest: Mapping[str, Any]) -> str | None:
    """What the image's configuration says; None if it can't be fetched."""
    try:
        blob = {"registryId": registry, "repositoryName": repository, "layerDigest": manifest["config"]["digest"]}
        url = ecr.get_download_url_for_layer(**blob)["downloadUrl"]
        with urllib.request.urlopen(url, timeout=ANSWER_TIMEOUT_S) as answer:  # noqa: S310, ECR's own address
            return str(json.load(answer)["architecture"])
    except (*Unanswered, OSError, KeyError, ValueError):
        return None


def layer(site: Site) -> Iterator[Finding]:
    """Whether the layer that the functions run on is published in the region."""
    account = POWERTOOLS_ACCOUNTS.get(site.region, POWERTOOLS_ACCOUNT)
    layer = f"{account}:layer:{POWERTOOLS_LAYER}:{POWERTOOLS_LAYER_VERSION}"
    arn = f"arn:{site.partition}:lambda:{site.region}:{layer}"
    try:
        site.ask("lambda").get_layer_version_by_arn(Arn=arn)
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        # A layer of another account that does not exist has no policy that would allow to see it.
        missing = code == "ResourceNotFoundException" or "no resource-based policy" in message
        if not missing:
            raise
        yield Finding(
            "failure",
            f"the layer of the functions is not published in {site.region}: {arn}",
            "another region: export AWS_REGION=…",
        )
    else:
        yield Finding("ok", f"the layer of the functions is there: {layer}")


def account_role(site: Site) -> Iterator[Finding]:
    """Whether API Gateway may write logs, which is a setting of the account in a region."""
    logging = site.config.api_logging
    if logging == "off" or site.ask("apigateway").get_account().get("cloudwatchRoleArn"):
        return
    if logging == "existing":
        remedy = "CONTEXT='-c api_logging=create' makes one, api_logging=off needs none"
        yield Finding("failure", "api_logging is existing, and API Gateway has no role for its logs here", remedy)
    else:
        yield Finding("note", "API Gateway has no role for its logs here yet: this makes one, and a destroy leaves it")


def adopted_buckets(site: Site) -> Iterator[Finding]:
    """Whether the buckets that the stage adopts are there, in its region, and no longer its own stack's."""
    s3 = site.ask("s3")
    knobs = {knob: name for knob in ("data_bucket", "artifacts_bucket") if (name := getattr(site.config, knob))}
    held = site.stage.physical_ids("Data", "AWS::S3::Bucket").values() if knobs else ()
    for knob, bucket in knobs.items():
        if bucket in held:
            owner = site.config.stack_name("Data")
            says = f"{knob} is {bucket}, which {owner} still holds: it would give the bucket up, with all that is in it"
            keep = f"make deploy STAGE={site.config.stage} CONTEXT='-c retain_data=true', make destroy, then adopt it"
            yield Finding("failure", says, f"leave {knob} out; or, to keep it for a new deployment: {keep}")
            continue
        try:
            there = s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=site.account).get("BucketRegion", site.region)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "403"):
                raise
            says = f"{knob} is {bucket}, and account {site.account} has no such bucket"
            yield Finding("failure", says, f"correct {knob}, or leave it out: a bucket is made then")
        else:
            if there == site.region:
                yield Finding("ok", f"{knob} is {bucket}, which is there")
            else:
                says = f"{knob} is {bucket}, which is in {there}, and SageMaker's own region is {site.region}"
                yield Finding("failure", says, f"export AWS_REGION={there}, or name a bucket in {site.region}")


def stacks(site: Site) -> Iterator[Finding]:
    """Whether the stage's stacks can be created or updated."""
    found = {site.config.stack_name(part): site.stage.stack(part) for part in get_args(StackPart)}
    statuses = {name: stack["StackStatus"] for name, stack in found.items() if stack}
    if not statuses:
        yield Finding("ok", "the stage is not deployed here yet")
    for name, status in statuses.items():
        yield _stack(site, name, status)


_WAITERS = {
    "CREATE_IN_PROGRESS": "stack-create-complete",
    "UPDATE_IN_PROGRESS": "stack-update-complete",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": "stack-update-complete",
    "UPDATE_ROLLBACK_IN_PROGRESS": "stack-rollback-complete",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": "stack-rollback-complete",
    "DELETE_IN_PROGRESS": "stack-delete-complete",
    "IMPORT_IN_PROGRESS": "stack-import-complete",
}
"""What `aws cloudformation wait` takes for each; for the way back of a creation or an import it has nothing."""


def _stack(site: Site, name: str, status: str) -> Finding:
    says = f"{name} is {status}"
    if status == "UPDATE_ROLLBACK_FAILED":
        remedy = f"aws cloudformation continue-update-rollback --stack-name {name}, then wait; make doctor says why"
        return Finding("failure", f"{says}: CloudFormation takes no update until it is rolled back", remedy)
    if status == "ROLLBACK_COMPLETE":
        return Finding("note", f"{says}: its first creation failed, so that the CDK deletes it and begins anew")
    if status.endswith("_FAILED"):
        return Finding("failure", f"{says}: CloudFormation takes no update", "make doctor, then make destroy")
    # A change set that was never executed is in nobody's way.
    if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        remedy = f"wait a few minutes, then again: make preflight STAGE={site.config.stage}"
        if waiter := _WAITERS.get(status):
            remedy = f"wait: aws cloudformation wait {waiter} --stack-name {name}"
        return Finding("failure", f"{says}: another deployment or promotion is under way", remedy)
    return Finding("ok", says)


def tier(site: Site) -> Iterator[Finding]:
    """Whether the stage would move to the other tier while it is paused: what tells of a silent endpoint is made anew
    there, and would ring for one that is meant to be gone.
    """
    stage, wanted = site.stage.config.stage, site.config.serving
    if paused_since(site.stage) is None:
        return
    deployed = "lambda" if "FunctionName" in site.stage.outputs("Serving") else "endpoint"
    if deployed != wanted:
        says = f"the stage is paused, and serving = {wanted!r} moves it from {deployed!r}"
        yield Finding("failure", says, f"make resume STAGE={stage}, then deploy")


Check = Callable[[Site], Iterable[Finding]]

CHECKS: dict[str, Check] = {
    "the CDK's bootstrap": bootstrap,
    "the images": images,
    "SageMaker's quotas": quotas,
    "Lambda's concurrency": concurrency,
    "the layer of the functions": layer,
    "API Gateway's role for logs": account_role,
    "the adopted buckets": adopted_buckets,
    "the stacks": stacks,
    "the tier": tier,
    "the tags that the budget counts by": lambda site: alerts(site.config, site.ask),
}

SERVICES = ("ssm", "ecr", "service-quotas", "lambda", "apigateway", "s3", "cloudformation", "ce")


def check(stage: Stage, environ: Mapping[str, str]) -> list[Finding]:
    """Everything that is found, asked at once. What can't be asked is a warning that says so."""
    site, found = identity(stage)
    with ThreadPoolExecutor() as pool:
        local = (tools(environ), builder(stage.config, environ), base_model(stage.config))
        of_machine = [pool.submit(list, each) for each in local]
        for service in SERVICES if site else ():  # a client is not to be made in two threads at once
            stage.connect(service)
        of_account = [pool.submit(_asked, site, name) for name in CHECKS] if site else []
        return [found, *(each for answer in (*of_machine, *of_account) for each in answer.result())]


def _asked(site: Site, name: str) -> list[Finding]:
    try:
        return list(CHECKS[name](site))
    except Unanswered as error:
        return [Finding("warning", f"{name} could not be checked: {error}")]


def passes(stage: Stage, environ: Mapping[str, str]) -> bool:
    """Tell what is found and what the stage costs; whether nothing stops a deployment."""
    findings = check(stage, environ)
    print("\n".join(map(str, findings)), prices(stage.config), sep="\n\n")
    failures = sum(finding.level == "failure" for finding in findings)
    if failures:
        print(f"\n{failures} of these would stop the deployment of {stage.config.stage}.")
    return not failures


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m operate.preflight", description="Check what a deployment needs, and tell what it costs."
    )
    add_stage_arguments(parser)
    try:
        return 0 if passes(pinned_stage(parser.parse_args(argv), environ), environ) else 1
    except OperatorError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
