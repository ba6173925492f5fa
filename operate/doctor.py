"""What is wrong with a deployed stage, probably, and what to do about it: `python -m operate.doctor STAGE`.

Looks only. Ends with 0 if the stage is healthy, with 1 if a cause was found.
"""

import argparse
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


@dataclass(frozen=True)
class Finding:
    """A cause, and the line in which it was read."""

    cause: Cause
    subject: Subject
    evidence: Evidence
    named: Mapping[str, str]


def diagnose(seen: Observation) -> list[Finding]:
    """One finding for each subject that is not sound, the most probable first."""
    findings = []
    for subject in seen.subjects:
        for cause in CAUSES:
            if found := cause.find(subject):
                findings.append(Finding(cause, subject, *found))
                break
    return sorted(findings, key=lambda finding: finding.cause.consequence)


def report(stage: Stage) -> str:
    """What `main` prints, for whoever has just seen a deployment fail."""
    return _written(stage, seen := gather(stage), diagnose(seen))


def _written(stage: Stage, seen: Observation, findings: list[Finding]) -> str:
    parts = [f"Stage {stage.config.stage} in account {seen.account or 'unknown'}, region {seen.region or 'unknown'}"]
    parts += [f"  {name:<28} {state}" for name, state in seen.states.items()]
    if not findings:
        parts.append("\nIt is healthy.")
    for number, finding in enumerate(findings):
        names = {"stage": stage.config.stage, "endpoint": stage.config.name, **finding.named}
        parts.append(f"\n{'Also' if number else 'Probable cause'}: {finding.cause.title}.")
        parts.append(_quoted("Read in", finding.evidence))
        others = [each for each in finding.subject.evidence if each.source not in ("log", "job log")]
        parts += [_quoted("Beside it", each) for each in others if each != finding.evidence]
        parts.append(_filled("What to do", finding.cause.remedy.format_map(names) + "."))
        if finding.subject.tail:
            parts.append(f"  The last lines of {finding.subject.log_group}:")
            parts += [f"    {_cut(line, MAX_LINE_CHARACTERS)}" for line in finding.subject.tail]
    if seen.unseen:
        parts.append("\nCould not be looked at:")
        parts += [f"  {each}" for each in seen.unseen]
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
    findings = diagnose(seen := gather(stage))
    print(_written(stage, seen, findings))
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
