"""Steps of the state machines: the events that they send to Lambda functions, and the answers that they read. Here are
those of several machines; those of one are in `contract/training_steps.py`, `rollout_steps.py`, `import_steps.py` and
`batch_steps.py`, so that a function imports no other's.

Each handler parses its event with the model here, and a test walks every machine's definition with the same models: a
field that is renamed on one side only fails there, not in an execution.
"""

from collections.abc import Iterable

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_pascal

from contract.deferred import Deferred
from contract.texts import same_to_the_model

MAX_EVENT_CHARS = 16_000
"""Of labels in an event for which nobody waits. Lambda takes 256 KB, and JSON may write a character as twelve bytes:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""


class Step(Deferred):
    """What is sent, or answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OfAWS(Deferred):
    """An object of AWS's, by the members that are read; AWS may add others."""

    model_config = ConfigDict(alias_generator=to_pascal, frozen=True)


class CaughtError(OfAWS):
    """What a Catch makes of a failure: its error's name and cause, which is JSON where a function raised.

    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """

    error: str = ""
    cause: str = ""


class TeachEvent(Step):
    """Let saved tasks learn from annotations: the `tasks` of these names and those that have one of these `labels`, or
    all of them where neither is given.
    """

    tasks: list[str] = Field(default=[])
    labels: list[str] = Field(default=[])

    @classmethod
    def about(cls, said: Iterable[tuple[str | None, str | None]]) -> "TeachEvent | None":
        """Those whom annotations concern that say these (label, task); None if that is nobody."""
        labelled = [(label, task) for label, task in said if label is not None]
        tasks = {task for _, task in labelled if task is not None}
        labels = {same_to_the_model(label) for label, task in labelled if task is None}
        if sum(map(len, labels)) > MAX_EVENT_CHARS:
            return cls()
        return cls(tasks=sorted(tasks), labels=sorted(labels)) if labelled else None
