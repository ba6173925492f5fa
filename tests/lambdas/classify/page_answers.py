"""What the page's API answers in the browser tests, made from the examples of the API's own description."""

import json
from pathlib import Path
from typing import Any

from contract import routes
from contract.metrics import Metrics
from contract.verdict import verdict_sentence
from lambdas.classify.openapi_examples import DESCRIBED, SHA256
from lambdas.gate.verdict import judge

JsonObject = dict[str, Any]
SHIPPED: JsonObject = json.loads((Path(__file__).parents[3] / "model/shipped/wordsight.json").read_text())

KNOWS: str = SHIPPED["knows"]
THING: JsonObject = {"candidate_labels": [{"label": each} for each in ("fish", "house", "tree")]}
HEADERS = {
    "x-model-version": "world-f0c296612b57",
    "server-timing": "parse;dur=0.7, decode;dur=12.4, queue;dur=0.3, model;dur=3.1, total;dur=16.8, endpoint;dur=30.7",
}

_model: JsonObject = DESCRIBED[routes.GET_MODEL].answer
_card = {"knows": KNOWS, "languages": ["en"], "licence": "MIT"}
_new = {"images": 60, "chance": 0.1, "calibration_error": 0.06}
_figures: JsonObject = {
    "step": 300,
    "hyperparameters": {"epochs": 10, "batch_size": 64, "learning_rate": 0.0005, "replay_share": 0.5},
    "learning_curve": [
        {"step": step, "validation_loss": loss, "validation_accuracy": accuracy}
        for step, loss, accuracy in ((0, 2.31, 0.33), (100, 0.61, 0.78), (200, 0.36, 0.91), (300, 0.31, 0.94))
    ],
    "new_before": {"pictogram": {**_new, "accuracy": 0.31}},
    "new": {"pictogram": {**_new, "accuracy": 0.94}},
    "new_change": {"pictogram": {"estimate": 0.61, "low": 0.47, "high": 0.65}},
    "world_before": {
        name: {"accuracy": accuracy}
        for name, accuracy in (("shape", 0.976), ("thing", 0.998), ("colour", 0.986), ("relation", 0.874))
    },
    "world": {
        name: {"accuracy": accuracy}
        for name, accuracy in (("shape", 0.971), ("thing", 0.998), ("colour", 0.984), ("relation", 0.861))
    },
    "interpolation": {
        **{"alpha": 0.75, "max_forgetting": 0.02, "max_task_forgetting": 0.05},
        "sentence": "Published are 75% fine-tuned and 25% base weights.",
        "frontier": [
            {
                **{"alpha": alpha, "new": new, "mean_drop": lost, "mean_drop_at_most": lost and round(lost + 0.004, 4)},
                **{"worst_task": "relation" if lost > 0 else None, "worst_drop_at_most": max(0, round(3 * lost, 4))},
            }
            for alpha, new, lost in (
                *((0.0, 0.33, 0.0), (0.25, 0.55, -0.001), (0.5, 0.84, 0.004)),
                *((0.75, 0.94, 0.012), (0.9, 0.95, 0.021), (1.0, 0.95, 0.034)),
            )
        ],
    },
    "before": {"validation_accuracy": 0.33},
    "after": {"validation_accuracy": 0.94},
    "gain": {
        **{"images": 60, "won": 37, "lost": 1, "mean": 0.58, "deviation": 0.31, "largest": 0.97, "unrelated": 0.0005}
    },
}


def trained(version: str, live: bool = False, **changed: Any) -> JsonObject:
    """A version that a training made, with the gate's own verdict on its figures."""
    metrics = {**_figures, **changed}
    own = {"version": version, "artifact_s3_uri": f"s3://artifacts-bucket/models/{version}/", "live": live}
    gate = judge(metrics)
    said = {"gate": gate.model_dump(), "verdict": verdict_sentence(gate, Metrics.of(metrics))}
    return {**_model, **_card, **own, "dataset": "pictograms", **said, "metrics": metrics}


BASE: JsonObject = {
    **{**_model, **_card, "version": "base", "parent": None, "source": "image", "training": None, "dataset": None},
    **{"artifact_s3_uri": "s3://none/", "gate": None, "created": "", "live": True, "data_digest": None},
    "metrics": {name: SHIPPED["metrics"][name] for name in ("step", "learning_curve", "world")},
}
TUNED = trained("wordsight-dev-20261129-tuned")
REFUSED = trained("wordsight-dev-20261128-refused", gain={**_figures["gain"], "won": 3, "lost": 4, "mean": -0.01})


def promotion(version: str, previous: str | None = None, state: str = "requested") -> JsonObject:
    """One attempt to let a version go live, in place of what was at `previous`."""
    answer: JsonObject = DESCRIBED[routes.PROMOTE_MODEL].answer
    return {**answer, "version": version, "previous_s3_uri": previous, "state": state}


RUNNING: JsonObject = {
    **DESCRIBED[routes.GET_TRAINING].answer,
    **{"dataset": "pictograms", "state": "training", "status": "Training", "step": 120, "steps": 300, "gate": None},
    **{"metrics": {"train:loss": 0.41, "validation:accuracy": 0.78}, "phase": "training", "left_s": 80},
    "history": [
        {"step": 0, "loss": None, "accuracy": 0.33},
        *(
            {"step": step, "loss": round(2.4 / (1 + step / 25), 3), "accuracy": round(0.33 + 0.45 * step / 120, 3)}
            for step in range(10, 121, 10)
        ),
    ],
}
CHECK: JsonObject = {
    **DESCRIBED[routes.START_TRAINING].others[200],
    **{"dataset": "thing", "records": 48, "counted": 48, "estimated_s": 900, "estimated_usd": 0.18},
}
ANNOTATION: JsonObject = {**DESCRIBED[routes.GET_ANNOTATION].answer, "sentences": ["an old house"], "label": "house"}


def taught(images: dict[str, int], before: float, after: float, *, doubtful: bool = False) -> JsonObject:
    """What a task has learnt: accuracies of its words and of its head, each image left out in turn."""
    worth = {
        "before": {"accuracy": before, "calibration_error": 0.56},
        "after": {"accuracy": after, "calibration_error": 0.08},
    }
    example: JsonObject = DESCRIBED[routes.GET_TASK].answer["taught"]
    (wrong,) = example["learnt"]["doubtful"]
    head = {**example["heads"][0], "images": sum(images.values()), **worth}
    said = {**wrong, "dataset": "thing", "label": "house", "answer": "tree", "split": "train"}
    learnt = {**example["learnt"], "images": images, **worth, "doubtful": [said] if doubtful else []}
    return {**example, "learnt": {**learnt, "advice": []}, "heads": [head]}


def annotations(*said: tuple[str | None, str | None]) -> list[JsonObject]:
    """Records of so many images, each with its label and its split, the first the one that may be doubted."""
    ids = [ANNOTATION["id"], *(f"f{number:035x}" for number in range(1, len(said)))]
    own = {**ANNOTATION, "dataset": "thing", "task": "thing"}
    return [
        {**own, "id": id, "image": f"{number:064x}", "label": label, "split": split}
        for number, (id, (label, split)) in enumerate(zip(ids, said, strict=True))
    ]


EXAMPLE_IMAGE = SHA256
