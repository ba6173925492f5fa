"""Whether the server's probabilities are transformers' own, on the shipped checkpoint and images of its world.

Random weights would measure how ties are broken. Half of the scenes are sent as PNG in their own size, half enlarged as
JPEG, so that decoding and resizing count.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from benchmarks import SHIPPED
from benchmarks.serving.hardware import hf_prepare
from benchmarks.serving.requests import classify_tasks
from benchmarks.serving.server import Server, running
from contract.questions import DEFAULT_HYPOTHESIS_TEMPLATE
from model.clip.checkpoint import load_checkpoint
from model.evaluation.world import EVALUATION_SEED
from model.world.examples import render
from model.world.tasks import TASKS

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    task.name: task.phrases for task in TASKS if task.name in ("shape", "colour", "background", "colour_and_shape")
}
LARGE_PX = (1024, 1024)
MARGIN = 0.02
"""By how much transformers' best label must lead for a difference to count as one."""
TIMEOUT_S = 60

Probabilities = Mapping[str, Tensor]
"""By question, shape = [images, labels]"""


@dataclass(frozen=True)
class Agreement:
    """Over every image and question: the greatest difference, and shares with the same best label, of all and of those
    that transformers decides clearly.
    """

    max_abs: float
    argmax: float
    clear_argmax: float
    answers: int


def scene_file(index: int) -> bytes:
    """A rendered scene as PNG, every other one enlarged as JPEG."""
    scene, file = Image.fromarray(render(EVALUATION_SEED, "test", index)), io.BytesIO()
    if index % 2:
        scene.resize(LARGE_PX, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    else:
        scene.save(file, "PNG")
    return file.getvalue()


def agreements(servers: Sequence[Server], scenes: int) -> dict[str, Agreement]:
    """By name, how servers of the shipped checkpoint answer about so many scenes."""
    files = [scene_file(index) for index in range(scenes)]
    wanted = expected(files)
    with running(servers) as up:
        return {server.name: compare(wanted, answered(server, files)) for server in up}


@torch.inference_mode()
def expected(files: Sequence[bytes]) -> Probabilities:
    """By transformers in fp32, at the checkpoint's own temperature, which the server applies as well."""
    checkpoint = load_checkpoint(SHIPPED)
    pixels = torch.cat([hf_prepare(checkpoint.processor, file) for file in files])
    prompts = [DEFAULT_HYPOTHESIS_TEMPLATE.format(phrase) for phrases in QUESTIONS.values() for phrase in phrases]
    tokens = checkpoint.tokenizer(prompts, padding=True, return_tensors="pt")
    logits = checkpoint.model(**tokens, pixel_values=pixels).logits_per_image  # [images, all prompts]
    logits = logits / (checkpoint.metadata.calibration.temperature or 1.0)
    parts = logits.split([len(phrases) for phrases in QUESTIONS.values()], dim=1)
    return {name: part.softmax(dim=1) for name, part in zip(QUESTIONS, parts, strict=True)}


def answered(server: Server, files: Sequence[bytes]) -> Probabilities:
    """By a server, one request per image."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_S)
    rows: dict[str, list[list[float]]] = {name: [] for name in QUESTIONS}
    for file in files:
        content_type, content = classify_tasks(file, QUESTIONS)
        connection.request("POST", "/invocations", content, {"content-type": content_type})
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        for name, phrases in QUESTIONS.items():
            scores = {each["label"]: each["score"] for each in answer[name]}
            rows[name].append([scores[phrase] for phrase in phrases])
    connection.close()
    return {name: torch.tensor(found) for name, found in rows.items()}


def compare(theirs: Probabilities, ours: Probabilities) -> Agreement:
    """`ours` with what was expected."""
    differences, same, clear = [], [], []
    for name, wanted in theirs.items():
        differences.append((wanted - ours[name]).abs().max().item())
        best = wanted.topk(2, dim=1).values  # [images, 2]
        same.append(wanted.argmax(dim=1) == ours[name].argmax(dim=1))
        clear.append(best[:, 0] - best[:, 1] > MARGIN)
    agrees, decided = torch.cat(same), torch.cat(clear)
    return Agreement(max(differences), agrees.float().mean().item(), agrees[decided].float().mean().item(), len(agrees))
