"""Imports over one bucket."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from contract.answers import Inspection
from contract.idempotency import now
from contract.imports import AnnotationImport, AnnotationImportBody, import_key
from contract.invocation import InvocationAttributes
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.executions import STEP_MS
from lambdas.aws.inference import inspect
from lambdas.aws.s3 import Store
from lambdas.importer.main import Importer
from tests.lambdas.annotate.test_annotations import keys
from tests.lambdas.batch.conftest import Killed
from tests.lambdas.conftest import SETTINGS
from tests.lambdas.sagemaker import SageMaker

ID = "20260101000000-00000a"


class Worker:
    """One import of the bucket, and a worker that can be killed when it has looked at some images."""

    def __init__(self, bucket: Any, sagemaker: SageMaker) -> None:
        self.bucket = bucket
        self.store = Store(SETTINGS.data_bucket, sagemaker.connect)
        self._endpoint = Endpoint(SETTINGS.endpoint_name, sagemaker.connect)
        self.killed_after: int | None = None
        self.taught = 0
        self.importer = Importer(self.store, self.look, self.teach, self._endpoint.max_image_bytes)

    def ask(self, **asked: Any) -> None:
        asked_for = AnnotationImportBody.model_validate(asked)
        importing = AnnotationImport(id=ID, created=now(), updated=now(), asked=asked_for)
        self.store.write(import_key(ID), importing.model_dump(mode="json"))

    def work(self) -> AnnotationImport:
        return self.importer.work(ID, lambda: STEP_MS + 1)

    def upload(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            self.bucket.put_object(Key=f"uploads/{name}", Body=content)

    def upload_lines(self, name: str, *lines: dict[str, Any]) -> None:
        self.upload({name: "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode()})

    def teach(self) -> None:
        self.taught += 1

    @property
    def records(self) -> list[dict[str, Any]]:
        return [found.value for found in self.store.read_all(keys(self.bucket, "annotations/"))]

    def look(self, images: Sequence[bytes]) -> Sequence[Inspection | Any]:
        if self.killed_after is not None:
            self.killed_after -= 1
            if self.killed_after < 0:
                self.killed_after = None
                raise Killed
        return inspect(images, self._endpoint, InvocationAttributes())


@pytest.fixture
def worker(bucket: Any, sagemaker: SageMaker) -> Worker:
    return Worker(bucket, sagemaker)
