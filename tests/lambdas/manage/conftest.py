"""The function that manages models, over one stage whose every service is given to it."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from contract.annotations import Annotation, AnnotationBody, annotation_id, annotation_key
from contract.models import Gate, Model
from contract.perceptual_hash import DIGITS
from lambdas.aws.s3 import Store
from lambdas.manage.main import create_app
from lambdas.settings import ManageSettings
from lambdas.stored.registry import Registry
from tests.lambdas.conftest import CONTEXT, SETTINGS
from tests.lambdas.control_plane import SERVING_STACK, CloudFormation, StepFunctions, TrainingJobs
from tests.lambdas.gateway import Answer, proxy_event
from tests.lambdas.sagemaker import SageMaker

SHIPPED = Path(__file__).parents[3] / "model/shipped"


MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:"


TRAIN_SETTINGS = ManageSettings(
    data_bucket=SETTINGS.data_bucket,
    artifacts_bucket=SETTINGS.data_bucket,
    serving_stack=SERVING_STACK,
    training_machine_arn=f"{MACHINE}Training",
    promotion_machine_arn=f"{MACHINE}Promotion",
    batch_machine_arn=f"{MACHINE}Batch",
    import_machine_arn=f"{MACHINE}Import",
    pause_machine_arn=f"{MACHINE}Pause",
    endpoint_usd_per_hour=0.25,
    job_name_prefix="wordsight-test-",
    max_run_s=7200,
    max_wait_s=14400,
    spot=False,
    usd_per_hour=0.5,
    training_machines=1,
    training_images_per_s=10,
    max_parallel_trainings=100,
    max_training_usd_per_month=0,
    endpoint_name=SETTINGS.endpoint_name,
)


MODEL_URI = f"s3://{SETTINGS.data_bucket}/models/one/output/model/"


def annotated(bucket: Any, dataset: str, /, **counts: int) -> None:
    """Images of two labels, as many as a training needs, or so many of each `<split>_<label>`; split `any`: none."""
    counts = counts or {"train_crack": 4, "train_pore": 4, "validation_crack": 5, "validation_pore": 5}
    for name, count in counts.items():
        split, _, label = name.partition("_")
        for number in range(count):
            image = sha256(f"{dataset} {name} {number}".encode()).hexdigest()
            body = AnnotationBody(label=label, split=None if split == "any" else split)
            record = Annotation(
                **body.model_dump(),
                id=annotation_id(image, body),
                dataset=dataset,
                image=image,
                perceptual_hash=(7 * image)[:DIGITS],
                created="",
                source="api",
            )
            bucket.put_object(Key=annotation_key(dataset, record.id), Body=record.model_dump_json())


@dataclass
class Stage:
    bucket: Any
    settings: ManageSettings = TRAIN_SETTINGS
    cloudformation: CloudFormation = field(default_factory=CloudFormation)
    stepfunctions: StepFunctions = field(default_factory=StepFunctions)
    jobs: TrainingJobs = field(default_factory=TrainingJobs)

    @cached_property
    def endpoint(self) -> SageMaker:
        return SageMaker()

    def connect(self, service: str) -> Any:
        if service == "sagemaker-runtime":
            return self.endpoint.client(service)
        return {
            "s3": self.bucket.meta.client,
            "cloudformation": self.cloudformation,
            "stepfunctions": self.stepfunctions,
            "sagemaker": self.jobs,
        }[service]

    @property
    def registry(self) -> Registry:
        return Registry(Store(self.bucket.name, self.connect))

    def ask(self, method: str, path: str, body: Any = None, query: str = "", **headers: str) -> Answer:
        sent = {} if body is None else {"content-type": "application/json"}
        made = proxy_event(
            method,
            path,
            headers={**sent, **headers},
            body=json.dumps(body).encode() if body is not None else b"",
            query=query,
        )
        return Answer(create_app(self.settings, self.connect).resolve(made, CONTEXT))  # type: ignore[arg-type]

    def annotated(self, dataset: str = "welds", /, **counts: int) -> None:
        annotated(self.bucket, dataset, **counts)

    def started(self, **body: Any) -> dict[str, Any]:
        if not any(self.bucket.objects.filter(Prefix="annotations/welds/")):
            self.annotated()
        answer = self.ask("POST", "/trainings", {"dataset": "welds", **body})
        assert answer.status == 202, answer.text
        view: dict[str, Any] = answer.json
        return view

    def execution(self, id: str, machine: str = "Training") -> dict[str, Any]:
        return self.stepfunctions.executions[f"{MACHINE.replace(':stateMachine:', ':execution:')}{machine}:{id}"]

    def trained(self, **changes: Any) -> Model:
        model = Model(
            version="one",
            parent="base",
            artifact_s3_uri=MODEL_URI,
            served_version="one",
            created="2026-11-22T12:00:00+00:00",
            source="training",
            dataset="welds",
            gate=Gate(passed=True),
            metrics={"step": 300},
        ).model_copy(update=changes)
        self.registry.add(model)
        return model


@pytest.fixture
def stage(bucket: Any) -> Stage:
    return Stage(bucket)


@pytest.fixture
def uploaded(stage: Stage) -> Stage:
    for path in SHIPPED.iterdir():
        if path.is_file():
            stage.bucket.put_object(Key=f"models/mine/{path.name}", Body=path.read_bytes())
    return stage


def add(stage: Stage, **changes: Any) -> Answer:
    body = {"s3_uri": f"s3://{stage.bucket.name}/models/mine", "version": "mine-1", **changes}
    return stage.ask("POST", "/models", body)
