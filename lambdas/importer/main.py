"""The worker of imports: reads records from where it stopped, keeps them, and writes down how far it is.

The state machine calls `handler` until nothing is left. What a worker did after it last wrote down its place is done
again by the next one; since annotations are named after what they say, that changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.annotations import StoredAnnotation
from contract.idempotency import now
from contract.imports import SHOWN_PROBLEMS, AnnotationImport, ImportProblem, Layout, import_key, problems_prefix
from contract.invocation import InvocationAttributes
from contract.limits import CONTAINER_TIMEOUT_S, MAX_IMAGES
from contract.problems import BadRequest, NotFound, PayloadTooLarge, Problem, ProblemError
from contract.requests import ImageSource
from contract.steps import ImportAnswer, ImportEvent
from lambdas.aws.clients import Connect, connect
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.executions import cause_of
from lambdas.aws.inference import Inspect, inspector, packs
from lambdas.aws.s3 import Document, Store
from lambdas.importer.source import Row, find_layout, rows
from lambdas.settings import ImporterSettings
from lambdas.stored.annotations import AnnotationStore
from lambdas.stored.images import read_images

STEP_MS = 60_000
"""What the slowest step may take: no step begins with less time left."""
_READERS = 8

logger = Logger(service="wordsight-importer", serialize_stacktrace=False)


@dataclass(frozen=True)
class Importer:
    """What imports need: the data bucket, and who looks at images."""

    store: Store
    connect: Connect
    inspect: Inspect

    def work(self, id: str, left_ms: Callable[[], int]) -> AnnotationImport:
        """Go on with an import until it ended or time is short, and tell how far it is.

        Raises PreconditionFailed if another worker is at it, and ServiceUnavailable if the model or S3 is silent.
        """
        document = self._read(id)
        while _state(document).state == "running" and left_ms() > STEP_MS:
            document = self._step(document)
        return _state(document)

    def give_up(self, id: str, reason: str) -> AnnotationImport:
        """Write down why an import can't go on."""
        return _state(self._write(self._read(id), state="failed", reason=reason))

    def _step(self, document: Document) -> Document:
        importing = _state(document)
        try:
            layout = importing.layout or find_layout(self.store, importing.asked)
        except BadRequest as problem:
            return self._write(document, state="failed", reason=problem.detail)
        batch = list(islice(rows(self.store, importing, layout), MAX_IMAGES))
        if not batch:
            return self._write(document, state="done", layout=layout)
        return self._keep(document, layout, batch)

    def _keep(self, document: Document, layout: Layout, batch: Sequence[Row]) -> Document:
        importing = _state(document)
        kept = [
            result
            for pack in packs(zip(batch, self._images(batch), strict=True))
            for result in self._keep_pack(importing.id, *zip(*pack, strict=True))
        ]
        problems = [
            ImportProblem(place=row.place, problem=Problem.model_validate(result.body()))
            for row, result in zip(batch, kept, strict=True)
            if isinstance(result, ProblemError)
        ]
        if problems:
            self._write_problems(importing, problems)
        return self._write(
            document,
            layout=layout,
            cursor=batch[-1].behind,
            records=importing.records + len(batch),
            stored=importing.stored + len(batch) - len(problems),
            problems=importing.problems + len(problems),
            first_problems=[*importing.first_problems, *problems][:SHOWN_PROBLEMS],
        )

    def _keep_pack(
        self, id: str, batch: Sequence[Row], images: Sequence[bytes | ProblemError]
    ) -> list[StoredAnnotation | ProblemError]:
        entries = [row.entry for row in batch]
        return AnnotationStore(self.store).add(entries, images, self.inspect, f"import {id}")

    def _images(self, batch: Sequence[Row]) -> Iterator[bytes | ProblemError]:
        """The rows' images, no more than a few of them in memory before they are asked for."""
        with ThreadPoolExecutor(_READERS) as readers:
            for start in range(0, len(batch), _READERS):
                yield from readers.map(self._image, (row.entry.image for row in batch[start : start + _READERS]))

    def _image(self, source: ImageSource) -> bytes | ProblemError:
        try:
            (image,) = read_images([source], self.store.bucket, self.connect)
        except PayloadTooLarge as problem:
            return problem
        return image

    def _write_problems(self, importing: AnnotationImport, problems: Sequence[ImportProblem]) -> None:
        """A file per step, named after where it began: written again, it is the same."""
        lines = "".join(f"{each.model_dump_json()}\n" for each in problems)
        key = f"{problems_prefix(importing.id)}{importing.records:010}.jsonl"
        self.store.put(key, lines.encode(), "application/jsonl")

    def _read(self, id: str) -> Document:
        document = self.store.read(import_key(id))
        if document is None:
            raise NotFound(f"no import {id}")
        return document

    def _write(self, document: Document, **changes: Any) -> Document:
        value = _state(document).model_copy(update={**changes, "updated": now()})
        return self.store.write(document.key, value.model_dump(mode="json"), etag=document.etag)


def _state(document: Document) -> AnnotationImport:
    return AnnotationImport.model_validate(document.value)


@cache
def _importer() -> Importer:
    settings = ImporterSettings.from_env()
    endpoint = Endpoint(settings.endpoint_name, connect)
    return Importer(Store(settings.data_bucket, connect), connect, inspector(endpoint, _attributes))


def _attributes() -> InvocationAttributes:
    return InvocationAttributes("import", int((time.time() + CONTAINER_TIMEOUT_S) * 1000))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Go on with the import `id`, or end it with `failure`; the state machine calls again while it is "running"."""
    asked, importer = ImportEvent.model_validate(event), _importer()
    if asked.failure:
        cause = cause_of(asked.failure.model_dump(by_alias=True))
        importing = importer.give_up(asked.id, f"the import could not go on: {cause}")
    else:
        importing = importer.work(asked.id, context.get_remaining_time_in_millis)
    logger.info(importing.state, import_id=importing.id, records=importing.records, problems=importing.problems)
    return ImportAnswer(id=importing.id, state=importing.state).model_dump()
