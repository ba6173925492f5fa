from pathlib import Path

from contract.endpoint import LATER_S, LIMIT_S, UPDATE_LIMIT_S, WAIT_LIMIT_S, EndpointChange, Paused, standing
from contract.problems import PROBLEMS, ServiceUnavailable


def test_a_new_change_knows_what_the_one_before_knew_of_the_pause() -> None:
    paused = EndpointChange.following(None, id="one", action="pause", by="idle")
    assert (paused.state, paused.paused_since, paused.served_version) == ("requested", None, None)
    known = {"paused_since": "2026-11-29T18:00:00+00:00", "paused_by": "idle", "served_version": "one"}
    paused = paused.model_copy(update={"state": "paused", **known})
    resumed = EndpointChange.following(paused, id="two", action="resume", by="request")
    assert resumed.model_dump(include=known.keys()) == known
    assert (resumed.id, resumed.state) == ("two", "requested")


def test_a_paused_stage_is_unavailable_as_others_are_and_says_more() -> None:
    found = standing(EndpointChange.following(None, id="one", action="pause", by="request"))
    assert found is not None
    problem = Paused(found)
    assert problem.status == ServiceUnavailable.status and PROBLEMS[problem.status] is ServiceUnavailable
    assert problem.body()["state"] == "pausing" and "retry_after_s" in problem.body()


def test_a_change_that_waits_as_long_as_it_may_can_still_be_made() -> None:
    assert LIMIT_S > WAIT_LIMIT_S + LATER_S + UPDATE_LIMIT_S


def test_the_guides_say_how_long_is_waited() -> None:
    docs = Path(__file__).parents[2] / "docs"
    hours, minutes = WAIT_LIMIT_S // 3600, LATER_S // 60
    guide, faults = (docs / name for name in ("operate.md", "operations.md"))
    again = f"is tried again {minutes} minutes later, as long as it was asked for less than {hours} hours ago"
    assert again in guide.read_text(encoding="utf-8")
    assert f"A pause by a knob waits, {hours} hours at most" in guide.read_text(encoding="utf-8")
    for said in (f"tried again: for {hours} hours", f"the others wait, {hours} hours at most"):
        assert said in faults.read_text(encoding="utf-8")
