from contract.endpoint import EndpointChange, Paused, standing
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
