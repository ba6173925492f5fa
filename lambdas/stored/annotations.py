"""Annotations in the data bucket: images under their sha256, and a record for each thing that is said of one."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from itertools import islice

from contract.annotations import (
    ANNOTATIONS_PREFIX,
    COUNTED_ANNOTATIONS,
    LISTED_KEYS,
    Annotation,
    AnnotationBody,
    AnnotationList,
    Counts,
    Entry,
    Erased,
    StoredAnnotation,
    annotation_id,
    annotation_key,
    annotation_of_key,
    dataset_prefix,
    image_key,
    keys_of_image,
)
from contract.answers import Inspection
from contract.idempotency import now
from contract.images import THUMBNAIL_SIZES_PX, thumbnail_key
from contract.problems import NotFound, ProblemError
from contract.texts import same_to_the_model
from lambdas.aws.clients import concurrently
from lambdas.aws.inference import Inspect
from lambdas.aws.s3 import Document, JsonObject, Store
from lambdas.stored.embeddings import EmbeddingStore

READ_AT_ONCE = 100
FEW_KEYS = 1_000
"""Of a dataset: S3 lists so many with one call."""
_FIRST_DIGITS = "0123456789abcdef"
"""Of ids."""


class AnnotationStore:
    """The annotations of one bucket. Every method raises ServiceUnavailable if S3 does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._embeddings = EmbeddingStore(store)

    def add(
        self, pairs: Sequence[tuple[Entry, bytes | ProblemError]], inspect: Inspect, source: str
    ) -> list[StoredAnnotation | ProblemError]:
        """Keep each good entry with its image, which is beside it, or tell its problem in its place.

        What is answered as stored, is stored. A record that is there already stays as it is, also if it was edited.
        """
        good = {
            image: None for entry, image in pairs if isinstance(entry.body, AnnotationBody) and isinstance(image, bytes)
        }
        looks = dict(zip(good, inspect(list(good)) if good else (), strict=True))

        def keep(pair: tuple[Entry, bytes | ProblemError]) -> StoredAnnotation | ProblemError:
            entry, image = pair
            if isinstance(entry.body, ProblemError):
                return entry.body
            if isinstance(image, ProblemError):
                return image
            look = looks[image]
            return look if isinstance(look, ProblemError) else self._keep(entry.body, entry.dataset, look, source)

        def keep_image(image: bytes) -> None:
            if not isinstance(look := looks[image], ProblemError):
                self._store.keep(image_key(look["sha256"]), image, look["media_type"])

        def keep_embedding(image: bytes) -> None:
            if not isinstance(look := looks[image], ProblemError):
                self._embeddings.keep(look)

        # before the records: none may be without its image, and who reads one at once finds the vector
        kept = [partial(work, image) for image in good for work in (keep_image, keep_embedding)]
        list(concurrently(lambda work: work(), kept))
        return list(concurrently(keep, pairs))

    def _keep(self, body: AnnotationBody, dataset: str, look: Inspection, source: str) -> StoredAnnotation:
        image = look["sha256"]
        id = annotation_id(image, body)
        record = Annotation(
            **{name: getattr(body, name) for name in AnnotationBody.model_fields},
            id=id,
            dataset=dataset,
            image=image,
            perceptual_hash=look["perceptual_hash"],
            created=now(),
            source=source,
        )
        new = self._store.create(annotation_key(dataset, id), record)
        return StoredAnnotation(id=id, dataset=dataset, image=image, new=new)

    def read(self, dataset: str, id: str) -> Document[JsonObject]:
        """One record as it is stored. Raises NotFound."""
        found = self._store.read(annotation_key(dataset, id))
        if found is None:
            raise NotFound(
                f"no annotation {id} in the dataset {dataset!r}: GET /annotations?dataset={dataset} lists them"
            )
        return found

    def edit(self, document: Document[JsonObject], body: AnnotationBody) -> Document[JsonObject]:
        """Let a record say something else; its id stays. Raises PreconditionFailed if it is not what was read."""
        value = {**document.value, **body.model_dump(mode="json", include=set(AnnotationBody.model_fields))}
        return self._store.write(document.key, value, etag=document.etag)

    def page(self, dataset: str, limit: int, after: str) -> AnnotationList:
        """Records in the order of their ids, those behind `after`; the first page has the dataset's counts."""
        behind = annotation_key(dataset, after) if after else ""
        keys = list(islice(self._store.keys(dataset_prefix(dataset), after=behind), limit + 1))
        return AnnotationList(
            annotations=self._store.find_all(Annotation, keys[:limit]),
            next=annotation_of_key(keys[limit - 1]) if len(keys) > limit else None,
            counts=None if after else self._counts(dataset),
        )

    def all(self, dataset: str) -> list[Annotation]:
        """Every record of a dataset."""
        return self._store.find_all(Annotation, list(self._store.keys(dataset_prefix(dataset))))

    def some(self, dataset: str, most: int, until_s: float) -> tuple[list[Annotation], int]:
        """At most so many records, read until the monotonic clock says `until_s`, and how many there are.

        At least one part is read. They are a fair sample, for ids begin with a hash of the image. LISTED_KEYS are
        known of at most.
        """
        keys = [key for key, _ in self._side_by_side(dataset_prefix(dataset))]
        read: list[Annotation] = []
        for start in range(0, min(len(keys), most), READ_AT_ONCE):
            read += self._store.find_all(Annotation, keys[start : min(start + READ_AT_ONCE, most)])
            if time.monotonic() >= until_s:
                break
        return read, len(keys)

    def states(self) -> dict[str, str]:
        """The etag of every record of any dataset by its key, LISTED_KEYS at most. Datasets take turns, so that a small
        one is known as a whole beside a large one. Each is in the order of its ids: a fair one, for they begin with a
        hash of the image.
        """
        prefixes = map(dataset_prefix, self._store.folders(ANNOTATIONS_PREFIX))
        known = {prefix: list(islice(self._store.etags(prefix), FEW_KEYS + 1)) for prefix in prefixes}
        large = [prefix for prefix, few in known.items() if len(few) > FEW_KEYS]
        left = LISTED_KEYS - sum(len(few) for few in known.values() if len(few) <= FEW_KEYS)
        for prefix in large:
            known[prefix] = self._side_by_side(prefix, max(left // len(large), FEW_KEYS))
        found = [
            (turn, annotation_of_key(key), key, etag)
            for of_dataset in known.values()
            for turn, (key, etag) in enumerate(of_dataset)
        ]
        return {key: etag for _, _, key, etag in sorted(found)[:LISTED_KEYS]}

    def _side_by_side(self, prefix: str, most: int = LISTED_KEYS) -> list[tuple[str, str]]:
        """So many records of a dataset with their etags: one behind the other takes S3 15 seconds."""
        share = most // len(_FIRST_DIGITS)
        parts = concurrently(lambda digit: list(islice(self._store.etags(prefix + digit), share)), _FIRST_DIGITS)
        return [each for part in parts for each in part]

    def read_keys(self, keys: Sequence[str]) -> list[Document[Annotation]]:
        """The records at some keys with their states; what was deleted meanwhile is left out."""
        return [
            Document(each.key, Annotation.model_validate(each.value), each.etag) for each in self._store.read_all(keys)
        ]

    def said_of(self, image: str) -> list[Annotation]:
        """All that is said of an image in any dataset. Raises BadRequest for what is no sha256."""
        image_key(image)
        datasets = self._store.folders(ANNOTATIONS_PREFIX)
        keys = [key for dataset in datasets for key in self._store.keys(keys_of_image(dataset, image))]
        return self._store.find_all(Annotation, keys)

    def erase_image(self, image: str) -> Erased:
        """Remove an image and all that is said of it in any dataset, with every former version.

        Raises NotFound if there is no trace of it.
        """
        key = image_key(image)
        datasets = self._store.folders(ANNOTATIONS_PREFIX)
        records = sum(self._store.erase(keys_of_image(dataset, image)) for dataset in datasets)
        present = self._store.erase(key)
        # last: who makes one of these looks afterwards whether its image is still there
        self._embeddings.erase(image)
        for size_px in THUMBNAIL_SIZES_PX:
            self._store.erase(thumbnail_key(image, size_px))
        if not present and not records:
            raise NotFound(f"no image {image} and nothing that is said of it: image is the sha256 of its file")
        return Erased(image=image, annotations=records)

    def _counts(self, dataset: str) -> Counts:
        keys = list(islice(self._store.keys(dataset_prefix(dataset)), LISTED_KEYS))
        looked_at = self._store.read_all(keys[:COUNTED_ANNOTATIONS])
        labels: dict[str, Counter[str]] = defaultdict(Counter)
        splits: Counter[str] = Counter()
        spellings: dict[str, str] = {}
        for each in looked_at:
            splits[each.value["split"] or ""] += 1
            if (label := each.value["label"]) is not None:
                label = spellings.setdefault(same_to_the_model(label), label)
                labels[each.value["task"] or ""][label] += 1
        return Counts(
            records=len(keys),
            counted=len(looked_at),
            splits=dict(splits),
            labels={task: dict(of_task.most_common()) for task, of_task in labels.items()},
        )
