"""The pinned CDK CLI, run against the emulator."""

import contextlib
import os
import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from contract.models import MODEL_URI_PARAMETER, NO_MODEL_URI
from local.processes import emulator_pid
from local.settings import ACCOUNT, CONTEXT, REGION, STAGE, LocalError, LocalSettings, cdk_environment

_STACK_DONE = re.compile(r"✅\s+(\S+)")
_TELLING = re.compile(r"error|fail|❌|rollback|exception", re.IGNORECASE)
MAX_SHOWN_LINES = 25
WATCH_INTERVAL_S = 1.0


def bootstrap(settings: LocalSettings) -> None:
    """`cdk bootstrap`, in a folder without an app: inside the app's it would synthesize once more."""
    empty = settings.directory / "empty"
    empty.mkdir(exist_ok=True)
    run(settings, ["bootstrap", "--app", "", f"aws://{ACCOUNT}/{REGION}"], directory=empty)


def synth(settings: LocalSettings, context: Sequence[str]) -> None:
    """`cdk synth` of the unchanged app into the state folder. `context` has `name=value` strings, before CONTEXT's."""
    pairs = [*(f"{name}={value}" for name, value in CONTEXT.items()), *context]
    chosen = [word for pair in pairs for word in ("--context", pair)]
    run(settings, ["synth", "--quiet", "--output", str(settings.cloud_assembly), *chosen])


def deploy(settings: LocalSettings, tell: Callable[[str], None], *, serve_base: bool = False) -> None:
    """`cdk deploy --all` of what `synth` wrote; `tell` hears of every stack that is done. `serve_base`: the checkpoint
    in the image goes live, whatever was promoted.
    """
    options = ["--method", "direct", "--require-approval", "never", "--outputs-file", str(settings.outputs)]
    if serve_base:
        options += ["--parameters", f"WordsightServing-{STAGE}:{MODEL_URI_PARAMETER}={NO_MODEL_URI}"]
    run(settings, ["deploy", *_every_stack(settings), *options], tell)


def destroy(settings: LocalSettings, tell: Callable[[str], None]) -> None:
    """`cdk destroy --all` of what `synth` wrote; `tell` hears of every stack that is done."""
    run(settings, ["destroy", *_every_stack(settings), "--force"], tell)


def _every_stack(settings: LocalSettings) -> list[str]:
    return ["--all", "--app", str(settings.cloud_assembly), "--concurrency", "4"]


def run(
    settings: LocalSettings,
    arguments: Sequence[str],
    tell: Callable[[str], None] | None = None,
    directory: Path | None = None,
    show: bool = False,
) -> None:
    """Run the CLI to its end, its output going to the log; raises LocalError with the telling lines if it fails."""
    settings.temporary.mkdir(exist_ok=True)
    lines: list[str] = []
    with (
        settings.cdk_log.open("a") as log,
        subprocess.Popen(  # noqa: S603 (the CLI that package.json pins)
            [str(settings.repository / "node_modules/.bin/cdk"), *arguments, "--no-notices", "--no-color"],
            cwd=directory or settings.repository,
            env=cdk_environment(settings, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        ) as process,
    ):
        threading.Thread(target=_end_with_the_emulator, args=(process, settings), daemon=True).start()
        log.write(f"$ cdk {' '.join(arguments)}\n")
        for line in process.stdout or ():
            log.write(line)
            lines.append(line.rstrip())
            if show:
                print(line, end="", flush=True)
            if tell and (done := _STACK_DONE.search(line)):
                tell(f"{done[1]} is done")
    if process.returncode:
        if _emulator_is_gone(settings):
            log_path = settings.emulator_log
            raise LocalError(f"The emulator ended while cdk {arguments[0]} was running. Its log is {log_path}.")
        telling = [line for line in lines if _TELLING.search(line)] or lines
        shown = "\n".join(f"  {line}" for line in telling[-MAX_SHOWN_LINES:])
        logs = f"The whole output is in {settings.cdk_log}, what the containers wrote in {settings.logs}."
        raise LocalError(f"cdk {arguments[0]} failed:\n{shown}\n{logs}")


def _end_with_the_emulator(process: subprocess.Popen[str], settings: LocalSettings) -> None:
    """Without an emulator the CLI would go on asking for some minutes."""
    while process.poll() is None:
        if _emulator_is_gone(settings):
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(WATCH_INTERVAL_S)


def _emulator_is_gone(settings: LocalSettings) -> bool:
    return settings.pid_file.exists() and emulator_pid(settings) is None
