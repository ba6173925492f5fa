"""How much memory a server of each size takes, and the smallest CPU instance for it: benchmarks/serving-memory.md.

python -m benchmarks.serving.memory                 random weights, SigLIP 2 with a tokenizer of 256,000 tokens
"""

import itertools
import shutil
import string
from pathlib import Path
from urllib.request import Request, urlopen

from transformers import CLIPConfig, GemmaTokenizer, SiglipConfig, SiglipImageProcessorPil, SiglipModel

from benchmarks import REPORTS
from benchmarks.inputs import clip_config
from benchmarks.machine import machine
from benchmarks.serving.requests import photos, write_clip
from benchmarks.serving.server import WORK, Server, ours, running
from contract.checkpoints import CheckpointMetadata
from contract.questions import Parameters
from contract.requests import ClassifyRequest, to_multipart
from model.clip.checkpoint import load_checkpoint, save_checkpoint
from model.evaluation.report import markdown

SIZES: dict[str, CLIPConfig | SiglipConfig] = {
    "CLIP ViT-B/32": clip_config(),
    "CLIP ViT-B/16": clip_config(patch_px=16),
    "CLIP ViT-L/14": clip_config((1024, 24), (768, 12), patch_px=14, projection=768),
    "SigLIP 2 B/16-224": SiglipConfig(text_config={"vocab_size": 256_000}, vision_config={}),
}
INSTANCES_GIB = {"ml.c7i.large": 4, "ml.c7i.xlarge": 8, "ml.c7i.2xlarge": 16, "ml.c7i.4xlarge": 32}
"""Their memory, by AWS's page of instance types."""
HEADROOM_GIB = 1.0
"""For requests, decoded images and the system."""
REPORT = REPORTS / "serving-memory.md"


def smallest_instance(peak_gib: float) -> str:
    """Of those that hold the peak and the headroom."""
    return next((name for name, gib in INSTANCES_GIB.items() if gib >= peak_gib + HEADROOM_GIB), "none of these")


def gemma_tokenizer(tokens: int) -> GemmaTokenizer:
    """As many made-up words, each a merge of two others: what a tokenizer of Gemma's size takes."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁"]
    words = map("".join, itertools.chain(*(itertools.product(string.ascii_letters, repeat=n) for n in range(1, 5))))
    vocabulary = {
        word: number for number, word in enumerate([*special, *itertools.islice(words, tokens - len(special))])
    }
    merges = [(word[:-1], word[-1]) for word in vocabulary if word.isalpha() and len(word) > 1]
    return GemmaTokenizer(vocab=vocabulary, merges=merges, padding_side="right", model_input_names=["input_ids"])


def write(directory: Path, config: CLIPConfig | SiglipConfig) -> int:
    """A checkpoint with random weights, and how many there are."""
    if isinstance(config, CLIPConfig):
        write_clip(directory, config)
    else:
        side = config.vision_config.image_size
        processor = SiglipImageProcessorPil(size={"height": side, "width": side})
        tokenizer = gemma_tokenizer(config.text_config.vocab_size)
        save_checkpoint(directory, SiglipModel(config), tokenizer, processor, CheckpointMetadata(version="random"))
    return int(load_checkpoint(directory).model.num_parameters())


def peak_bytes(session: int) -> int:
    """The most that each process of a session has held, added up."""
    found = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[3]) == session:
                facts = (stat.parent / "status").read_text().splitlines()
                found += next(int(line.split()[1]) * 1024 for line in facts if line.startswith("VmHWM:"))
        except (OSError, StopIteration):  # it has just ended
            continue
    return found


def measure(server: Server) -> tuple[int, int]:
    """What a server that has answered holds, and the most that it has held, in bytes."""
    images = photos("VGA", 1)
    question = ClassifyRequest(list(images), Parameters(candidate_labels=["cat", "dog", "rain"]))
    content_type, body = to_multipart(question, images)
    request = Request(f"http://127.0.0.1:{server.port}/invocations", body, {"content-type": content_type})
    for _ in range(3):
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - our own server
            answer.read()
    return server.usage.rss_bytes, peak_bytes(server.session)


def main() -> None:
    rows: list[list[str]] = []
    for name, config in SIZES.items():
        directory = WORK / "memory"
        shutil.rmtree(directory, ignore_errors=True)
        parameters = write(directory, config)
        with running([ours(f"memory-{len(rows)}", directory)]) as servers:
            held, peak = measure(servers[0])
        sizes = [f"{parameters / 1e6:.0f}", f"{parameters * 4 / 1e6:,.0f}", f"{parameters * 2 / 1e6:,.0f}"]
        memory = [f"{held / 2**30:.1f}", f"{peak / 2**30:.1f}", smallest_instance(peak / 2**30)]
        rows.append([name, *sizes, *memory])
        write_report(rows)
    shutil.rmtree(WORK / "memory", ignore_errors=True)


def write_report(rows: list[list[str]]) -> None:
    header = ["model", "parameters, M", "fp32, MB", "bf16, MB", "held, GiB", "peak, GiB", "smallest instance"]
    instances = ", ".join(f"{name} ({gib} GiB)" for name, gib in INSTANCES_GIB.items())
    REPORT.write_text(
        f"""# Memory by size of model

`python -m benchmarks.serving.memory`: random weights, the server as it is shipped (precision auto), after three
questions. Held and peak are the resident memory of all its processes; the peak is of loading. Named is the smallest of
{instances}
that holds the peak and {HEADROOM_GIB:g} GiB. All fit ml.g4dn.xlarge (16 GiB, and 16 GB of GPU memory) by their bytes in
fp16; that was not tried on a GPU.

{markdown(header, rows)}

{machine()}
"""
    )


if __name__ == "__main__":
    main()
