"""Golden questions: what a checkpoint answers when it is made, so that an endpoint can be asked the same.

Each line of golden.jsonl is a request of POST /classify about one rendered image with "scores" beside it: nobody's
data, and any CLIP has an answer, right or wrong.
"""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from model.checkpoint import Calibration
from model.contract import Question
from model.image import open_image
from model.inference import Clip
from model.resources.checkpoint_files import GOLDEN
from model.scoring import label_embeds, prompts_of, rank, score
from model.world.examples import render
from model.world.scene import COLOURS, SHAPES, THINGS

QUESTIONS = 8
SEED = 3_000_017
PARAMETERS: tuple[dict[str, Any], ...] = (
    {"candidate_labels": [*SHAPES, *THINGS], "hypothesis_template": "a picture of a {}"},
    {"candidate_labels": list(COLOURS), "hypothesis_template": "something {}"},
)
"""Asked in turn."""


def write_golden(directory: Path, clip: Clip, calibration: Calibration) -> None:
    """Write the questions with the answers of `clip` beside the weights."""
    lines = (json.dumps(line) + "\n" for line in golden(clip, calibration))
    (directory / GOLDEN).write_text("".join(lines))


def golden(clip: Clip, calibration: Calibration) -> Iterator[dict[str, Any]]:
    """The questions, and what is answered to them by the code that serves."""
    for index in range(QUESTIONS):
        parameters = PARAMETERS[index % len(PARAMETERS)]
        png = io.BytesIO()
        Image.fromarray(render(SEED, "test", index)).save(png, "PNG")
        question = Question.model_validate(parameters)
        prompts = list(prompts_of(question))
        texts = {prompt: each.vector for prompt, each in zip(prompts, clip.embed_texts(prompts), strict=True)}
        image = clip.embed_images(torch.stack([clip.preprocess(open_image(png.getvalue()))]))
        scores = score(label_embeds(question, texts), image, clip.logit_scale, calibration)[0]
        yield {
            "inputs": base64.b64encode(png.getvalue()).decode(),
            "parameters": parameters,
            "scores": rank(question, scores),
        }
