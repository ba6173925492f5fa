"""POST /uploads, described."""

from __future__ import annotations

from lambdas.openapi.parts import IDEMPOTENCY_KEY, Resource, answer, json_body, reference
from lambdas.routes import UPLOAD
from model.resources.uploads import Upload, Uploads, UploadsBody

UPLOADS = Resource(
    {
        UPLOAD: {
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": json_body(UploadsBody, {"two": {"value": {"count": 2}}}, required=False),
            "responses": {"201": answer("One form per image", reference(Uploads))},
        }
    },
    models=(UploadsBody,),
    typed_dicts=(Upload, Uploads),
)
