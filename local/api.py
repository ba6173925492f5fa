"""What every part of the local SageMaker shares: records by name, their ARNs, and errors in the API's shape."""

import time
from typing import Any

from local.settings import ACCOUNT, REGION

Record = dict[str, Any]
"""A request or description as the API's own JSON."""


class ApiError(Exception):
    """An error as the API answers it: HTTP status, code, message and further members of its shape."""

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.members = code, message, status, members


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


class Table:
    """The records of one resource type, e.g. `Table("endpoint-config", "EndpointConfig")`."""

    def __init__(self, kind: str, prefix: str) -> None:
        self._kind = kind
        self._name, self._arn = f"{prefix}Name", f"{prefix}Arn"
        self._records: dict[str, Record] = {}

    def add(self, request: Record) -> Record:
        """Store a Create request under its name; returns what the API answers."""
        name = request[self._name]
        address = arn(self._kind, name)
        if name in self._records:
            raise ApiError("ValidationException", f'Cannot create already existing {self._kind} "{address}".')
        self._records[name] = {**request, self._arn: address, "CreationTime": time.time()}
        return {self._arn: address}

    def find(self, name: str) -> Record:
        if name not in self._records:
            raise ApiError("ValidationException", f'Could not find {self._kind} "{arn(self._kind, name)}".')
        return self._records[name]

    def remove(self, name: str) -> None:
        self.find(name)
        del self._records[name]
