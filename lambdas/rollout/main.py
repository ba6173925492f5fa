"""The steps of a promotion, which a state machine calls in turn: a version is served, or it is known why not. Those of
a pause, which changes the same stack, are in pausing.py.

CloudFormation is the endpoint's only writer: a new `ModelUri` of the serving stack is a new fleet beside the old one,
which takes over when it is healthy. After that the endpoint is asked what it serves. If that is not the version that
was meant, or its answers are not those that it gave when it was trained, the previous one is brought back.

Each step is given {"step", "promotion"} and answers {"next", "reason"}, where `next` is "wait" (for CloudFormation),
"verify", "live" or "failed". How far it is stands in the promotion's document all the time.
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.models import BASE_VERSION, MODEL_URI_PARAMETER, Promotion
from contract.problems import Conflict, NotFound
from contract.rollout_steps import ROLLOUT_STEP, EndpointEvent, RolloutAnswer, RolloutEvent
from lambdas.aws.clients import Connect, connect_worker
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.s3 import Store
from lambdas.aws.serving_stack import ServingStack
from lambdas.rollout.pausing import Pausing, refusal
from lambdas.rollout.probe import fault_of
from lambdas.settings import RolloutSettings
from lambdas.stored.endpoint import Changes
from lambdas.stored.registry import Registry

logger = Logger(service="wordsight-rollout", serialize_stacktrace=False)


class Rollout:
    """The steps, for one serving stack and its endpoint."""

    def __init__(self, settings: RolloutSettings, connect: Connect) -> None:
        self._artifacts = Store(settings.artifacts_bucket, connect)
        self._registry = Registry(self._artifacts)
        self._stack = ServingStack(settings.serving_stack, connect)
        self._update_role_arn = settings.update_role_arn
        self._changes = Changes(Store(settings.data_bucket, connect))
        self._endpoint = Endpoint(settings.endpoint_name, connect)

    def step(self, asked: RolloutEvent) -> RolloutAnswer:
        """Take one step. Raises NotFound for an unknown promotion, ServiceUnavailable or GatewayTimeout for later."""
        promotion = self._registry.promotion(asked.promotion)
        if promotion is None:
            raise NotFound(f"there is no promotion {asked.promotion!r}")
        match asked.step:
            case "update":
                return self._update(promotion)
            case "check":
                return self._check(promotion)
            case "verify":
                return self._verify(promotion)
            case step:  # "report": a step before this one could not be taken
                return self._failed(promotion, asked.reason or f"the step {step!r} failed")

    def _update(self, promotion: Promotion) -> RolloutAnswer:
        if promotion.previous_s3_uri is None:
            stack = self._stack.state()
            if reason := refusal(self._changes, stack):
                return self._failed(promotion, f"{reason}. Promote {promotion.version} when it is back")
            promotion = self._note(promotion, state="updating", previous_s3_uri=stack.model_uri)
        try:
            begun = self._serve(promotion.artifact_s3_uri, f"promote-{promotion.id}")
        except Conflict as conflict:
            return self._failed(promotion, conflict.detail)
        return RolloutAnswer(next="wait" if begun else "verify")

    def _check(self, promotion: Promotion) -> RolloutAnswer:
        """What has become of the update, or of the way back."""
        stack = self._stack.state()
        if stack.changing:
            return RolloutAnswer(next="wait")
        if promotion.state == "restoring":
            fate = "the previous model was brought back"
            if stack.model_uri != promotion.previous_s3_uri:
                failure = self._stack.first_failure()
                fate = f"and the previous model could not be brought back ({stack.status}): {failure}"
            return self._failed(promotion, f"{promotion.reason}; {fate}")
        if stack.model_uri == promotion.artifact_s3_uri and stack.status == "UPDATE_COMPLETE":
            return RolloutAnswer(next="verify")
        if stack.status == "UPDATE_COMPLETE":
            return self._failed(promotion, f"another deployment has made {stack.model_uri} live meanwhile")
        reason = self._stack.first_failure() or "CloudFormation gave no reason"
        return self._failed(promotion, f"the update was rolled back ({stack.status}): {reason}")

    def _verify(self, promotion: Promotion) -> RolloutAnswer:
        promotion = self._note(promotion, state="verifying")
        fault = fault_of(promotion, self._replaced_version(promotion), self._artifacts, self._endpoint)
        if fault is None:
            self._note(promotion, state="live")
            return RolloutAnswer(next="live")
        return self._restore(promotion, fault)

    def _replaced_version(self, promotion: Promotion) -> str | None:
        """What the endpoint called the model that was live before, if that was another one and is known.

        Not of a checkpoint that was brought along, when the base comes back: a copy of the base is called like it.
        """
        previous = promotion.previous_s3_uri
        if previous is None or previous == promotion.artifact_s3_uri:
            return None
        model = self._registry.at(previous)
        if model is None or (promotion.version == BASE_VERSION and model.source == "import"):
            return None
        return model.served_version

    def _restore(self, promotion: Promotion, fault: str) -> RolloutAnswer:
        """Bring back what was live before; if that is what was promoted, there is nothing to go back to."""
        previous = promotion.previous_s3_uri
        if previous is None or previous == promotion.artifact_s3_uri:
            return self._failed(promotion, fault)
        promotion = self._note(promotion, state="restoring", reason=fault)
        try:
            begun = self._serve(previous, f"restore-{promotion.id}")
        except Conflict as conflict:
            return self._failed(promotion, f"{fault}; and the previous model can't be brought back: {conflict.detail}")
        return RolloutAnswer(next="wait") if begun else self._failed(promotion, fault)

    def _serve(self, model_uri: str, token: str) -> bool:
        return self._stack.update(self._update_role_arn, token, **{MODEL_URI_PARAMETER: model_uri})

    def _failed(self, promotion: Promotion, reason: str) -> RolloutAnswer:
        logger.warning("promotion failed", promotion=promotion.id, version=promotion.version, reason=reason)
        self._note(promotion, state="failed", reason=reason)
        return RolloutAnswer(next="failed", reason=reason)

    def _note(self, promotion: Promotion, **changes: str) -> Promotion:
        promotion = promotion.model_copy(update=changes)
        self._registry.put(promotion)
        return promotion


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Take one step of a promotion, as stacks/training/rollout.py asks for it, or of a pause: stacks/api/pauses.py."""
    asked, settings = ROLLOUT_STEP.validate_python(event), RolloutSettings.from_env()
    if isinstance(asked, EndpointEvent):
        return Pausing(settings, connect_worker).step(asked).model_dump()
    return Rollout(settings, connect_worker).step(asked).model_dump()
