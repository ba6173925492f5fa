"""Train or fine-tune a CLIP on images and sentences, as a SageMaker training job or at a terminal.

    python -m model.training                            on the train channel, from the base checkpoint
    python -m model.training data=world init=scratch    a small CLIP from nothing, on rendered images
    make train-demo                                     the checkpoint that ships with the repository: two runs

Fine-tuning keeps what its base knew: a base that learnt from rendered images sees more of them (replay_share), any
other is held to its answers over a bank of texts (distillation_weight), at a lower learning rate. Weights between the
base's and the tuned ones are published, the best on the new validation images that cost the world's tasks no more than
max_forgetting and max_task_forgetting; where there are none, the base's. Limits may be changed and the run started
again: only the choice is repeated.

Channels and models have their places below SAGEMAKER_BASE_DIR, by default /opt/ml.
Hyperparameters come from /opt/ml/input/config/hyperparameters.json, or as name=value. A run that is started again
goes on from its newest checkpoint; SIGTERM ends it after the present step with a usable model.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import torch

from contract.containers import TrainSettings
from contract.hyperparameters import Hyperparameters
from contract.settings import SettingsError
from model.clip.checkpoint import CheckpointError
from model.clip.device import DeviceError
from model.data.records import DataError
from model.evaluation.report import print_figures
from model.training.distill import distillation_weight
from model.training.distributed import Ranks, joined_ranks
from model.training.launch import Cluster, is_worker, run_workers
from model.training.loop import Diverged, Loop
from model.training.progress import Progress
from model.training.publish import export, export_unfinished
from model.training.replay import replay_share, with_replay
from model.training.start import load_examples, load_start, run_digest
from model.training.state import ResumeError, StateFolder
from model.training.tensorboard import Scalars

CALLERS_FAULTS = (SettingsError, DataError, CheckpointError, DeviceError, ResumeError, Diverged)


@contextmanager
def stop_signal() -> Iterator[Event]:
    """Set once SIGTERM has come: SageMaker sends it on StopTrainingJob, at the time limit and before taking a spot
    instance back.
    """
    stop = Event()
    previous = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, previous)


class Stopped(Exception):
    """The stop signal came after the last step."""


@contextmanager
def ended_by(stop: Event) -> Iterator[None]:
    """Raise Stopped on a stop signal, and at once if it has come: what takes minutes but changes no weights need not
    be finished.
    """

    def end(*_: object) -> None:
        raise Stopped

    previous = signal.signal(signal.SIGTERM, end)
    try:
        if stop.is_set():
            raise Stopped
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def main(arguments: Sequence[str] = ()) -> int:
    """Run the job and return its exit status; a failure leaves one sentence where SageMaker shows it."""
    if "--help" in arguments:
        print(__doc__, Hyperparameters.described(), sep="\n")
        return 0
    settings = TrainSettings.from_env(os.environ)
    try:
        chosen = read_hyperparameters(settings, arguments)
        cluster = Cluster.read(settings.resource_file)
        if cluster.processes > 1 and not is_worker(os.environ):
            with TemporaryDirectory(prefix="wordsight-") as scratch:  # one file of decoded images for all of this host
                shared = TrainSettings(pixels_dir=settings.pixels_dir or Path(scratch))
                return run_workers(cluster.torchrun(arguments), os.environ | shared.to_env())
        with stop_signal() as stop, joined_ranks(settings.expect_gpu) as ranks:
            run(settings, chosen, ranks, stop)
    except CALLERS_FAULTS as error:
        return _fail(settings, str(error))
    except Exception as error:
        traceback.print_exc()
        return _fail(settings, f"training broke off: {type(error).__name__}: {error}")
    return 0


def read_hyperparameters(settings: TrainSettings, arguments: Sequence[str]) -> Hyperparameters:
    """From SageMaker's file, then from name=value arguments. Raises SettingsError."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    if settings.hyperparameters_file.is_file():
        given = json.loads(settings.hyperparameters_file.read_bytes()) | given
    return Hyperparameters.from_strings(given)


def run(settings: TrainSettings, chosen: Hyperparameters, ranks: Ranks, stop: Event) -> None:
    """Train from where the last run of this job stopped, until the last step or a stop signal; then export."""
    torch.set_num_threads(chosen.threads)
    examples = load_examples(settings, chosen)
    start = load_start(settings, chosen, examples)
    examples = with_replay(chosen, examples, start.base)
    states = StateFolder(settings.checkpoints_dir, run_digest(chosen, examples, start), chosen.resume_force)
    loop = Loop(chosen, examples, start, ranks)
    before = loop.validate()
    loop.curve.append({"step": loop.step, **before})
    loop.resume(states.newest())
    if ranks.is_first:
        kept = {"replay": replay_share(chosen, start.base), "distillation": distillation_weight(chosen, start.base)}
        print_figures(run=states.run_digest[:12], images=len(examples), **kept, steps=loop.steps, first_step=loop.step)
    scalars = Scalars(settings.tensorboard_dir) if ranks.is_first else None
    take_steps(loop, states, stop, scalars)
    loop.close()
    if scalars:
        scalars.close()
    if not ranks.is_first:
        return
    try:
        if loop.step < loop.steps:
            raise Stopped
        with ended_by(stop):
            export(settings, loop, before, states.run_digest)
    except Stopped:
        loop.resume(states.newest())  # measuring may have mixed the weights with the base's
        export_unfinished(settings, loop, states.run_digest)


def take_steps(loop: Loop, states: StateFolder, stop: Event, scalars: Scalars | None = None) -> None:
    """Train until the last step or a stop signal, saving states on the way; none amid bad steps, whose cause may be in
    the weights. Raises Diverged.
    """
    chosen, ranks = loop.chosen, loop.ranks
    progress = Progress(loop.steps)
    saved_s = time.monotonic()
    while loop.step < loop.steps:
        loss = loop.take_step()
        progress.add(loss, loop.global_batch, loop.reader.waited_s)
        stopping = ranks.any(stop.is_set())
        if ranks.is_first and (loop.step % chosen.log_every_steps == 0 or loop.step == loop.steps):
            figures = progress.report(loop.step, loop.rate, loop.scale)
            if scalars:
                scalars.add("train", loop.step, figures)
        last = loop.step == loop.steps
        if ranks.is_first and (last or loop.step % chosen.evaluate_every_steps == 0) and not stopping:
            found = loop.validate()
            loop.curve.append({"step": loop.step, **found})
            print_figures(step=loop.step, **found)
            if scalars:
                scalars.add("validation", loop.step, found)
        due = stopping or loop.step == loop.steps or time.monotonic() - saved_s >= chosen.checkpoint_every_s
        if ranks.is_first and due and loop.bad_steps == 0:
            states.save(loop.step, loop.state())
            saved_s = time.monotonic()
        if stopping:
            break


def _fail(settings: TrainSettings, sentence: str) -> int:
    line = " ".join(sentence.split())
    print(line, file=sys.stderr, flush=True)
    settings.failure_file.parent.mkdir(parents=True, exist_ok=True)
    settings.failure_file.write_text(line + "\n")
    return 1
