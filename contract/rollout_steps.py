"""Steps of the two machines that change the serving stack, by promotions and by pauses."""

from typing import Literal

from pydantic import ConfigDict, TypeAdapter

from contract.endpoint import EndpointAsked
from contract.steps import Step


class RolloutEvent(Step):
    """A step of the promotion with the id `promotion`; `reason`: why the one before `report` could not be taken."""

    step: Literal["update", "check", "verify", "report"]
    promotion: str
    reason: str | None = None


class RolloutAnswer(Step):
    """What comes next: waiting for CloudFormation, verifying, or an end."""

    next: Literal["wait", "verify", "live", "failed"]
    reason: str = ""


class EndpointEvent(Step):
    """A step of the change with the id `change`. `reason`: what has to end before, or why a step could not be taken."""

    step: Literal["begin", "busy", "update", "check", "verify", "report"]
    change: str
    asked: EndpointAsked
    reason: str | None = None


class EndpointAnswer(Step):
    """What comes next: looking whether anything runs that needs the endpoint, beginning again later, updating, waiting
    for CloudFormation, verifying, or an end, after a resume with lessons.
    """

    next: Literal["look", "later", "update", "wait", "verify", "resumed", "over", "failed"]
    reason: str = ""


RolloutStep = RolloutEvent | EndpointEvent
"""What the function is given that changes the serving stack."""
ROLLOUT_STEP: TypeAdapter[RolloutStep] = TypeAdapter(RolloutStep, config=ConfigDict(defer_build=True))
