"""Two common training loops as contenders: transformers' Trainer as in its run_clip.py example, and open_clip's.

They get the same model, sentences and tokenizer, in float32. open_clip imports torchvision, which would replace torch,
so its model and loss are imported without the rest of the package, and its crops are made by Pillow as torchvision
makes them.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments

from benchmarks.training.entry import Entry
from benchmarks.training.inputs import CONTEXT_LENGTH, head_width
from benchmarks.training.meter import Cost, Meter
from benchmarks.training.padded import Padded
from model.clip.checkpoint import load_checkpoint

LEARNING_RATE = 5e-4


def trainer(entry: Entry) -> Cost:
    """One caption is the positive of one image, and repeated captions are negatives."""
    base = load_checkpoint(entry.checkpoint)
    data = Padded(entry, base.tokenizer, base.processor, crops=False)
    arguments = TrainingArguments(
        output_dir=str(entry.work), per_device_train_batch_size=entry.batch, max_steps=entry.steps,
        learning_rate=LEARNING_RATE, weight_decay=0.1, remove_unused_columns=False, dataloader_drop_last=True,
        report_to=[], save_strategy="no", logging_strategy="no", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    meter = Meter(entry.warm)

    class Ticks(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            meter.tick()

    def collate(items: list[dict[str, Tensor]]) -> dict[str, Any]:
        return {name: torch.stack([item[name] for item in items]) for name in items[0]} | {"return_loss": True}

    model = base.model.train()
    Trainer(model, arguments, data_collator=collate, train_dataset=data, callbacks=[Ticks()]).train()
    return meter.cost(entry.batch)


def open_clip(entry: Entry) -> Cost:
    """The body of open_clip_train.train.train_one_epoch, without its logging."""
    base = load_checkpoint(entry.checkpoint)
    data = DataLoader(
        Padded(entry, base.tokenizer, base.processor, crops=True), entry.batch, shuffle=True, drop_last=True
    )
    model, loss = _open_clip_model(base.model.config)
    decayed = [weight for weight in model.parameters() if weight.ndim >= 2]
    others = [weight for weight in model.parameters() if weight.ndim < 2]
    groups = [{"params": others, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.2}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98), eps=1e-6)
    meter = Meter(entry.warm)
    for batch in data:
        optimizer.zero_grad()
        said = model(batch["pixel_values"], batch["input_ids"])
        sum(loss(**said, output_dict=True).values()).backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)
        meter.tick()
    return meter.cost(entry.batch)


def _open_clip_model(config: Any) -> tuple[Any, Any]:
    module, losses = _imported_without_torchvision("open_clip.model", "open_clip.loss")
    vision, text = config.vision_config, config.text_config
    model = module.CLIP(
        config.projection_dim,
        module.CLIPVisionCfg(
            layers=vision.num_hidden_layers, width=vision.hidden_size, head_width=head_width(vision.hidden_size),
            patch_size=vision.patch_size, image_size=vision.image_size,
        ),
        module.CLIPTextCfg(
            context_length=CONTEXT_LENGTH, vocab_size=text.vocab_size, width=text.hidden_size,
            heads=text.num_attention_heads, layers=text.num_hidden_layers,
        ),
        quick_gelu=True, output_dict=True,
    )  # fmt: skip
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
