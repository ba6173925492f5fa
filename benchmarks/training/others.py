"""Two common training loops as contenders: transformers' Trainer as in its run_clip.py example, and open_clip's.

They get the same model, sentences, tokenizer and sizes of crops, in float32. open_clip imports torchvision, which would
replace torch, so its model and loss are imported without the rest of the package, and crops are made by Pillow as
torchvision makes them: of the whole file, resized once.
"""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from benchmarks.inputs import head_width
from benchmarks.training.meter import Cost, Meter, Workload
from contract.hyperparameters import Hyperparameters
from contract.open_clip import TRANSPOSED, clip_tensors
from model.clip.checkpoint import Checkpoint, load_checkpoint
from model.clip.open_clip import clip_weights
from model.data.crops import Crop, drawn_crop
from model.training.recipe import SMALL_BASE_RATE

CROP_AREA_MIN = Hyperparameters().crop_area_min


def trainer(load: Workload) -> Cost:
    """One caption is the positive of one image, and repeated captions are negatives."""
    base = load_checkpoint(load.checkpoint)
    data = Padded(load, base)
    arguments = TrainingArguments(
        output_dir=str(load.job), per_device_train_batch_size=load.batch, max_steps=load.steps,
        learning_rate=SMALL_BASE_RATE, weight_decay=0.1, remove_unused_columns=False, dataloader_drop_last=True,
        report_to=[], save_strategy="no", logging_strategy="no", use_cpu=True, disable_tqdm=True,
        train_sampling_strategy="sequential",
    )  # fmt: skip
    meter = Meter(load.warm)

    class Ticks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            meter.tick()

    def collate(items: list[dict[str, Tensor]]) -> dict[str, Any]:
        return {name: torch.stack([item[name] for item in items]) for name in items[0]} | {"return_loss": True}

    model = base.model.train()
    Trainer(model, arguments, data_collator=collate, train_dataset=data, callbacks=[Ticks()]).train()
    cost = meter.cost(load.batch)
    if load.result:
        torch.save(model.state_dict(), load.result)
    return cost


def open_clip(load: Workload) -> Cost:
    """The body of open_clip_train.train.train_one_epoch, without its logging."""
    base = load_checkpoint(load.checkpoint)
    data = DataLoader(Padded(load, base), load.batch, drop_last=True)
    model, loss = _open_clip_model(base.model)
    schedules = importlib.import_module("open_clip_train.scheduler")
    decayed = [weight for weight in model.parameters() if weight.ndim >= 2]
    others = [weight for weight in model.parameters() if weight.ndim < 2]
    groups = [{"params": others, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.2}]
    optimizer = torch.optim.AdamW(groups, lr=SMALL_BASE_RATE, betas=(0.9, 0.98), eps=1e-6)
    set_rate = schedules.cosine_lr(optimizer, SMALL_BASE_RATE, load.steps // 10, load.steps)
    meter = Meter(load.warm)
    for step, batch in enumerate(data):
        set_rate(step)
        optimizer.zero_grad()
        said = model(batch["pixel_values"], batch["input_ids"])
        sum(loss(**said, output_dict=True).values()).backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)
        meter.tick()
    cost = meter.cost(load.batch)
    if load.result:
        layers = (part.num_hidden_layers for part in (base.model.config.vision_config, base.model.config.text_config))
        torch.save(clip_weights(model.state_dict(), *layers), load.result)
    return cost


