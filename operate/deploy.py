"""Deploys a stage, from the first check to the first answer.

    python -m operate.deploy dev -c throttling_rate_rps=5

What would stop the deployment, what it costs and what it changes of an earlier one is said before it begins. After it
the model is asked what it is, for SageMaker rolls an update back without failing anything else.
"""

import argparse
import base64
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from contract.limits import MODEL_VERSION_HEADER
from operate import doctor, preflight
from operate.api import open_api
from operate.base_model import pinned_stage
from operate.builder import REPOSITORY
from operate.cdk import cdk_command, run_cdk
from operate.stage import OperatorError, Stage, add_stage_arguments, paused_since
from stacks.config import CONFIGURATION_OUTPUT
from wordsight.api import Api, CommandError, RefusedError

SAMPLE = REPOSITORY / "local/sample.png"
LABELS = ("fish", "house", "tree", "car")

KEY_WAIT_S = 120
"""How long API Gateway may refuse a key that it has just made: a new one takes a while to be known everywhere."""
KEY_POLL_S = 5
FUNCTION_STARTS = 4
"""So often nobody is answered in time while a function starts; each call waits for it."""

Run = Callable[[Sequence[str]], int]
"""Runs a program, which shows what it does; its exit status."""

Ask = Callable[[str], str]
"""Puts a question to a person."""

Sleep = Callable[[float], None]


class Examine(Protocol):
    """What is wrong with a stage, for a person; `cli_failed`: where the stage shows nothing, the CLI has said it."""

    def __call__(self, stage: Stage, *, cli_failed: bool = False) -> str: ...


def cdk_deploy(stage: str, context: Sequence[str], *, asks: bool) -> list[str]:
    """The command of the CDK CLI. By change sets, which CloudFormation checks before it changes anything, quotas and
    taken names included.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/validate-stack-deployments.html
    """
    approval = [] if asks else ["--require-approval", "never"]
    return cdk_command("deploy", stage, context, "--method", "change-set", *approval)


def changes(stage: Stage, context: Sequence[str]) -> tuple[list[str], list[str]]:
    """What a deployment would change of the configuration that is there, and which of that `context` does not say.

    The latter is what an earlier deployment had been given and this one forgets, or a change of the stage's file.
    """
    api = stage.stack("Api")
    outputs = {each["OutputKey"]: each["OutputValue"] for each in (api or {}).get("Outputs", [])}
    if CONFIGURATION_OUTPUT not in outputs:
        return [], []
    deployed = outputs[CONFIGURATION_OUTPUT]
    lines = stage.config.changes_from(deployed)
    said_now = {pair.partition("=")[0] for pair in context}
    return lines, [line for line in lines if line.partition(":")[0] not in said_now]


def may_begin(stage: Stage, context: Sequence[str], *, yes: bool, ask: Ask | None) -> bool:
    """Tell what changes, and whether that is wanted. `ask` is None where there is nobody to ask."""
    lines, lost = changes(stage, context)
    if lines:
        print("\nOf the deployed configuration this changes:", *(f"  {line}" for line in lines), sep="\n")
    if yes:
        return True
    if ask:
        wanted = ask(f"\nDeploy {stage.config.stage}? [y/N] ").strip().lower() in ("y", "yes")
        if not wanted:
            print("Nothing was deployed.")
        return wanted
    if lost:
        print(
            f"\nNothing was deployed: it would undo {', '.join(line.partition(':')[0] for line in lost)}, and nobody "
            f"can be asked. To keep what is deployed write it into stacks/stages/{stage.config.stage}.toml, or give it "
            "again by CONTEXT; to change it: YES=1"
        )
    return not lost


def verify(stage: Stage, sleep: Sleep = time.sleep) -> str:
    """That the new deployment is what answers, in a sentence. Raises OperatorError or CommandError if it is not."""
    if since := paused_since(stage):
        again = f"make resume STAGE={stage.config.stage} brings the endpoint back by what is deployed now, and asks it"
        return f"the stage is paused since {since:%Y-%m-%d %H:%M} UTC, and stays so: {again}"
    if stage.config.serving == "lambda":
        _verify_function(stage)
    else:
        _verify_endpoint(stage)
    api = open_api(stage)
    api.get("/health")  # which is a problem unless what the API asks serves
    return _answer(api, sleep)


def _verify_function(stage: Stage) -> None:
    name = stage.outputs("Serving")["FunctionName"]
    function = stage.connect("lambda").get_function_configuration(FunctionName=name)
    if function["State"] not in ("Active", "Inactive"):
        reason = function.get("StateReason", "it says no reason")
        raise OperatorError(f"the function {name} is {function['State']}: {reason}")
    if function.get("LastUpdateStatus") == "Failed":
        reason = function.get("LastUpdateStatusReason", "it says no reason")
        raise OperatorError(f"the function {name} is what it was before, its update failed: {reason}")


def _verify_endpoint(stage: Stage) -> None:
    name = stage.outputs("Serving")["EndpointName"]
    endpoint = stage.connect("sagemaker").describe_endpoint(EndpointName=name)
    if endpoint["EndpointStatus"] != "InService":
        reason = endpoint.get("FailureReason", "it says no reason")
        raise OperatorError(f"the endpoint {name} is {endpoint['EndpointStatus']}: {reason}")
    (deployed,) = stage.physical_ids("Serving", "AWS::SageMaker::EndpointConfig").values()
    wanted, serving = deployed.rpartition("/")[2], endpoint["EndpointConfigName"]
    # A resource's id may be its ARN, and SageMaker writes names in ARNs in lower case.
    if serving.lower() != wanted.lower():
        why = endpoint.get("FailureReason", "")
        raise OperatorError(
            f"the endpoint {name} serves by {serving} and not by {wanted}, which is deployed: "
            f"SageMaker rolled its update back. {why}".rstrip()
        )


