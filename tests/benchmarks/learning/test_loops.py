"""What other loops are given to learn from, and the report of what they learnt."""

import json
from collections import Counter
from pathlib import Path

from PIL import Image

from benchmarks.learning.loops import Findings, report, write_rows
from benchmarks.learning.outcome import Outcome
from model.data.class_wording import said_in_training

CLASSES = ("bell", "key")


def rows(directory: Path, seed: int) -> list[dict[str, str | list[str]]]:
    write_rows(directory / "train", directory, 20, seed)
    return [json.loads(line) for line in (directory / "manifest.jsonl").read_text().splitlines()]


def test_every_image_comes_once_before_any_comes_again_in_a_wording_of_its_label(tmp_path: Path) -> None:
    for number in range(8):
        path = tmp_path / "train" / CLASSES[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (30 * number, 0, 0)).save(path)
    found = rows(tmp_path, 0)
    assert len(found) == 20 and all(row["split"] == "train" for row in found)
    for first in (0, 8):
        assert Counter(str(row["image"]) for row in found[first : first + 8]).most_common(1)[0][1] == 1
    for row in found:
        path = Path(str(row["image"]))
        assert path.is_file() and {*row["captions"]} <= {*said_in_training(path.parent.name)}
    assert len({str(row["captions"]) for row in found}) > 6
    assert rows(tmp_path, 0) == found != rows(tmp_path, 1)


def test_the_report_has_a_row_for_each_loop_with_what_it_forgot() -> None:
    before = Outcome(0.1, 0.1, {"count": 0.9, "colour": 1.0})
    after = [Outcome(0.9, 0.8, {"count": 0.5, "colour": 1.0}), Outcome(0.9, 0.9, {"count": 0.7, "colour": 0.9})]
    found = report([Findings("signs", "open_clip", after, [100.0, 120.0])], before, "base")
    row = "| signs | open_clip's loop | 0.850 (0.800 to 0.900) | -0.175 (-0.200 to -0.150) | count -0.400 | 110 |"
    assert row in found.splitlines()
