"""What one training run may be told: every hyperparameter with its default and allowed values, written once.

The training program reads them, and the API checks them before anything is paid for.
"""

import os
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from contract.settings import Settings


def half_the_vcpus() -> int:
    """As many threads as a machine has cores, of which each is two vCPUs."""
    return max(1, (os.cpu_count() or 2) // 2)


class Hyperparameters(Settings):
    """What one training run may be told. SageMaker passes every value as a string."""

    data: Literal["channel", "world"] = Field("channel", description="The train channel, or the rendered world")
    init: Literal["base", "scratch"] = Field("base", description="Fine-tune a checkpoint, or start a small CLIP anew")
    strategy: Literal["full", "projection", "auto"] = Field(
        "full",
        description="What learns: all weights, or the visual projection alone, in seconds; auto: by cross-validation "
        "the cheapest that does, of which a head on the base's embeddings needs no training at all; learning_rate and "
        "steps beside auto are of all weights",
    )
    epochs: int = Field(10, ge=1, le=10_000, description="Passes over the data, and at least 600 steps")
    steps: int | None = Field(None, ge=1, le=10_000_000, description="Optimiser steps, in place of `epochs`")
    batch_size: int = Field(64, ge=2, le=65_536, description="Images per step and process, as far as there are so many")
    chunk_size: int | None = Field(
        None, ge=1, description="Images in memory at a time; the loss still sees the whole batch. None: all"
    )
    captions_per_image: int = Field(
        2,
        ge=1,
        le=64,
        description="Captions of an image in one step at most; with labels and sentences half of each, at least one",
    )
    crop_area_min: float = Field(
        0.6,
        gt=0,
        le=1,
        description="Least area of the random crops that the channel's images are shown in. 1: all of it",
    )
    loss: Literal["infonce", "sigmoid"] | None = Field(
        None, description="Compare texts, or ask of each pair if it fits. None: sigmoid for a SigLIP base, else infonce"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Of the towers' arithmetic; auto: bf16 where a GPU has it, or a CPU is faster by it"
    )
    optimizer: Literal["adamw", "muon"] | None = Field(None, description="None: muon from scratch, else adamw")
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        description="None: 2e-3 from scratch, 1e-5 for a base of 50 M parameters, for a smaller one 2e-4, or 5e-4 "
        "where what it learnt from is replayed",
    )
    weight_decay: float = Field(0.05, ge=0, le=1, description="Of the layers' matrices")
    warmup_steps: int = Field(60, ge=0, description="Of linear rise to the learning rate; a quarter of the run at most")
    cooldown_share: float = Field(0.25, ge=0, le=1, description="The last share of the steps, decaying linearly to 0")
    ema_decay: float = Field(0.998, ge=0, lt=1, description="Of the averaged weights, which are what is exported")
    layer_decay: float = Field(1.0, gt=0, le=1, description="Of the learning rate, from each layer to the one below")
    lock_image: bool = Field(False, description="Leave the image tower as it is")
    lock_text: bool = Field(False, description="Leave the text tower as it is")
    unlocked_blocks: int = Field(0, ge=0, description="So many last layers of a locked tower learn all the same")
    lora_rank: int | None = Field(
        None, ge=1, le=256, description="Learn low-rank updates of the layers' matrices alone, merged at export"
    )
    max_grad_norm: float = Field(1.0, gt=0, description="Longer gradients are cut to this length")
    validation_share: float = Field(0.1, gt=0, lt=1, description="Of the training images, where none is for validation")
    max_unreadable_share: float = Field(0.01, ge=0, le=1, description="Of the images; beyond it the run stops")
    kept_pixels_bytes: int = Field(
        10_000_000_000, ge=0, description="Decoded images are kept on disk, if all fit into this; else decoded anew"
    )
    replay_share: float | None = Field(
        None, ge=0, le=0.9, description="Of a batch shows the rendered world; None: half if the base learnt from it"
    )
    distillation_weight: float | None = Field(
        None,
        ge=0,
        le=100,
        description="Of keeping the base's answers on new images; None: 1 without replay and reference set",
    )
    reference_share: float | None = Field(
        None,
        ge=0,
        le=0.9,
        description="Of a batch shows the reference set's images, before the rest is shared; None: half where there is "
        "one, or a quarter where the world is replayed",
    )
    reference_weight: float = Field(16.0, ge=0, le=100, description="Of keeping the base's answers on these")
    projection_weight: float = Field(
        20.0, ge=0, le=1e6, description="Of keeping the visual projection as it is, where it alone learns"
    )
    max_forgetting: float = Field(
        0.02, ge=0, le=1, description="What publishing may cost the old tasks in the mean, in accuracy"
    )
    max_task_forgetting: float = Field(0.1, ge=0, le=1, description="And any one of them")
    world_images: int = Field(40_000, ge=64, description="How many different images of the world are trained on")
    pair_share: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Of those, showing two different objects and how they lie; costs counting. None: none, or 0.15 in "
        "replay to a base that was shown some",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Of first weights, order and choice of captions")
    threads: int = Field(default_factory=half_the_vcpus, ge=1, description="CPU threads per process")
    selection_scenes: int = Field(
        2000, ge=100, description="Rendered images that forgetting is measured on; fewer leave more to doubt"
    )
    evaluation_scenes: int = Field(1000, ge=100, description="Rendered images that the result is measured on")
    log_every_steps: int = Field(10, ge=1, description="Steps between two lines of loss and throughput")
    evaluate_every_steps: int = Field(250, ge=1, description="Steps between two looks at validation images")
    checkpoint_every_s: float = Field(300, ge=0, description="Seconds of work a killed run may lose")
    resume_force: bool = Field(False, description="Go on from the states of a run with other hyperparameters or data")

    @property
    def muon(self) -> bool:
        """Whether the layers' matrices are stepped by Muon."""
        return (self.optimizer or ("muon" if self.init == "scratch" else "adamw")) == "muon"

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        locked = self.lock_image or self.lock_text
        scratch = self.init == "scratch"
        no_base_or_channel = scratch or self.data == "world"
        of_all = bool(self.lora_rank or locked or self.muon)
        both = self.lock_image and self.lock_text and not self.unlocked_blocks
        for wrong, rule in (
            (both, "lock_image and lock_text leave nothing to learn: lock one tower, or set unlocked_blocks"),
            (self.unlocked_blocks and not locked, "unlocked_blocks is of locked towers: set lock_image or lock_text"),
            (locked and scratch, "lock_image and lock_text keep what a base has learnt: set init=base"),
            (self.lora_rank and scratch, "lora_rank adapts what a base has learnt: set init=base"),
            (self.lora_rank and self.muon, "lora_rank is for optimizer=adamw: Muon steps whole matrices"),
            (self.layer_decay < 1 and self.muon, "layer_decay is for optimizer=adamw: Muon's steps have one length"),
            (
                self.distillation_weight and no_base_or_channel,
                "distillation_weight keeps a base's answers on a channel's images: set init=base and data=channel",
            ),
            (
                self.replay_share and no_base_or_channel,
                "replay_share mixes what a base has learnt into a channel's images: set init=base and data=channel",
            ),
            (
                self.strategy != "full" and no_base_or_channel,
                f"strategy={self.strategy} adapts what a base has learnt to a channel's images: set init=base and "
                "data=channel, or strategy=full",
            ),
            (
                self.strategy != "full" and of_all,
                f"strategy={self.strategy} says itself which weights learn, and by which optimizer: leave out "
                "lora_rank, lock_image, lock_text and optimizer=muon, or set strategy=full",
            ),
            (
                self.strategy == "projection" and self.distillation_weight,
                "distillation_weight is for strategy=full: where the visual projection alone learns, projection_weight "
                "keeps what the base knew",
            ),
        ):
            if wrong:
                raise ValueError(rule)
        return self

    @classmethod
    def from_strings(cls, values: Mapping[str, str]) -> Self:
        """Parse hyperparameters.json. Raises SettingsError naming every bad one and what is allowed."""
        return cls(**values)

    @classmethod
    def described(cls) -> str:
        """Every hyperparameter with its default and meaning, one per line."""
        defaults = cls().model_dump()
        lines = (f"  {name}={defaults[name]}".ljust(30) + (f.description or "") for name, f in cls.model_fields.items())
        return "\n".join(line.rstrip() for line in lines)

    @classmethod
    def _sentence(cls, fault: Mapping[str, Any], values: Mapping[str, Any]) -> str:
        if fault["type"] == "extra_forbidden":
            return f"{fault['loc'][0]!r} is no hyperparameter: allowed are {', '.join(cls.model_fields)}"
        sentence = super()._sentence(fault, values)
        return f"hyperparameter {sentence}" if fault["loc"] else sentence
