"""Sort product pictures by several questions at once: python examples/sort_products.py [products.csv]

A shop sells stickers and has a picture of each, but no table. One request asks three questions of eight pictures.
"""

import csv
import io
import json
import math
import random
import sys
from pathlib import Path
from typing import Any

from api import ask
from PIL import Image, ImageDraw

KINDS, COLOURS, COUNTS = ("star", "circle", "triangle", "square"), ("red", "blue", "green", "yellow"), (1, 2, 3)
QUESTIONS: dict[str, Any] = {
    "kind": {"candidate_labels": [f"a {kind}" for kind in KINDS]},
    "colour": {"candidate_labels": list(COLOURS), "hypothesis_template": "something {}"},
    "count": {"candidate_labels": ["one object", "two objects", "three objects"], "hypothesis_template": "{}"},
}
PLACES = {1: [(112, 112)], 2: [(64, 100), (160, 124)], 3: [(60, 70), (164, 70), (112, 160)]}
RADIUS = {1: 66, 2: 42, 3: 36}
TOGETHER = 8


def drawn(kind: str, colour: str, count: int) -> bytes:
    """The picture of a sticker, as a PNG file."""
    image = Image.new("RGB", (224, 224), "white")
    canvas, turn = ImageDraw.Draw(image), random.uniform(-0.2, 0.2)
    for x, y in PLACES[count]:
        canvas.polygon(
            [(x + dx * RADIUS[count], y + dy * RADIUS[count]) for dx, dy in outline(kind, turn)], fill=colour
        )
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def outline(kind: str, turn: float) -> list[tuple[float, float]]:
    """The corners of a sticker of radius 1, the first one at the top."""
    corners = {"star": 10, "circle": 40, "triangle": 3, "square": 4}[kind]
    radii = [1.0, 0.4] if kind == "star" else [1.0]
    start = turn - math.pi / (4 if kind == "square" else 2)
    angles = [start + 2 * math.pi * corner / corners for corner in range(corners)]
    return [
        (radii[i % len(radii)] * math.cos(angle), radii[i % len(radii)] * math.sin(angle))
        for i, angle in enumerate(angles)
    ]


def sort(pictures: dict[str, bytes]) -> list[dict[str, Any]]:
    """A row for each picture, with the best answer to each question."""
    rows, names = [], list(pictures)
    for start in range(0, len(names), TOGETHER):
        some = names[start : start + TOGETHER]
        answers = ask(
            "POST",
            "classify",
            files=[("image", (name, pictures[name], "image/png")) for name in some],
            data={"parameters": json.dumps({"tasks": QUESTIONS})},
        )
        for name, answer in zip(some, answers, strict=True):
            rows.append({"file": name, **{question: answer[question][0]["label"] for question in QUESTIONS}})
    return sorted(rows, key=lambda row: [row[question] for question in QUESTIONS])


def main() -> None:
    random.seed(1)
    stickers = [(kind, colour, count) for kind in KINDS for colour in COLOURS for count in COUNTS]
    random.shuffle(stickers)
    rows = sort({f"{number:02}.png": drawn(*sticker) for number, sticker in enumerate(stickers)})
    true = {f"{number:02}.png": sticker for number, sticker in enumerate(stickers)}
    for place, question in enumerate(QUESTIONS):
        said = [QUESTIONS[question]["candidate_labels"].index(row[question]) for row in rows]
        known = [(KINDS, COLOURS, COUNTS)[place].index(true[row["file"]][place]) for row in rows]
        right = sum(one == other for one, other in zip(said, known, strict=True))
        print(f"{question}: {right} of {len(rows)} right")
    with Path(sys.argv[1]).open("w", newline="") if len(sys.argv) > 1 else sys.stdout as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
