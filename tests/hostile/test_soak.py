"""What a soak makes of what it has seen, and the door that refuses."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contract.routes import ROUTES
from tests.e2e.system import System
from tests.hostile import soak
from tests.hostile.door import RefusingS3
from tests.hostile.soak import Soak, bars, growth_mb, schedule, slope_mb_per_h
from tests.hostile.traffic import Client, Seen, collection
from tests.local.conftest import ROOT, LocalSettings

STEADY = [
    (
        float(at_s),
        {"endpoint": 500.0, "functions": 300.0 + at_s, "largest function": 70.0, "emulator": 200.0 + at_s},
    )
    for at_s in range(0, 7200, 60)
]
"""With ever more calls of functions at a time, and ever more that is stored."""


@pytest.fixture
def good() -> Soak:
    """One of which nothing is to be said."""
    seen = Seen()
    seen.samples += [(1.0, f"{route.method} {route.path}", 200, 0.1) for route in ROUTES]
    done = {"worker kill": 10, "decoder kill": 3, "S3 refusal": 3, "live": 8}
    system = System(LocalSettings(ROOT, Path("/nowhere"), 1))
    return Soak(system, seen, Client("http://127.0.0.1:1", "key", seen), memory=list(STEADY), done=done)


def missed(found: Soak, lost: list[str] | None = None) -> list[str]:
    return [what for what, _, _, met in bars(found, lost or [], minutes=30) if not met]


def test_half_an_hour_has_ten_worker_kills_and_three_of_everything_else() -> None:
    names = [each.__name__ for each in schedule(30)]
    counts = {name: names.count(name) for name in names}
    assert counts == {"kill_worker": 10, "kill_decoder": 3, "refuse_s3": 3, "_promote_second": 3, "_promote_base": 3}
    assert {each.__name__ for each in schedule(3)} == counts.keys()


def test_versions_take_turns() -> None:
    promotions = [each for each in schedule(30) if "promote" in each.__name__]
    assert promotions == [soak._promote_second, soak._promote_base] * 3


def test_a_soak_without_a_fault_meets_every_bar(good: Soak) -> None:
    assert missed(good) == []


def test_every_fault_misses_a_bar(good: Soak) -> None:
    good.seen.wrong.append("fish is a car")
    good.seen.undocumented.append("500")
    good.seen.given_up.append("classify")
    good.dishonest.append("/ping")
    good.failed_events.append("promotion")
    good.done["decoder kill"] = 2
    good.seen.samples.pop()
    last = {"endpoint": 900.0, "functions": 300.0, "largest function": 121.0, "emulator": 1.0}
    good.memory += [(8000.0, last)] * 100
    assert missed(good, ["annotation 1"]) == [
        *("wrong answers", "undocumented answers", "lost, of what was acknowledged", "good requests given up"),
        *("/ping well, and no answer", "events that failed", "operations never asked"),
        *("decoder kills", "growth of memory: endpoint"),
        "growth of memory: largest function",
    ]


def test_growth_is_between_the_quarters_and_the_slope_is_that_of_a_line() -> None:
    assert growth_mb(STEADY, "endpoint") == 0
    assert growth_mb(STEADY, "emulator") == pytest.approx(3600, rel=0.01)
    assert slope_mb_per_h(STEADY, "emulator") == pytest.approx(3600)
    assert slope_mb_per_h(STEADY, "largest function") == pytest.approx(0)


def test_the_files_of_a_batch_are_all_different_and_some_are_no_images() -> None:
    contents = [content for content, label in collection().values() if label]
    assert len(set(contents)) == len(contents) == 24
    assert len(collection()) == 30


@pytest.mark.parametrize(
    ("signature", "refuses", "status"), [("s3", True, 503), ("s3", False, 200), ("states", True, 200)]
)
def test_the_door_refuses_what_is_asked_of_s3_while_its_switch_is_there(
    tmp_path: Path, signature: str, refuses: bool, status: int
) -> None:
    answered: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Any) -> None:
        answered.append(message)

    switch = tmp_path / "switch"
    if refuses:
        switch.touch()
    signed = f"AWS4-HMAC-SHA256 Credential=1/20261128/us-east-1/{signature}/aws4_request".encode()
    scope = {"type": "http", "headers": [(b"authorization", signed)]}
    asyncio.run(RefusingS3(inner, switch)(scope, None, send))  # type: ignore[arg-type]
    assert answered[0]["status"] == status
