"""POST /uploads: presigned POST forms, by which a caller sends images straight to the data bucket."""

from uuid import uuid4

from aws_lambda_powertools.event_handler import Response

from contract.limits import MAX_INVOCATION_BYTES, UPLOADS_PREFIX
from contract.routes import UPLOAD
from contract.uploads import UPLOAD_EXPIRES_IN_S, Upload, Uploads, UploadsBody
from lambdas.aws.clients import Connect
from lambdas.aws.s3 import Store
from lambdas.web.idempotency import once
from lambdas.web.resolver import Resolver

_ANY_IMAGE = "image/*"
"""What a form says as long as nobody says more; the model looks at the bytes."""


def add_upload_routes(app: Resolver, store: Store, connect: Connect) -> None:
    """POST /uploads."""

    @app.on(UPLOAD)
    def _upload() -> Response[str]:
        asked = app.json_body(UploadsBody, default=UploadsBody())

        def sign(_: str) -> Response[str]:
            uploads = [_presigned_post(store.bucket, asked.content_type, connect) for _ in range(asked.count)]
            return app.answer(Uploads(uploads=uploads), 201)

        return once(app, store, sign)


def _presigned_post(bucket: str, content_type: str | None, connect: Connect) -> Upload:
    """A presigned POST form. S3 refuses other keys, larger files and other types, whoever sends it."""
    key = f"{UPLOADS_PREFIX}{uuid4()}"
    form = connect("s3").generate_presigned_post(
        bucket,
        key,
        Fields={"Content-Type": content_type or _ANY_IMAGE},
        Conditions=[
            {"Content-Type": content_type} if content_type else ["starts-with", "$Content-Type", "image/"],
            ["content-length-range", 1, MAX_INVOCATION_BYTES],
        ],
        ExpiresIn=UPLOAD_EXPIRES_IN_S,
    )
    return Upload(
        url=form["url"],
        fields=form["fields"],
        s3_key=key,
        max_bytes=MAX_INVOCATION_BYTES,
        expires_in_s=UPLOAD_EXPIRES_IN_S,
    )
