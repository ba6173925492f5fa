"""The API key of a deployed stage: `python -m operate.api_key STAGE`."""

import argparse
import sys

import boto3


def api_key(stage: str) -> str | None:
    """The key that the stage's API asks for, in the account of the shell's credentials; None if it asks for none.

    Raises ClientError if the stage is not deployed, or the credentials don't allow to read its key.
    """
    (stack,) = boto3.client("cloudformation").describe_stacks(StackName=f"WordsightApi-{stage}")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    if "ApiKeyId" not in outputs:
        return None
    key: str = boto3.client("apigateway").get_api_key(apiKey=outputs["ApiKeyId"], includeValue=True)["value"]
    return key


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m operate.api_key", description="Print the API key of a stage.")
    parser.add_argument("stage", metavar="STAGE")
    key = api_key(parser.parse_args().stage)
    print(key or sys.exit("this stage asks for no API key: see auth in stacks/config.py"))


if __name__ == "__main__":
    main()
