"""The load generator, against small servers that speak HTTP."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from benchmarks.serving.client import BROKEN, Sample, closed_loop, get, open_loop, post, read_head


class Answering:
    """Reads requests and answers each with the next of `answers`; None ends the connection instead."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = itertools.cycle(answers)
        self.received: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while not reader.at_eof():
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
            self.received.append(head + await reader.readexactly(length))
            answer = next(self.answers)
            if answer is None:
                break
            writer.write(answer)
        writer.close()


def loaded(server: Answering, load: Callable[[int], Awaitable[list[Sample]]]) -> list[Sample]:
    async def scenario() -> list[Sample]:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        async with listening:
            return await load(listening.sockets[0].getsockname()[1])

    return asyncio.run(scenario())


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSED = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\nConnection: Close\r\n\r\n"


def test_a_head_says_status_length_and_whether_the_connection_ends() -> None:
    assert read_head("http/1.1 200 ok\r\ncontent-length: 12\r\n\r\n") == (200, 12, False)
    assert read_head("http/1.1 503 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n") == (503, 0, True)
    assert read_head("http/1.0 200 ok\r\ncontent-length: 1\r\n\r\n")[2]


def test_clients_keep_their_connections_and_take_turns_at_the_requests() -> None:
    server = Answering(OK)
    requests = iter([post("/a", ("image/jpeg", b"one")), get("/b"), get("/c"), get("/d")])
    samples = loaded(server, lambda port: closed_loop([port], requests, clients=2, seconds=0, at_least=2))
    assert [sample.status for sample in samples] == [200] * 4
    assert server.connections == 2
    assert sorted(each.split()[1] for each in server.received) == [b"/a", b"/b", b"/c", b"/d"]
    assert server.received[0].endswith(b"content-type: image/jpeg\r\ncontent-length: 3\r\n\r\none")


def test_a_refusal_or_a_broken_connection_is_a_sample_and_the_next_request_finds_a_new_one() -> None:
    server = Answering(REFUSED, None, OK)
    samples = loaded(server, lambda port: closed_loop([port], itertools.repeat(get("/")), 1, 0, at_least=3))
    assert [sample.status for sample in samples] == [429, BROKEN, 200]
    assert server.connections == 3


def test_a_server_that_is_not_there_is_a_broken_connection() -> None:
    (sample,) = asyncio.run(closed_loop([1], itertools.repeat(get("/")), clients=1, seconds=0))
    assert sample.status == BROKEN


def test_an_open_loop_asks_when_it_is_time_and_waits_for_nobody() -> None:
    release, waiting = asyncio.Event(), 0

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal waiting
        await reader.readuntil(b"\r\n\r\n")
        waiting += 1
        if waiting == 3:
            release.set()
        await release.wait()  # no answer before all three have asked
        writer.write(OK)
        writer.close()

    async def scenario() -> list[Sample]:
        async with await asyncio.start_server(hold, "127.0.0.1", 0) as listening, asyncio.timeout(30):
            return await open_loop(listening.sockets[0].getsockname()[1], itertools.repeat(get("/")), [0, 0, 0.01])

    samples = asyncio.run(scenario())
    assert [(sample.due_s, sample.status) for sample in samples] == [(0, 200), (0, 200), (0.01, 200)]
