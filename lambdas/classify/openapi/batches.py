"""The routes of batches, described."""

from __future__ import annotations

from contract.batches import (
    COLLECTIONS_PREFIX,
    MAX_LISTED_BATCHES,
    BatchBody,
    BatchList,
    BatchProblem,
    BatchResult,
    BatchView,
)
from contract.idempotency import ID
from contract.routes import GET_BATCH, LIST_BATCHES, RESUME_BATCH, START_BATCH, STOP_BATCH
from lambdas.classify.openapi.parts import IDEMPOTENCY_KEY, Resource, answer, json_body, page, parameter, reference

_ID = parameter("path", "batch", "The batch's id", {"type": "string", "pattern": f"^{ID.pattern}$"})

_EXAMPLES = {
    "prefix": {
        "summary": "All images whose keys begin alike, asked a saved task",
        "value": {"s3_prefix": f"{COLLECTIONS_PREFIX}welds/", "task": "defect"},
    },
    "manifest": {
        "summary": "The images that a file of JSON lines names",
        "value": {
            "s3_key": f"{COLLECTIONS_PREFIX}welds.jsonl",
            "parameters": {"candidate_labels": ["crack", "pore", "sound"], "top_k": 1},
        },
    },
}

BATCHES = Resource(
    {
        START_BATCH: {
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": json_body(BatchBody, _EXAMPLES),
            "responses": {"202": answer("It was accepted, and begins", reference(BatchView))},
        },
        LIST_BATCHES: {
            "parameters": page(MAX_LISTED_BATCHES),
            "responses": {"200": answer("A page of them", reference(BatchList))},
        },
        GET_BATCH: {"parameters": [_ID], "responses": {"200": answer("The batch", reference(BatchView))}},
        STOP_BATCH: {
            "parameters": [_ID],
            "responses": {"200": answer("It ends; what is done is kept", reference(BatchView))},
        },
        RESUME_BATCH: {
            "parameters": [_ID, IDEMPOTENCY_KEY],
            "responses": {"202": answer("It goes on with what is missing", reference(BatchView))},
        },
    },
    models=(BatchBody, BatchView, BatchList, BatchResult, BatchProblem),
)
