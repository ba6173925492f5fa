"""The peer that everybody has: transformers' zero-shot-image-classification pipeline, behind the HTTP stack of ours.

    python -m benchmarks.serving.pipeline <checkpoint> <port> <workers>

uvicorn, Starlette and the contract's parser are the same; each worker is a thread with a pipeline and one torch thread.
The workers share the weights, not the tokenizer, which can't serve two at once.
"""

import asyncio
import io
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import torch
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel, pipeline

from contract.limits import MAX_INVOCATION_BYTES
from contract.requests import ClassifyRequest, parse_request

KEEP_ALIVE_S = 75


def create_app(checkpoint: str, workers: int) -> Starlette:
    """/ping and /invocations, answered by as many pipelines as threads."""
    model = CLIPModel.from_pretrained(checkpoint, local_files_only=True)
    own = threading.local()

    def begin() -> None:
        own.pipeline = pipeline(
            "zero-shot-image-classification", model=model, device="cuda" if torch.cuda.is_available() else "cpu",
            tokenizer=AutoTokenizer.from_pretrained(checkpoint, local_files_only=True),
            image_processor=CLIPImageProcessorPil.from_pretrained(checkpoint, local_files_only=True),
        )  # fmt: skip

    def answer(content_type: str | None, body: bytes) -> bytes:
        asked = parse_request(content_type, body, max_image_bytes=MAX_INVOCATION_BYTES)
        if not isinstance(asked, ClassifyRequest):
            raise TypeError(f"only classify requests are compared, got {asked.operation}")
        images = [Image.open(io.BytesIO(image)) for image in asked.images if isinstance(image, bytes)]
        labels = [each.label for each in asked.parameters.candidate_labels]
        (template,) = asked.parameters.hypothesis_template
        scores: Any = own.pipeline(images, candidate_labels=labels, hypothesis_template=template)
        return orjson.dumps(scores if asked.listed else scores[0])

    pool = ThreadPoolExecutor(workers, initializer=begin)

    async def ping(request: Request) -> Response:
        return Response()

    async def invocations(request: Request) -> Response:
        told = request.headers.get("content-type"), await request.body()
        content = await asyncio.get_running_loop().run_in_executor(pool, answer, *told)
        return Response(content, media_type="application/json")

    return Starlette(routes=[Route("/ping", ping), Route("/invocations", invocations, methods=["POST"])])


def main(checkpoint: str, port: str, workers: str) -> int:
    """Serve until SIGTERM."""
    torch.set_num_threads(1)
    app = create_app(checkpoint, int(workers))
    uvicorn.run(app, host="127.0.0.1", port=int(port), access_log=False, timeout_keep_alive=KEEP_ALIVE_S)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
