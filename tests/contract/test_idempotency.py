from datetime import datetime, timedelta

import pytest

from contract.idempotency import ID, IDEMPOTENCY_PREFIX, now, remembered_key


def test_a_key_is_remembered_for_its_route_alone_and_without_its_own_characters() -> None:
    first = remembered_key("POST /uploads", "../key of a caller")
    assert first == remembered_key("POST /uploads", "../key of a caller")
    assert first != remembered_key("POST /trainings", "../key of a caller") != remembered_key("POST /uploads", "key")
    assert first.startswith(IDEMPOTENCY_PREFIX) and first.removeprefix(IDEMPOTENCY_PREFIX).count("/") == 0


@pytest.mark.parametrize("text", ["20260101120000", "20260101120000-0A1B2C", "20260101120000-0a1b2c/", "../../secret"])
def test_what_was_never_given_as_an_id_is_none(text: str) -> None:
    assert ID.fullmatch("20260101120000-0a1b2c") and not ID.fullmatch(text)


def test_the_present_moment_is_in_utc_and_sorts_as_text() -> None:
    moment = datetime.fromisoformat(now())
    assert moment.utcoffset() == timedelta(0) and moment.microsecond == 0 and now() >= moment.isoformat()
