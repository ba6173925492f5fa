"""Forms and queries: the fields of a request that is not JSON."""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from contract.limits import MAX_FORM_PARTS, MAX_PART_HEAD_BYTES
from contract.problems import BadRequest, UnsupportedMediaType, names_in_words, shorten
from contract.questions import Parameters
from contract.validation import check_readable, json_object_of, media_type_of, validate

FORM = "multipart/form-data"
IMAGE_MEDIA_TYPES = ("application/octet-stream", "application/x-image")
"""Of an image as it is, beside image/*: the latter is what SageMaker's examples call any image."""
IMAGE_FIELDS = ("image", "inputs")
PARAMETER_FIELDS = ("parameters", *Parameters.model_fields)
"""Fields of POST /classify beside its images."""

Cut = tuple[list[bytes], Mapping[str, Sequence[str]]]
"""Images and text fields."""

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
"""RFC 2046, section 5.1.1."""
_VALUE = re.compile(r"\s*([^\s;=]*)\s*")
_PARAMETER = re.compile(r"""(?:\s*;)+\s*(?:([^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*)))?\s*""", re.DOTALL)
_ESCAPED = re.compile(r"\\([\"\\])|%(22|0D|0A)", re.IGNORECASE)
"""How clients write a quotation mark in a name: with a backslash (RFC 7578), or as browsers do."""
_REMEMBERED_HEAD_BYTES = 256
_REMEMBERED_PARAMETERS_CHARS = 2_000
_OF_A_LIST = re.compile(r"(.+)\[\d*\]", re.DOTALL)
"""How axios, jQuery and PHP's forms name a field of a list: `candidate_labels[]`, or with a number."""


def read_fields(content_type: str | None, body: bytes, query: Mapping[str, Sequence[str]]) -> Cut:
    """Images and text fields of a form, or of one image as it is; a field may also stand in the query.

    A field that was left empty, as browsers send it, is none. Raises BadRequest or UnsupportedMediaType.
    """
    check_readable(query)
    query = _filled_in((name, value) for name, values in query.items() for value in values)
    media_type = media_type_of(content_type)
    if media_type == FORM:
        images, fields = _read_form(content_type or "", body)
        if twice := sorted(fields.keys() & query.keys()):
            raise BadRequest(f"{names_in_words(twice)} is given both in the form and in the query: give it once")
        return images, {**fields, **query}
    if media_type.startswith("image/") or media_type in IMAGE_MEDIA_TYPES:
        if not body:
            raise BadRequest("the body is empty: send the image's bytes (curl: --data-binary @image.jpg)")
        return [body], query
    if media_type == "application/x-www-form-urlencoded":
        raise UnsupportedMediaType(
            "application/x-www-form-urlencoded is what curl says of --data when it is told nothing: "
            "add -H 'content-type: image/jpeg' for an image, or -H 'content-type: application/json' for JSON. "
            'In a page it needs <form enctype="multipart/form-data">'
        )
    got = f"content-type {shorten(media_type)!r}" if media_type else "no content-type"
    raise UnsupportedMediaType(
        f"{got}, allowed are application/json, image/*, {', '.join(IMAGE_MEDIA_TYPES)} and multipart/form-data"
    )


def read_parameters(fields: Mapping[str, Sequence[str]]) -> Parameters:
    """What the fields of POST /classify stand for. Raises BadRequest."""
    match fields:
        case {"parameters": [text], **others} if not others and len(text) <= _REMEMBERED_PARAMETERS_CHARS:
            return _remembered_parameters(text)
    return validate(Parameters, _parameters_of(fields))


@lru_cache(maxsize=64)
def _remembered_parameters(text: str) -> Parameters:
    """Many images are asked the same, one by one."""
    return validate(Parameters, _parameters_of({"parameters": [text]}))


