"""The documents' examples: what of them is pasted, in which order, and what that asks of the API."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")), *ROOT.glob("docs/*.md"))
}
"""By path."""
README = DOCUMENTS["README.md"]

PASTED = (
    "README.md",
    *(f"docs/{page}.md" for page in ("api", "batches", "cli", "datasets", "teaching", "training", "models", "operate")),
)
"""What tests/e2e/test_readme.py pastes, in this order: one may use what those before it have made."""

NOT_PASTED = {
    "make local": "stands up the system that the others ask, as tests/e2e/test_local.py does",
    "make test": "is what runs this",
    "make bootstrap": "prepares an AWS account",
    "make preflight": "looks at an AWS account",
    "make deploy": "deploys to an AWS account",
    "make key": "asks an AWS account; tests/e2e/test_stages.py makes, rotates and revokes one",
}
"""Why commands that begin so are left out."""

SET_UP = ("docs/api.md", "## Set up the shell")
"""Where a page sends its readers whose examples need more than a shell."""
_NEEDS_SET_UP = "api.md#set-up-the-shell"

Block = tuple[str, str]
"""(language, code)"""


def section(document: str, heading: str) -> str:
    """What stands under a heading, such as "## Classify", without the sections below it."""
    return re.split(r"\n#+ ", DOCUMENTS[document].split(f"\n{heading}\n", 1)[1])[0]


def blocks(text: str) -> list[Block]:
    """Every block of code, whatever its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def examples(text: str) -> list[Block]:
    """The blocks for a shell or for Python, without what is not pasted."""
    left_out = tuple(NOT_PASTED)
    kept = (
        (language, "".join(line for line in code.splitlines(keepends=True) if not line.startswith(left_out)))
        for language, code in blocks(text)
        if language in ("sh", "python")
    )
    return [(language, code) for language, code in kept if code]


def pasted(document: str) -> list[Block]:
    """What somebody pastes who follows a document from its beginning to its end."""
    text = DOCUMENTS[document]
    before = examples(section(*SET_UP)) if _NEEDS_SET_UP in text else []
    return [*before, *examples(text)]


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
