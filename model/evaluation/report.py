"""Figures as Markdown tables, from the JSON values that are kept of them."""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

COLUMNS = {
    "accuracy": "accuracy",
    "macro_recall": "macro recall",
    "chance": "chance",
    "calibration_error": "calibration error",
    "raw_calibration_error": "before the temperature",
    "images": "images",
}
"""Of a task's figures, in order. Files that an earlier version wrote lack some."""


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose columns also line up where it is read as plain text."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return "\n".join([lines[0], "| " + " | ".join("-" * max(3, width) for width in widths) + " |", *lines[1:]])


def tasks_table(tasks: Mapping[str, Mapping[str, JsonValue]]) -> str:
    """Every task's figures."""
    known = [key for key in COLUMNS if all(key in figures for figures in tasks.values())]
    rows = [[name, *(_figure(figures[key]) for key in known)] for name, figures in tasks.items()]
    return markdown(["task", *(COLUMNS[key] for key in known)], rows)


def changes_table(
    before: Mapping[str, Mapping[str, JsonValue]],
    after: Mapping[str, Mapping[str, JsonValue]],
    changes: Mapping[str, Mapping[str, JsonValue]],
) -> str:
    """Accuracy before and after, and the 95 % interval of the difference on the same images."""
    rows = [
        [
            name,
            _figure(before[name]["accuracy"]),
            _figure(after[name]["accuracy"]),
            _signed(changed["estimate"]),
            f"{_signed(changed['low'])} to {_signed(changed['high'])}",
        ]
        for name, changed in changes.items()
    ]
    return markdown(["task", "before", "after", "change", "95 % interval"], rows)


def wording_table(wording: Mapping[str, Mapping[str, JsonValue]]) -> str:
    """Mean accuracy of single wordings, of trained ones and of others."""
    rows = [
        [name, _figure(said["trained"]), _figure(said["held_out"]), _signed(said["gap"])]
        for name, said in wording.items()
    ]
    return markdown(["task", "trained wordings", "never trained", "gap"], rows)


def _figure(value: JsonValue) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _signed(value: JsonValue) -> str:
    return f"{value:+.3f}" if isinstance(value, int | float) else str(value)


def print_figures(**values: object) -> None:
    """Print one line; floats with the digits that matter."""
    print(" ".join(f"{key}={_text(value)}" for key, value in values.items()), flush=True)


def _text(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
