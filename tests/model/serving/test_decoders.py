"""Decoders under hostile images: killed at their limits and replaced, while everybody else is served."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest
import torch

from benchmarks.serving import hostile_images
from contract.problems import PayloadTooLarge, ProblemError, ServiceUnavailable, TooManyRequests, UnprocessableImage
from model.serving.decoder import Limits, Template
from model.serving.decoders import FAST, SLOW, STARTS_FAILED, Decoders, Share
from tests.model.serving.decoder_processes import PREPARATION, alive, children_of, small_png

MB = 2**20
SLOW_IMAGE = hostile_images.rle_bmp(1_000)
"""Takes a tenth to half a second and says that it is small."""


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    template = Template()
    template.wait_until_up()
    yield template
    template.close()


def decoders_of(template: Template, *, fast: Limits = FAST, slow: Limits = SLOW) -> Decoders:
    return Decoders(template, PREPARATION, 1, fast=fast, slow=slow)


def limits(cpu_s: float, memory_bytes: int = 256 * MB, cpu_s_per_mpixel: float = 0) -> Limits:
    return Limits(cpu_s, cpu_s_per_mpixel, memory_bytes, niceness=0)


async def busy_children(template: Template, others: set[int], count: int) -> set[int]:
    """So many that have come beside others."""
    async with asyncio.timeout(30):
        while len(found := children_of(template.pid) - others) < count:
            await asyncio.sleep(0.005)
    return found


async def busy_child(template: Template, among: set[int]) -> int:
    """The number of the one that has come beside these."""
    async with asyncio.timeout(30):
        while not (more := children_of(template.pid) - among):
            await asyncio.sleep(0.01)
    return more.pop()


async def gone(number: int) -> None:
    async with asyncio.timeout(30):
        while alive(number):
            await asyncio.sleep(0.01)


def test_pixels_come_back_and_inspections_too(template: Template) -> None:
    async def scenario() -> None:
        shrunk: list[int] = []
        decoders = Decoders(template, PREPARATION, 1, on_decoded=shrunk.append)
        pixels = await decoders.prepare(small_png("blue"), Share())
        assert isinstance(pixels, torch.Tensor)
        assert pixels.shape == (3, 32, 32) and pixels[:, 5, 5].tolist() == [0, 0, 255]
        inspected = await decoders.inspect(small_png("blue"), Share())
        assert not isinstance(inspected, ProblemError)
        seen, same = inspected
        assert torch.equal(same, pixels)
        assert (seen["width"], seen["media_type"], shrunk) == (8, "image/png", [1])

    asyncio.run(scenario())


def test_an_image_is_shrunk_to_be_looked_at(template: Template) -> None:
    async def scenario() -> None:
        shrunk: list[int] = []
        decoders = Decoders(template, PREPARATION, 1, on_decoded=shrunk.append)
        pixels = await decoders.thumbnail(small_png("blue"), 64, Share())
        assert isinstance(pixels, torch.Tensor)
        assert pixels.shape == (8, 8, 3) and pixels[5, 5].tolist() == [0, 0, 255]
        assert isinstance(await decoders.thumbnail(b"no image", 64, Share()), UnprocessableImage)
        assert shrunk == [], "it tells nothing of how the model sees images"

    asyncio.run(scenario())


def test_what_is_slow_is_killed_at_its_limit_and_others_are_served_meanwhile_and_after(template: Template) -> None:
    async def scenario() -> None:
        decoders = decoders_of(template, fast=limits(0.02), slow=limits(0.06))
        told: list[str] = []
        slow = asyncio.create_task(decoders.prepare(SLOW_IMAGE, Share(lambda: told.append("slow"))))
        good = 0
        while not slow.done():
            assert isinstance(await decoders.prepare(small_png(), Share()), torch.Tensor)
            good += 1
        problem = await slow
        assert isinstance(problem, UnprocessableImage)
        assert "takes more than 0.1 s, the limit for one that says it has 1,000,000 pixels" in problem.detail
        assert told == ["slow"] and good > 1
        assert decoders.lost["time"] == 2, "of each way one"
        assert decoders.fault is None
        assert isinstance(await decoders.prepare(small_png(), Share()), torch.Tensor)

    asyncio.run(scenario())


def test_what_is_slow_but_within_the_second_limit_is_opened(template: Template) -> None:
    async def scenario() -> None:
        decoders = decoders_of(template, fast=limits(0.05), slow=limits(10))
        assert isinstance(await decoders.prepare(SLOW_IMAGE, Share()), torch.Tensor)
        assert decoders.lost == {"time": 1}

    asyncio.run(scenario())


def test_the_limit_grows_with_the_pixels() -> None:
    growing = limits(1, cpu_s_per_mpixel=0.1)
    assert growing.cpu_s_of(50_000_000) == pytest.approx(6)
    assert growing.wall_s_of(50_000_000) == pytest.approx(19)
    assert growing.wall_s_of(10**9) == 20, "nobody waits longer"


def test_what_takes_too_much_memory_is_a_problem_and_no_more_than_that(template: Template) -> None:
    async def scenario() -> None:
        decoders = decoders_of(template, slow=limits(10, memory_bytes=48 * MB))
        problem = await decoders.prepare(hostile_images.large_rgba_png(4_000), Share())
        assert isinstance(problem, UnprocessableImage)
        assert "takes more than 48 MB of memory: shrink it" in problem.detail
        assert decoders.lost == {"memory": 1}
        at_once = await decoders.prepare(hostile_images.empty_webp(2_500), Share())
        assert isinstance(at_once, UnprocessableImage) and "48 MB" in at_once.detail
        assert decoders.lost == {"memory": 1}, "no decoder was asked"
        shrunk = await decoders.thumbnail(hostile_images.large_rgba_png(4_000), 64, Share())
        assert isinstance(shrunk, torch.Tensor), "it has as much as an inspection, which has let it in"

    asyncio.run(scenario())


async def kill_at_work(template: Template, among: set[int]) -> int:
    """The number of the decoder that was killed while it opened an image."""
    child = await busy_child(template, among)
    await asyncio.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    return child


def test_an_image_whose_decoder_somebody_has_killed_is_opened_by_another(template: Template) -> None:
    async def scenario() -> None:
        others = children_of(template.pid)  # of tests before, until they are collected
        decoders = decoders_of(template, fast=limits(10))
        await decoders.prepare(small_png(), Share())
        asked = asyncio.create_task(decoders.prepare(SLOW_IMAGE, Share()))
        await kill_at_work(template, others)
        assert isinstance(await asked, torch.Tensor)
        assert decoders.lost == {"crash": 1}

    asyncio.run(scenario())


def test_an_image_that_ends_two_decoders_is_a_problem_of_its_own(template: Template) -> None:
    async def scenario() -> None:
        others = children_of(template.pid)
        decoders = decoders_of(template, fast=limits(10))
        await decoders.prepare(small_png(), Share())
        asked = asyncio.create_task(decoders.prepare(SLOW_IMAGE, Share()))
        first = await kill_at_work(template, others)
        await kill_at_work(template, {*others, first})
        problem = await asked
        assert isinstance(problem, UnprocessableImage) and "crash" in problem.detail
        assert decoders.lost == {"crash": 2}
        assert isinstance(await decoders.prepare(small_png(), Share()), torch.Tensor)

    asyncio.run(scenario())


def test_who_leaves_frees_the_decoder_at_once(template: Template) -> None:
    async def scenario() -> None:
        others = children_of(template.pid)  # of tests before, until they are collected
        decoders = decoders_of(template, fast=limits(0.05), slow=limits(60))
        await decoders.prepare(small_png(), Share())
        slow = asyncio.create_task(decoders.prepare(hostile_images.rle_bmp(1_000), Share()))
        async with asyncio.timeout(30):
            while not decoders.lost["time"]:
                await asyncio.sleep(0.01)
        before = await busy_children(template, others, 2)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert decoders.lost["left"] == 1
        async with asyncio.timeout(30):
            while len(children_of(template.pid) & before) > 1:  # the fast one stays
                await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_a_request_with_many_images_does_not_keep_others_waiting(template: Template) -> None:
    async def scenario() -> None:
        decoders = decoders_of(template, fast=limits(10))
        await decoders.prepare(small_png(), Share())
        order: list[str] = []

        async def ask(name: str, share: Share) -> None:
            await decoders.prepare(small_png(), share)
            order.append(name)

        many, one = Share(), Share()
        await asyncio.gather(*(ask("many", many) for _ in range(10)), ask("one", one))
        assert order.index("one") < 3

    asyncio.run(scenario())


def test_no_more_than_a_few_wait_with_slow_images(template: Template) -> None:
    async def scenario() -> None:
        decoders = decoders_of(template, fast=limits(0.01), slow=limits(60))
        waiting = [asyncio.create_task(decoders.prepare(SLOW_IMAGE, Share())) for _ in range(20)]
        answers = [await each for each in asyncio.as_completed(waiting)]
        refused = [each for each in answers if isinstance(each, TooManyRequests)]
        assert refused and all(each.retry_after_s for each in refused)
        assert "shrink it to 1024 px" in refused[0].detail
        assert any(isinstance(each, torch.Tensor) for each in answers), "some have waited and were served"

    asyncio.run(scenario())


def test_after_two_slow_images_the_others_of_a_request_do_not_try_the_fast_way(template: Template) -> None:
    async def scenario() -> None:
        decoders = decoders_of(template, fast=limits(0.03), slow=limits(0.03))
        share = Share()
        problems = await asyncio.gather(*(decoders.prepare(SLOW_IMAGE, share) for _ in range(5)))
        assert all(isinstance(each, UnprocessableImage) for each in problems)
        assert decoders.lost == {"time": 5 + 2}

    asyncio.run(scenario())


@pytest.mark.parametrize("side_px", [20_000, 2**31 - 1])
def test_too_many_pixels_need_no_turn_among_the_slow(template: Template, side_px: int) -> None:
    async def scenario() -> None:
        decoders, told = decoders_of(template), list[str]()
        bomb = bytearray(small_png())
        bomb[16:24] = side_px.to_bytes(4) * 2
        problem = await decoders.prepare(bytes(bomb), Share(lambda: told.append("slow")))
        assert isinstance(problem, PayloadTooLarge) and not told

    asyncio.run(scenario())


def test_when_no_decoder_starts_it_is_a_fault_and_a_503(template: Template) -> None:
    async def scenario() -> None:
        decoders = decoders_of(template, fast=limits(1, memory_bytes=2**63))  # no system grants that
        while decoders.fault is None:
            problem = await decoders.prepare(small_png(), Share())
            assert isinstance(problem, ServiceUnavailable)
        assert decoders.lost["start"] >= STARTS_FAILED
        assert "no decoder starts" in decoders.fault

    asyncio.run(scenario())
