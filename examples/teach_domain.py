"""Teach a new domain from five images a class: python examples/teach_domain.py

Pen drawings of everyday things, which the model that ships with Wordsight has never seen. What is right is measured on
other drawings, which nobody annotates. Then one wrong answer is corrected, and at last everything is undone.
"""

import io
import random
import time

from api import ask
from PIL import Image, ImageDraw

TASK = "pen-drawings"
Strokes = list[list[tuple[float, float]]]
THINGS: dict[str, Strokes] = {
    "boat": [[(-4, 2), (4, 2), (3, 4), (-3, 4), (-4, 2)], [(0, 2), (0, -4), (3, 1), (0, 1)]],
    "envelope": [[(-4, -3), (4, -3), (4, 3), (-4, 3), (-4, -3)], [(-4, -3), (0, 1), (4, -3)]],
    "ladder": [[(-2, -4), (-2, 4)], [(2, -4), (2, 4)], [(-2, -2), (2, -2)], [(-2, 0), (2, 0)], [(-2, 2), (2, 2)]],
    "key": [[(-4, 0), (-3, -1), (-2, 0), (-3, 1), (-4, 0)], [(-2, 0), (4, 0), (4, 2)], [(3, 0), (3, 2)]],
    "flag": [[(-3, 4), (-3, -4), (4, -2), (-3, 0)]],
    "chair": [[(-2, -4), (-2, 4)], [(-2, 0), (3, 0), (3, 4)]],
}
SHOWN, HELD_OUT, TOGETHER = 5, 20, 20
WITHIN_S = 180


def drawn(thing: str) -> bytes:
    """A drawing, leaning and placed somewhere, as a PNG file."""
    image = Image.new("RGB", (96, 96), random.choice(("ivory", "lavender", "honeydew", "mistyrose")))
    canvas, ink = ImageDraw.Draw(image), random.choice(("navy", "darkgreen", "maroon", "black"))
    size, x, y, lean = random.uniform(6, 9), random.uniform(38, 58), random.uniform(38, 58), random.uniform(-0.2, 0.2)
    for stroke in THINGS[thing]:
        points = [(x + size * (a - lean * b), y + size * (b + lean * a)) for a, b in stroke]
        canvas.line(points, fill=ink, width=random.randint(3, 5), joint="curve")
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def files(images: list[bytes]) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("image", ("drawing.png", image, "image/png")) for image in images]


def answers(images: list[bytes], taught: str) -> list[str]:
    """The best label of each, by what the task was taught or by its words alone."""
    found = []
    for start in range(0, len(images), TOGETHER):
        some = images[start : start + TOGETHER]
        said = ask("POST", "classify", files=files(some), data={"task": TASK, "taught": taught})
        found += [each[0]["label"] for each in (said if len(some) > 1 else [said])]
    return found


def accuracy(held_out: list[tuple[str, bytes]], taught: str = "true") -> float:
    said = answers([image for _, image in held_out], taught)
    return sum(label == best for (label, _), best in zip(held_out, said, strict=True)) / len(held_out)


def annotate(label: str, images: list[bytes]) -> None:
    """Say what the images show."""
    ask("POST", "annotations", files=files(images), data={"label": label, "task": TASK, "dataset": TASK})


def wait_until_taught(images: int) -> None:
    """Return once the task has learnt from so many, which takes seconds."""
    deadline_s = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline_s:
        taught = ask("GET", f"tasks/{TASK}")["taught"]
        if (
            taught
            and taught["learnt"]
            and sum(taught["learnt"]["images"].values()) >= images
            and not taught["teaching"]
        ):
            return
        time.sleep(1)
    raise TimeoutError(f"it has not learnt from {images} images after {WITHIN_S} s")


def main() -> None:
    random.seed(2)
    ask("PUT", f"tasks/{TASK}", json={"candidate_labels": list(THINGS), "hypothesis_template": "a drawing of a {}"})
    held_out = [(thing, drawn(thing)) for thing in THINGS for _ in range(HELD_OUT)]
    before = accuracy(held_out, taught="false")
    print(f"by its words alone: {before:.0%} of {len(held_out)} drawings right")

    for thing in THINGS:
        annotate(thing, [drawn(thing) for _ in range(SHOWN)])
    wait_until_taught(SHOWN * len(THINGS))
    print(f"taught by {SHOWN} drawings of each: {accuracy(held_out):.0%} right")

    said = answers([image for _, image in held_out], "true")
    wrong = [(label, image, best) for (label, image), best in zip(held_out, said, strict=True) if label != best]
    if wrong:
        label, image, best = wrong[0]
        annotate(label, [image])
        wait_until_taught(SHOWN * len(THINGS) + 1)
        (now,) = answers([image], "true")
        print(f"taken for {best!r}, told that it is {label!r}: now {now!r}")

    ask("DELETE", f"tasks/{TASK}/teach")
    print(f"undone: {accuracy(held_out):.0%} right")
    ask("POST", f"tasks/{TASK}/teach", json={})  # and taught again


if __name__ == "__main__":
    main()
