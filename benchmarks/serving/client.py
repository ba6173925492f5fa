"""The load generator: requests over keep-alive connections, in a closed loop of clients or at given times.

Raw HTTP/1.1 on asyncio, so that a request costs it some 0.1 ms of CPU and it is not what is measured.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

OK = 200
BROKEN = 0
"""The status of a request whose connection ended before its answer."""
REFUSED_PAUSE_S = 0.05
"""A client that asked again at once would spend the server's time on refusals."""

Body = tuple[str, bytes]
"""The content type and the content of a POST."""


@dataclass(frozen=True)
class Sample:
    """One request: when it was due, in seconds since the load began; how long its answer took from then on."""

    due_s: float
    latency_ms: float
    status: int


class Connection:
    """One keep-alive connection to a port of this machine, opened when it is needed; `begun_s`: when its load began."""

    def __init__(self, port: int, begun_s: float) -> None:
        self._port = port
        self._begun_s = begun_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes, due_s: float) -> Sample:
        """Send a request as bytes and read its whole answer."""
        status = await self._status(request)
        return Sample(due_s, (time.monotonic() - self._begun_s - due_s) * 1000, status)

    async def _status(self, request: bytes) -> int:
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            status, length, closes = read_head(head)
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return BROKEN
        if closes:
            self.close()
        return status

    def close(self) -> None:
        """Let it go; the next request opens another one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def read_head(head: str) -> tuple[int, int, bool]:
    """Status, content length and whether the server closes, from an answer's head in lower case."""
    first, *lines = head.strip().split("\r\n")
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    closes = headers.get("connection") == "close" or first.startswith("http/1.0")
    return int(first.split()[1]), int(headers["content-length"]), closes


def post(path: str, body: Body) -> bytes:
    """A POST request as it goes over the wire."""
    content_type, content = body
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", f"content-type: {content_type}"]
    return "\r\n".join([*lines, f"content-length: {len(content)}", "", ""]).encode() + content


def get(path: str) -> bytes:
    """A GET request."""
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()


async def closed_loop(
    ports: Sequence[int], requests: Iterator[bytes], clients: int, seconds: float, at_least: int = 1
) -> list[Sample]:
    """Each client sends its next request when it has its answer, `at_least` so many and for so long."""
    begun_s = time.monotonic()
    samples: list[Sample] = []

    async def client(port: int) -> None:
        connection = Connection(port, begun_s)
        sent = 0
        while sent < at_least or time.monotonic() - begun_s < seconds:
            request = next(requests)
            samples.append(await connection.ask(request, due_s=time.monotonic() - begun_s))
            sent += 1
            if samples[-1].status != OK:
                await asyncio.sleep(REFUSED_PAUSE_S)
        connection.close()

    await asyncio.gather(*(client(ports[number % len(ports)]) for number in range(clients)))
    return samples


async def open_loop(port: int, requests: Iterator[bytes], due_s: Sequence[float]) -> list[Sample]:
    """A request at each of these times, in seconds from now, however many are still unanswered."""
    begun_s = time.monotonic()
    free: list[Connection] = []

    async def one(request: bytes, when_s: float) -> Sample:
        connection = free.pop() if free else Connection(port, begun_s)
        sample = await connection.ask(request, when_s)
        free.append(connection)
        return sample

    sent = []
    for when_s in due_s:
        await asyncio.sleep(max(0.0, when_s - (time.monotonic() - begun_s)))
        sent.append(asyncio.create_task(one(next(requests), when_s)))
    samples = await asyncio.gather(*sent)
    for connection in free:
        connection.close()
    return list(samples)
