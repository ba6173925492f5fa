"""The product's own training loop, as one contender."""

from dataclasses import replace

from benchmarks.training.entry import Entry
from benchmarks.training.meter import Cost, Meter
from contract.containers import TrainSettings
from contract.hyperparameters import Hyperparameters
from model.training.distributed import joined_ranks
from model.training.loop import Loop
from model.training.start import load_base, load_channel, prepare


def ours(entry: Entry) -> Cost | None:
    """Take the steps; None in every rank but the first. From JPEGs, the pass that decodes and checks them counts."""
    places = {"SAGEMAKER_BASE_DIR": entry.work, "SM_CHANNEL_TRAIN": entry.photos, "SM_CHANNEL_BASE": entry.checkpoint}
    settings = TrainSettings.from_env({name: str(path) for name, path in places.items()})
    asked = Hyperparameters(
        batch_size=entry.batch, steps=entry.steps, captions_per_image=1, threads=1, precision="fp32",
        chunk_size=entry.chunk, distillation_weight=0.0, max_unreadable_share=0.0,
    )  # fmt: skip
    with joined_ranks() as ranks:
        base = load_base(settings, asked)
        decoding = Meter(0)
        channel = load_channel(settings, asked, base)
        decoded = decoding.cost(0)
        loop = Loop(prepare(asked, base, channel, ranks), ranks)
        meter, waited_s = Meter(entry.warm), 0.0
        for step in range(1, entry.steps + 1):
            loop.take_step()
            meter.tick()
            waited_s = loop.prefetcher.waited_s if step == entry.warm else waited_s
        cost = meter.cost(loop.recipe.global_batch)
        waited_s = loop.prefetcher.waited_s - waited_s
        loop.close()
    if entry.from_jpeg:
        cost = replace(cost, cpu_s=cost.cpu_s + decoded.cpu_s, wall_s=cost.wall_s + decoded.wall_s)
    return replace(cost, data_wait=waited_s / cost.wall_s) if ranks.is_first else None
