"""The engine: what needs no device, and how it knows that its device will not come back."""

import asyncio
import io
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from contract.model_cards import EndpointCards, ModelCard
from contract.problems import BadRequest, InternalError, TooManyRequests, UnknownHeads, UnprocessableImage
from contract.questions import Parameters
from contract.requests import (
    ClassifyRequest,
    DescribeRequest,
    EmbedRequest,
    ImageSource,
    InspectRequest,
    Request,
    parse_request,
    to_multipart,
)
from contract.teaching import Lesson, TeachRequest, embedding_bytes
from model.clip.checkpoint import Checkpoint, load_checkpoint
from model.clip.encode import Clip
from model.clip.processing import TextEmbedding
from model.serving.admission import Admission
from model.serving.engine import NOT_NUMBERS_IN_A_ROW, SCORES_AT_ONCE, Engine
from model.serving.heads import ServedHead, tensor_of
from model.serving.observe import Trace
from model.serving.towers.torch import TorchTowers
from tests.model.serving.engines import build_engine


def png(color: str = "red") -> bytes:
    Image.new("RGB", (8, 8), color).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


async def answer(engine: Engine, request: Request, trace: Trace | None = None) -> bytes:
    with Admission(1, 1).working() as work:
        return await engine.answer(lambda: request, trace or Trace(), work)


