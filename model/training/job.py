"""Train or fine-tune a CLIP on images and sentences, as a SageMaker training job or at a terminal.

    python -m model.training --data DIR --base DIR --out DIR epochs=5    on a folder of images, from a checkpoint
    python -m model.training --out DIR data=world init=scratch           a small CLIP from nothing, on rendered images
    python -m model.training                            on the train channel, from the base checkpoint
    make train-demo                                     the checkpoint that ships with the repository: two runs

--data is a dataset in any layout that annotations can be imported from, --base a checkpoint's folder. The model with
its report.html is left in the folder `model` of --out; the same command again goes on with what is there.

Fine-tuning keeps what its base knew: a base that learnt from rendered images sees more of them (replay_share), any
other is held to its answers over a bank of texts (distillation_weight), at a lower learning rate. Weights between the
base's and the tuned ones are published, the best on the new validation images that cost the world's tasks no more than
max_forgetting and max_task_forgetting; where there are none, the base's. Limits may be changed and the run started
again: only the choice is repeated.

--reference is a folder of images of your own of which nothing need be said. Part of every batch are some of these, on
which the base's answers are kept (reference_share, reference_weight); how many answers to others of them have changed
counts as an old task.

--old is a dataset that was labelled before, in any layout: its test and validation images, or all where it has none,
are asked in the end. Each of its tasks counts as an old task where there are images enough to tell, and is told in any
case.

strategy=projection trains the one matrix behind the image tower, on images that are read once. strategy=auto finds out
by images left out whether a head on the base's embeddings does, that matrix, or only all weights, and says so.

Without these, channels and models have their places below SAGEMAKER_BASE_DIR, by default /opt/ml.
Hyperparameters come from /opt/ml/input/config/hyperparameters.json, or as name=value. A run that is started again
goes on from its newest checkpoint; SIGTERM ends it after the present step with a usable model.
"""

import errno
import json
import os
import shlex
import shutil
import sys
import time
import traceback
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import torch
from torch.utils.tensorboard import SummaryWriter

from contract.containers import TrainSettings
from contract.hyperparameters import Hyperparameters
from contract.layouts.places import shown
from contract.settings import SettingsError
from model.clip.device import DeviceError
from model.clip.folder import CheckpointError
from model.data.records import DataError
from model.evaluation.report import print_figures
from model.training.distributed import Ranks, joined_ranks, on_sigterm, run_workers, torchrun
from model.training.logs import Progress, add_to_curves
from model.training.loop import Diverged, Loop
from model.training.progress import ProgressFile, seconds_afterwards
from model.training.projection import ProjectionLoop
from model.training.publish import Stopped, export, export_unfinished
from model.training.start import Start, load_start
from model.training.state import ResumeError, StateFolder
from model.training.strategy import settled

LEAST_FREE_BYTES = 1_000_000
"""With less, a write that failed has failed for want of room."""

CALLERS_FAULTS = (SettingsError, DataError, CheckpointError, DeviceError, ResumeError, Diverged)


def main(arguments: Sequence[str] = ()) -> int:
    """Run the job and return its exit status; a failure leaves one sentence where SageMaker shows it."""
    if "--help" in arguments:
        print(__doc__, Hyperparameters.described(), sep="\n")
        return 0
    folders, told = read_arguments(arguments)
    settings = TrainSettings.from_env(os.environ | folders)
    try:
        asked = read_hyperparameters(settings, told)
        command = torchrun(settings.resource_file, arguments)
        if command:
            with TemporaryDirectory(prefix="wordsight-") as scratch:  # one file of decoded images for all of this host
                shared = TrainSettings(pixels_dir=settings.pixels_dir or Path(scratch))
                return run_workers(command, os.environ | shared.to_env())
        stop = Event()
        with on_sigterm(stop.set), joined_ranks(settings.expect_gpu) as ranks:
            run(settings, asked, ranks, stop)
    except Exception as error:
        sentence = str(error)
        if not isinstance(error, CALLERS_FAULTS):
            traceback.print_exc()
            sentence = _disk_full(settings, error) or f"training broke off: {type(error).__name__}: {error}"
        line = shown(" ".join(sentence.split()))  # a file's name may be no text
        print(line, file=sys.stderr, flush=True)
        with suppress(OSError):  # a full disk may have no room for it, either
            settings.failure_file.parent.mkdir(parents=True, exist_ok=True)
            settings.failure_file.write_text(line + "\n", encoding="utf-8")
        return 1
    return 0


def _disk_full(settings: TrainSettings, error: Exception) -> str | None:
    """The sentence for a full disk. Not every library says so: torch's writer reports a failed write and no reason."""
    free_bytes = shutil.disk_usage(settings.base_dir).free
    if getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT) and free_bytes >= LEAST_FREE_BYTES:
        return None
    return (
        f"the disk is full: {free_bytes:,} bytes are free in {settings.base_dir}. The dataset, decoded images and two "
        "checkpoints need room: give the job a larger volume (training_volume_gb), then train again; what was saved "
        "is gone on from"
    )


