"""A report of everything, made up."""

import numpy as np
from PIL import Image

from contract.progress import HistoryPoint
from contract.reports import CalibrationBin, Confusion, Mistake, Mixture, Report, ReportedTask
from model.training.report.gather import THUMBNAIL_PX, thumbnail


def jpeg_of_noise() -> str:
    """As large as a thumbnail can be: nothing in it can be foretold."""
    noise = np.random.default_rng(0).integers(0, 256, (THUMBNAIL_PX, THUMBNAIL_PX, 3), dtype=np.uint8)
    return thumbnail(Image.fromarray(noise))


def history() -> list[HistoryPoint]:
    """A loss that falls, and four looks at the validation images."""
    points = [HistoryPoint(step=10 * n, loss=2.3 * 0.9**n) for n in range(1, 31)]
    looks = {0: 0.33, 100: 0.71, 200: 0.9, 300: 0.94}
    asked = [
        HistoryPoint(step=step, validation_loss=2 - accuracy, accuracy=accuracy) for step, accuracy in looks.items()
    ]
    return sorted([*points, *asked], key=lambda point: point.step)


def report(label: str = "pore", mistakes: int = 24) -> Report:
    """With a label that a user has written."""
    labels = ["crack", label, "spatter", "good weld", "undercut"]
    tasks = [
        ReportedTask(
            name="weld",
            kind="new",
            images=120,
            chance=0.2,
            before=0.33,
            after=0.94,
            low=0.52,
            high=0.7,
            taught_images=480,
            taught_before=0.82,
            taught_after=0.97,
        ),
        ReportedTask(name=label, kind="new", images=60, chance=0.5, before=0.52, after=0.61, low=-0.04, high=0.2),
        ReportedTask(name="colour", kind="old", images=400, chance=0.1, before=0.98, after=0.975, low=-0.01, high=0.0),
        ReportedTask(name="relation", kind="old", images=400, chance=0.25, before=0.6, after=0.56, low=-0.08, high=0.0),
    ]
    return Report(
        version="wordsight-dev-20261128100000-1a2b3c",
        created="2026-11-28T10:00:00+00:00",
        parent="base",
        outcome="It gets 94 % of 120 validation images right, and its base 33 % (75 won, 2 lost).",
        choice="Published are 75% fine-tuned and 25% base weights.",
        accuracy_before=0.33,
        accuracy_after=0.94,
        validation_images=120,
        won=75,
        lost=2,
        history=history(),
        tasks=tasks,
        reported_on="test",
        confusions=[
            Confusion(
                task="weld",
                labels=labels,
                counts=[[22, 1, 0, 1, 0], [0, 24, 0, 0, 0], [1, 0, 20, 0, 3], [0, 0, 0, 23, 1], [0, 0, 1, 0, 23]],
                left_out=3,
            )
        ],
        calibration=[
            CalibrationBin(images=8, confidence=0.45, accuracy=0.5),
            CalibrationBin(images=30, confidence=0.74, accuracy=0.8),
            CalibrationBin(images=82, confidence=0.97, accuracy=0.99),
        ],
        mean_drop=0.0225,
        worst_drop=0.04,
        worst_task="relation",
        max_forgetting=0.02,
        max_task_forgetting=0.1,
        alpha=0.75,
        frontier=[
            Mixture(alpha=alpha, published=alpha == 0.75, accuracy=new, mean_drop_at_most=drop)
            for alpha, new, drop in (
                (0, 0.33, 0),
                (0.25, 0.6, 0.004),
                (0.5, 0.85, 0.009),
                (0.75, 0.94, 0.016),
                (1, 0.96, 0.03),
            )
        ],
        mistakes=[
            Mistake(
                image=f"weld/{number}.jpg",
                task="weld",
                said=labels[number % 5],
                score=0.9 - number / 100,
                truth=labels[(number + 1) % 5],
                truth_score=0.05,
                thumbnail=thumbnail(Image.new("RGB", (8, 8), (10 * number, 120, 200 - 5 * number))),
            )
            for number in range(mistakes)
        ],
        recipe={"epochs": 5, "learning_rate": 1e-5, "lock_image": False},
        commands=["python -m model.training epochs=5"],
        data_digest="9b2c7d1f0a4e5c6b8d7f3a2e1c0b9d8f7e6a5c4b3d2e1f0a9b8c7d6e5f4a3b2c",
    )
