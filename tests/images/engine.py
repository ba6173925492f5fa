"""Docker or podman: the same verbs, so the same checks."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLIENT = Path(__file__).with_name("client.py").read_text()


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long the block took."""
    began_s = time.monotonic()
    yield
    print(f"\n{time.monotonic() - began_s:6.1f} s  {what}", flush=True)


@dataclass(frozen=True)
class Engine:
    """A container engine's command line, and the variables that it is run with."""

    command: str
    variables: Mapping[str, str]

    def __call__(self, *arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run one command to its end. What it prints is kept, and shown if it fails."""
        done = subprocess.run(
            [self.command, *arguments], env={**os.environ, **self.variables}, capture_output=True, text=True, **options
        )
        if check and done.returncode != 0:
            print(done.stdout[-4000:], done.stderr[-4000:], sep="\n")
            raise RuntimeError(f"{self.command} {arguments[0]} ended with {done.returncode}")
        return done

    def build(self, context: Path, dockerfile: str, target: str, arguments: Mapping[str, str], *options: str) -> str:
        """Build a target of a Dockerfile in `context` and return the image's name."""
        image = f"localhost/wordsight-{target}"
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        self(*options, "--file", str(context / dockerfile), "--target", target, "--tag", image, *given, str(context))
        return image

    @contextmanager
    def container(self, image: str, argument: str, *options: str) -> Iterator["Container"]:
        """Start a container as SageMaker does with network isolation; it is gone after the block, its log shown if that
        failed.
        """
        started = self("run", "--detach", "--network", "none", *options, image, argument)
        container = Container(self, image, started.stdout.strip())
        try:
            yield container
        except BaseException:
            print(container.log())
            raise
        finally:
            self("rm", "--force", container.id, check=False)


@dataclass(frozen=True)
class Container:
    """A container that was started, running or not."""

    engine: Engine
    image: str
    id: str

    def log(self) -> str:
        done = self.engine("logs", self.id)
        return done.stdout + done.stderr

    def wait_for_log(self, text: str, timeout_s: float = 60) -> None:
        """Return when it has logged this. Raises TimeoutError."""
        deadline_s = time.monotonic() + timeout_s
        while text not in self.log():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"no {text!r} in its log after {timeout_s:.0f} s")
            time.sleep(0.1)

    def execute(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run something in it, as root."""
        return self.engine("exec", self.id, *command, check=check)

    def status(self) -> int:
        """Its exit status, as soon as it has one."""
        return int(self.engine("wait", self.id).stdout)

    def client(self, length: int) -> "Client":
        """What asks it, from a second container in its network, since it has no other."""
        beside = ["run", "--rm", "--interactive", "--network", f"container:{self.id}", "--entrypoint", "python"]
        command = [self.engine.command, *beside, self.image, "-c", CLIENT, "8080", str(length)]
        return Client(command, self.engine.variables)


@dataclass(frozen=True)
class Answer:
    """What the server made of a request."""

    status: int
    attributes: str
    body: Any


class Client:
    """client.py at work: one request of which parts are sent as they are given."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env={**os.environ, **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def send(self, part: bytes) -> None:
        """Return when the server was sent this."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(part)
        self._process.stdin.flush()
        unsent = len(part)
        while unsent > 0:
            said = self._process.stdout.readline().split()
            assert said, "the client ended, see above"
            unsent -= int(said[1])

    def answer(self) -> Answer:
        out, _ = self._process.communicate(timeout=120)
        assert self._process.returncode == 0, "the client ended, see above"
        return Answer(**json.loads(out))


def client_of_this_machine(port: int, length: int) -> Client:
    """What asks a server that runs outside any container."""
    return Client([sys.executable, "-c", CLIENT, str(port), str(length)], {})
