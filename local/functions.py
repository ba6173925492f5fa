"""Lambda functions of container images: the image's program, which asks for its invocations as it does on AWS.

Where Lambda starts another environment for each call that finds all of them busy, a function has one here: who comes
meanwhile waits.
"""

import contextlib
import itertools
import json
import queue
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ministack.services import lambda_svc

from local.containers import Container, Images
from local.permissions import Permissions
from local.runtime_api import POLL_S, RuntimeServer
from local.sagemaker import ApiError, Record

STOP_GRACE_S = 2

_UNHANDLED = {"function_error": "Unhandled", "log": ""}

Outcome = tuple[bool, bytes]
"""Whether it is an answer or an error, in JSON."""


class ExecutionEnvironment:
    """One process of an image, and the runtime API that it asks: one invocation at a time."""

    def __init__(self, base: Path, start: Callable[[str], Container]) -> None:
        """`start` is given the host and port of the runtime API."""
        self._base = base
        self._api = RuntimeServer()
        self._container = start(self._api.host_and_port)

    def invoke(self, number: str, event: bytes, timeout_s: float) -> Outcome:
        """What the process makes of an event; an error of Lambda's own where it ends or takes too long."""
        self._api.given.put((number, event))
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            ended = self._container.exit_code is not None
            with contextlib.suppress(queue.Empty):
                outcome = self._api.outcomes.get(timeout=POLL_S)
                return outcome.succeeded, outcome.payload
            if ended:
                said = f"Runtime exited with exit status {self._container.exit_code}: {self._container.last_words()}"
                return False, _error("Runtime.ExitError", f"RequestId: {number} Error: {said}")
        return False, _error("Sandbox.Timedout", f"RequestId: {number} Error: Task timed out after {timeout_s:.2f} s")

    def stop(self) -> None:
        """End the process, and remove its folder."""
        self._api.ended.set()
        self._container.stop(STOP_GRACE_S)
        self._api.close()
        shutil.rmtree(self._base, ignore_errors=True)


class Functions:
    """Those of images. A process's folder is made under `directory`; `client` is what AWS clients read."""

    def __init__(self, directory: Path, images: Images, permissions: Permissions, client: Mapping[str, str]) -> None:
        self._directory, self._images, self._permissions, self._client = directory, images, permissions, dict(client)
        self._environments: dict[str, tuple[str, ExecutionEnvironment]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._numbers = itertools.count(1)

    def execute(self, function: Record, event: Any, number: str) -> Record:
        """What ministack's executors answer for one invocation."""
        config = function["config"]
        name = config["FunctionName"]
        with self._locks.setdefault(name, threading.Lock()):
            try:
                environment = self._environment(name, config)
                succeeded, payload = environment.invoke(number, json.dumps(event).encode(), config["Timeout"])
            except ApiError as error:
                return {"body": _error("Runtime.InvalidImage", error.message), "error": True, **_UNHANDLED}
            if not succeeded:
                self._stop(name)
        return {"body": payload, "error": not succeeded, **_UNHANDLED}

    def stop(self, name: str) -> None:
        """End the process of a function, if it has one and when it has answered."""
        with self._locks.setdefault(name, threading.Lock()):
            self._stop(name)

    def stop_all(self) -> None:
        for name in list(self._environments):
            self._stop(name)

    def _environment(self, name: str, config: Record) -> ExecutionEnvironment:
        """The function's own, made anew where the function was changed since."""
        variables = config["Environment"]["Variables"]
        identity = json.dumps([config["ImageUri"], config["Role"], variables], sort_keys=True)
        known, environment = self._environments.get(name, ("", None))
        if environment is None or known != identity:
            self._stop(name)
            environment = self._start(name, config, variables)
            self._environments[name] = identity, environment
        return environment

    def _start(self, name: str, config: Record, variables: Mapping[str, str]) -> ExecutionEnvironment:
        program = self._images.find(config["ImageUri"])
        (argument,) = config["ImageConfigResponse"]["ImageConfig"]["Command"]
        base = self._directory / f"{name}-function-{next(self._numbers)}"
        (base / "tmp").mkdir(parents=True)
        given = {**self._client, **self._permissions.credentials(config["Role"]), "TMPDIR": str(base / "tmp")}

        def start(runtime_api: str) -> Container:
            environment = {**variables, **given, "AWS_LAMBDA_RUNTIME_API": runtime_api}
            group = config["LoggingConfig"]["LogGroup"]
            return self._images.start(program, argument, base, environment, group, f"[$LATEST]{base.name}")

        return ExecutionEnvironment(base, start)

    def _stop(self, name: str) -> None:
        _, environment = self._environments.pop(name, ("", None))
        if environment:
            environment.stop()


def extend(functions: Functions) -> None:
    """Let ministack ask them, where it would ask Docker."""
    inner = lambda_svc._execute_function_docker
    lambda_svc._execute_function_docker = partial(_execute, inner, functions)


def _execute(inner: Callable[..., Record], functions: Functions, function: Record, event: Any, number: str) -> Record:
    if function["config"].get("PackageType") == "Image":
        return functions.execute(function, event, number)
    return inner(function, event, number)


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()
