"""The worker of imports: reads records from where it stopped, keeps them, and writes down how far it is.

The state machine calls `handler` until nothing is left. What a worker did after it last wrote down its place is done
again by the next one; since annotations are named after what they say, that changes nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.idempotency import now
from contract.import_steps import ImportAnswer, ImportEvent
from contract.imports import SHOWN_PROBLEMS, AnnotationImport, ImportProblem, import_key, problems_prefix
from contract.layouts.found import Findings, Layout
from contract.limits import MAX_IMAGES
from contract.problems import BadRequest, Problem, ProblemError
from contract.steps import TeachEvent
from lambdas.aws.clients import connect_worker
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.executions import STEP_MS, cause_of
from lambdas.aws.functions import Function
from lambdas.aws.inference import Inspect, Look, attributes_within, inspect, invocation_chunks
from lambdas.aws.patience import Patience
from lambdas.aws.s3 import Document, Store
from lambdas.importer.source import Row, find_layout, rows
from lambdas.settings import ImporterSettings
from lambdas.stored.annotations import AnnotationStore
from lambdas.stored.images import read_each_image

ImportDocument = Document[AnnotationImport]

logger = Logger(service="wordsight-importer", serialize_stacktrace=False)


@dataclass(frozen=True)
class Importer:
    """What imports need: the data bucket, who looks at images, and who lets tasks be taught when one has ended."""

    store: Store
    inspect: Inspect
    teach: Callable[[], object]
    max_image_bytes: int
    """Of one invocation's images."""
    pause: Callable[[float], None] = time.sleep
    """Waits for so many seconds."""

    def work(self, id: str, left_ms: Callable[[], int]) -> AnnotationImport:
        """Go on with an import until it ended or time is short, and tell how far it is.

        Raises PreconditionFailed if another worker is at it, and ServiceUnavailable if the model or S3 does not answer.
        """
        document = self._load(id)
        while document.value.state == "running" and left_ms() > STEP_MS:
            document = self._step(document, left_ms)
        if document.value.state != "running":
            self.teach()
        return document.value

    def give_up(self, id: str, reason: str) -> AnnotationImport:
        """Write down why an import can't go on."""
        failed = self._write(self._load(id), state="failed", reason=reason).value
        self.teach()  # what was kept before is there
        return failed

    def _step(self, document: ImportDocument, left_ms: Callable[[], int]) -> ImportDocument:
        importing = document.value
        findings = importing.findings.model_copy(deep=True)
        try:
            layout = importing.layout or find_layout(self.store, importing.asked, findings)
        except BadRequest as problem:
            return self._write(document, state="failed", reason=problem.detail, findings=findings)
        batch = list(islice(rows(self.store, importing, layout, findings), MAX_IMAGES))
        if not batch:
            if layout.manifests and (unnamed := layout.images - importing.records) > 0:
                findings.leave_out("they are images that no row names; more, if rows share an image", unnamed)
            return self._write(document, state="done", layout=layout, findings=findings)
        return self._keep(document, layout, findings, batch, left_ms)

    def _keep(
        self,
        document: ImportDocument,
        layout: Layout,
        findings: Findings,
        batch: Sequence[Row],
        left_ms: Callable[[], int],
    ) -> ImportDocument:
        importing, annotations = document.value, AnnotationStore(self.store)
        entries = [(row, entry) for row in batch for entry in row.entries]
        images = read_each_image((entry.image for _, entry in entries), self.store, self.max_image_bytes)
        refused: dict[str, ProblemError] = {}
        patience: Patience[Look | ProblemError] = Patience(
            self.inspect, _status_of, lambda problem: problem, left_ms=left_ms, pause=self.pause
        )
        for chunk in invocation_chunks(zip(entries, images, strict=True), self.max_image_bytes):
            pairs = [(entry, image) for (_, entry), image in chunk]
            kept = annotations.add(pairs, patience.answers, f"import {importing.id}")
            for ((row, _), _), result in zip(chunk, kept, strict=True):
                if isinstance(result, ProblemError):
                    refused.setdefault(row.place, result)
        problems = [
            ImportProblem(place=place, problem=Problem.model_validate(result.body()))
            for place, result in refused.items()
        ]
        if problems:
            # a file per step, named after where it began: written again, it is the same
            key = f"{problems_prefix(importing.id)}{importing.records:010}.jsonl"
            self.store.put_lines(key, (each.model_dump_json() for each in problems))
        return self._write(
            document,
            layout=layout,
            findings=findings,
            cursor=batch[-1].behind,
            records=importing.records + len(batch),
            stored=importing.stored + len(batch) - len(problems),
            problems=importing.problems + len(problems),
            first_problems=[*importing.first_problems, *problems][:SHOWN_PROBLEMS],
        )

    def _load(self, id: str) -> ImportDocument:
        return self.store.load(AnnotationImport, import_key(id), f"no import {id}")

    def _write(self, document: ImportDocument, **changes: Any) -> ImportDocument:
        value = document.value.model_copy(update={**changes, "updated": now()})
        return self.store.write(document.key, value, etag=document.etag)


def _status_of(look: Look | ProblemError) -> int:
    return look.status if isinstance(look, ProblemError) else 0


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Go on with the import `id`, or end it with `failure`; the state machine calls again while it is "running"."""
    asked, settings = ImportEvent.model_validate(event), ImporterSettings.from_env()
    endpoint = Endpoint(settings.endpoint_name, connect_worker)
    importer = Importer(
        Store(settings.data_bucket, connect_worker),
        lambda images: inspect(images, endpoint, attributes_within("import")),
        lambda: Function(settings.teach_function_arn, connect_worker).begin(TeachEvent().model_dump()),
        endpoint.max_image_bytes,
    )
    if asked.failure:
        cause = cause_of(asked.failure.model_dump(by_alias=True))
        importing = importer.give_up(asked.id, f"the import could not go on: {cause}")
    else:
        importing = importer.work(asked.id, context.get_remaining_time_in_millis)
    logger.info(importing.state, import_id=importing.id, records=importing.records, problems=importing.problems)
    return ImportAnswer(id=importing.id, state=importing.state).model_dump()
