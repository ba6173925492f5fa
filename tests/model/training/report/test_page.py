"""The report as a page: whole by itself, and safe whatever users have written."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from contract.limits import MAX_REPORTED_TASKS
from contract.reports import (
    MAX_CONFUSED_LABELS,
    MAX_MISTAKES,
    MAX_REPORT_BYTES,
    MAX_REPORTED_CHARS,
    Confusion,
    Mistake,
    Report,
)
from model.training.report.page import page, write_report
from tests.model.training.report.samples import jpeg_of_noise, report

HOSTILE = "</style><script>alert(1)</script><img src=x onerror=\"alert(2)\">' onload='&amp;\u202e"


class Found(HTMLParser):
    """Elements with their attributes, and what is between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_everything_of_a_report_is_on_its_page() -> None:
    said = " ".join(Found(page(report())).said)
    for words in (
        *(
            "wordsight-dev-20261128100000-1a2b3c",
            "33 % → 94 %",
            "75 won, 2 lost",
            "75% fine-tuned",
            "How it learnt",
            "Before and after",
        ),
        *("Confusions: weld", "The 3 labels that are confused least are left out", "How far its scores can be trusted"),
        *("What it forgot", "relation by -4.0", "Its worst mistakes", "said crack, 90 %", "true: pore, 5 %"),
        "weld: taught at once by 480 training images, the base gets 82 % right, and this model 97 %.",
        *("python -m model.training epochs=5", "learning_rate", "9b2c7d1f0a4e"),
    ):
        assert words in said


def test_it_needs_nothing_beside_itself_and_is_small_even_with_as_much_as_a_report_can_have() -> None:
    quotes, labels = '"' * MAX_REPORTED_CHARS, MAX_CONFUSED_LABELS
    confused = Confusion(task=quotes, labels=[quotes] * labels, counts=[[1000] * labels] * labels)
    mistake = Mistake(
        image=quotes, task=quotes, said=quotes, score=0.9, truth=quotes, truth_score=0, thumbnail=jpeg_of_noise()
    )
    told = {"confusions": [confused] * MAX_REPORTED_TASKS, "mistakes": [mistake] * MAX_MISTAKES}
    html = page(report().model_copy(update=told))
    assert len(html.encode()) < MAX_REPORT_BYTES
    elements = Found(html).elements
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in elements}
    sources = [attrs["src"] for _, attrs in elements if "src" in attrs]
    assert len(sources) == 24 and all(source and source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"url\(|@import|href|https?:", html)
    policies = [attrs["content"] for tag, attrs in elements if "http-equiv" in attrs]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert "prefers-color-scheme: dark" in html and "width=device-width" in html


def test_what_users_have_written_stays_text() -> None:
    plain, hostile = (Found(page(report(label))) for label in ("pore", HOSTILE))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert [sorted(attrs) for _, attrs in hostile.elements] == [sorted(attrs) for _, attrs in plain.elements]
    assert HOSTILE in " ".join(hostile.said)
    texts = {
        "choice": HOSTILE,
        "version": HOSTILE,
        "parent": HOSTILE,
        "outcome": HOSTILE,
        "worst_task": HOSTILE,
        "data_digest": HOSTILE,
    }
    texts |= {"created": HOSTILE, "commands": [HOSTILE], "recipe": {HOSTILE: HOSTILE}}
    everywhere = Found(page(report().model_copy(update=texts)))
    assert not {"script"} & {tag for tag, _ in everywhere.elements}
    assert len([tag for tag, _ in everywhere.elements if tag == "img"]) == 24


@pytest.mark.parametrize(
    "told",
    [{}, {"history": [{"step": 0, "accuracy": 0.5}]}, {"frontier": [{"alpha": 0, "published": True, "accuracy": 0.5}]}],
)
def test_what_was_not_measured_has_no_section_and_breaks_nothing(told: dict[str, object]) -> None:
    bare = Report.model_validate({"version": "v", "created": "", "outcome": "Nothing.", **told})
    html = page(bare)
    assert "Nothing." in html and "Its worst mistakes" not in html and "nan" not in html


def test_nothing_lost_is_not_less_than_nothing() -> None:
    kept = report().model_copy(update={"mean_drop": 0.0, "worst_drop": 0.0})
    assert "changed by +0.0 points" in page(kept) and "-0.0" not in page(kept)


def test_both_files_say_the_same(tmp_path: Path) -> None:
    write_report(tmp_path, report("ø“"))
    written = json.loads((tmp_path / "report.json").read_bytes())
    assert Report.model_validate(written) == report("ø“")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page(report("ø“"))
