"""Batches grow while the device is busy, idle workers share what waits, and nobody's work is done for nothing."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from model.clip.processing import TextEmbedding
from model.serving.workers import Turns, Workers


class FakeTowers:
    """Embeds an image as its first pixel, remembers its batches, and waits while its gate is closed."""

    def __init__(self, workers: int = 1, largest_batch: int = 4) -> None:
        self.workers, self.batch_sizes = [self._embed] * workers, range(1, largest_batch + 1)
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def embed_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        return [TextEmbedding(torch.tensor([float(len(text))]), truncated=False) for text in texts]

    def _embed(self, pixels: Tensor) -> Tensor:
        self.batches.append(pixels[:, 0, 0, 0].tolist())
        assert self.gate.wait(30)
        return pixels[:, 0, 0, :1].float()


def image(number: int) -> Tensor:
    return torch.full((3, 2, 2), number, dtype=torch.uint8)


async def ask(workers: Workers, numbers: Sequence[int], turns: Turns | None = None) -> list[asyncio.Task[float]]:
    async def one(number: int) -> float:
        return float((await workers.embed_image(image(number), turns))[0])

    tasks = [asyncio.create_task(one(number)) for number in numbers]
    await asyncio.sleep(0)  # they are queued
    await asyncio.sleep(0)  # idle workers have taken what there was
    return tasks


def test_what_waits_while_a_batch_is_computed_is_the_next_one_up_to_the_largest() -> None:
    async def scenario() -> None:
        tower = FakeTowers(largest_batch=4)
        workers = Workers(tower)
        tower.gate.clear()
        first, late = await ask(workers, [0]), await ask(workers, range(1, 8))
        tower.gate.set()
        assert await asyncio.gather(*first, *late) == list(range(8))
        assert tower.batches == [[0], [1, 2, 3, 4], [5, 6, 7]]

    asyncio.run(scenario())


def test_it_settles_when_all_that_somebody_waits_for_is_computed() -> None:
    async def scenario() -> None:
        tower = FakeTowers(largest_batch=1)
        workers = Workers(tower)
        tower.gate.clear()
        asked = await ask(workers, [0, 1, 2])
        settling = asyncio.create_task(workers.settle())
        await asyncio.sleep(0)
        assert not settling.done()
        asked[2].cancel()
        tower.gate.set()
        await settling
        assert tower.batches == [[0], [1]]

    asyncio.run(scenario())


def test_idle_workers_share_what_comes_together() -> None:
    async def scenario() -> None:
        tower = FakeTowers(workers=3, largest_batch=8)
        workers = Workers(tower)
        assert await asyncio.gather(*await ask(workers, range(8))) == list(range(8))
        assert sorted(tower.batches) == [[0, 1, 2], [3, 4, 5], [6, 7]]

    asyncio.run(scenario())


def test_an_image_waits_for_those_that_were_being_opened_when_it_came_and_for_no_others() -> None:
    async def scenario() -> None:
        tower = FakeTowers()
        workers = Workers(tower)
        with workers.expecting() as first_came:
            (one,) = await ask(workers, [1])
            with workers.expecting():
                await asyncio.sleep(0.01)
                assert tower.batches == []
                (two,) = await ask(workers, [2])
                first_came()
                assert await one == 1
            assert await two == 2
        assert tower.batches[0][0] == 1

    asyncio.run(scenario())


def test_a_full_batch_waits_for_nobody_and_texts_do_not_wait_for_images() -> None:
    async def scenario() -> None:
        tower = FakeTowers(largest_batch=3)
        workers = Workers(tower)
        with workers.expecting():
            (waiting,) = await ask(workers, [0])
            assert [float(each.vector) for each in await workers.embed_texts(["ab"])] == [2]
            assert tower.batches == []
            full = await ask(workers, [1, 2])
            assert await asyncio.gather(waiting, *full) == [0, 1, 2]
        assert tower.batches == [[0, 1, 2]]

    asyncio.run(scenario())


def test_an_image_that_never_comes_keeps_nobody_waiting() -> None:
    async def scenario() -> None:
        workers = Workers(FakeTowers())
        with pytest.raises(ValueError), workers.expecting():
            (waiting,) = await ask(workers, [5])
            raise ValueError
        assert await waiting == 5

    asyncio.run(scenario())


def test_images_whose_asker_has_left_are_in_no_batch() -> None:
    async def scenario() -> None:
        tower = FakeTowers()
        workers = Workers(tower)
        tower.gate.clear()
        (first,), asked = await ask(workers, [0]), await ask(workers, [1, 2, 3])
        asked[0].cancel()
        asked[1].cancel()
        await asyncio.sleep(0)
        tower.gate.set()
        assert await asyncio.gather(first, asked[2]) == [0, 3]
        assert tower.batches == [[0], [3]]

    asyncio.run(scenario())


def test_one_that_leaves_in_the_middle_of_a_batch_takes_nothing_from_the_others() -> None:
    async def scenario() -> None:
        tower = FakeTowers()
        workers = Workers(tower)
        tower.gate.clear()
        asked = await ask(workers, range(3))
        while not tower.batches:
            await asyncio.sleep(0.001)
        asked[0].cancel()
        await asyncio.sleep(0)
        tower.gate.set()
        assert await asyncio.gather(*asked[1:]) == [1, 2]

    asyncio.run(scenario())


def test_texts_take_their_turn_and_are_in_no_batch_of_images() -> None:
    async def scenario() -> None:
        tower = FakeTowers()
        workers = Workers(tower)
        tower.gate.clear()
        images = await ask(workers, [0]) + await ask(workers, [1])
        texts = asyncio.create_task(workers.embed_texts(["a", "abc"]))
        await asyncio.sleep(0)
        late = await ask(workers, [2])
        tower.gate.set()
        assert [float(each.vector) for each in await texts] == [1, 3]
        assert await asyncio.gather(*images, *late) == [0, 1, 2]
        assert tower.batches == [[0], [1, 2]]

    asyncio.run(scenario())


def test_a_batch_that_fails_fails_for_all_of_it_and_the_next_one_goes_well() -> None:
    class Full(FakeTowers):
        def _embed(self, pixels: Tensor) -> Tensor:
            if not self.batches:
                self.batches.append([])
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super()._embed(pixels)

    async def scenario() -> None:
        workers = Workers(Full())
        asked = await ask(workers, [0]) + await ask(workers, [1])
        first, second = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(first, torch.OutOfMemoryError)
        assert second == 1
        assert workers.fault is None

    asyncio.run(scenario())


def test_a_device_that_failed_is_a_fault_for_good() -> None:
    class Broken(FakeTowers):
        def _embed(self, pixels: Tensor) -> Tensor:
            raise torch.AcceleratorError("an illegal memory access was encountered")

    async def scenario() -> None:
        workers = Workers(Broken())
        with pytest.raises(torch.AcceleratorError):
            await workers.embed_image(image(0))
        assert workers.fault == "the device failed: an illegal memory access was encountered"

    asyncio.run(scenario())


def test_the_time_an_image_waited_for_a_worker_is_told_with_it() -> None:
    async def scenario() -> None:
        tower = FakeTowers()
        workers = Workers(tower)
        tower.gate.clear()
        first = asyncio.create_task(workers.embed_image(image(0)))
        while not tower.batches:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(workers.embed_image(image(1)))
        await asyncio.sleep(0.05)
        tower.gate.set()
        (_, first_s), (_, second_s) = await first, await second
        assert first_s < 0.5 * second_s
        assert second_s > 0.02

    asyncio.run(scenario())


def test_requests_take_turns_however_many_images_they_have() -> None:
    async def scenario() -> None:
        tower = FakeTowers(largest_batch=1)
        workers = Workers(tower)
        tower.gate.clear()
        asked = []
        for numbers in (range(4), range(10, 13), [20]):
            asked += await ask(workers, numbers, Turns())
        tower.gate.set()
        await asyncio.gather(*asked)
        assert tower.batches == [[0], [1], [10], [20], [2], [11], [3], [12]]

    asyncio.run(scenario())


def test_a_list_has_its_turns_also_while_single_images_keep_coming() -> None:
    async def scenario() -> None:
        tower = FakeTowers(largest_batch=1)
        workers = Workers(tower)
        tower.gate.clear()
        listed = await ask(workers, range(3), Turns())
        single = [task for number in range(10, 14) for task in await ask(workers, [number])]
        tower.gate.set()
        await listed[1]
        single += await ask(workers, [14])
        await asyncio.gather(*listed, *single)
        order = [number for (number,) in tower.batches]
        assert order.index(2) < order.index(14)

    asyncio.run(scenario())


def test_every_batch_is_observed_with_its_size() -> None:
    async def scenario() -> None:
        sizes: list[int] = []
        tower = FakeTowers()
        workers = Workers(tower, sizes.append)
        tower.gate.clear()
        asked = await ask(workers, [0]) + await ask(workers, range(1, 4))
        tower.gate.set()
        await asyncio.gather(*asked)
        assert sizes == [1, 3]

    asyncio.run(scenario())
