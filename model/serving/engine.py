"""The engine: a loaded model that answers requests on an event loop.

A request's way: parse (a pool of threads) → decode (`Decoders`, processes) → queue → image tower (`Workers`, batches
across requests) beside the labels (`LabelSets`) → score, by the labels' words or by a head (`Heads`), and write the
answer. A lesson, which makes a head of embeddings, has a thread of its own (`Teacher`).
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import orjson
import torch

from contract.answers import ImageFacts, Inspection, LabelScore, arrange, render_classify
from contract.images import ThumbnailRequest
from contract.model_cards import EndpointCards
from contract.problems import BadRequest, InternalError, ProblemError
from contract.requests import (
    ClassifyRequest,
    DescribeRequest,
    EmbedRequest,
    ImageSource,
    InspectRequest,
    Request,
    S3Object,
)
from contract.teaching import TeachRequest, embedding_text
from model.clip.processing import Processing
from model.clip.scoring import rank, score, unknown_by_confidence, with_unknown
from model.serving.admission import Work
from model.serving.budget import within_budget
from model.serving.decoder import Template
from model.serving.decoders import Decoders, Share
from model.serving.heads import Heads, ServedHead, numbers_of
from model.serving.labels import NO_TEXT_VECTOR, LabelCache, LabelSet, LabelSets
from model.serving.observe import Metrics, Trace
from model.serving.teacher import Teacher
from model.serving.thumbnail import jpeg_text
from model.serving.towers import Towers
from model.serving.workers import WEDGED_S, Turns, Workers, as_batch

SCORES_AT_ONCE = 2_000
"""Fewer are computed on the event loop: to pass them to a thread takes longer than to compute them."""

DECODES_PER_TURN = 8
"""Of one request, per decoder: so long others wait for one at most."""

NOT_NUMBERS_IN_A_ROW = 8
"""Vectors of images that are no numbers, without one between them that is: then it is the model, and no image."""

Result = TypeVar("Result")
Opened = torch.Tensor | ProblemError
"""An image as pixels, uint8 [3, height, width], later as a unit vector [D], or why it can't be."""


