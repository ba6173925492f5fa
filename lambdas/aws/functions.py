"""Another Lambda function, which is given an event and begins by itself."""

import json
from collections.abc import Mapping
from typing import Any

from contract.problems import ServiceUnavailable
from lambdas.aws.clients import Connect
from lambdas.aws.errors import botocore_errors_as_problems


class Function:
    """One function by its ARN."""

    def __init__(self, arn: str, connect: Connect) -> None:
        self._arn = arn
        self._connect = connect

    def begin(self, event: Mapping[str, Any]) -> bool:
        """Let it work without waiting for it; Lambda tries twice again what fails. False if Lambda does not answer."""
        try:
            with botocore_errors_as_problems("Lambda"):
                self._connect("lambda").invoke(
                    FunctionName=self._arn, InvocationType="Event", Payload=json.dumps(event).encode()
                )
        except ServiceUnavailable:
            return False
        return True
