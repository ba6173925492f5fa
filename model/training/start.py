"""What a run begins with: its recipe, a model and the data that hyperparameters and channels name."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from contract.containers import TrainSettings
from contract.hyperparameters import Hyperparameters
from contract.layouts.places import shown
from contract.metrics import Strategy
from model.clip.architecture import visual_projection
from model.clip.checkpoint import Checkpoint, load_checkpoint
from model.clip.folder import CheckpointError
from model.data.batch import Examples
from model.data.examples import ManifestExamples
from model.data.images import open_images
from model.data.quarantine import Unreadable, quarantine
from model.data.readers import Dataset, read_dataset
from model.data.records import DataError
from model.data.reference import ReferenceImages, read_reference
from model.training.distributed import Ranks
from model.training.old import OldImages, read_old, tell_old
from model.training.recipe import Recipe
from model.training.reference import Referenced
from model.training.replay import Replay
from model.training.scratch import small_checkpoint, small_processor
from model.world.examples import world_of

TOLD_FAULTS = 20

UNRELATED_TO_TRAINING = {
    *("threads", "selection_scenes", "evaluation_scenes"),
    *("log_every_steps", "evaluate_every_steps", "checkpoint_every_s"),
    *("max_forgetting", "max_task_forgetting", "chunk_size", "resume_force", "kept_pixels_bytes"),
}


@dataclass(frozen=True)
class Start:
    """How a run is done, the images it sees, and the checkpoint whose weights it changes."""

    recipe: Recipe
    examples: Examples
    checkpoint: Checkpoint
    old: OldImages | None = None
    """What was labelled before, which changes no weights."""
    strategy: Strategy | None = None
    """What was chosen and why, where the run was to choose."""

    def digest(self) -> str:
        """sha256 of everything that decides which weights training ends with."""
        asked = self.recipe.asked.model_dump_json(exclude=UNRELATED_TO_TRAINING)
        return hashlib.sha256(f"{asked} {self.examples.digest()} {self.recipe.parent}".encode()).hexdigest()


def load_base(settings: TrainSettings, asked: Hyperparameters) -> Checkpoint | None:
    """The checkpoint that is fine-tuned; None: a small one starts from scratch. Raises CheckpointError, also for a base
    that lacks what is to learn.
    """
    if asked.init == "scratch":
        return None
    base = load_checkpoint(settings.start_dir)
    if asked.strategy == "projection" and visual_projection(base.model) is None:
        raise CheckpointError(
            "strategy=projection learns the matrix behind a CLIP's image tower, and the base is a SigLIP, which has "
            "none: set strategy=full or auto, or start from a CLIP"
        )
    return base


def load_channel(
    settings: TrainSettings, asked: Hyperparameters, base: Checkpoint | None, *, is_told: bool = True
) -> ManifestExamples | None:
    """The train channel without its unreadable images and the rows that can't be taken, which are listed in a file, and
    told in the log if `is_told`; None: the world is the data.

    Raises DataError.
    """
    if asked.data == "world":
        return None
    processor = base.processor if base else small_processor()
    dataset = read_dataset(settings.train_dir)
    records = dataset.records
    pictures = open_images(settings.train_dir, processor, len(records), asked.kept_pixels_bytes, settings.pixels_dir)
    with pictures.filling():
        readable, bad = quarantine(settings.train_dir, records, pictures.add, asked.max_unreadable_share, asked.threads)
    if bad or dataset.faults:
        settings.quarantine_file.parent.mkdir(parents=True, exist_ok=True)
        listed = [*map(asdict, dataset.faults), *map(asdict, bad)]
        lines = [json.dumps(one) + "\n" for one in listed]
        settings.quarantine_file.write_text("".join(lines))
    examples = ManifestExamples(
        pictures, readable, asked.captions_per_image, asked.validation_share, asked.seed, asked.crop_area_min
    )
    if is_told:
        tell(dataset, bad)
        if drawn := sum(readable[row].split == "train" for row in examples.validation_rows):
            print(
                f"data: no image is for validation: {drawn:,} of those that are given to training are kept back for it"
            )
    return examples


def load_reference(
    settings: TrainSettings,
    asked: Hyperparameters,
    base: Checkpoint | None,
    channel: ManifestExamples | None,
    *,
    is_told: bool = True,
) -> ReferenceImages | None:
    """The reference set without the dataset's own images and those that can't be read, which are told in the log if
    `is_told`; None: there is no such folder.

    Raises DataError where a run has no base whose answers could be kept, or no images of its own to learn from.
    """
    directory = settings.reference_dir
    if directory is None:
        return None
    if base is None or channel is None:
        raise DataError(
            "a reference set keeps a base's answers while something new is learnt: set init=base and data=channel, or "
            "leave it out"
        )
    if not directory.is_dir():
        raise DataError(f"the reference set {directory} is no folder: give one with images in it")
    found = read_reference(
        directory,
        base.processor,
        set(channel.images.digests.values()),
        {label for record in channel.records for label in record.labels.values()},
        limit_bytes=asked.kept_pixels_bytes,
        folder=settings.pixels_dir,
        threads=asked.threads,
    )
    if is_told:
        tell_reference(found)
    return found


def load_old(
    settings: TrainSettings, asked: Hyperparameters, base: Checkpoint | None, channel: ManifestExamples | None
) -> OldImages | None:
    """What was labelled before, as the log tells, without what is trained on; None: there is nothing to ask. A channel
    of it is mounted unasked, so what is wrong with one is told, and the run goes on.

    Raises DataError where it was asked for and a run has no base that could know it, or the folder is no dataset.
    """
    directory = settings.old_dir
    if directory is None:
        return None
    try:
        found = _read_old(directory, settings, asked, base, channel)
    except DataError as error:
        if settings.old_channel_dir is not None:
            raise
        print(shown(f"old: nothing that was labelled before is asked: {error}"), flush=True)
        return None
    tell_old(found)
    return found if found.tasks else None


def _read_old(
    directory: Path,
    settings: TrainSettings,
    asked: Hyperparameters,
    base: Checkpoint | None,
    channel: ManifestExamples | None,
) -> OldImages:
    if base is None or channel is None:
        raise DataError(
            "images that were labelled before tell what a base forgets: set init=base and data=channel, or leave them "
            "out"
        )
    trained = {channel.images.digests[channel.records[row].image] for row in channel.train_rows}
    return read_old(
        directory,
        base.processor,
        trained,
        limit_bytes=asked.kept_pixels_bytes,
        folder=settings.pixels_dir,
        threads=asked.threads,
    )


def tell_reference(found: ReferenceImages) -> None:
    """How many images there are, and what was left out, in the log."""
    print(
        f"reference: {len(found.learnt):,} images to keep the base's answers on, {len(found.kept_back):,} others to "
        "measure that on",
        flush=True,
    )
    if found.questions:
        print(shown(f"reference: asked are the saved tasks, too: {', '.join(found.questions)}"), flush=True)
    if found.of_dataset:
        print(f"reference: left out: {found.of_dataset:,} images that the dataset has, too", flush=True)
    if found.left_out:
        print(f"reference: left out: {len(found.left_out):,} files or saved tasks; the first:")
    for one in found.left_out[:TOLD_FAULTS]:
        print(shown(f"reference: {one.image}: {one.reason}"), flush=True)


def tell(dataset: Dataset, bad: Sequence[Unreadable]) -> None:
    """What was read and what was left out, in the log."""
    print(f"data: {dataset.layout}, {len(dataset.records) - len(bad):,} images")
    for sentence in dataset.findings.sentences():
        print(shown(f"data: {sentence}"))
    left_out = [*((one.place, one.reason) for one in dataset.faults), *((one.image, one.reason) for one in bad)]
    if left_out:
        print(f"data: left out: {len(left_out):,} rows or images, all of them in quarantine.jsonl; the first:")
    for place, reason in left_out[:TOLD_FAULTS]:
        print(shown(f"data: {place}: {reason}"), flush=True)


def prepare(
    asked: Hyperparameters,
    base: Checkpoint | None,
    channel: ManifestExamples | None,
    ranks: Ranks,
    reference: ReferenceImages | None = None,
    old: OldImages | None = None,
) -> Start:
    """Resolve the recipe, draw the rendered world where it is the data or is replayed, and make a model from scratch
    where there is no base.
    """
    images = asked.world_images if channel is None else len(channel)
    recipe = Recipe.resolve(asked, base, images, ranks, len(reference.learnt) if reference else 0)
    world = world_of(recipe, recipe.pair_share, channel.sentences() if channel else ())
    examples: Examples = world if channel is None else channel
    if channel is not None and recipe.replay_share > 0:
        examples = Replay(channel, world, recipe.replay_share)
    if reference is not None:
        examples = Referenced(examples, reference, recipe.reference_share, recipe.seed, recipe.crop_area_min)
    return Start(recipe, examples, base or small_checkpoint(examples.sentences(), recipe.seed), old)


def load_start(settings: TrainSettings, asked: Hyperparameters, ranks: Ranks) -> Start:
    """All of it. Raises CheckpointError and DataError."""
    base = load_base(settings, asked)
    channel = load_channel(settings, asked, base, is_told=ranks.is_first)
    reference = load_reference(settings, asked, base, channel, is_told=ranks.is_first)
    old = load_old(settings, asked, base, channel) if ranks.is_first else None
    return prepare(asked, base, channel, ranks, reference, old)