class Engine:
    """Answers classify, embed, inspect, thumbnail, describe and teach requests with one model."""

    def __init__(
        self,
        processing: Processing,
        towers: Towers,
        metrics: Metrics,
        template: Template,
        *,
        decoders: int,
        label_cache_rows: int,
        head_cache_bytes: int,
        cards: EndpointCards | None = None,
        wedged_s: float = WEDGED_S,
    ) -> None:
        self.processing = processing
        self._cards = cards or EndpointCards()
        self.images_per_turn = min(len(towers.workers) * towers.batch_sizes[-1], DECODES_PER_TURN * decoders)
        self._pool = ThreadPoolExecutor(decoders, "pool")
        self.decoders = Decoders(template, processing.preparation, decoders, on_decoded=metrics.decoded)
        self._workers = Workers(towers, metrics.batches.observe, wedged_s)
        self.labels = LabelCache(self._workers.embed_texts, label_cache_rows)
        self.label_sets = LabelSets(self.labels, label_cache_rows)
        self.heads = Heads(head_cache_bytes)
        self._teacher = Teacher(processing)
        self._not_numbers = 0

    @property
    def fault(self) -> str | None:
        """Why this process should be replaced, or None."""
        if self._not_numbers >= NOT_NUMBERS_IN_A_ROW:
            return f"the model's last {self._not_numbers} vectors were no numbers (NaN or infinite)"
        return self._workers.fault or self.decoders.fault

    async def settle(self) -> None:
        """Wait until the model is idle and reads no label."""
        await self.labels.settle()
        await self._workers.settle()

    async def answer(self, parse: Callable[[], Request], trace: Trace, work: Work, *, is_short: bool = False) -> bytes:
        """The JSON body that answers the request that `parse` reads, in a thread unless it is short; `work` hears how
        far it is.

        Raises what `parse` raises, and ProblemError if there is nothing else to answer; a bad image in a list does not.
        """
        with self._workers.expecting() as came:
            request = self._parse(parse, trace) if is_short else await self._in_pool(self._parse, parse, trace)
            if isinstance(request, DescribeRequest):
                came()
                return self._cards.model_dump_json().encode()
            if isinstance(request, TeachRequest):
                came()
                work.step_aside()
                return await self._teach(request, trace)
            heads = await self._held_heads(request)
            work.has(len(request.images))

            def on_slow() -> None:
                came()  # nobody's batch waits for it
                work.step_aside()

            share = Share(on_slow)
            lone = await self._opened(request, request.images, share, trace) if len(request.images) == 1 else []
            if isinstance(request, ThumbnailRequest):
                came()
                return await self._thumbnails(request, lone, share, trace)
            if isinstance(request, InspectRequest):
                return await self._inspect(request, lone, share, trace, came, work)
            if isinstance(request, EmbedRequest):
                return await self._embed(request, lone, share, trace, came, work)
            return await self._classify(request, lone, heads, share, trace, came, work)

    def _parse(self, parse: Callable[[], Request], trace: Trace) -> Request:
        with trace.stage("parse"):
            request = parse()
            short_side = self.processing.preparation.short_side
            if isinstance(request, InspectRequest | ThumbnailRequest):
                short_side = request.size_px if isinstance(request, ThumbnailRequest) else None
            request.images[:] = within_budget(request.images, short_side)
            return request

    async def _turns(self, request: Request, lone: list[Any], share: Share, trace: Trace) -> AsyncIterator[list[Any]]:
        """A request's images, opened, `images_per_turn` at a time. Whoever has more takes turns with the others, so
        that one request with many images does not keep many with one image waiting.
        """
        if lone:
            yield lone
            return
        for start in range(0, len(request.images), self.images_per_turn):
            yield await self._opened(request, request.images[start : start + self.images_per_turn], share, trace)

    async def _opened(self, request: Request, sources: Sequence[ImageSource], share: Share, trace: Trace) -> list[Any]:
        with trace.stage("decode"):
            return await _all([self._open(request, source, share) for source in sources])

    async def _open(self, request: Request, source: ImageSource, share: Share) -> Any:
        """What the request wants of an image, its pixels and before them the facts of an inspection, or its problem."""
        if isinstance(source, ProblemError):
            return source
        if isinstance(source, S3Object):
            return BadRequest(f"{source.s3_key!r} names an object in a bucket, and the model is sent bytes only")
        if isinstance(request, InspectRequest):
            return await self.decoders.inspect(source, share)
        if isinstance(request, ThumbnailRequest):
            return await self.decoders.thumbnail(source, request.size_px, share)
        return await self.decoders.prepare(source, share)

    async def _classify(
        self,
        request: ClassifyRequest,
        lone: list[Any],
        heads: Mapping[str, ServedHead],
        share: Share,
        trace: Trace,
        came: Callable[[], None],
        work: Work,
    ) -> bytes:
        if lone and isinstance(lone[0], ProblemError):  # which needs no labels
            return orjson.dumps(render_classify(request, lone))
        images, label_sets = await _all(
            (
                self._image_embeds(request, lone, share, trace, came, work),
                self._label_sets(request.parameters.questions, trace),
            )
        )
        heads = {name: head for name, head in heads.items() if self._is_for(head, label_sets[name])}
        trace.heads = [request.heads[name] for name in heads]
        with trace.stage("score"):
            if len(images) * sum(len(each.embeds.labels) for each in label_sets.values()) <= SCORES_AT_ONCE:
                return self._render_classify(request, images, label_sets, heads)
            return await self._in_pool(self._render_classify, request, images, label_sets, heads)

    def _is_for(self, head: ServedHead, label_set: LabelSet) -> bool:
        return head.belongs_to(self.processing.version, label_set.question, label_set.embeds)

    @torch.inference_mode()
    def _render_classify(
        self,
        request: ClassifyRequest,
        images: Sequence[Opened],
        label_sets: Mapping[str, LabelSet],
        heads: Mapping[str, ServedHead],
    ) -> bytes:
        good = [image for image in images if isinstance(image, torch.Tensor)]
        answers: list[dict[str, list[LabelScore]]] = [{} for _ in good]
        for name, question in request.parameters.questions.items() if good else ():
            if (head := heads.get(name)) is not None:
                scores = head.scores(as_batch(good), question.unknown)  # [B, L], or with `unknown` L + 1
            else:
                embeds, calibration = label_sets[name].embeds, self.processing.calibration
                scores = score(embeds, as_batch(good), self.processing.logit_scale, calibration)
                if question.unknown:
                    scores = with_unknown(scores, unknown_by_confidence(scores, calibration.unknown))
            if not _are_numbers(scores):
                raise InternalError("the model's scores are no numbers (NaN or infinite): quote the request id")
            for answer, row in zip(answers, scores, strict=True):
                answer[name] = rank(question, row)
        remaining = iter(answers)
        items = [image if isinstance(image, ProblemError) else next(remaining) for image in images]
        return orjson.dumps(render_classify(request, items))

    async def _held_heads(self, request: Request) -> dict[str, ServedHead]:
        """By question, the heads that it is asked by. Raises UnknownHeads, or BadRequest for one that is broken."""
        if not isinstance(request, ClassifyRequest) or not request.heads:
            return {}
        new = [name for name in {*request.heads.values()} & request.head_files.keys() if name not in self.heads]
        sent = {name: await self._in_pool(ServedHead.read, request.head_files[name]) for name in new}
        return self.heads.find(request.heads, sent)

    async def _teach(self, request: TeachRequest, trace: Trace) -> bytes:
        label_set = (await self._label_sets({"": request.question}, trace))[""]
        with trace.stage("teach"):
            lesson, head = await self._teacher.teach(request, label_set)
        self.heads.add(lesson.sha256, head)
        return (await self._in_pool(lesson.model_dump_json)).encode()

    async def _inspect(
        self, request: InspectRequest, lone: list[Any], share: Share, trace: Trace, came: Callable[[], None], work: Work
    ) -> bytes:
        seen: list[Inspection | ProblemError] = []
        turns = Turns()
        if not lone:
            came()  # images of a list are a batch by themselves
        async for opened in self._turns(request, lone, share, trace):
            good = [each for each in opened if not isinstance(each, ProblemError)]
            vectors = await self._vectors([pixels for _, pixels in good], turns, trace, came, work)
            remaining = iter([_inspection(*each) for each in zip(good, vectors, strict=True)])
            seen += [each if isinstance(each, ProblemError) else next(remaining) for each in opened]
        return orjson.dumps(arrange(seen, listed=True))

    async def _thumbnails(self, request: ThumbnailRequest, lone: list[Any], share: Share, trace: Trace) -> bytes:
        shrunk: list[str | ProblemError] = []
        async for opened in self._turns(request, lone, share, trace):
            for each in opened:
                shrunk.append(each if isinstance(each, ProblemError) else await self._in_pool(jpeg_text, each))
        return orjson.dumps(arrange(shrunk, listed=True))

    async def _embed(
        self, request: EmbedRequest, lone: list[Any], share: Share, trace: Trace, came: Callable[[], None], work: Work
    ) -> bytes:
        images, texts = await _all(
            (self._image_embeds(request, lone, share, trace, came, work), self._text_embeds(request.texts, trace))
        )
        with trace.stage("render"):
            return await self._in_pool(_render_embed, images, texts)

    async def _image_embeds(
        self, request: Request, lone: list[Any], share: Share, trace: Trace, came: Callable[[], None], work: Work
    ) -> list[Opened]:
        images: list[Opened] = []
        turns = Turns()
        if not lone:
            came()  # images of a list are a batch by themselves
        async for opened in self._turns(request, lone, share, trace):
            good = [each for each in opened if isinstance(each, torch.Tensor)]
            remaining = iter(await self._vectors(good, turns, trace, came, work))
            images += [each if isinstance(each, ProblemError) else next(remaining) for each in opened]
        return images

    async def _vectors(
        self, images: Sequence[torch.Tensor], turns: Turns, trace: Trace, came: Callable[[], None], work: Work
    ) -> list[Opened]:
        """Each image, as pixels, as its vector, or its problem if it is no vector."""
        with trace.stage("model") as model, work.queuing(len(images)):
            asyncio.get_running_loop().call_soon(came)  # when they are queued
            embedded = await _all([self._workers.embed_image(each, turns) for each in images])
            model["queue"] = max((waited_s for _, waited_s in embedded), default=0.0)
        return [self._checked(vector) for vector, _ in embedded]

    def _checked(self, vector: torch.Tensor) -> Opened:
        """An image's vector, or its problem if it is no vector."""
        if _are_numbers(vector):
            self._not_numbers = 0
            return vector
        self._not_numbers += 1
        return InternalError("the model made no numbers of this image (NaN or infinite): quote the request id")

    async def _text_embeds(self, texts: Sequence[str], trace: Trace) -> list[torch.Tensor]:
        known = self.labels.misses
        with trace.stage("labels"):
            found = await self.labels.embed(texts)
        trace.met_new_labels = self.labels.misses != known
        trace.truncated_prompts = sum(embedding.truncated for embedding in found.values())
        vectors = [found[text].vector for text in texts]
        if not all(map(_are_numbers, vectors)):
            raise InternalError(NO_TEXT_VECTOR)
        return vectors

    async def _label_sets(self, questions: dict[str, Any], trace: Trace) -> dict[str, LabelSet]:
        known = self.labels.misses
        with trace.stage("labels"):
            found = await _all([*map(self.label_sets.embed, questions.values())])
        trace.met_new_labels = self.labels.misses != known
        trace.truncated_prompts = sum(each.truncated_prompts for each in found)
        return dict(zip(questions, found, strict=True))

    async def _in_pool(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)


async def _all(work: Sequence[Awaitable[Any]]) -> list[Any]:
    """What all of them return. If one fails the others are given up: nobody waits for them any more."""
    if len(work) == 1:
        return [await work[0]]
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _are_numbers(values: torch.Tensor) -> bool:
    """Whether none of them, all between -1 and 1, is NaN or infinite: then their sum is a number, too."""
    return math.isfinite(values.sum())


def _inspection(opened: tuple[ImageFacts, torch.Tensor], vector: Opened) -> Inspection | ProblemError:
    if isinstance(vector, ProblemError):
        return vector
    facts, _ = opened
    return Inspection(**facts, embedding=embedding_text(numbers_of(vector)))


def _render_embed(images: Sequence[Opened], texts: Sequence[torch.Tensor]) -> bytes:
    # as fp32 arrays, which orjson writes with the 9 digits they hold and not with a double's 17
    items = [image if isinstance(image, ProblemError) else image.numpy() for image in images]
    answer = {"images": arrange(items, listed=True), "texts": [text.numpy() for text in texts]}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
