"""The flags that say what is asked of an image, and the parameters that they make."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from contract.questions import DEFAULT_HYPOTHESIS_TEMPLATE


def add_question(parser: ArgumentParser, *, saved: bool = True) -> None:
    """--labels and what goes with them; with `saved` also --task, for questions that have a name."""
    parser.add_argument("--labels", metavar="A,B,…", help="the candidate labels")
    if saved:
        parser.add_argument(
            "--task", action="append", metavar="NAME", help="a saved task instead; repeat it for several"
        )
    parser.add_argument("--template", action="append", metavar="TEXT", help=f"such as {DEFAULT_HYPOTHESIS_TEMPLATE!r}")
    parser.add_argument("--multi-label", action="store_true", default=None, help="score each label on its own")
    parser.add_argument("--top-k", type=int, metavar="N", help="only the best N labels")
    parser.add_argument("--threshold", type=float, metavar="SCORE", help="only labels that score at least this")


def parameters_of(arguments: Namespace) -> dict[str, Any]:
    """The parameters as the API takes them, without what was not said: the API says what is missing."""
    tasks = getattr(arguments, "task", None)
    said = {
        "candidate_labels": arguments.labels,
        "task": tasks[0] if tasks and len(tasks) == 1 else tasks,
        "hypothesis_template": arguments.template,
        "multi_label": arguments.multi_label,
        "top_k": arguments.top_k,
        "threshold": arguments.threshold,
    }
    return {name: value for name, value in said.items() if value is not None}
