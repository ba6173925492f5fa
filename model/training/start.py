"""What a run begins with: a model and the data that its hyperparameters and channels name."""

import hashlib
import json
from dataclasses import asdict, dataclass

from transformers import CLIPImageProcessorPil, CLIPModel, PreTrainedTokenizerBase

from contract.containers import TrainSettings
from contract.hyperparameters import Hyperparameters
from model.clip.checkpoint import CheckpointMetadata, load_checkpoint, load_processor
from model.data.batch import Examples
from model.data.images import open_images
from model.data.quarantine import quarantine
from model.data.readers import read_records
from model.data.records import ManifestExamples
from model.training.architecture import CONTEXT_LENGTH, small_clip, small_processor
from model.training.vocabulary import learn_tokenizer
from model.world.examples import world_of

MAX_MERGES = 2000
UNRELATED_TO_TRAINING = {
    *("threads", "selection_scenes", "evaluation_scenes"),
    *("log_every_steps", "evaluate_every_steps", "checkpoint_every_s"),
    *("max_forgetting", "max_task_forgetting", "chunk_size", "resume_force", "kept_pixels_bytes"),
}


@dataclass(frozen=True)
class Start:
    """A model to train, how its inputs are prepared, and the checkpoint it comes from (None: from scratch)."""

    model: CLIPModel
    tokenizer: PreTrainedTokenizerBase
    processor: CLIPImageProcessorPil
    base: CheckpointMetadata | None

    @property
    def parent(self) -> str | None:
        """The base's version."""
        return self.base.version if self.base else None


def load_examples(settings: TrainSettings, chosen: Hyperparameters) -> Examples:
    """The rendered world, or the train channel without its unreadable images, which are listed in a file."""
    if chosen.data == "world":
        return world_of(chosen, chosen.pair_share or 0.0)
    processor = small_processor() if chosen.init == "scratch" else load_processor(settings.start_dir)
    records = read_records(settings.train_dir)
    pictures = open_images(settings.train_dir, processor, len(records), chosen.kept_pixels_bytes, settings.pixels_dir)
    with pictures.filling():
        readable, bad = quarantine(
            settings.train_dir, records, pictures.add, chosen.max_unreadable_share, chosen.threads
        )
    if bad:
        settings.quarantine_file.parent.mkdir(parents=True, exist_ok=True)
        settings.quarantine_file.write_text("".join(json.dumps(asdict(one)) + "\n" for one in bad))
    return ManifestExamples(pictures, readable, chosen.captions_per_image, chosen.validation_share, chosen.seed)


def load_start(settings: TrainSettings, chosen: Hyperparameters, examples: Examples) -> Start:
    """A small CLIP with a vocabulary of the data's own, or the base checkpoint."""
    if chosen.init == "scratch":
        tokenizer = learn_tokenizer(examples.sentences(), MAX_MERGES, CONTEXT_LENGTH)
        return Start(small_clip(tokenizer, chosen.seed), tokenizer, small_processor(), None)
    base = load_checkpoint(settings.start_dir)
    return Start(base.model, base.tokenizer, base.processor, base.metadata)


def run_digest(chosen: Hyperparameters, examples: Examples, start: Start) -> str:
    """sha256 of everything that decides which weights training ends with."""
    recipe = chosen.model_dump_json(exclude=UNRELATED_TO_TRAINING)
    return hashlib.sha256(f"{recipe} {examples.digest()} {start.parent}".encode()).hexdigest()
