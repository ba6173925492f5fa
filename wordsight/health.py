"""`health`: is the endpoint in service, and what does its model know?"""

from argparse import ArgumentParser, Namespace
from dataclasses import replace

from wordsight.api import Api, CommandError
from wordsight.terminal import fields, raw, table

SERVES = ("InService", "Updating", "SystemUpdating", "RollingBack")
"""States of an endpoint that answers.
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
"""


def add(parser: ArgumentParser) -> None:
    """It has no arguments of its own."""


def run(api: Api, arguments: Namespace) -> None:
    """Tell how the endpoint is. Raises CommandError if it answers nobody."""
    found = replace(api, attempts=1).get("/health")  # an endpoint that is not there yet is an answer, too
    print(raw(found) if arguments.json else table(fields(found)))
    if found["status"] not in SERVES:
        raise CommandError(f"the endpoint is {found['status']}: it answers nobody")
