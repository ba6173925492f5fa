"""The training loop's one step, and everything that changes with it."""

from math import ceil, log
from typing import Any

import torch
from torch import Tensor

from model.checkpoint import Checkpoint, CheckpointMetadata
from model.device import multiplies_bf16
from model.embedding import embed_pixels, embed_tokens, read_texts
from model.evaluation.batches import BATCH, embed_sentences
from model.evaluation.world import World, validation_accuracy
from model.inference import Clip
from model.settings import Hyperparameters
from model.training.batch import Batch, Examples
from model.training.distributed import Ranks
from model.training.loss import contrastive_loss
from model.training.optimizer import AveragedWeights, build_optimizers, rate_share, set_rates
from model.training.reader import Reader
from model.training.start import Start

MAX_LOG_SCALE = log(100)
MAX_BAD_STEPS = 10
MIN_STEPS = 300
VALIDATION_SCENES = 800


class Diverged(Exception):
    """The loss or its gradient was not finite for many steps in a row."""


class Loop:
    """A model between two steps. What it does next depends on its state and the step's number alone."""

    def __init__(self, chosen: Hyperparameters, examples: Examples, start: Start, ranks: Ranks) -> None:
        self.chosen = chosen
        self.examples = examples
        self.start = start
        self.ranks = ranks
        self.model = start.model.to(ranks.device).train()
        self.averaged = AveragedWeights.of(self.model, chosen.ema_decay)
        self.optimizers = build_optimizers(chosen, self.model)
        self.global_batch = min(chosen.batch_size, max(2, len(examples) // ranks.count)) * ranks.count
        self.steps = chosen.steps or max(MIN_STEPS, chosen.epochs * ceil(len(examples) / self.global_batch))
        self.step = 0
        self.curve: list[dict[str, float]] = []
        self.bad_steps = 0
        self.reader = Reader(examples, start.processor, ranks, chosen.threads)

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimizers[0].param_groups[0]["lr"])

    @property
    def scale(self) -> float:
        """What cosines are multiplied by before the softmax."""
        return float(self.model.logit_scale.detach().exp())

    def clip(self) -> Clip:
        """The averaged weights as they will be served."""
        unnamed = CheckpointMetadata(version=f"step{self.step}")
        return Clip(Checkpoint(self.averaged.model, self.start.tokenizer, self.start.processor, unnamed))

    def take_step(self) -> float:
        """Learn from the next batch and return its loss. A step that is not finite changes nothing. Raises Diverged."""
        batch, pixels = self.reader.read(self.step, self.global_batch)
        set_rates(self.optimizers, rate_share(self.step, self.steps, self.chosen))
        loss = self._loss(batch, pixels)
        loss.backward()  # type: ignore[no-untyped-call]
        self.ranks.average_gradients(self.model.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.chosen.max_grad_norm)
        finite = bool(torch.isfinite(loss.detach() + norm))
        if finite:
            self._update()
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self._watch(finite)
        self.step += 1
        return float(loss.detach())

    def _loss(self, batch: Batch, pixels: Tensor) -> Tensor:
        device = self.ranks.device
        tokens = read_texts(self.start.tokenizer, batch.texts, self.model.config.text_config.max_position_embeddings)
        with torch.autocast(device.type, torch.bfloat16, enabled=multiplies_bf16(device)):
            images, texts = embed_pixels(self.model, pixels), embed_tokens(self.model, tokens)
        cosines = self.ranks.gather(images) @ texts.T
        logits = batch.without_unknown(self.model.logit_scale.exp() * cosines)
        return contrastive_loss(logits, batch.positives.to(device))

    def _update(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, MAX_LOG_SCALE)
        self.averaged.update(self.model, self.step)

    def _watch(self, finite: bool) -> None:
        self.bad_steps = 0 if finite else self.bad_steps + 1
        if self.bad_steps == MAX_BAD_STEPS:
            raise Diverged(
                f"the loss or its gradient was not finite in {MAX_BAD_STEPS} steps up to step {self.step}: "
                f"lower learning_rate (now {self.rate:g}) or raise warmup_steps"
            )

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss and accuracy of the averaged weights on validation images.

        Accuracy is the share of images whose best text is a true one; in the world, where a vague sentence is true of
        most images, it is the mean over the world's tasks.
        """
        cosines, positives = self.validation_cosines()
        logits = cosines * self.averaged.model.logit_scale.exp().cpu()
        best = logits.argmax(dim=1, keepdim=True)
        accuracy = float(positives.gather(1, best).float().mean())
        if self.chosen.data == "world":
            accuracy = validation_accuracy(World(self.clip(), VALIDATION_SCENES))
        return {"validation_loss": float(contrastive_loss(logits, positives)), "validation_accuracy": accuracy}

    @torch.no_grad()
    def validation_cosines(self) -> tuple[Tensor, Tensor]:
        """Cosines of the averaged weights, and the truth; both shapes = [images, texts]"""
        batch, clip = self.examples.validation(), self.clip()
        parts = (self.reader.pixels(batch.rows[first : first + BATCH]) for first in range(0, len(batch.rows), BATCH))
        images = torch.cat([clip.embed_images(pixels) for pixels in parts])
        return images @ embed_sentences(clip, batch.texts).T, batch.positives

    def state(self) -> dict[str, Any]:
        """What `resume` needs."""
        return {
            "model": self.model.state_dict(),
            "averaged": self.averaged.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "curve": self.curve,
        }

    def resume(self, saved: tuple[int, dict[str, Any]] | None) -> None:
        """Go on from a state and the number of steps that led to it; None leaves the start as it is."""
        if saved is None:
            return
        self.step, state = saved
        self.bad_steps = 0
        self.model.load_state_dict(state["model"])
        self.averaged.model.load_state_dict(state["averaged"])
        self.curve = state["curve"]
        for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)

    def close(self) -> None:
        """Stop reading ahead."""
        self.reader.close()
