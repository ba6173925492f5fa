"""The report of a training, with the verdict on what it made, which came later."""

from contract.problems import NotFound
from contract.reports import MAX_REPORT_BYTES, REPORT, REPORT_EXPIRES_IN_S, REPORT_PAGE, Report, ReportView
from lambdas.aws.s3 import Store
from lambdas.manage.models import verdict_of
from lambdas.stored.registry import Registry, StoredCheckpoint

_WITHOUT_REPORT = {
    "training": "it was trained before trainings wrote one; GET /models/{version} has its figures",
    "import": "it was brought along, and only trainings write one; GET /models/{version} tells what is known of it",
    "image": "it is the model that came with the image, and only trainings write one",
}


def report_of(version: str, artifacts: Store) -> ReportView:
    """What the training of a version has left beside its checkpoint. Raises NotFound, also where there is none."""
    model = Registry(artifacts).get(version)
    absent = NotFound(f"the model {version!r} has no report: {_WITHOUT_REPORT[model.source]}")
    if model.source != "training":  # what was brought along may have had one, of which no page came with it
        raise absent
    checkpoint = StoredCheckpoint.at(model.artifact_s3_uri, artifacts)
    written = checkpoint.read(REPORT, size_bytes=MAX_REPORT_BYTES)
    if written is None:
        raise absent
    return ReportView(
        **Report.model_validate_json(written).model_dump(),
        gate=model.gate,
        verdict=verdict_of(model),
        html_url=checkpoint.page_url(REPORT_PAGE, REPORT_EXPIRES_IN_S),
        expires_in_s=REPORT_EXPIRES_IN_S,
    )
