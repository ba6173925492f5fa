"""The training loop's one step, and everything that changes with it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from contract.checkpoints import CheckpointMetadata
from model.clip.architecture import DualEncoder, clip_logit_scale, logit_bias, logit_scale
from model.clip.encode import Clip
from model.data.batch import Batch
from model.data.reference import ReferenceImages
from model.evaluation.agreement import ReferenceAnswers, answers_as
from model.evaluation.answers import BATCH, embed_sentences
from model.evaluation.validation import retrieval, right
from model.evaluation.world import World, validation_accuracy
from model.training.activation import with_fast_activations
from model.training.distillation import Teacher
from model.training.distributed import Ranks
from model.training.loss import Objective
from model.training.optimizer import build_optimizers, set_rates
from model.training.prefetch import Prefetcher
from model.training.reference import Referenced
from model.training.start import Start
from model.training.state import ResumeError
from model.training.towers import Towers, faster_in_bf16
from model.training.weights import freeze, frozen_copy, update_average

MAX_BAD_STEPS = 10
VALIDATION_SCENES = 800


class Diverged(Exception):
    """The loss or its gradient was not finite for many steps in a row."""


class Loop:
    """A model between two steps. What it does next depends on its state and the step's number alone.

    `averaged` are the weights that are validated and exported. `bf16` is None until the first step decides it.
    """

    def __init__(self, start: Start, ranks: Ranks) -> None:
        self.recipe = start.recipe
        self.strategy = start.strategy
        self.examples = start.examples
        self.old = start.old
        self.checkpoint = start.checkpoint
        self.ranks = ranks
        self.model = with_fast_activations(start.checkpoint.model).to(ranks.device).train()
        self.averaged = frozen_copy(self.model)
        self.teacher = self._teacher()
        freeze(self.recipe, self.model)
        self.objective = Objective(self.recipe.loss, learns_bias=logit_bias(self.model) is None).to(ranks.device)
        self.learning = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.learning += self.objective.parameters()
        self.optimizers = build_optimizers(self.recipe, self.model, self.objective.parameters())
        self.bf16: bool | None = None
        self.step = 0
        self.bad_steps = 0
        self.curve: list[dict[str, float]] = []
        self.prefetcher = Prefetcher(self.examples, self.checkpoint.processor, ranks, self.recipe.threads)

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimizers[0].param_groups[0]["lr"])

    @property
    def scale(self) -> float:
        """What cosines are multiplied by before the softmax."""
        return float(logit_scale(self.model).detach())

    def clip(self) -> Clip:
        """The averaged weights as they will be served."""
        unnamed = CheckpointMetadata(version=f"step{self.step}")
        return Clip(replace(self.checkpoint, model=self.averaged, metadata=unnamed))

    def take_step(self) -> float:
        """Learn from the next batch and return its loss. A step that is not finite changes nothing. Raises Diverged."""
        batch, pixels = self.prefetcher.read(self.step, self.recipe.global_batch)
        if self.bf16 is None:
            self.bf16 = self._picks_bf16(batch, pixels)
        set_rates(self.optimizers, self.step, self.recipe)
        return self._change(self.gradients(batch, pixels, self.bf16))

    def _change(self, loss: Tensor) -> float:
        """Make the step that the gradients ask for, and return the loss. Raises Diverged."""
        norm = torch.nn.utils.clip_grad_norm_(self.learning, self.recipe.max_grad_norm)
        finite = bool(torch.isfinite(loss + norm))
        if finite:
            for optimizer in self.optimizers:
                optimizer.step()
            clip_logit_scale(self.model)
            self._average()
        self._forget_gradients()
        self.bad_steps = 0 if finite else self.bad_steps + 1
        if self.bad_steps == MAX_BAD_STEPS:
            raise Diverged(
                f"the loss or its gradient was not finite in {MAX_BAD_STEPS} steps up to step {self.step}: "
                f"lower learning_rate (now {self.rate:g}) or raise warmup_steps"
            )
        self.step += 1
        return float(loss)

    def _average(self) -> None:
        update_average(self.averaged, self.model, self.step, self.recipe.ema_decay)

    def gradients(self, batch: Batch, pixels: Tensor, bf16: bool) -> Tensor:
        """Leave the gradients of the whole batch in every parameter, and return its loss. `pixels`: this rank's part. A
        teacher sees what the student sees (Beyer et al. 2022, "Knowledge distillation: a good teacher is patient and
        consistent"): of a crop it says another size and another place than of the whole image.
        """
        asked = self.teacher.asked(self.step, batch.texts) if self.teacher else None
        texts = asked.texts if asked else batch.texts
        cosines = self._cosines(self.model, pixels, texts, bf16)
        told = cosines[: len(batch.rows), : len(batch.texts)]
        logits = batch.without_unknown(logit_scale(self.model) * told)
        loss = self._objective_loss(self.model, logits, batch.positives.to(logits.device))
        if self.teacher and asked:
            kept = slice(None)
            if not self.teacher.weight and self.ranks.count == 1:  # several have unequal parts of the reference set
                kept = slice(len(batch.rows), None)
            with torch.no_grad():
                teacher_cosines = self._cosines(self.teacher.model, pixels[kept], texts, bf16)
            loss = loss + self.teacher.loss(cosines[kept], teacher_cosines, asked, len(batch.reference))
        loss.backward()  # type: ignore[no-untyped-call]
        self.ranks.average_gradients(self.learning)
        return loss.detach()

    def _teacher(self) -> Teacher | None:
        recipe = self.recipe
        on_reference = recipe.reference_weight if recipe.reference_share else 0.0
        if not recipe.distillation_weight and not on_reference:
            return None
        saved = tuple(self.reference.questions.values()) if self.reference else ()
        return Teacher(frozen_copy(self.model), recipe.distillation_weight, recipe.seed, on_reference, saved)

    def _picks_bf16(self, batch: Batch, pixels: Tensor) -> bool:
        """Whether this run computes in bfloat16: decided once, by all ranks, and kept in the state."""

        def trial(bf16: bool) -> None:
            self.gradients(batch, pixels, bf16)
            self._forget_gradients()

        precision = self.recipe.precision
        wanted = faster_in_bf16(trial) if precision == "auto" else precision == "bf16"
        return not self.ranks.any(not wanted)

    def _objective_loss(self, model: DualEncoder, logits: Tensor, positives: Tensor) -> Tensor:
        if self.step == self.bad_steps:  # nothing has been learnt yet
            self.objective.begin(logits)
        loss: Tensor = self.objective(logits, positives, logit_bias(model))
        return loss

    def _cosines(self, model: DualEncoder, pixels: Tensor, texts: Sequence[str], bf16: bool) -> Tensor:
        """All ranks' images with the texts. shape = [images, texts]"""
        towers = Towers(model, self.checkpoint.tokenizer, bf16, self.recipe.chunk_size)
        return self.ranks.gather(towers.embed_images(pixels)) @ towers.embed_texts(texts).T

    def _forget_gradients(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss and accuracy of the averaged weights on validation images.

        Accuracy is the share of images whose best text is a true one: of their labels' where they have some, else of
        the sentences; what images with labels do with their sentences is `validation_retrieval`. In the world, where a
        vague sentence is true of most images, it is the mean over the world's tasks.
        """
        cosines, batch = self.validation_cosines()
        accuracy = float(right(cosines, batch).mean())
        if self.recipe.data == "world":
            accuracy = validation_accuracy(World(self.clip(), VALIDATION_SCENES))
        device = self.ranks.device
        logits = batch.without_unknown(cosines * logit_scale(self.averaged).cpu()).to(device)
        loss = self._objective_loss(self.averaged, logits, batch.positives.to(device))
        found = {"validation_loss": float(loss), "validation_accuracy": accuracy}
        found_again = retrieval(cosines, batch)
        return found if found_again is None else found | {"validation_retrieval": found_again}

    @torch.no_grad()
    def validation_cosines(self, clip: Clip | None = None) -> tuple[Tensor, Batch]:
        """Cosines of `clip` or else the averaged weights [images, texts], and whose images and texts these are."""
        batch, clip = self.examples.validation(), clip or self.clip()
        return self._embedded(clip, batch.rows) @ embed_sentences(clip, batch.texts).T, batch

    @property
    def reference(self) -> ReferenceImages | None:
        """The images on which the base's answers are kept; None: there are none."""
        return self.examples.reference if isinstance(self.examples, Referenced) else None

    @torch.no_grad()
    def reference_answers(
        self, clip: Clip, base: ReferenceAnswers | None, first_row: int = 0
    ) -> ReferenceAnswers | None:
        """What `clip` says to the reference set's images that are kept back, as `answers_as` has it; None: there are
        none, or it is the base and sure of nothing.
        """
        if not isinstance(self.examples, Referenced) or not self.examples.kept_back_rows:
            return None
        saved = list(self.examples.reference.questions.values())
        said = answers_as(clip, self._embedded(clip, self.examples.kept_back_rows), base, first_row, saved)
        return said if said.sure.any() else None

    def _embedded(self, clip: Clip, rows: tuple[int, ...]) -> Tensor:
        """Whole images as unit vectors. shape = [rows, projection]"""
        parts = (rows[first : first + BATCH] for first in range(0, len(rows), BATCH))
        return torch.cat([clip.embed_images(torch.from_numpy(self.prefetcher.pixels(part))) for part in parts])

    def state(self) -> dict[str, Any]:
        """What `resume` needs. The size of the batch is part of it: other ranks share the same batches."""
        return {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "global_batch": self.recipe.global_batch,
            "bf16": self.bf16,
            "curve": self.curve,
        }

    def resume(self, saved: tuple[int, dict[str, Any]] | None) -> None:
        """Go on from a state and the number of steps that led to it; None leaves the start as it is.

        Raises ResumeError if the state is of another model, or its batch can't be shared equally by these ranks.
        """
        if saved is None:
            return
        step, state = saved
        try:
            self.model.load_state_dict(state["model"])
            self.averaged.load_state_dict(state["averaged"])
            self.objective.load_state_dict(state["objective"])
            for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(values)
            self.recipe = self.recipe.at_batch(state["global_batch"])
            self.bf16, self.curve = state["bf16"], state["curve"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise ResumeError(
                f"the state after step {step} does not fit this run's model and optimiser ({error}): repeat the "
                "hyperparameters that it was saved with, or empty the checkpoints folder to start anew"
            ) from error
        size, processes = self.recipe.global_batch, self.ranks.count
        if size % processes:
            raise ResumeError(
                f"the run was started with {size} images per step, which {processes} processes can't share equally: go "
                "on with as many as before, or with a divisor of it"
            )
        self.step, self.bad_steps = step, 0
