"""POST /uploads, described."""

from __future__ import annotations

from contract.routes import UPLOAD
from contract.uploads import Upload, Uploads, UploadsBody
from lambdas.classify.openapi.parts import IDEMPOTENCY_KEY, Resource, answer, json_body, reference

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