def _open_clip_model(clip: Any) -> tuple[Any, Any]:
    """The same weights in open_clip's model, and its loss."""
    module, losses = _imported_without_torchvision("open_clip.model", "open_clip.loss")
    config = clip.config
    vision, text = config.vision_config, config.text_config
    model = module.CLIP(
        config.projection_dim,
        module.CLIPVisionCfg(
            layers=vision.num_hidden_layers, width=vision.hidden_size, head_width=head_width(vision.hidden_size),
            patch_size=vision.patch_size, image_size=vision.image_size,
        ),
        module.CLIPTextCfg(
            context_length=text.max_position_embeddings, vocab_size=text.vocab_size, width=text.hidden_size,
            heads=text.num_attention_heads, layers=text.num_hidden_layers,
        ),
        quick_gelu=True, output_dict=True,
    )  # fmt: skip
    ours, weights = clip.state_dict(), {}
    for theirs, names in clip_tensors(vision.num_hidden_layers, text.num_hidden_layers).items():
        together = torch.cat([ours[name] for name in names]) if len(names) > 1 else ours[names[0]]
        weights[theirs] = together.T if theirs in TRANSPOSED else together
    model.load_state_dict(weights)
    return model.train(), losses.ClipLoss()


def _imported_without_torchvision(*names: str) -> list[Any]:
    """open_clip's modules without its __init__, which imports torchvision's transforms. The one other thing they import
    from there is a class for frozen batch norms, which a ViT does not have: another class stands in for it meanwhile.
    """
    package, misc = ModuleType("open_clip"), ModuleType("torchvision.ops.misc")
    package.__path__ = [next(folder for folder in (f"{path}/open_clip" for path in sys.path) if Path(folder).is_dir())]
    misc.FrozenBatchNorm2d = torch.nn.BatchNorm2d  # type: ignore[attr-defined]
    stand_ins = {name: ModuleType(name) for name in ("torchvision", "torchvision.ops")} | {misc.__name__: misc}
    sys.modules |= stand_ins | {"open_clip": package}
    modules = [importlib.import_module(name) for name in names]
    for name in stand_ins:
        del sys.modules[name]
    return modules


class Padded(Dataset[dict[str, Tensor]]):
    """Images and captions as common trainers read them: every file decoded in full, another crop each time, every
    caption padded to all the places of the model. Where decoding is not to be measured, images and tokens are kept, the
    images in the model's size.
    """

    def __init__(self, load: Workload, base: Checkpoint) -> None:
        lines = (load.photos / "manifest.jsonl").read_text().splitlines()
        self.rows = [row for row in map(json.loads, lines) if row["split"] == "train"][: load.batch * load.steps]
        self.photos, self.tokenizer, processor = load.photos, base.tokenizer, base.processor
        self.side, self.places = processor.crop_size.height, base.model.config.text_config.max_position_embeddings
        self.mean, self.std = (
            torch.tensor(each)[:, None, None] for each in (processor.image_mean, processor.image_std)
        )
        self.kept: list[tuple[Image.Image, dict[str, Tensor]]] | None = None
        if not load.from_jpeg:
            rows = map(self._read, range(len(self.rows)))
            self.kept = [(self._shown(image, Crop(0, 0, 1, 1)), said) for image, said in rows]
        self.seen = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        image, said = self.kept[place] if self.kept else self._read(place)
        self.seen += 1
        shown = self._shown(image, drawn_crop(0, self.seen, place, CROP_AREA_MIN))
        scaled = torch.from_numpy(np.array(shown)).permute(2, 0, 1) / 255
        return {"pixel_values": (scaled - self.mean) / self.std, **said}

    def _read(self, place: int) -> tuple[Image.Image, dict[str, Tensor]]:
        row = self.rows[place]
        with Image.open(self.photos / row["image"]) as file:
            image = file.convert("RGB")
        said = self.tokenizer(
            row["captions"][0], padding="max_length", truncation=True, max_length=self.places, return_tensors="pt"
        )
        return image, {name: values[0] for name, values in said.items()}

    def _shown(self, image: Image.Image, crop: Crop) -> Image.Image:
        left, top = crop.left * image.width, crop.top * image.height
        right, bottom = left + crop.width * image.width, top + crop.height * image.height
        box = (left, top, min(right, image.width), min(bottom, image.height))
        return image.resize((self.side, self.side), Image.Resampling.BICUBIC, box)