def _parameters_of(fields: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    lists = ("candidate_labels", "hypothesis_template", "task")
    data = {name: one_or_list(values) if name in lists else only_one(values, name) for name, values in fields.items()}
    parameters = json_object_of(data.pop("parameters"), "parameters") if "parameters" in data else {}
    if twice := sorted(parameters.keys() & data.keys()):
        raise BadRequest(f"{names_in_words(twice)} is given both in parameters and beside it: give it once")
    return {**parameters, **data}


def one_or_list(values: Sequence[str]) -> Any:
    """A repeated field is a list, and its commas are kept; what one value is, the type of the parameter tells."""
    return values[0] if len(values) == 1 else list(values)


def only_one(values: Sequence[str], name: str) -> Any:
    """The one value of a field. Raises BadRequest if it is given several times."""
    if len(values) != 1:
        raise BadRequest(f"{shorten(name)} is given {len(values)} times: give it once")
    return values[0]


def _read_form(content_type: str, body: bytes) -> tuple[list[bytes], dict[str, list[str]]]:
    """Images and text fields of a multipart/form-data body (RFC 7578), in order.

    The parts are cut as bytes and only their headers are parsed as text: image bytes pass through untouched.
    """
    images: list[bytes] = []
    fields: list[tuple[str, str]] = []
    for head, content in _parts(body, _boundary_of(content_type)):
        # the Lambda's parts have always the same few heads, which are not parsed again
        name, filename = (_name_of if len(head) <= _REMEMBERED_HEAD_BYTES else _name_of.__wrapped__)(head)
        if name in IMAGE_FIELDS:
            if not filename and not content:
                continue  # a page's file that nobody chose
            if filename is None and _is_text(content):
                raise BadRequest(f"the field {name} is text, not a file: with curl write -F {name}=@image.jpg")
            images.append(content)
        else:
            try:
                fields.append((name, content.decode()))
            except UnicodeDecodeError:
                raise BadRequest(
                    f"the field {shorten(name)} is not UTF-8 text; images go in a field called image"
                ) from None
    filled_in = _filled_in(fields)
    check_readable(filled_in)
    return images, filled_in


def _is_text(content: bytes) -> bool:
    """Whether it can be: a file may come without its name (RFC 7578, section 4.2), and no image is UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _filled_in(fields: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The values by their field, without those that are empty."""
    found: dict[str, list[str]] = {}
    for name, value in fields:
        if value:
            found.setdefault(_one_name(name), []).append(value)
    return found


def _one_name(name: str) -> str:
    of_list = _OF_A_LIST.fullmatch(name)
    return of_list[1] if of_list else name


def _boundary_of(content_type: str) -> bytes:
    boundary = (_header_of(content_type) or {}).get("boundary")
    if not boundary:
        raise BadRequest("the form's content-type names no boundary: let your HTTP client set this header")
    if not _BOUNDARY.fullmatch(boundary):
        raise BadRequest(
            f"the form's boundary is {shorten(boundary)!r}, allowed are 1 to 70 letters, digits and '()+_,-./:=? "
            "(RFC 2046): let your HTTP client set this header"
        )
    return boundary.encode()


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(headers, content) of each part, without the line breaks that belong to the boundaries."""
    cut = BadRequest(f"the form does not end with its boundary {shorten(boundary.decode())!r}: the body was cut")
    delimiter = b"\r\n--" + boundary
    at = 0 if body.startswith(delimiter[2:]) else body.find(delimiter) + 2
    if at == 1:
        raise cut
    start, count = at + len(delimiter) - 2, 0
    while not body.startswith(b"--", start):
        end = body.find(delimiter, start)
        if end < 0:
            raise cut
        count += 1
        if count > MAX_FORM_PARTS:
            raise BadRequest(f"the form has more than {MAX_FORM_PARTS} parts: send a long list as JSON in one field")
        line = body.find(b"\r\n", start, end + 2)
        if body[start:line].strip(b" \t"):
            raise BadRequest("a line of the form begins like its boundary and is none: let your HTTP client choose one")
        # a part without any header begins with the empty line
        blank = body.find(b"\r\n\r\n", line, min(line + MAX_PART_HEAD_BYTES, end + 4))
        if blank < 0 or blank + 4 > end + 2:
            raise BadRequest(f"a part of the form has no headers that end within {MAX_PART_HEAD_BYTES:,} bytes")
        yield body[line:blank], body[min(blank + 4, end) : end]
        start = end + len(delimiter)


@lru_cache(maxsize=256)
def _name_of(head: bytes) -> tuple[str, str | None]:
    """The name of a part, and its file's, None for a text. Names by RFC 2231 (`name*=`) are none (RFC 7578, 4.2)."""
    # a file's name may be in any encoding, and is not looked at
    lines = head.decode(errors="replace").replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n")
    found = [line.partition(":")[2] for line in lines if line[:20].lower().startswith("content-disposition:")]
    parameters = _header_of(found[0]) if len(found) == 1 else None
    if parameters is None or parameters[""] != "form-data" or not parameters.get("name"):
        raise BadRequest("a part of the form has no name: every part needs content-disposition: form-data; name=…")
    return _one_name(parameters["name"]), parameters.get("filename", parameters.get("filename*"))


def _header_of(value: str) -> dict[str, str] | None:
    """The parameters of a header's value by name, "" for what stands before them; None if it can't be read."""
    before = _VALUE.match(value)
    parameters, at = {"": before[1].lower() if before else ""}, before.end() if before else 0
    while at < len(value):
        found = _PARAMETER.match(value, at)
        if found is None:
            return None
        name, quoted, token = found.groups()
        if name is not None:
            if name.lower() in parameters:
                return None
            parameters[name.lower()] = token if quoted is None else _ESCAPED.sub(_unescaped, quoted)
        at = found.end()
    return parameters


def _unescaped(found: re.Match[str]) -> str:
    return str(found[1] or chr(int(found[2], 16)))


def write_form(fields: Mapping[str, str], files: Iterable[tuple[str, bytes]]) -> tuple[str, bytes]:
    """(content type, body) of a multipart/form-data request with these text fields, and behind them files by name."""
    boundary = secrets.token_hex(16)
    start = f"--{boundary}\r\ncontent-disposition: form-data; name="
    parts = [f'{start}"{name}"\r\n\r\n{text}\r\n'.encode() for name, text in fields.items()]
    for name, content in files:
        parts += [f'{start}"{name}"; filename="image"\r\n\r\n'.encode(), content, b"\r\n"]
    return f"multipart/form-data; boundary={boundary}", b"".join([*parts, f"--{boundary}--\r\n".encode()])