def read_arguments(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The folders that a terminal names, as the variables that SageMaker's toolkit names them by, and what is left."""
    parser = ArgumentParser(prog="python -m model.training", add_help=False, allow_abbrev=False)
    variables = {
        **{"data": "SM_CHANNEL_TRAIN", "base": "SM_CHANNEL_BASE"},
        **{"reference": "SM_CHANNEL_REFERENCE", "old": "SM_CHANNEL_OLD", "out": "SAGEMAKER_BASE_DIR"},
    }
    for name in variables:
        parser.add_argument(f"--{name}", metavar="DIR")
    parser.add_argument("told", nargs="*", metavar="name=value")
    found = parser.parse_intermixed_args(arguments)
    given = {variable: getattr(found, name) for name, variable in variables.items()}
    return {variable: folder for variable, folder in given.items() if folder}, found.told


def read_hyperparameters(settings: TrainSettings, arguments: Sequence[str]) -> Hyperparameters:
    """From SageMaker's file, then from name=value arguments. Raises SettingsError."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    if settings.hyperparameters_file.is_file():
        given = json.loads(settings.hyperparameters_file.read_bytes()) | given
    return Hyperparameters.from_strings(given)


def run(settings: TrainSettings, asked: Hyperparameters, ranks: Ranks, stop: Event) -> None:
    """Train from where the last run of this job stopped, until the last step or a stop signal; then export."""
    torch.set_num_threads(asked.threads)
    told = ProgressFile(settings.checkpoints_dir if ranks.is_first else None)
    told.enter("reading")
    start = load_start(settings, asked, ranks)
    states = StateFolder(settings.checkpoints_dir, start.digest(), asked.resume_force)
    if asked.strategy == "auto":
        start = settled(start, ranks, states)
    loop = loop_of(start, ranks)
    if loop is None:
        return
    began_s = time.monotonic()
    before = loop.validate()
    validation_s = time.monotonic() - began_s
    loop.curve.append({"step": loop.step, **before})
    loop.resume(states.newest())
    recipe = loop.recipe
    others = len(loop.reference.kept_back if loop.reference else ()) + len(loop.old.records if loop.old else ())
    told.afterwards = seconds_afterwards(recipe, len(start.examples.validation().rows), validation_s, others)
    told.resume(loop.step, recipe.steps, loop.curve)
    if ranks.is_first:
        kept = {
            **{"replay": recipe.replay_share, "distillation": recipe.distillation_weight},
            "reference": recipe.reference_share,
        }
        steps = {"steps": recipe.steps, "first_step": loop.step}
        print(f"curves: tensorboard --logdir {shlex.quote(str(settings.tensorboard_dir))}", flush=True)
        print_figures(run=states.run_digest[:12], images=recipe.images, **kept, **steps)
    tensorboard = SummaryWriter(str(settings.tensorboard_dir)) if ranks.is_first else None
    told.enter("training")
    take_steps(loop, states, stop, tensorboard, told)
    loop.prefetcher.close()
    if tensorboard:
        tensorboard.close()
    if not ranks.is_first:
        return
    try:
        if loop.step < recipe.steps:
            raise Stopped
        export(settings, loop, before, states.run_digest, told, stop)
    except Stopped:
        loop.resume(states.newest())  # measuring may have mixed the weights with the base's
        export_unfinished(settings, loop, states.run_digest)


def loop_of(start: Start, ranks: Ranks) -> Loop | None:
    """What makes the steps of a recipe; None: it takes one process, and this is another."""
    if start.recipe.strategy != "projection":
        return Loop(start, ranks)
    return ProjectionLoop(start, Ranks(0, 1, ranks.device)) if ranks.is_first else None


def take_steps(
    loop: Loop,
    states: StateFolder,
    stop: Event,
    tensorboard: SummaryWriter | None = None,
    told: ProgressFile | None = None,
) -> None:
    """Train until the last step or a stop signal, saving states on the way; none amid bad steps, whose cause may be in
    the weights. Raises Diverged.
    """
    recipe, is_first, told = loop.recipe, loop.ranks.is_first, told or ProgressFile(None)
    progress = Progress(recipe.steps)
    saved_s = time.monotonic()
    stopping = False
    while loop.step < recipe.steps and not stopping:
        loss = loop.take_step()
        progress.add(loss, recipe.global_batch, loop.prefetcher.waited_s)
        stopping = loop.ranks.any(stop.is_set())
        if not is_first:
            continue
        last = loop.step == recipe.steps
        if last or loop.step % recipe.log_every_steps == 0:
            figures = progress.report(loop.step, loop.rate, loop.scale)
            add_to_curves(tensorboard, "train", loop.step, figures)
            told.trained(loop.step, figures["loss"], figures["left_s"])
        if (last or loop.step % recipe.evaluate_every_steps == 0) and not stopping:
            found = loop.validate()
            loop.curve.append({"step": loop.step, **found})
            print_figures(step=loop.step, **found)
            add_to_curves(tensorboard, "validation", loop.step, found)
            told.validated(loop.step, found)
        due = stopping or last or time.monotonic() - saved_s >= recipe.checkpoint_every_s
        if due and loop.bad_steps == 0:
            states.save(loop.step, loop.state())
            saved_s = time.monotonic()
