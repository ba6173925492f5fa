"""One request in each of the encodings that the contract reads."""

import base64
import json

from hypothesis import strategies as st

from contract.requests import ClassifyRequest, parse_request

IMAGE = bytes(range(256)) + b"\r\n--\r\n\r\n"
PNG = "image/png"
JSON = "application/json"
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufffd"), min_size=1, max_size=30)
"""What may be said, but for blanks alone."""


def encoded(image: bytes = IMAGE) -> str:
    return base64.b64encode(image).decode()


def as_named(**parameters: object) -> ClassifyRequest:
    """The API's request, before its saved tasks were looked up."""
    body = {"inputs": encoded(), "parameters": parameters}
    request = parse_request(JSON, json.dumps(body).encode(), operation="classify")
    assert isinstance(request, ClassifyRequest)
    return request


def as_json(inputs: object, **parameters: object) -> ClassifyRequest:
    request = parse_request(JSON, json.dumps({"inputs": inputs, "parameters": parameters}).encode())
    assert isinstance(request, ClassifyRequest)
    return request


def form(*parts: tuple[str, str, bytes]) -> tuple[str, bytes]:
    """(content type, body) of a form; a part without a file's name is a text."""
    body = b""
    for name, filename, content in parts:
        file = f'; filename="{filename}"' if filename else ""
        body += f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"
    return "multipart/form-data; boundary=XX", body + b"--XX--\r\n"


def as_form(*parts: tuple[str, str, bytes]) -> ClassifyRequest:
    request = parse_request(*form(*parts))
    assert isinstance(request, ClassifyRequest)
    return request


def as_raw(**query: list[str]) -> ClassifyRequest:
    request = parse_request(PNG, IMAGE, query)
    assert isinstance(request, ClassifyRequest)
    return request


def labels(request: ClassifyRequest) -> list[str]:
    return [each.label for each in request.parameters.candidate_labels]
