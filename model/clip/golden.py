"""Golden questions: what a checkpoint answers when it is made, so that an endpoint can be asked the same.

Each line of golden.jsonl is a request of POST /classify about one rendered image with "scores" beside it: nobody's
data, and any CLIP has an answer, right or wrong. Training renders the images, as serving holds no renderer.
"""

import base64
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from contract.checkpoints import Calibration
from contract.models import GOLDEN
from contract.questions import Question
from model.clip.encode import Clip
from model.clip.image import open_image
from model.clip.scoring import rank, score, unknown_by_confidence, with_unknown

PARAMETERS: tuple[dict[str, Any], ...] = (
    {
        "candidate_labels": [
            *("circle", "square", "triangle", "star", "cross", "ring", "heart", "diamond", "arrow", "moon"),
            *("sun", "tree", "house", "fish", "car", "cup", "face", "flower"),
        ],
        "hypothesis_template": "a picture of a {}",
    },
    {
        "candidate_labels": ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"],
        "hypothesis_template": "something {}",
    },
)
"""Asked in turn."""


def write_golden(directory: Path, clip: Clip, calibration: Calibration, images: Iterable[NDArray[np.uint8]]) -> None:
    """Write a question about each of the RGB `images` with the answer of `clip` beside the weights."""
    lines = []
    for index, pixels in enumerate(images):
        parameters = PARAMETERS[index % len(PARAMETERS)]
        png = io.BytesIO()
        Image.fromarray(pixels).save(png, "PNG")
        question = Question.model_validate(parameters)
        embeds = clip.embed_images(torch.stack([clip.preprocess(open_image(png.getvalue()))]))
        scores = score(clip.embed_question(question), embeds, clip.logit_scale, calibration)[0]
        if question.unknown:
            scores = with_unknown(scores, unknown_by_confidence(scores, calibration.unknown))
        inputs = base64.b64encode(png.getvalue()).decode()
        line = {"inputs": inputs, "parameters": parameters, "scores": rank(question, scores)}
        lines.append(json.dumps(line) + "\n")
    (directory / GOLDEN).write_text("".join(lines))
