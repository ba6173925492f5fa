"""Figures as Markdown tables, from the JSON values that are kept of them."""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

Figures = Mapping[str, Mapping[str, JsonValue]]
"""By task or dataset, then by the figure's name."""
COLUMNS = {
    "accuracy": "accuracy",
    "macro_recall": "macro recall",
    "chance": "chance",
    "calibration_error": "calibration error",
    "raw_calibration_error": "before the temperature",
    "images": "images",
}
"""Of a task's figures, in order. Files that an earlier version wrote lack some."""


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], *, aligned: bool = False) -> str:
    """A table; `aligned`: its columns also line up where it is read as plain text."""
    lines = [header, ["---"] * len(header), *rows]
    if aligned:
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
        lines[1] = ["-" * width for width in widths]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tasks_table(tasks: Figures) -> str:
    """Every task's figures."""
    known = [key for key in COLUMNS if all(key in figures for figures in tasks.values())]
    rows = [[name, *(_figure(figures[key]) for key in known)] for name, figures in tasks.items()]
    return markdown(["task", *(COLUMNS[key] for key in known)], rows, aligned=True)


def changes_table(before: Figures, after: Figures, changes: Figures) -> str:
    """Accuracy before and after, and the 95 % interval of the difference on the same images."""
    rows = []
    for name, changed in changes.items():
        accuracies = [_figure(figures[name]["accuracy"]) for figures in (before, after)]
        estimate, low, high = (_signed(changed[key]) for key in ("estimate", "low", "high"))
        rows.append([name, *accuracies, estimate, f"{low} to {high}"])
    return markdown(["task", "before", "after", "change", "95 % interval"], rows, aligned=True)


def wording_table(wording: Figures) -> str:
    """Mean accuracy of single wordings, of trained ones and of others."""
    rows = [
        [name, _figure(said["trained"]), _figure(said["held_out"]), _signed(said["gap"])]
        for name, said in wording.items()
    ]
    return markdown(["task", "trained wordings", "never trained", "gap"], rows, aligned=True)


def _figure(value: JsonValue) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _signed(value: JsonValue) -> str:
    return f"{value:+.3f}" if isinstance(value, int | float) else str(value)


def print_figures(**values: object) -> None:
    """Print one line; floats with the digits that matter."""
    said = {key: f"{value:.5g}" if isinstance(value, float) else value for key, value in values.items()}
    print(" ".join(f"{key}={value}" for key, value in said.items()), flush=True)
