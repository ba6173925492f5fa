"""How many trainings may run at once, and what those of a month may cost: claimed before a training begins.

One document says which trainings have a place, and is only ever replaced in the state in which it was read: of two
requests at once that both find the last place free, one is refused. A training keeps its place until its machine has
ended. Where DELETE /trainings/{id} ended it, the place is free at once, though the machine may take two minutes more to
save its state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from contract.idempotency import now
from contract.problems import Conflict, PreconditionFailed
from contract.trainings import RUNNING_KEY, Claim, Claims, Training, training_ids, training_key
from lambdas.aws.clients import concurrently
from lambdas.aws.executions import Executions, TrainingJobs, may_begin
from lambdas.aws.s3 import Store
from lambdas.settings import ManageSettings

UNDER_WAY = ("InProgress", "Stopping")
ATTEMPTS = 5
"""Of replacing the document, which others replace at the same time."""


@dataclass(frozen=True)
class _Seen:
    claims: Mapping[str, Claim]
    """Of trainings that run, or are about to."""
    etag: str | None


class Allowance:
    """That of one stage."""

    def __init__(self, settings: ManageSettings, data: Store, executions: Executions, jobs: TrainingJobs) -> None:
        self._settings, self._data, self._executions, self._jobs = settings, data, executions, jobs

    def refusal(self, usd: float | None) -> str | None:
        """Why a training of about so many USD can't begin now, in a sentence; None if it can."""
        return self._refusal(self._look().claims, usd)

    def claim(self, id: str, usd: float | None) -> None:
        """Take a place for a training, which may have one already. Raises Conflict if there is none."""
        for _ in range(ATTEMPTS):
            seen = self._look()
            if id in seen.claims:
                return
            if refusal := self._refusal(seen.claims, usd):
                raise Conflict(refusal)
            claims = Claims(running={**seen.claims, id: Claim(since=now(), usd=usd or 0.0)})
            try:
                self._data.write(RUNNING_KEY, claims, etag=seen.etag, absent=seen.etag is None)
            except PreconditionFailed:
                continue
            return
        raise Conflict("several trainings were begun at the same moment: try again", retry_after_s=1)

    def _look(self) -> _Seen:
        found = self._data.read(RUNNING_KEY)
        claims = Claims.model_validate(found.value).running if found else {}
        held = concurrently(lambda item: self._is_held(*item), claims.items())
        kept = {id: claim for (id, claim), is_held in zip(claims.items(), held, strict=True) if is_held}
        return _Seen(kept, found.etag if found else None)

    def _is_held(self, id: str, claim: Claim) -> bool:
        execution = self._executions.describe(id)
        if execution is None:
            return may_begin(claim.since)
        if execution["status"] != "RUNNING":
            return False
        job = self._jobs.describe(f"{self._settings.job_name_prefix}{id}")
        return job is None or job["TrainingJobStatus"] in UNDER_WAY

    def _refusal(self, claims: Mapping[str, Claim], usd: float | None) -> str | None:
        most = self._settings.max_parallel_trainings
        if len(claims) >= most:
            return (
                f"{len(claims)} training(s) run already ({', '.join(sorted(claims))}), and this stage allows {most} at "
                "once (max_parallel_trainings): wait until one has ended, as GET /trainings tells, or stop one with "
                "DELETE /trainings/{training}"
            )
        limit_usd = self._settings.max_training_usd_per_month
        if not limit_usd:
            return None
        spent_usd, running_usd = self._spent_usd(claims), sum(claim.usd for claim in claims.values())
        if spent_usd + running_usd + (usd or 0.0) <= limit_usd:
            return None
        return (
            f"this training would cost about {usd or 0:.2f} USD; those of this month have cost about {spent_usd:.2f}, "
            f"and those that run will cost {running_usd:.2f} ({', '.join(sorted(claims)) or 'none'}): this stage "
            f"allows {limit_usd:.2f} a month (max_training_usd_per_month). Ask for fewer epochs, wait for the next "
            "month, or have whoever operates the stage allow more"
        )

    def _spent_usd(self, claims: Mapping[str, Claim]) -> float:
        """What the trainings of this calendar month (UTC) have cost that began in it and have ended: by the time that
        SageMaker bills, at the price without spot.
        """
        month = f"{datetime.now(UTC):%Y%m}"
        ids = [id for id in training_ids(self._data.keys) if id.startswith(month) and id not in claims]
        trainings = self._data.find_all(Training, [training_key(id) for id in ids])
        jobs = concurrently(lambda training: self._jobs.describe(training.version), trainings)
        billed_s = sum(float((job or {}).get("BillableTimeInSeconds", 0)) for job in jobs)
        return billed_s / 3600 * self._settings.usd_per_hour
