"""What is kept of a dataset between two steps."""

import json

from contract.layouts.found import Findings


def test_a_label_is_spelled_as_it_was_first_for_each_task_and_across_steps() -> None:
    findings = Findings()
    assert findings.spelled("pet", "Cat") == "Cat"
    findings = Findings.model_validate_json(findings.model_dump_json())
    assert (findings.spelled("pet", "cat"), findings.spelled("kind", "cat")) == ("Cat", "cat")
    assert findings.notes == {"label 'cat' is taken for 'Cat': to the model they are the same": 1}


def test_a_person_is_told_what_was_left_out_noted_and_ignored() -> None:
    findings = Findings()
    findings.leave_out("they are hidden", 1200)
    findings.note("sentences are cut")
    findings.ignore("height")
    assert findings.sentences() == [
        "left out: 1,200 because they are hidden",
        "1 times: sentences are cut",
        "ignored: the field 'height' of 1 rows",
    ]


def test_only_so_many_kinds_of_findings_are_told_apart() -> None:
    findings = Findings()
    for number in range(1000):
        findings.note(f"kind {number}")
    assert len(findings.notes) == 101 and findings.notes["others"] == 900
    for number in range(12_000):
        findings.spelled("", f"label {number}")
        findings.spelled("", f"{number}" * 100)
    assert len(findings.spellings[""]) == 10_000
    assert len(json.dumps(findings.model_dump())) < 500_000
