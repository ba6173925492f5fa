"""Requests that break the contract, each with the status and some words of the answer it must get."""

import base64
import io
import json
from dataclasses import dataclass, field

from PIL import Image

JSON, PNG, FORM = "application/json", "image/png", "multipart/form-data; boundary=x"
QUESTION = "classify?candidate_labels=fish,car"


@dataclass(frozen=True)
class BadInput:
    """What is sent, and what must come back."""

    status: int
    words: str
    body: bytes = b""
    content_type: str = JSON
    path: str = "classify"
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)


def picture(size: tuple[int, int] = (64, 64), kind: str = "PNG", mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind)
    return file.getvalue()


def asked(inputs: object = None, **parameters: object) -> bytes:
    image = base64.b64encode(picture()).decode()
    chosen = {"candidate_labels": ["fish", "car"], **parameters}
    return json.dumps({"inputs": inputs or image, "parameters": chosen}).encode()


def form(*parts: tuple[str, bytes], end: bytes = b"--x--\r\n") -> bytes:
    head = b'--x\r\ncontent-disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    return b"".join(head % (name.encode(), content) for name, content in parts) + end


HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64)
IMAGE_FIELD = 'image"; filename="a.png'

BAD_INPUTS = {
    "no image": BadInput(400, "inputs: is missing", b'{"parameters": {"candidate_labels": "fish, car"}}'),
    "no parameters": BadInput(400, "parameters: is missing", b'{"inputs": "aGFsbG8="}'),
    "an empty body": BadInput(400, "the body is empty", b"", PNG, QUESTION),
    "not an image": BadInput(422, "not an image of a known kind", b"this is text", PNG, QUESTION),
    "a truncated JPEG": BadInput(422, "damaged or cut off", picture((300, 300), "JPEG")[:-900], "image/jpeg", QUESTION),
    "a PNG of 200 megapixels": BadInput(413, "pixels", picture((20_000, 10_000), mode="1"), PNG, QUESTION),
    "a strip": BadInput(422, "crop it", picture((5_000, 1)), PNG, QUESTION),
    "HEIC": BadInput(415, "convert it to JPEG", HEIC, "image/heic", QUESTION),
    "an image over 4 MB": BadInput(413, "shrink them to 1024 px", bytes(4_300_000), PNG, QUESTION),
    "a body of 11 MB": BadInput(413, "too large", bytes(11_000_000), PNG, QUESTION),
    "empty labels": BadInput(400, "candidate_labels is missing", asked(candidate_labels=[])),
    "a blank label": BadInput(400, "must not be blank", asked(candidate_labels=["fish", " "])),
    "a duplicate label": BadInput(400, "given twice", asked(candidate_labels=["fish", "fish"])),
    "a lone label": BadInput(400, "add a second label", asked(candidate_labels=["fish"])),
    "10,001 labels": BadInput(400, "at most 10000", asked(candidate_labels=[str(n) for n in range(10_001)])),
    "a label that is a number": BadInput(400, "a label is text or", asked(candidate_labels=["fish", 5])),
    "a template without a place": BadInput(400, "where the label goes", asked(hypothesis_template="a photo")),
    "top_k of 0": BadInput(400, "parameters.top_k", asked(top_k=0)),
    "a threshold of 2": BadInput(400, "parameters.threshold", asked(threshold=2)),
    "an unknown parameter": BadInput(400, "parameters.labels: is not a known field", asked(labels=["fish"])),
    "labels and tasks": BadInput(400, "give one of them", asked(tasks={"a": {"candidate_labels": "fish, car"}})),
    "a URL": BadInput(400, "a URL, which is never fetched", asked("https://example.com/fish.png")),
    "no base64": BadInput(400, "not valid base64", asked("no base64!")),
    "a number for an image": BadInput(400, "an image is base64 text", asked(5)),
    "65 images": BadInput(400, "between 1 and 64", asked(["aGFsbG8="] * 65)),
    "somebody else's key": BadInput(400, "must start with 'uploads/'", asked({"s3_key": "tasks/a.json"})),
    "a key without an upload": BadInput(404, "upload it first", asked({"s3_key": "uploads/none.png"})),
    "broken JSON": BadInput(400, "not valid JSON", b'{"inputs": '),
    "JSON nested without end": BadInput(400, "not valid JSON", b"[" * 100_000),
    "a JSON list": BadInput(400, "must be a JSON object", b"[]"),
    "a form without the @": BadInput(400, "is text, not a file", form(("image", b"fish.png")), FORM),
    "a form that was cut": BadInput(400, "the body was cut", form((IMAGE_FIELD, picture()), end=b""), FORM),
    "an unknown field": BadInput(400, "not a known field", form((IMAGE_FIELD, picture()), ("label", b"a")), FORM),
    "a text file": BadInput(415, "allowed are application/json", b"fish", "text/plain", QUESTION),
    "curl's own content type": BadInput(415, "-H 'content-type", b"x", "application/x-www-form-urlencoded", QUESTION),
    "nothing to embed": BadInput(400, "nothing to embed", b'{"inputs": {}}', path="embed"),
    "an unknown route": BadInput(404, "lists the routes", b"{}", path="clasify"),
    "a wrong method": BadInput(404, "lists the routes", b"", method="PUT"),
    "no API key": BadInput(403, "send it as x-api-key", asked(), headers={"x-api-key": "guessed"}),
}
