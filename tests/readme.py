"""The README's examples: the sections that are run, their code, and what that asks of the API."""

import re
from collections.abc import Iterator
from pathlib import Path

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")

RUN = (
    "## Classify",
    "### None of these",
    "### Keep a question",
    "### Upload large images",
    "### What else it answers",
    "## Classify a whole bucket",
    "## From a shell",
    "### In seconds",
    "### Annotate",
    "### Train",
    "### Promote, and go back",
    "### Pause",
)
"""The headings whose examples tests/e2e/test_readme.py pastes, in this order."""

SET_UP = ("## Classify", "## Classify a whole bucket")
"""Begin with a block that sets up the shell for everything behind it."""

Block = tuple[str, str]
"""(language, code)"""


def blocks(heading: str) -> list[Block]:
    """What can be pasted from a section, without those below it."""
    section = re.split(r"\n##", README.split(f"\n{heading}\n")[1])[0]
    return re.findall(r"```(sh|python)\n(.*?)```", section, re.DOTALL)


def set_up() -> list[Block]:
    """What a shell needs before it can run any section."""
    return [blocks(heading)[0] for heading in SET_UP]


def asked_by(block: Block) -> Iterator[tuple[str, str]]:
    """(method, path) of every request to the API, as it is written."""
    language, code = block
    if language == "python":
        for method, path in re.findall(r'requests\.(\w+)\(f"\{url\}(/[^"?]*)', code):
            yield method.upper(), path
        return
    for command in re.split(r"\bcurl\b", code.replace("\\\n", " "))[1:]:
        command = command.splitlines()[0]
        path = re.search(r'"\$URL(/[^"?]*)', command)
        assert path, f"curl{command} asks something that is not the API"
        method = re.search(r" -X (\w+)", command)
        has_body = re.search(r" (-d|-F|--data\S*) ", command)
        yield method[1] if method else "POST" if has_body else "GET", path[1]