def _answer(api: Api, sleep: Sleep) -> str:
    """What `_classify` says, as soon as the key of the API is accepted."""
    waited_s, starts = 0, FUNCTION_STARTS
    while True:
        try:
            return _classify(api)
        except RefusedError as error:
            if error.status == HTTPStatus.GATEWAY_TIMEOUT and starts:
                starts -= 1  # a function starts, and goes on though nobody waits any more
                continue
            if error.status != HTTPStatus.FORBIDDEN or not api.key:
                raise
            if waited_s >= KEY_WAIT_S:
                raise OperatorError(
                    f"its API refuses its own key for {KEY_WAIT_S // 60} minutes now: {error}. If the key is new it "
                    "may take longer: make deploy again, which asks the API anew and changes nothing else"
                ) from None
        if not waited_s:
            print(f"\nThe API does not take its key yet, which may be new: waiting up to {KEY_WAIT_S} s", flush=True)
        sleep(KEY_POLL_S)
        waited_s += KEY_POLL_S


def _classify(api: Api) -> str:
    """Ask what is on the sample; who answers must be the version that the registry calls live."""
    image = base64.b64encode(SAMPLE.read_bytes()).decode()
    question = {"inputs": image, "parameters": {"candidate_labels": list(LABELS)}}
    scores, headers = api.exchange("POST", "/classify", question)
    served = str(headers[MODEL_VERSION_HEADER])
    for model in api.get("/models")["models"]:
        wanted = model["live"] and api.get(f"/models/{model['version']}")["served_version"]
        if wanted and wanted != served:
            raise OperatorError(f"the endpoint serves {served!r}, and {model['version']} is live, which is {wanted!r}")
    return f"the model {served} says that local/sample.png is a {scores[0]['label']}, {scores[0]['score']:.0%}"


def next_steps(stage: Stage) -> str:
    """Where the API is, how it is called, and what to do with it first."""
    name, api = stage.config.stage, open_api(stage)
    lines = [f"It is up:  {api.url}/", ""]
    if api.key:
        lines += [
            f"export WORDSIGHT_URL={api.url} WORDSIGHT_API_KEY=$(make -s api-key STAGE={name})",
            '.venv/bin/python -m webbrowser "$WORDSIGHT_URL/#key=$WORDSIGHT_API_KEY"',
        ]
    elif stage.config.auth == "none":
        lines += [f"export WORDSIGHT_URL={api.url}"]
    if api.key or stage.config.auth == "none":
        lines += [
            f".venv/bin/python -m wordsight classify local/sample.png --labels {','.join(LABELS)}",
            ".venv/bin/python -m wordsight annotate FOLDER --dataset pets --task pet",
            ".venv/bin/python -m wordsight train --dataset pets --watch",
        ]
    else:
        region = stage.connect("apigateway").meta.region_name
        lines += [
            f"URL={api.url}",
            f"signed() {{ curl --aws-sigv4 aws:amz:{region}:execute-api --user "
            '"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "x-amz-security-token: $AWS_SESSION_TOKEN" "$@"; }',
            f'signed -F image=@local/sample.png -F candidate_labels={",".join(LABELS)} "$URL/classify"',
            'signed -F image=@local/sample.png -F label=fish -F task=thing -F dataset=pets "$URL/annotations"',
            'signed -H "content-type: application/json" -d \'{"dataset": "pets"}\' "$URL/trainings"',
        ]
    return "\n".join(lines)


def deploy(
    stage: Stage,
    context: Sequence[str],
    environ: Mapping[str, str],
    *,
    yes: bool,
    ask: Ask | None,
    run: Run = run_cdk,
    examine: Examine = doctor.report,
    sleep: Sleep = time.sleep,
) -> int:
    """Check, deploy and verify; 0 only if the new deployment answers. `examine` tells why where it does not."""
    name = stage.config.stage
    command = cdk_deploy(name, context, asks=bool(ask) and not yes)
    if not preflight.passes(stage, environ):
        print(f"Nothing was deployed. To try it in spite of that: npx cdk {shlex.join(command[1:])}")
        return 1
    if not may_begin(stage, context, yes=yes, ask=ask):
        return 1
    sys.stdout.flush()  # what the CLI shows comes behind it, in a file too
    if run(command):
        print(f"\nThe deployment of {name} failed.\n\n{examine(stage, cli_failed=True)}", file=sys.stderr)
        return 1
    try:
        print(f"\n{verify(stage, sleep)}.\n\n{next_steps(stage)}")
    except (OperatorError, CommandError, ClientError, BotoCoreError) as error:
        print(f"\nIt is deployed, but {error}\n\n{examine(stage)}", file=sys.stderr)
        return 1
    return 0


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m operate.deploy", description="Check, deploy a stage, and see that it answers."
    )
    add_stage_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="ask nothing, also where a deployed knob would be undone")
    chosen = parser.parse_args(argv)
    ask = input if sys.stdin.isatty() else None
    try:
        return deploy(pinned_stage(chosen, environ), chosen.context, environ, yes=chosen.yes, ask=ask)
    except (OperatorError, ClientError, BotoCoreError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # what a shell says of a command that was interrupted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
