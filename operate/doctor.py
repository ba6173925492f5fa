"""What is wrong with a deployed stage, probably, and what to do about it: `python -m operate.doctor STAGE`.

Looks only. Ends with 0 if the stage is healthy, with 1 if a cause was found.
"""

import argparse
import re
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from operate.causes import CAUSES, Cause, Evidence, Subject
from operate.evidence import Observation, gather
from operate.stage import OperatorError, Stage, add_stage_arguments, chosen_stage

WIDTH = 118
MAX_EVIDENCE_CHARACTERS = 600
"""Of a line that is quoted: a failed job's description is whole pages of JSON."""
MAX_LINE_CHARACTERS = 400
"""Of a log's line, which may end with a traceback."""


CLI_SAYS_WHY = (
    "No stack failed; the CLI's last lines above say why. The usual ones: an image could not be built, it could not be "
    "pushed (is Docker up, is the disk full?), or CloudFormation refused the change set"
)
"""Where a deployment failed and the stage shows nothing of it."""
SAID_BY_A_DEPLOYMENT = ("account", "stack", "event", "config", "endpoint", "log")
"""The sources of evidence that can tell why one failed; a training or a batch may have failed long ago."""
_NO_CHANGES = re.compile(r"didn't contain changes|No updates are to be performed", re.IGNORECASE)


@dataclass(frozen=True)
class Diagnosis:
    """A cause, and the line in which it was read."""

    cause: Cause
    subject: Subject
    evidence: Evidence
    named: Mapping[str, str]


def diagnose(seen: Observation) -> list[Diagnosis]:
    """One diagnosis for each subject that is not sound, the most probable first."""
    found = []
    for subject in seen.subjects:
        for cause in CAUSES:
            if read := cause.find(subject):
                found.append(Diagnosis(cause, subject, *read))
                break
    return sorted(found, key=lambda each: each.cause.consequence)


def report(stage: Stage, *, cli_failed: bool = False) -> str:
    """What `main` prints, for whoever has just seen a deployment fail.

    `cli_failed`: the CDK CLI did, which it also does before CloudFormation has begun. A stage that shows nothing of
    the failure is not called healthy then, and a stack that is missing is no cause.
    """
    seen = gather(stage)
    if not cli_failed:
        return _written(stage, seen, diagnose(seen))
    with seen.looking_at("change sets"):
        seen.subjects[:0] = refused_change_sets(stage, seen)
    found = diagnose(seen)
    if any(each.evidence.source in SAID_BY_A_DEPLOYMENT and not each.cause.consequence for each in found):
        return _written(stage, seen, found)
    return _written(stage, seen, [each for each in found if each.cause.key != "missing"], first=CLI_SAYS_WHY)


def refused_change_sets(stage: Stage, seen: Observation) -> list[Subject]:
    """What CloudFormation did not even begin to do, and why: one for each change set that failed."""
    pages = stage.connect("cloudformation").get_paginator("list_change_sets")
    names = [name for name in stage.stack_names if seen.states.get(name, "not deployed") != "not deployed"]
    failed = [
        (name, each)
        for name in names
        for page in pages.paginate(StackName=name)
        for each in page["Summaries"]
        if each["Status"] == "FAILED" and not _NO_CHANGES.search(each.get("StatusReason", ""))
    ]
    return [
        Subject(name, (Evidence("event", f"{name}, its change set", each.get("StatusReason") or "it says no reason"),))
        for name, each in failed
    ]


def _written(stage: Stage, seen: Observation, found: list[Diagnosis], first: str = "") -> str:
    """`first`: what is said before all that was found, in place of health."""
    parts = [f"Stage {stage.config.stage} in account {seen.account or 'unknown'}, region {seen.region or 'unknown'}"]
    parts += [f"  {name:<28} {state}" for name, state in seen.states.items()]
    if first or not found:
        parts.append(f"\n{textwrap.fill(first or 'It is healthy', WIDTH - 1)}.")
    for number, each in enumerate(found):
        names = {"stage": stage.config.stage, "endpoint": stage.config.name, **each.named}
        parts.append(f"\n{'Also' if first or number else 'Probable cause'}: {each.cause.title}.")
        parts.append(_quoted("Read in", each.evidence))
        others = [other for other in each.subject.evidence if other.source not in ("log", "job log")]
        parts += [_quoted("Beside it", other) for other in others if other != each.evidence]
        parts.append(_filled("What to do", each.cause.remedy.format_map(names) + "."))
        if each.subject.tail:
            parts.append(f"  The last lines of {each.subject.log_group}:")
            parts += [f"    {_cut(line, MAX_LINE_CHARACTERS)}" for line in each.subject.tail]
    if seen.unseen:
        parts.append("\nCould not be looked at:")
        parts += [f"  {refused}" for refused in seen.unseen]
    return "\n".join(parts)


def _quoted(title: str, evidence: Evidence) -> str:
    return _filled(f"{title} {evidence.where}", _cut(" ".join(evidence.text.split()), MAX_EVIDENCE_CHARACTERS))


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}…"


def _filled(title: str, text: str) -> str:
    options = {"initial_indent": "  ", "subsequent_indent": "    ", "break_long_words": False}
    return textwrap.fill(f"{title}: {text}", WIDTH, break_on_hyphens=False, **options)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m operate.doctor", description="Why a stage fails, and the remedy.")
    add_stage_arguments(parser)
    try:
        stage = chosen_stage(parser.parse_args())
    except OperatorError as error:
        sys.exit(str(error))
    found = diagnose(seen := gather(stage))
    print(_written(stage, seen, found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