class SilentDevice(Clip):
    """Says nothing until it is let go."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self.let_go = threading.Event()

    def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        assert self.let_go.wait(30)
        return super().embed_texts(texts)


def test_a_device_that_makes_no_progress_is_a_fault_until_it_does(checkpoint_dir: Path) -> None:
    async def scenario() -> None:
        clip = SilentDevice(load_checkpoint(checkpoint_dir))
        engine = build_engine(clip, wedged_s=0.01)
        assert engine.fault is None
        asked = asyncio.create_task(answer(engine, EmbedRequest([], ["a cat"])))
        async with asyncio.timeout(30):
            while engine.fault is None:
                await asyncio.sleep(0.01)
        assert engine.fault == "the model has made no progress for more than 0.01 s"
        clip.let_go.set()
        await asked
        assert engine.fault is None

    asyncio.run(scenario())


@pytest.mark.parametrize("is_short", [True, False])
def test_only_what_is_short_is_read_on_the_event_loop(checkpoint_dir: Path, is_short: bool) -> None:
    read_by: list[threading.Thread] = []

    def parse() -> Request:
        read_by.append(threading.current_thread())
        return EmbedRequest([png()], [])

    with Admission(1, 1).working() as work:
        asyncio.run(build_engine(checkpoint_dir).answer(parse, Trace(), work, is_short=is_short))
    assert [each is threading.main_thread() for each in read_by] == [is_short]


def test_a_request_of_texts_alone_needs_no_image(checkpoint_dir: Path) -> None:
    trace = Trace()
    answered = asyncio.run(answer(build_engine(checkpoint_dir), EmbedRequest([], ["a cat"]), trace))
    assert answered.startswith(b'{"images":[],"texts":[[')
    assert trace.open_stages == set()
    assert {"parse", "labels", "render"} <= set(trace.durations_ms)


@pytest.mark.slow
def test_inspections_keep_the_places_of_their_images(checkpoint_dir: Path) -> None:
    engine = build_engine(checkpoint_dir, decoders=2)
    request = InspectRequest([png(), b"no image", BadRequest("it was none before"), png("blue"), png()])
    first, broken, bad, other, last = json.loads(asyncio.run(answer(engine, request)))
    assert first == last and (first["width"], first["height"]) == (8, 8)
    assert [broken["status"], bad["status"]] == [422, 400]
    assert other["embedding"] != first["embedding"]


@pytest.mark.parametrize("exact", [False, True])
def test_the_embedding_of_an_inspection_is_that_of_the_image_when_it_is_asked(
    checkpoint_dir: Path, exact: bool
) -> None:
    engine = build_engine(Clip(load_checkpoint(checkpoint_dir), exact=exact))
    picture = Image.linear_gradient("L").resize((500, 300)).convert("RGB")
    picture.save(photo := io.BytesIO(), "JPEG")
    images = [photo.getvalue(), png()]
    inspected = json.loads(asyncio.run(answer(engine, InspectRequest(list(images)))))
    embedded = json.loads(asyncio.run(answer(engine, EmbedRequest(list(images)))))["images"]
    for seen, vector in zip(inspected, embedded, strict=True):
        assert tensor_of(embedding_bytes(seen["embedding"], "it")).tolist() == pytest.approx(vector, abs=1e-6)


def test_a_lone_inspection_is_a_list_as_well(checkpoint_dir: Path) -> None:
    (seen,) = json.loads(asyncio.run(answer(build_engine(checkpoint_dir), InspectRequest([png()]))))
    assert (seen["width"], seen["media_type"]) == (8, "image/png")


def test_a_lone_image_is_a_list_where_that_is_asked_for_and_its_problem_is_in_it(checkpoint_dir: Path) -> None:
    engine, asked = build_engine(checkpoint_dir), Parameters(candidate_labels="cat, dog")
    (scores,) = json.loads(asyncio.run(answer(engine, ClassifyRequest([png()], asked, listed=True))))
    assert {each["label"] for each in scores} == {"cat", "dog"}
    misses = engine.labels.misses
    other = Parameters(candidate_labels="fish, owl")
    (problem,) = json.loads(asyncio.run(answer(engine, ClassifyRequest([b"no image"], other, listed=True))))
    assert problem["status"] == 422 and engine.labels.misses == misses
    with pytest.raises(UnprocessableImage):
        asyncio.run(answer(engine, ClassifyRequest([b"no image"], asked)))


def test_many_scores_are_the_same_as_few(checkpoint_dir: Path) -> None:
    """Few are computed on the event loop, many in a thread."""
    labels = [f"label {number}" for number in range(SCORES_AT_ONCE // 20)]
    images, engine = [png(color) for color in ("red", "lime", "blue")], build_engine(checkpoint_dir)
    asked = Parameters(candidate_labels=labels)
    few = [json.loads(asyncio.run(answer(engine, ClassifyRequest([image], asked)))) for image in images]
    many = json.loads(asyncio.run(answer(engine, ClassifyRequest(images * 10, asked, listed=True))))
    assert len(many) * len(labels) > SCORES_AT_ONCE
    for image, scores in enumerate(many):
        expected = {each["label"]: each["score"] for each in few[image % 3]}
        assert max(abs(each["score"] - expected[each["label"]]) for each in scores) < 1e-6


def test_a_label_set_that_is_asked_again_is_not_gathered_again(checkpoint_dir: Path) -> None:
    engine = build_engine(checkpoint_dir)
    for labels in ("cat, dog", "cat, dog", "dog, cat"):
        asyncio.run(answer(engine, ClassifyRequest([png()], Parameters(candidate_labels=labels))))
    assert (engine.label_sets.hits, engine.label_sets.misses) == (1, 2)
    assert (engine.labels.hits, engine.labels.misses) == (2, 2)


def test_one_image_is_not_kept_waiting_by_a_request_with_many(checkpoint_dir: Path) -> None:
    class Remembers(TorchTowers):
        """Takes two images at a time, and knows the order in which they came by their colours."""

        def __init__(self, clip: Clip) -> None:
            super().__init__(clip, workers=1)
            self.batch_sizes, self.seen = (1, 2), []
            (embed,) = self.workers
            self.workers = [lambda pixels: (self.seen.extend(pixels[:, 2, 0, 0].tolist()), embed(pixels))[1]]

    async def scenario() -> None:
        clip = Clip(load_checkpoint(checkpoint_dir))
        engine = build_engine(clip, towers := Remembers(clip))
        asked = Parameters(candidate_labels="cat, dog")
        await answer(engine, ClassifyRequest([png("red")], asked))
        many = asyncio.create_task(answer(engine, ClassifyRequest([png("red")] * 40, asked, listed=True)))
        one = asyncio.create_task(answer(engine, ClassifyRequest([png("blue")], asked)))
        await asyncio.gather(many, one)
        assert len(towers.seen) == 42
        assert towers.seen.index(255) < 20

    asyncio.run(scenario())


def test_when_labels_are_refused_the_images_are_given_up(checkpoint_dir: Path) -> None:
    class Held(TorchTowers):
        """Waits with its first batch until it is let go."""

        def __init__(self, clip: Clip) -> None:
            super().__init__(clip, workers=1)
            self.batch_sizes, self.images, self.let_go = (1,), 0, threading.Event()
            (self._embed,) = self.workers
            self.workers = [self._counted]

        def _counted(self, pixels: torch.Tensor) -> torch.Tensor:
            self.images += len(pixels)
            assert self.let_go.wait(30)
            return self._embed(pixels)

    async def scenario() -> None:
        clip = SilentDevice(load_checkpoint(checkpoint_dir))
        engine = build_engine(clip, towers := Held(clip), label_cache_rows=2)
        known = asyncio.create_task(engine.labels.embed(["a", "b"]))
        await asyncio.sleep(0.05)
        asked = ClassifyRequest([png()] * 6, Parameters(candidate_labels="cat, dog"), listed=True)
        with pytest.raises(TooManyRequests):
            await answer(engine, asked)
        clip.let_go.set()
        towers.let_go.set()
        await known
        await answer(engine, EmbedRequest([png()], []))
        assert towers.images == 1

    asyncio.run(scenario())


def test_a_request_says_whether_it_met_labels_that_nobody_had_asked_for(checkpoint_dir: Path) -> None:
    engine = build_engine(checkpoint_dir)
    met = []
    for labels in ("cat, dog", "cat, dog", "dog, cat", "cat, fish"):
        trace = Trace()
        asyncio.run(answer(engine, ClassifyRequest([png()], Parameters(candidate_labels=labels)), trace))
        met.append(trace.met_new_labels)
    assert met == [True, False, False, True]


class Spoilt(Clip):
    """Makes no numbers of what it is told to, as weights do that are too large for their precision."""

    images = texts = False

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        vectors = super().encode_images(pixels)
        dark = pixels.float().mean(dim=(1, 2, 3)) < 1
        return torch.where((dark & self.images)[:, None], torch.nan, vectors)

    def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        found = super().embed_texts(texts)
        return [TextEmbedding(each.vector * torch.nan, False) for each in found] if self.texts else found


QUESTION = Parameters.model_validate({"candidate_labels": ["cat", "dog"]})


def test_an_image_without_a_vector_is_a_server_fault_in_its_place_and_the_others_are_answered(
    checkpoint_dir: Path,
) -> None:
    clip = Spoilt(load_checkpoint(checkpoint_dir))
    clip.images = True
    engine = build_engine(clip)
    images = [png("black"), png("red"), png("black")]
    requests = ClassifyRequest(list(images), QUESTION, listed=True), EmbedRequest(list(images)), InspectRequest(images)
    for request, length in zip(requests, (2, 16, 7), strict=True):
        answered = json.loads(asyncio.run(answer(engine, request)))
        first, good, last = answered["images"] if isinstance(request, EmbedRequest) else answered
        assert first["status"] == last["status"] == 500 and "no numbers" in first["detail"]
        assert len(good) == length
    with pytest.raises(InternalError, match="no numbers of this image"):
        asyncio.run(answer(engine, ClassifyRequest([png("black")], QUESTION)))
    assert engine.fault is None


def test_a_model_of_which_nothing_but_no_numbers_comes_is_at_fault(checkpoint_dir: Path) -> None:
    clip = Spoilt(load_checkpoint(checkpoint_dir))
    clip.images = True
    engine = build_engine(clip)
    dark = ClassifyRequest([png("black")] * (NOT_NUMBERS_IN_A_ROW - 1), QUESTION, listed=True)
    asyncio.run(answer(engine, dark))
    assert engine.fault is None
    asyncio.run(answer(engine, ClassifyRequest([png("red")], QUESTION)))
    asyncio.run(answer(engine, dark))
    assert engine.fault is None  # a good one was between them
    asyncio.run(answer(engine, dark))
    assert "were no numbers" in str(engine.fault)


def test_texts_without_a_vector_are_a_server_fault_and_never_an_empty_list(checkpoint_dir: Path) -> None:
    clip = Spoilt(load_checkpoint(checkpoint_dir))
    clip.texts = True
    engine = build_engine(clip)
    for request in (ClassifyRequest([png()], QUESTION), EmbedRequest([], ["a cat"])):
        with pytest.raises(InternalError, match="no numbers of a text"):
            asyncio.run(answer(engine, request))


@pytest.mark.parametrize("logit_scale", [float("inf"), float("nan")])
def test_scores_that_are_no_numbers_are_a_server_fault(checkpoint_dir: Path, logit_scale: float) -> None:
    clip = Clip(load_checkpoint(checkpoint_dir))
    clip.logit_scale = logit_scale
    with pytest.raises(InternalError, match="scores are no numbers"):
        asyncio.run(answer(build_engine(clip), ClassifyRequest([png()], QUESTION)))


def test_what_its_models_know_is_told_without_any_of_them(checkpoint_dir: Path) -> None:
    cards = EndpointCards(served=ModelCard(knows="This model knows welds."), base=ModelCard(licence="MIT"))
    engine = build_engine(Clip(load_checkpoint(checkpoint_dir)), cards=cards)
    asked = parse_request(*to_multipart(DescribeRequest(), ()))
    assert EndpointCards.model_validate_json(asyncio.run(answer(engine, asked))) == cards


COLOURS = Parameters.model_validate({"candidate_labels": ["hot", "cold", "wet"]})
HOT, COLD = ["#f00", "#e10", "#f02", "#d00"], ["#00f", "#10e", "#02f", "#00d"]


async def taught(engine: Engine, labels: int = 2) -> Lesson:
    """That red is hot and blue is cold, or only the first of these."""
    colours = [HOT, COLD][:labels]
    inspected = json.loads(await answer(engine, InspectRequest([png(each) for named in colours for each in named])))
    embeddings = [embedding_bytes(each["embedding"], "it") for each in inspected]
    targets = [label for label, named in enumerate(colours) for _ in named]
    return Lesson.model_validate_json(await answer(engine, TeachRequest(COLOURS, embeddings, targets)))


def asked_by(*heads: str, files: dict[str, bytes] | None = None, asked: Parameters = COLOURS) -> ClassifyRequest:
    names = dict(zip(asked.questions, heads, strict=False))
    return ClassifyRequest([png("#e02")], asked, heads=names, head_files=files or {})


async def scores(engine: Engine, request: ClassifyRequest, trace: Trace | None = None) -> dict[str, float]:
    return {each["label"]: each["score"] for each in json.loads(await answer(engine, request, trace))}


def test_a_question_is_answered_by_its_head_and_all_others_as_before_to_the_last_bit(checkpoint_dir: Path) -> None:
    async def scenario() -> None:
        engine = build_engine(checkpoint_dir)
        other = Parameters(candidate_labels="hot, cold, wet, dry")
        before = [await answer(engine, asked_by(asked=each)) for each in (COLOURS, other)]
        lesson = await taught(engine)
        told = await scores(engine, asked_by(lesson.sha256), trace := Trace())
        assert trace.heads == [lesson.sha256]
        assert told["hot"] > told["cold"] and sum(told.values()) == pytest.approx(1)
        head = ServedHead.read(embedding_bytes(lesson.head, "it"))
        (embedded,) = json.loads(await answer(engine, EmbedRequest([png("#e02")])))["images"]
        expected = head.scores(torch.tensor([embedded]))[0].tolist()
        assert [told[label] for label in ("hot", "cold", "wet")] == pytest.approx(expected, abs=1e-5)
        assert [await answer(engine, asked_by(asked=each)) for each in (COLOURS, other)] == before

    asyncio.run(scenario())


def test_of_several_tasks_each_is_answered_by_its_own_head_or_its_words(checkpoint_dir: Path) -> None:
    async def scenario() -> None:
        engine = build_engine(checkpoint_dir)
        lesson = await taught(engine)
        question = COLOURS.model_dump(exclude_unset=True)
        asked = Parameters.model_validate({"tasks": {"plain": question, "heat": {**question, "unknown": True}}})
        request = ClassifyRequest([png("#e02")], asked, heads={"heat": lesson.sha256})
        told = json.loads(await answer(engine, request))
        assert told["plain"] == json.loads(await answer(engine, asked_by()))
        heat = {each["label"]: each["score"] for each in told["heat"]}
        by_head = await scores(engine, asked_by(lesson.sha256))
        unknown = heat.pop("none of these")
        assert 0 < unknown < 1
        assert heat == pytest.approx({label: score * (1 - unknown) for label, score in by_head.items()}, abs=1e-6)

    asyncio.run(scenario())


def test_a_head_that_is_not_held_is_asked_for_before_any_work_and_then_kept(checkpoint_dir: Path) -> None:
    async def scenario() -> None:
        lesson = await taught(build_engine(checkpoint_dir))
        file = embedding_bytes(lesson.head, "it")
        engine = build_engine(checkpoint_dir)
        with pytest.raises(UnknownHeads) as told:
            await answer(engine, asked_by(lesson.sha256), trace := Trace())
        assert told.value.heads == (lesson.sha256,)
        assert "decode" not in trace.durations_ms and engine.labels.misses == 0
        sent = await answer(engine, asked_by(lesson.sha256, files={lesson.sha256: file}))
        assert await answer(engine, asked_by(lesson.sha256)) == sent

    asyncio.run(scenario())


def test_a_head_of_another_model_or_another_question_leaves_the_answer_to_the_words(
    checkpoint_dir: Path, calibrated_checkpoint_dir: Path
) -> None:
    async def scenario() -> None:
        engine, promoted = build_engine(checkpoint_dir), build_engine(calibrated_checkpoint_dir)
        lesson = await taught(engine)
        files = {lesson.sha256: embedding_bytes(lesson.head, "it")}
        others = [
            COLOURS.model_copy(update={"hypothesis_template": ["a {} thing"]}),
            Parameters(candidate_labels=["cold", "hot", "wet"]),
            Parameters(candidate_labels=["hot", "cold", "wet"], multi_label=True),
        ]
        for asking, asked in ((promoted, COLOURS), *((engine, each) for each in others)):
            trace = Trace()
            by_head = await answer(asking, asked_by(lesson.sha256, files=files, asked=asked), trace)
            assert by_head == await answer(asking, asked_by(asked=asked)) and trace.heads == []

    asyncio.run(scenario())


def test_an_earlier_head_answers_as_it_did(checkpoint_dir: Path) -> None:
    async def scenario() -> None:
        engine = build_engine(checkpoint_dir)
        first = await taught(engine, labels=1)
        before = await answer(engine, asked_by(first.sha256))
        second = await taught(engine)
        assert await answer(engine, asked_by(second.sha256)) != before
        assert await answer(engine, asked_by(first.sha256)) == before

    asyncio.run(scenario())


def test_many_scores_of_a_head_are_the_same_as_few(checkpoint_dir: Path) -> None:
    async def scenario() -> None:
        engine = build_engine(checkpoint_dir)
        lesson = await taught(engine)
        images: list[ImageSource] = [png(color) for color in (*HOT, *COLD)] * 2
        tasks = {str(number): COLOURS.model_dump(exclude_unset=True) for number in range(32)}
        asked = Parameters.model_validate({"tasks": tasks})
        heads = dict.fromkeys(tasks, lesson.sha256)
        assert len(images) * 3 * len(tasks) <= SCORES_AT_ONCE < 2 * len(images) * 3 * len(tasks)
        few, many = [
            json.loads(await answer(engine, ClassifyRequest(images * times, asked, True, heads))) for times in (1, 2)
        ]
        for one, other in zip(few * 2, many, strict=True):
            told, again = ({each["label"]: each["score"] for each in all_of["7"]} for all_of in (one, other))
            assert told == pytest.approx(again, abs=1e-5)

    asyncio.run(scenario())
