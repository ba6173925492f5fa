"""The recipe of a run: every hyperparameter that was left to the program, decided here and nowhere else.

What fits depends on the base that a run starts from, on how many images it has and on how many processes share them.
"""

from sys import maxsize
from typing import Literal, Self

from pydantic import JsonValue

from contract import schedule
from contract.hyperparameters import Hyperparameters
from contract.metrics import Metrics
from model.clip.architecture import natural_loss, visual_projection
from model.clip.checkpoint import Checkpoint
from model.clip.device import multiplies_bf16
from model.training.distributed import Ranks

SCRATCH_RATE = 2e-3
SMALL_BASE_RATE = 5e-4
UNREPLAYED_BASE_RATE = 2e-4
"""Of a small base to which nothing old is shown again: on digits, distillation at 5e-4 forgot .58 of what it forgets
without, and at 1e-4 it gained only two thirds of the new.
"""
LARGE_BASE_RATE = 1e-5
LARGE_PARAMETERS = 50_000_000
LORA_RATES = 10
"""Low-rank updates start at zero and want about ten times the rate of whole matrices."""

PROJECTION_RATE = 0.2
"""Of the visual projection's own size, the root of its numbers' mean square: that fits any width."""

PAIR_SHARE = 0.15
"""Of the replayed images: at .05, two a batch, what was published on digits had lost .05 at relation; at .15 none."""
DISTILLATION_WEIGHT = 8.0
"""On digits, 600 steps: .938 right and .020 lost of the old tasks; .973 and .116 without."""


class Recipe(Hyperparameters):
    """Hyperparameters of which none is None. `precision` alone may still be auto, on a CPU: towers.py finds out there
    which is faster.
    """

    asked: Hyperparameters
    parent: str | None
    """The base's version; None: from scratch."""
    base_recipes: list[dict[str, JsonValue]]
    """What the runs were told that led to the base, the first one first."""

    loss: Literal["infonce", "sigmoid"]
    optimizer: Literal["adamw", "muon"]
    lora_rank: int
    """0: whole matrices are trained."""
    learning_rate: float
    """At its peak."""
    replay_share: float
    """Of what the reference set leaves of a batch."""
    reference_share: float
    pair_share: float
    distillation_weight: float
    chunk_size: int
    images: int
    """Of one epoch, replayed and reference images among them."""
    global_batch: int
    """Images of a step, over all processes."""
    steps: int

    @classmethod
    def resolve(
        cls, asked: Hyperparameters, base: Checkpoint | None, images: int, ranks: Ranks, reference_images: int = 0
    ) -> Self:
        """What `asked` means for this base (None: from scratch), so many images to train on and these processes, with
        so many images of a reference set to keep the base's answers on.
        """
        adapts = base is not None and asked.data == "channel"
        seen = Metrics.of(base.metadata.metrics) if base else Metrics()

        replay_share = schedule.replay_share(asked, seen.learnt_from_world) if adapts else 0.0

        reference_share = schedule.reference_share(asked, adapts and reference_images > 0, replay_share)

        pair_share = asked.pair_share
        if pair_share is None:  # what the base knows of pairs would be forgotten like all else
            pair_share = PAIR_SHARE if replay_share > 0 and (seen.pair_share or 0) > 0 else 0.0

        distillation_weight = asked.distillation_weight if adapts else 0.0
        if distillation_weight is None:
            distillation_weight = 0.0 if replay_share > 0 or reference_share > 0 else DISTILLATION_WEIGHT

        alone = asked.strategy == "projection"
        projection = visual_projection(base.model) if alone and base else None
        if alone:
            distillation_weight = 0.0

        if asked.learning_rate is not None:
            learning_rate = asked.learning_rate
        elif projection is not None:
            learning_rate = PROJECTION_RATE * float(projection.weight.detach().square().mean().sqrt())
        elif base is None:
            learning_rate = SCRATCH_RATE
        else:
            small_rate = SMALL_BASE_RATE if replay_share > 0 else UNREPLAYED_BASE_RATE
            learning_rate = LARGE_BASE_RATE if base.model.num_parameters() >= LARGE_PARAMETERS else small_rate
            learning_rate *= LORA_RATES if asked.lora_rank else 1

        precision = asked.precision
        if precision == "auto" and ranks.device.type == "cuda":
            precision = "bf16" if multiplies_bf16(ranks.device) else "fp32"

        if not alone:
            images = schedule.images_per_epoch(schedule.images_per_epoch(images, replay_share), reference_share)
        global_batch = schedule.images_per_step(asked, images, ranks.count)
        resolved = {
            "parent": base.metadata.version if base else None,
            "base_recipes": seen.recipes,
            "loss": asked.loss or (natural_loss(base.model) if base else "infonce"),
            "optimizer": "muon" if asked.muon else "adamw",
            "lora_rank": asked.lora_rank or 0,
            "learning_rate": learning_rate,
            "precision": precision,
            "replay_share": replay_share,
            "reference_share": reference_share,
            "pair_share": pair_share,
            "distillation_weight": distillation_weight,
            "chunk_size": asked.chunk_size or maxsize,
            "images": images,
            "global_batch": global_batch,
            "steps": schedule.steps(asked, images, global_batch),
        }
        return cls.model_validate({**asked.model_dump(), "asked": asked, **resolved})

    def at_batch(self, global_batch: int) -> Self:
        """The same run with the steps' size of an earlier start, when other processes shared them. How many steps the
        projection has, or a run that has none, does not go by that.
        """
        by_size = self.strategy != "projection" and self.steps > 0
        steps = schedule.steps(self.asked, self.images, global_batch) if by_size else self.steps
        return self.model_copy(update={"global_batch": global_batch, "steps": steps})
