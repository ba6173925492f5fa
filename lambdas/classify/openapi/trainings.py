"""The routes of trainings, described."""

from __future__ import annotations

from contract.idempotency import ID
from contract.routes import GET_TRAINING, LIST_TRAININGS, START_TRAINING, STOP_TRAINING
from contract.trainings import MAX_LISTED_TRAININGS, TrainingBody, TrainingList, TrainingView
from lambdas.classify.openapi.parts import IDEMPOTENCY_KEY, Resource, answer, json_body, page, parameter, reference

_ID = parameter("path", "training", "The training's id", {"type": "string", "pattern": f"^{ID.pattern}$"})

_EXAMPLES = {
    "welds": {
        "summary": "Fine-tune what is live, and let it go live if it is better",
        "value": {"dataset": "welds", "hyperparameters": {"epochs": 5}, "promote": "auto"},
    }
}

TRAININGS = Resource(
    {
        START_TRAINING: {
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": json_body(TrainingBody, _EXAMPLES),
            "responses": {"202": answer("It was accepted, and begins", reference(TrainingView))},
        },
        LIST_TRAININGS: {
            "parameters": page(MAX_LISTED_TRAININGS),
            "responses": {"200": answer("A page of them", reference(TrainingList))},
        },
        GET_TRAINING: {
            "parameters": [_ID],
            "responses": {"200": answer("The training", reference(TrainingView))},
        },
        STOP_TRAINING: {
            "parameters": [_ID],
            "responses": {"200": answer("It ends; what it has saved is kept", reference(TrainingView))},
        },
    },
    models=(TrainingBody, TrainingView, TrainingList),
)
