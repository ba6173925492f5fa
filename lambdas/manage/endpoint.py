"""The endpoint: what it costs, and its pause and resume, whose work is the state machine's of stacks/api/pauses.py."""

from contract.endpoint import Action, EndpointAsked, EndpointChange, EndpointState, EndpointView, Standing, standing
from contract.problems import Conflict, PreconditionFailed
from lambdas.aws.clients import Connect
from lambdas.aws.endpoint import is_function
from lambdas.aws.executions import Executions, may_begin
from lambdas.aws.s3 import Document, Store
from lambdas.aws.serving_stack import ServingStack, StackState
from lambdas.settings import ManageSettings
from lambdas.stored.endpoint import Changes
from lambdas.stored.registry import Registry

CUT_OFF = "its work was cut off: GET /endpoint tells how the stage is; pause or resume it again"


class EndpointSwitch:
    """The endpoint of one stage."""

    def __init__(self, settings: ManageSettings, connect: Connect) -> None:
        self._changes = Changes(Store(settings.data_bucket, connect))
        self._registry = Registry(Store(settings.artifacts_bucket, connect))
        self._stack = ServingStack(settings.serving_stack, connect)
        self._executions = Executions(settings.pause_machine_arn, connect)
        self._at_work = {
            "promotion": Executions(settings.promotion_machine_arn, connect),
            "batch": Executions(settings.batch_machine_arn, connect),
            "import": Executions(settings.import_machine_arn, connect),
        }
        # A function costs nothing by the hour; of other types than those of the table nobody knows.
        without = 0.0 if is_function(settings.endpoint_name) else None
        self._usd_per_hour = settings.endpoint_usd_per_hour or without

    def get(self) -> EndpointView:
        """How the endpoint is, and what it costs."""
        stack, newest = self._stack.state(), self._newest()
        change = newest.value if newest else None
        state, found = _state(stack, change)
        model = self._registry.at(stack.model_uri)
        return EndpointView(
            state=state,
            detail=found.sentence if found else None,
            since=change.paused_since if change and stack.paused else None,
            by=change.paused_by if change and stack.paused else None,
            version=model.version if model else None,
            model_s3_uri=stack.model_uri,
            usd_per_hour=0.0 if state == "paused" else self._usd_per_hour,
            usd_per_hour_in_service=self._usd_per_hour,
            change=change,
        )

    def begin(self, id: str, action: Action) -> EndpointChange:
        """Begin to pause or to resume. What is so already, or about to be, is answered and not begun again.

        A pause calls a resume off that waits for an instance. Raises Conflict while the stack is being changed
        otherwise, and for a pause while something runs that needs the endpoint.
        """
        newest, stack = self._newest(), self._stack.state()
        change = newest.value if newest else None
        if change and change.id != id and not change.is_over and not change.gives_way_to(action, "request"):
            if change.action == action:
                return change
            raise Conflict(f"the {change.action} {change.id} is at work: wait until it has ended", retry_after_s=30)
        if change is None or change.id != id:
            if stack.changing:
                raise Conflict(
                    f"the endpoint is being changed ({stack.status}): try again when that is done", retry_after_s=30
                )
            if change and change.action == action and change.state != "failed" and stack.paused == (action == "pause"):
                return change
            if action == "pause":
                self._refuse_while_at_work()
            change = self._write(EndpointChange.following(change, id=id, action=action, by="request"), newest)
        asked = EndpointAsked(action=action, by="request", at=change.created)
        self._executions.start(id, asked.model_dump())
        return change

    def _newest(self) -> Document[EndpointChange] | None:
        """As its execution says it is: one that was stopped or timed out could not write down its end."""
        newest = self._changes.newest()
        if newest is None or newest.value.is_over or may_begin(newest.value.updated):
            return newest
        execution = self._executions.describe(newest.value.id)
        if execution is not None and execution["status"] == "RUNNING":
            return newest
        failed = newest.value.model_copy(update={"state": "failed", "reason": CUT_OFF})
        return Document(newest.key, failed, newest.etag)

    def _refuse_while_at_work(self) -> None:
        for what, executions in self._at_work.items():
            if (name := executions.any_running()) is not None:
                raise Conflict(
                    f"the {what} {name} is at work and needs the endpoint: wait for it, or stop it, and pause then"
                )

    def _write(self, change: EndpointChange, over: Document[EndpointChange] | None) -> EndpointChange:
        try:
            return self._changes.write(change, over).value
        except PreconditionFailed:
            raise Conflict("another pause or resume was begun at the same moment: see GET /endpoint") from None


def _state(stack: StackState, change: EndpointChange | None) -> tuple[EndpointState, Standing | None]:
    found = standing(change)
    if found and (found.state != "paused" or stack.paused):
        return found.state, found
    if stack.changing:
        return "changing", None
    return ("paused" if stack.paused else "in service"), None
