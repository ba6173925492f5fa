"""Forms and queries: the fields of a request that is not JSON."""

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from email.parser import BytesHeaderParser
from email.utils import collapse_rfc2231_value
from functools import lru_cache
from typing import Any

from contract.problems import BadRequest, UnsupportedMediaType, shorten
from contract.questions import Parameters
from contract.validation import media_type_of

PARAMETER_FIELDS = ("parameters", *Parameters.model_fields)
"""Fields of POST /classify beside its images."""
MAX_REMEMBERED_HEAD_BYTES = 256


def read_fields(
    content_type: str | None, body: bytes, query: Mapping[str, Sequence[str]]
) -> tuple[list[bytes], Mapping[str, Sequence[str]]]:
    """Images and text fields of a form, or of one image as it is; a field may also stand in the query.

    Raises BadRequest or UnsupportedMediaType.
    """
    media_type = media_type_of(content_type)
    if media_type == "multipart/form-data":
        images, fields = _read_form(content_type or "", body)
        if twice := sorted(fields.keys() & query.keys()):
            raise BadRequest(f"{', '.join(twice)} is given both in the form and in the query: give it once")
        return images, {**fields, **query}
    if media_type.startswith("image/") or media_type == "application/octet-stream":
        if not body:
            raise BadRequest("the body is empty: send the image's bytes (curl: --data-binary @image.jpg)")
        return [body], query
    if media_type == "application/x-www-form-urlencoded":
        raise UnsupportedMediaType(
            "application/x-www-form-urlencoded is what curl says of --data when it is told nothing: "
            "add -H 'content-type: image/jpeg' for an image, or -H 'content-type: application/json' for JSON"
        )
    got = f"content-type {media_type!r}" if media_type else "no content-type"
    raise UnsupportedMediaType(
        f"{got}, allowed are application/json, image/*, application/octet-stream and multipart/form-data"
    )


def parameters_of(fields: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The JSON of `Parameters` that the fields of POST /classify stand for. Raises BadRequest."""
    data: dict[str, Any] = {}
    for name, values in fields.items():
        if name in ("candidate_labels", "hypothesis_template", "task"):
            data[name] = json_or_list(values, name)
        else:
            value = only_one(values, name)
            data[name] = _json(value, name) if name in ("tasks", "thresholds", "parameters") else value
    parameters = data.pop("parameters", {})
    if not isinstance(parameters, dict):
        raise BadRequest(f"parameters must be a JSON object, got {shorten(json.dumps(parameters))}")
    if twice := sorted(parameters.keys() & data.keys()):
        raise BadRequest(f"{', '.join(twice)} is given both in parameters and beside it: give it once")
    return {**parameters, **data}


def json_or_list(values: Sequence[str], name: str) -> object:
    """One value is JSON if it looks like it, else plain text; a repeated field is a list, and its commas are kept."""
    if len(values) > 1:
        return list(values)
    return _json(values[0], name) if values[0].lstrip().startswith("[") else values[0]


def _json(value: str, name: str) -> object:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{name} is not valid JSON ({error}), got {shorten(value)!r}") from None


def only_one(values: Sequence[str], name: str) -> str:
    """The one value of a field. Raises BadRequest if it is given several times."""
    if len(values) != 1:
        raise BadRequest(f"{name} is given {len(values)} times: give it once")
    return values[0]


def _read_form(content_type: str, body: bytes) -> tuple[list[bytes], dict[str, list[str]]]:
    """Images and text fields of a multipart/form-data body (RFC 7578), in order.

    The parts are cut as bytes and only their headers are parsed as text: image bytes pass through untouched.
    """
    head = b"content-type: " + content_type.encode("latin-1", "replace")
    boundary = _header_parameter(head, "content-type", "boundary")
    if not boundary:
        raise BadRequest("the form's content-type names no boundary: let your HTTP client set this header")
    delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")
    _preamble, *parts = (b"\r\n" + body).split(delimiter)
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise BadRequest(f"the form does not end with its boundary {shorten(boundary)!r}: the body was cut")
    images: list[bytes] = []
    fields: dict[str, list[str]] = {}
    for part in parts[:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = _header_parameter(head.strip(), "content-disposition", "name")
        if name in ("image", "inputs"):
            if _header_parameter(head.strip(), "content-disposition", "filename") is None:
                raise BadRequest(f"the field {name} is text, not a file: with curl write -F {name}=@image.jpg")
            images.append(content)
        elif not name:
            raise BadRequest("a part of the form has no name: every part needs content-disposition: form-data; name=…")
        else:
            try:
                fields.setdefault(name, []).append(content.decode())
            except UnicodeDecodeError:
                raise BadRequest(f"the field {name} is not UTF-8 text; images go in a field called image") from None
    return images, fields


def write_form(fields: Mapping[str, str], files: Iterable[tuple[str, bytes]]) -> tuple[str, bytes]:
    """(content type, body) of a multipart/form-data request with these text fields, and behind them files by name."""
    boundary = secrets.token_hex(16)
    start = f"--{boundary}\r\ncontent-disposition: form-data; name="
    parts = [f'{start}"{name}"\r\n\r\n{text}\r\n'.encode() for name, text in fields.items()]
    for name, content in files:
        parts += [f'{start}"{name}"; filename="image"\r\n\r\n'.encode(), content, b"\r\n"]
    return f"multipart/form-data; boundary={boundary}", b"".join([*parts, f"--{boundary}--\r\n".encode()])


def _header_parameter(head: bytes, header: str, parameter: str) -> str | None:
    """A parameter of a header. The Lambda's parts have always the same few, which are not parsed again."""
    read = _read_parameter if len(head) <= MAX_REMEMBERED_HEAD_BYTES else _read_parameter.__wrapped__
    return read(head, header, parameter)


@lru_cache(maxsize=256)
def _read_parameter(head: bytes, header: str, parameter: str) -> str | None:
    value = BytesHeaderParser().parsebytes(head).get_param(parameter, header=header)
    return None if value is None else collapse_rfc2231_value(value)
