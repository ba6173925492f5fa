"""What invokes a function that asks a stand-in for Lambda for its invocations."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from contract.serving_function import Invocation, Invoked
from local.runtime_api import RuntimeServer

TIMEOUT_S = 120


class FakeRuntimeApi(RuntimeServer):
    """Waits for the answer to each invocation."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count()

    def invoke_raw(self, event: bytes) -> bytes:
        number = f"number-{next(self._numbers)}"
        self.given.put((number, event))
        outcome = self.outcomes.get(timeout=TIMEOUT_S)
        if outcome.number != number:
            raise ValueError(f"{number} was asked and {outcome} is answered")
        return outcome.payload

    def invoke(self, body: bytes, content_type: str = "application/json", custom_attributes: str = "") -> Invoked:
        event = Invocation.of(content_type, custom_attributes, body).model_dump_json().encode()
        return Invoked.model_validate_json(self.invoke_raw(event))


@contextmanager
def runtime_api() -> Iterator[FakeRuntimeApi]:
    api = FakeRuntimeApi()
    try:
        yield api
    finally:
        api.close()
