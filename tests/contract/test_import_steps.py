import pytest
from pydantic import ValidationError

from contract.import_steps import ImportEvent
from contract.steps import CaughtError


def test_an_import_goes_on_or_ends_with_what_was_caught() -> None:
    assert ImportEvent.model_validate({"id": "one"}).failure is None
    failed = ImportEvent.model_validate({"id": "one", "failure": {"Error": "BadGateway", "Cause": "{}"}})
    assert failed.failure == CaughtError(Error="BadGateway", Cause="{}")


def test_a_misspelt_member_is_refused() -> None:
    with pytest.raises(ValidationError):
        ImportEvent.model_validate({"id": "one", "error": {"Error": "BadGateway"}})
