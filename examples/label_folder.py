"""Label a folder in bulk: python examples/label_folder.py [FOLDER] [--out labels.csv]

The command line sends the images to the data bucket, and one batch answers for all of them. Without a folder one with
sixty drawings is made.
"""

import argparse
import csv
import json
import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parent.parent
LABELS = ("a star", "a circle", "a triangle", "a square")
CORNERS = {"star": 10, "circle": 40, "triangle": 3, "square": 4}
DRAWINGS = 60


def draw(folder: Path) -> None:
    """Sixty drawings, each called after what it shows."""
    for number in range(DRAWINGS):
        kind = random.choice(list(CORNERS))
        image = Image.new("RGB", (224, 224), random.choice(("white", "lightgrey", "lightblue")))
        radius, x, y = random.uniform(50, 80), random.uniform(85, 140), random.uniform(85, 140)
        corners = []
        for corner in range(CORNERS[kind]):
            angle = 2 * math.pi * corner / CORNERS[kind] - math.pi / (4 if kind == "square" else 2)
            length = radius * (0.4 if kind == "star" and corner % 2 else 1)
            corners.append((x + length * math.cos(angle), y + length * math.sin(angle)))
        ImageDraw.Draw(image).polygon(corners, fill=random.choice(("red", "green", "blue", "purple", "orange")))
        image.save(folder / f"{kind}-{number:02}.png")


def label(folder: Path) -> list[tuple[str, str, float]]:
    """(path, best label, score) of each image; what could not be read has the reason and 0."""
    command = [sys.executable, "-m", "wordsight", "batch", str(folder)]
    asked = ["--labels", ",".join(LABELS), "--top-k", "1", "--download"]
    done = subprocess.run([*command, *asked], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    rows = []
    for each in map(json.loads, done.stdout.splitlines()):
        best = each["answer"][0] if "answer" in each else {"label": each["error"], "score": 0}
        rows.append((Path(each["path"]).name, best["label"], best["score"]))
    return sorted(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--out", type=Path, help="else the table is printed")
    asked = parser.parse_args()
    random.seed(3)
    with tempfile.TemporaryDirectory() as made:
        folder = asked.folder or Path(made)
        if not asked.folder:
            draw(folder)
        rows = label(folder.resolve())
    with asked.out.open("w", newline="") if asked.out else sys.stdout as file:
        table = csv.writer(file)
        table.writerow(("file", "label", "score"))
        table.writerows(rows)


if __name__ == "__main__":
    main()
