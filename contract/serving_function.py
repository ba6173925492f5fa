"""The serving function: the serving image as an AWS Lambda function, for who is asked too seldom for an endpoint.

It is the image as it is, whose entry point is `python -m model.serving`, with another command: `COMMAND`, which CDK
calls `cmd` and Lambda `ImageConfig.Command`, in the place of SageMaker's `serve`. Its environment tells it what
`contract.containers.FunctionSettings` says. It is invoked synchronously with the JSON of an `Invocation`, which is what
InvokeEndpoint takes, and returns that of an `Invoked`. A failure of the model is an answer, too, with its status;
Lambda's `FunctionError` says that the function has died or has run out of time.
"""

import base64
from typing import Annotated, Self

from pydantic import Field

from contract.deferred import Deferred
from contract.limits import MAX_CUSTOM_ATTRIBUTES_CHARS
from contract.problems import BadRequest, PayloadTooLarge
from contract.validation import Strict

COMMAND = ("function",)

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
"""What Lambda takes and hands back in a synchronous invocation, as JSON
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""
MAX_BODY_BYTES = 4_700_000
"""Of a request: base64 makes a third more of it, and leaves room for the rest of an `Invocation`."""


class Invocation(Strict):
    """One request, as POST /invocations of the container takes it."""

    content_type: Annotated[str, Field(max_length=1_000)]
    custom_attributes: Annotated[str, Field(max_length=MAX_CUSTOM_ATTRIBUTES_CHARS)] = ""
    """Of `InvocationAttributes.encode`."""
    body: str
    """In base64."""

    @classmethod
    def of(cls, content_type: str, custom_attributes: str, body: bytes) -> Self:
        """Raises PayloadTooLarge for a body of more than MAX_BODY_BYTES."""
        if len(body) > MAX_BODY_BYTES:
            raise PayloadTooLarge(
                f"a request of {len(body):,} bytes, at most {MAX_BODY_BYTES:,} reach the model of this stage: shrink "
                "the images to 1024 px on the longer side or send fewer"
            )
        return cls(content_type=content_type, custom_attributes=custom_attributes, body=base64.b64encode(body).decode())

    def body_bytes(self) -> bytes:
        """Raises BadRequest if the body is no base64."""
        try:
            return base64.b64decode(self.body, validate=True)
        except ValueError as error:
            raise BadRequest(f"the invocation's body is no base64 ({error})") from None


class Invoked(Deferred):
    """What the container answers. `body` is the text of a JSON document; problem details unless `status` is 200."""

    status: int
    content_type: str
    custom_attributes: str = ""
    """For `AnswerAttributes.decode`."""
    body: str
