"""Steps of the machine that imports annotations."""

from typing import Literal

from contract.steps import CaughtError, Step


class ImportEvent(Step):
    """Go on with the import `id`, or end it because of `failure`."""

    id: str
    failure: CaughtError | None = None


class ImportAnswer(Step):
    id: str
    state: Literal["running", "done", "failed"]
