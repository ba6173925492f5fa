"""A container, locally: the image's program with SageMaker's environment, a folder in place of /opt/ml, and a log."""

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from local.bases import find_base
from local.sagemaker import ApiError
from local.settings import PROCESS_MARK

ROOT = "/opt/ml"
"""SageMaker's folder in a real container; locally `SAGEMAKER_BASE_DIR` names another."""

LOG_TAIL_CHARACTERS = 900
"""SageMaker's FailureReason holds 1024."""

LOG_PAUSE_S = 0.5

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", PROCESS_MARK)
"""All that a program sees of this machine's environment. No AWS variable is among them, as under network isolation."""

Listener = Callable[[list[str]], None]
"""Takes lines as they come."""


class Container:
    """One running program. Its output goes to `log_path`, and every whole line to `sink`."""

    def __init__(
        self, command: list[str], directory: Path, environment: Mapping[str, str], log_path: Path, sink: Listener
    ) -> None:
        self._log_path = log_path
        with log_path.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 (the program that our own Dockerfile names)
                command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._shipping = threading.Thread(target=self._ship, args=(sink,), daemon=True)
        self._shipping.start()

    @property
    def exit_code(self) -> int | None:
        """None while the program runs."""
        return self._process.poll()

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when the program has ended, or after `timeout_s`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)

    def wait_for_log(self) -> None:
        """Return when the last line of a program that has ended is in `sink`."""
        self._shipping.join()

    def stop(self, grace_s: float) -> None:
        """SIGTERM, `grace_s` seconds to finish, SIGKILL."""
        self._process.terminate()
        self.wait(grace_s)
        if self.exit_code is None:
            self._process.kill()
            self.wait()

    def last_words(self) -> str:
        """The last error of a program that logs JSON lines, the end of what any other wrote."""
        written = self._log_from(self._log_start).decode("utf-8", "replace")
        said = written
        for line in written.splitlines():
            with contextlib.suppress(ValueError):
                match json.loads(line):
                    case {"level": "ERROR" | "CRITICAL", "message": message} if message:
                        said = str(message)
        return said[-LOG_TAIL_CHARACTERS:].strip()

    def _log_from(self, position: int) -> bytes:
        with self._log_path.open("rb") as log:
            log.seek(position)
            return log.read()

    def _ship(self, sink: Listener) -> None:
        position, ended = self._log_start, False
        while not ended:
            ended = self.exit_code is not None
            chunk = self._log_from(position)
            whole = chunk if ended else chunk[: chunk.rfind(b"\n") + 1]
            position += len(whole)
            if lines := [line for line in whole.decode("utf-8", "replace").splitlines() if line.strip()]:
                sink(lines)
            if not ended:
                self.wait(LOG_PAUSE_S)


@dataclass(frozen=True)
class Program:
    """The command line of an image before its argument, its working directory and the environment its ENV lines set."""

    command: tuple[str, ...]
    directory: Path
    environment: dict[str, str]
    base: Path | None = None
    """The checkpoint that is baked in."""


@dataclass(frozen=True)
class Images:
    """Starts the programs of the images in `cloud_assembly`.

    What stands for the weights baked into one: those of `bases` that its build arguments name, else `shipped`.
    """

    cloud_assembly: Path
    shipped: Path
    bases: Path
    logs: Path
    sink: Callable[[str, str, list[str]], None]
    """Takes a log group, a log stream and lines; CloudWatch Logs in the emulator."""

    def find(self, image_uri: str) -> Program:
        """The program of the image that CDK would have built and pushed as `image_uri`; raises ApiError.

        The CDK stages every image's build context in the cloud assembly under the hash that becomes the image's tag.
        What was found stays what it is when a later synth stages other images.
        """
        tag = re.split(r"[:@]", image_uri.rsplit("/", 1)[-1])[-1]
        for manifest in sorted(self.cloud_assembly.glob("*.assets.json")):
            if asset := json.loads(manifest.read_text()).get("dockerImages", {}).get(tag):
                source = asset["source"]
                context = self.cloud_assembly / source["directory"]
                dockerfile = context / source.get("dockerFile", "Dockerfile")
                program = _read_dockerfile(context, dockerfile, source.get("dockerBuildTarget"))
                return replace(program, base=find_base(self.bases, source.get("dockerBuildArgs", {})))
        reason = f"No build context for {image_uri} in {self.cloud_assembly}. Local mode runs the app's own images."
        raise ApiError(reason)

    def start(
        self,
        program: Program,
        argument: str,
        base: Path,
        environment: Mapping[str, str],
        log_group: str,
        log_stream: str,
        listen: Listener | None = None,
    ) -> Container:
        """Run the ENTRYPOINT with `argument` ("serve" or "train"); `base` is its /opt/ml. `listen` gets every line."""
        self.logs.mkdir(parents=True, exist_ok=True)

        def take(lines: list[str]) -> None:
            if listen:
                listen(lines)
            self.sink(log_group, log_stream, lines)

        own = {"BASE_MODEL_DIR": str(program.base or self.shipped), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        seen = {**inherited, **program.environment, **own, **environment, "SAGEMAKER_BASE_DIR": str(base)}
        log_path = self.logs / f"{base.name}.log"
        return Container([*program.command, argument], program.directory, seen, log_path, take)


def _read_dockerfile(context: Path, dockerfile: Path, target: str | None) -> Program:
    """What the stage `target`, by default the last one, inherits and sets itself."""
    stages: dict[str, Program] = {}
    command: list[str] = []
    environment: dict[str, str] = {}
    stage = ""
    for line in dockerfile.read_text().replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word.upper() == "FROM":
            if stage and stage == target:
                break
            base, *name = [part for part in rest.split() if not part.startswith("--")]
            inherited = stages.get(base, Program((), context, {}))
            stage = name[-1] if name else base
            command, environment = list(inherited.command), dict(inherited.environment)
        elif word.upper() == "ENTRYPOINT":
            command = json.loads(rest)
        elif word.upper() == "ENV":
            pairs = (pair.partition("=") for pair in shlex.split(rest))
            environment |= {name: value for name, _, value in pairs if "$" not in value}
        stages[stage] = Program(tuple(command), context, dict(environment))
    if not command:
        raise ApiError(f"{dockerfile} has no ENTRYPOINT in JSON form, so there is no program to start.")
    if command[0] == "python":
        command[0] = sys.executable
    environment.pop("PATH", None)
    return Program(tuple(command), context, environment)
