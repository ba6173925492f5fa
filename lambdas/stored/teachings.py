"""What saved tasks have learnt, in the data bucket: one document each, the heads, and what each head was made of.

Many write to a document: the worker that teaches, and requests that pause, restore and erase. Each changes the state
that it has read, and does so again if another one was faster.
"""

import random
import time
from collections.abc import Callable, Sequence
from functools import partial

from contract.annotations import IMAGE_DIGITS
from contract.problems import Conflict, PreconditionFailed, ServiceUnavailable
from contract.taught import (
    HEADS_PREFIX,
    KEPT_HEADS,
    TAUGHT_PREFIX,
    Head,
    HeadImages,
    Progress,
    Teaching,
    head_images_key,
    head_key,
    head_of_key,
    heads_prefix,
    task_of_taught,
    taught_key,
)
from lambdas.aws.clients import concurrently
from lambdas.aws.s3 import Store

LEASE_S = 120
"""How long a worker that is heard of no more keeps others from its task; twice what Lambda waits before it tries again
what has failed, and several times what a lesson takes.
"""
ATTEMPTS = 30
PAUSE_S = 0.02
RETRY_AFTER_S = 2
_NEW = Teaching.model_construct()


class Teachings:
    """Those of one bucket. Every method raises ServiceUnavailable if S3 does not answer."""

    def __init__(self, store: Store, clock_s: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock_s = clock_s

    def find(self, task: str) -> Teaching | None:
        """What a task has learnt, or None where nothing was ever looked at."""
        return self._store.find(Teaching, taught_key(task))

    def take(self, task: str) -> bool:
        """Begin to work on a task; False if another worker is at it."""
        taken = False

        def change(now: Teaching) -> Teaching:
            nonlocal taken
            taken = now.busy_until_epoch_s <= self._clock_s()
            return self._busy(now) if taken else now

        self.update(task, change)
        return taken

    def release(self, task: str) -> None:
        """End that work."""
        self.update(task, lambda now: now.model_copy(update={"busy_until_epoch_s": 0, "progress": None}), absent=None)

    def tell(self, task: str, progress: Progress | None = None) -> None:
        """Say that the worker is still at work, and how far it is."""
        self.update(task, lambda now: self._busy(now, progress=progress), absent=None)

    def _busy(self, now: Teaching, **also: object) -> Teaching:
        until = int(self._clock_s()) + LEASE_S
        return now.model_copy(update={"busy_until_epoch_s": until, **also})

    def update(
        self, task: str, change: Callable[[Teaching], Teaching], *, absent: Teaching | None = _NEW
    ) -> Teaching | None:
        """What `change` makes of a task's present state, which is `absent` where there is none; if that is None, there
        is nothing to change. Raises what `change` raises.
        """
        key = taught_key(task)
        for _ in range(ATTEMPTS):
            found = self._store.read(key)
            now = Teaching.model_validate(found.value) if found else absent
            if now is None:
                return None
            changed = change(now)
            if changed is now:
                return now
            try:
                self._store.write(key, changed, etag=found.etag if found else None, absent=found is None)
            except PreconditionFailed:
                time.sleep(PAUSE_S * random.uniform(0.5, 2))  # noqa: S311, so that two don't meet again
            else:
                return changed
        raise ServiceUnavailable(f"too many change what {task!r} has learnt: try again", retry_after_s=RETRY_AFTER_S)

    def ask(self, task: str) -> Teaching:
        """Let a task's annotations be looked at again, and its heads answer."""

        def change(now: Teaching) -> Teaching:
            anew = {"paused": False, "restored": False, "digest": ""}
            return now.model_copy(update={**anew, "asked": now.asked + 1})

        return self.update(task, change) or Teaching()

    def restore(self, task: str, sha256: str) -> Teaching:
        """Let an earlier head answer until annotations change. Raises Conflict if it is not kept."""

        def change(now: Teaching) -> Teaching:
            if sha256 not in (head.sha256 for head in now.heads):
                raise Conflict(
                    f"the task {task!r} has no head {sha256}: `taught.heads` of GET /tasks/{task} lists the last "
                    f"{KEPT_HEADS}"
                )
            asked = {"paused": False, "restored": True, "asked": now.asked + 1}
            return now.model_copy(update={"head": sha256, **asked})

        return self.update(task, change) or Teaching()

    def pause(self, task: str) -> Teaching:
        """Let the words answer, and nothing teach the task, until it is asked for. Its heads are kept."""
        paused = {"head": None, "paused": True, "restored": False, "digest": ""}
        return self.update(task, lambda now: now.model_copy(update=paused)) or Teaching()

    def keep_head(self, task: str, content: bytes, head: Head, images: HeadImages) -> None:
        """Store a head's file. What it was made of comes first, so that no head is without."""
        self._store.write(head_images_key(task, head.sha256), images)
        self._store.put(head_key(task, head.sha256), content, "application/octet-stream")

    def forget_unlisted(self, task: str, sha256s: Sequence[str]) -> None:
        """Remove those of these heads that the task's document does not list."""
        listed = {head.sha256 for head in (self.find(task) or _NEW).heads} if sha256s else set()
        for sha256 in {*sha256s} - listed:
            self.forget_head(task, sha256)

    def forget_head(self, task: str, sha256: str) -> None:
        """Remove a head's file with every trace of it."""
        for key in (head_key(task, sha256), head_images_key(task, sha256)):
            self._store.erase(key)

    def forget(self, task: str) -> None:
        """Remove all that a task has learnt."""
        self._store.erase(taught_key(task))
        self._store.erase(heads_prefix(task))

    def forget_image(self, image: str) -> list[str]:
        """Remove every head that was made of an image, given by its sha256, and what is told of it; the names of the
        tasks that have lost one.

        A worker that has read it before sees in the end that an image was erased, and keeps nothing; or it was faster,
        and what it has kept is found here.
        """

        def erased(now: Teaching) -> Teaching:
            learnt = now.learnt and now.learnt.model_copy(
                update={"doubtful": [each for each in now.learnt.doubtful if each.image != image]}
            )
            return now.model_copy(update={"erased": now.erased + 1, "learnt": learnt})

        def forget(task: str) -> str | None:
            self.update(task, erased, absent=None)
            if not (heads := self._heads_of_image(task, image)):
                return None
            self.update(task, partial(_without, heads), absent=None)
            for sha256 in heads:
                self.forget_head(task, sha256)
            return task

        taught = map(task_of_taught, self._store.keys(TAUGHT_PREFIX))
        tasks = sorted({*taught, *self._store.folders(HEADS_PREFIX)})
        return [task for task in concurrently(forget, tasks) if task]

    def _heads_of_image(self, task: str, image: str) -> set[str]:
        keys = [key for key in self._store.keys(heads_prefix(task)) if key.endswith(".json")]
        found = zip(keys, concurrently(lambda key: self._store.find(HeadImages, key), keys), strict=True)
        begins = image[:IMAGE_DIGITS]
        return {
            head_of_key(key)
            for key, images in found
            if images and any(each.startswith(begins) for each in images.annotations)
        }


def _without(heads: set[str], now: Teaching) -> Teaching:
    kept = [head for head in now.heads if head.sha256 not in heads]
    head = None if now.head in heads else now.head
    return now.model_copy(update={"heads": kept, "head": head, "digest": ""})
