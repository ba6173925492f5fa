"""Requests to every route with every trick of JSON, forms, queries, headers, ids and paths, each with the statuses that
may come. Whatever comes is no fault of ours, and what refuses is a problem with a sentence.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from contract.bodies import BODIES
from contract.limits import MAX_IMAGES, MAX_LABELS, MAX_PROMPTS, MAX_TEXT_CHARS
from contract.routes import CLASSIFY, POST_ANNOTATIONS, ROUTES
from tests.hostile.images import saved

GOOD, CREATED, BAD, ABSENT, TYPE = (frozenset({status}) for status in (200, 201, 400, 404, 415))
TOO_LARGE = frozenset({400, 413})
NONE_SUCH = frozenset({400, 403, 404, 405})
"""Of a path or method that is none: who answers is the gateway or the function."""
ANY = frozenset({200, 201, 202, 204, 400, 404, 409, 412, 413, 415, 422})
"""It is read in one way or another, and never a fault of ours."""

JSON = "application/json"
FORM = "multipart/form-data; boundary=x"
IMAGE = base64.b64encode(saved("PNG")).decode()
PNG = saved("PNG")
LABELS = {"candidate_labels": ["red", "blue"]}
QUERY = "candidate_labels=red,blue"
LARGE_BYTES = 500_000
NOBODY = "20260101000000-00000a"
"""The id of nothing."""

PATHS = {
    "task": "none-such",
    "id": NOBODY,
    "training": NOBODY,
    "version": "none-such",
    "batch": NOBODY,
    "image": "0" * 64,
}


@dataclass(frozen=True)
class Sent:
    """One request and what may come."""

    method: str
    path: str
    statuses: frozenset[int]
    body: bytes = b""
    content_type: str | None = None
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_headers(self) -> dict[str, str]:
        """With the content type."""
        return {**({"content-type": self.content_type} if self.content_type else {}), **self.headers}


def said(path: str, statuses: frozenset[int], data: Any, method: str = "POST", **headers: str) -> Sent:
    """JSON, given as text, bytes or what becomes it."""
    text = data if isinstance(data, str | bytes) else json.dumps(data)
    body = text if isinstance(text, bytes) else text.encode()
    return Sent(
        method, path, statuses, body, JSON, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def asked(statuses: frozenset[int], inputs: Any = IMAGE, **parameters: Any) -> Sent:
    """A classification."""
    return said("/classify", statuses, {"inputs": inputs, "parameters": {**LABELS, **parameters}})


def form(statuses: frozenset[int], content: bytes, content_type: str = FORM, path: str = "/classify") -> Sent:
    """A form."""
    return Sent("POST", path, statuses, content, content_type)


def part(head: str, content: bytes = b"red,blue") -> bytes:
    return b"--x\r\n" + head.encode("latin-1") + b"\r\n\r\n" + content + b"\r\n"


END = b"--x--\r\n"
FILE = part('content-disposition: form-data; name="image"; filename="a.png"', PNG)
WORDS = part('content-disposition: form-data; name="candidate_labels"')


def json_bodies() -> Iterator[tuple[str, Sent]]:
    """What is no JSON, or more of it than anybody needs, to every route that takes some; the largest ones to one."""
    texts: Mapping[str, str | bytes] = {
        "nothing": b"", "blanks": "   ", "half an object": '{"inputs": ', "a list": "[]", "null": "null",
            "a number": "1e999",
        "text": '"text"', "nested lists": "[" * 100_000, "nested objects": '{"a":' * 50_000,
        "nested, and closed": "[" * 985 + "]" * 985,
            "nested in a field": '{"inputs":' + "[" * 3000 + "]" * 3000 + "}",
        "NaN": '{"inputs": NaN}', "Infinity": '{"inputs": -Infinity}',
            "a key of 1 MB": json.dumps({"k" * 1_000_000: 1}),
        "100,000 keys": json.dumps({f"key {n}": n for n in range(100_000)}),
        "a number of 5,000 digits": '{"inputs": ' + "9" * 5000 + "}", "a lone surrogate": '{"inputs": "\\ud800"}',
        "a key that is a surrogate": '{"\\udfff": 1}', "a NUL": '{"in\\u0000puts": "\\u0000"}', "a BOM": "\ufeff{}",
        "a comment": "{/* */}", "a trailing comma": '{"inputs": "a",}', "single quotes": "{'inputs': 'a'}",
        "two values": "{}{}", "UTF-16": '{"inputs": "a"}'.encode("utf-16"),
            "Latin-1": '{"inputs": "café"}'.encode("latin-1"),
    }  # fmt: skip
    for route in ROUTES:
        body = BODIES[route].request
        if body is None:
            continue
        path = route.path.format(**PATHS)
        empty = ANY if type(None) in getattr(body, "__args__", ()) else BAD
        for name, text in texts.items():
            if len(text) > LARGE_BYTES and route not in (CLASSIFY, POST_ANNOTATIONS):
                continue
            statuses = (empty if name in ("nothing", "blanks", "a BOM") else BAD) | ABSENT
            yield f"{name} to {route.method} {route.path}", said(path, statuses, text, route.method)


def questions() -> Iterator[tuple[str, Sent]]:
    """Labels, templates and images that are too many, too long, doubled or something else."""
    yield "a good question", asked(GOOD)
    yield "the client of JavaScript", asked(GOOD, {"image": IMAGE})
    yield "a data URL", asked(GOOD, f"data:image/png;base64,{IMAGE}")
    yield "a data URL in capitals", asked(GOOD, f"DATA:image/png;base64,{IMAGE}")
    yield "base64 in lines", asked(GOOD, "\n".join(IMAGE[at : at + 20] for at in range(0, len(IMAGE), 20)))
    yield "labels as JSON in a text", asked(GOOD, candidate_labels='["red", "blue"]')
    yield "nulls for what may be absent", asked(GOOD, top_k=None, threshold=None)
    yield "a list of one", asked(GOOD, [IMAGE])
    yield "64 images", asked(GOOD, [IMAGE] * MAX_IMAGES)
    yield "65 images", asked(BAD, [IMAGE] * (MAX_IMAGES + 1))
    yield "100,000 images", asked(BAD, ["a"] * 100_000)
    yield "no image", asked(BAD, [])
    yield "an empty text for an image", asked(BAD, "")
    for name, value in (
        ("null", None), ("a number", 5), ("true", True), ("a list in a list", [[IMAGE]]),
        ("an address", "http://a.b/c.png"),
        ("an address of S3", "s3://bucket/key"), ("a file's address", "file:///etc/passwd"),
        ("no base64", "no base64!"),
        ("another prefix", {"s3_key": "tasks/a.json"}), ("a way out", {"s3_key": "uploads/../tasks/a.json"}),
        ("a prefix alone", {"s3_key": "uploads/"}),
        ("a key of 2,000 characters", {"s3_key": "uploads/" + "a" * 2000}),
        ("a key that is a number", {"s3_key": 5}), ("a key and more", {"s3_key": "uploads/a", "bucket": "b"}),
        ("a surrogate in the key", {"s3_key": "uploads/\ud800"}), ("a NUL in the key", {"s3_key": "uploads/a\0b"}),
        ("nothing known", {"url": "a"}), ("1 MB of A", "A" * 1_000_001),
    ):  # fmt: skip
        yield f"an image that is {name}", asked(BAD | ABSENT | {422, 413}, value)
    yield "an upload that is not there", asked(ABSENT, {"s3_key": "uploads/none.png"})
    yield "good and bad images in a list", asked(GOOD, [IMAGE, "no base64!", base64.b64encode(b"text").decode()])
    for name, labels in (
        ("none", []), ("an empty text", ""), ("one", ["a"]), ("a blank one", ["a", " "]),
        ("the same twice", ["a", "a"]),
        ("the same in capitals", ["Fish", "fish"]), ("the same with a blank", ["fish", "fish "]),
        ("the same, composed", ["caf\u00e9", "cafe\u0301"]), ("null", None), ("a number", 5), ("numbers", [1, 2]),
        ("lists", [["a"], ["b"]]), ("objects without a label", [{"name": "a"}, {"name": "b"}]),
        ("too many", [str(n) for n in range(MAX_LABELS + 1)]), ("a million", ["a"] * 1_000_000),
        ("too long", ["a" * (MAX_TEXT_CHARS + 1), "b"]), ("nothing but a sign of format", ["\u200b", "\u200c"]),
        ("annotations of nothing", [{"label": "a", "annotations": [""]}, "b"]),
        ("too many annotations", [{"label": "a", "annotations": ["x"] * (MAX_PROMPTS + 1)}, "b"]),
        ("a surrogate", ["\ud800", "b"]),
    ):  # fmt: skip
        yield (
            f"labels: {name}",
            asked(BAD | (GOOD if "sign of format" in name else frozenset()), candidate_labels=labels),
        )
    for name, more in (
        ("2,000 x 2,000 prompts", {"candidate_labels": [str(n) for n in range(2000)],
         "hypothesis_template": [f"{n} {{}}" for n in range(2000)]}),
        ("100,000 templates", {"hypothesis_template": ["{}"] * 100_000}),
        ("a template without a place", {"hypothesis_template": "a"}),
        ("a template of 1 MB", {"hypothesis_template": "{}" * 500_000}), ("top_k 0", {"top_k": 0}),
        ("top_k 1.5", {"top_k": 1.5}),
        ("top_k of 400 digits", {"top_k": 10**400}), ("top_k in words", {"top_k": "three"}),
        ("threshold 2", {"threshold": 2}),
        ("threshold in words", {"threshold": "high"}), ("thresholds of others", {"thresholds": {"green": 0.5}}),
        ("a thousand thresholds", {"thresholds": {str(n): 0.5 for n in range(1000)}}),
        ("multi_label maybe", {"multi_label": "maybe"}),
        ("an unknown parameter", {"labels": ["a"]}), ("a parameter's name of 100 kB", {"k" * 100_000: 1}),
        ("labels and tasks", {"tasks": {"a": LABELS}}), ("labels and a task", {"task": "a"}),
    ):  # fmt: skip
        yield f"parameters: {name}", asked(BAD | (GOOD if name == "top_k of 400 digits" else frozenset()), **more)
    for name, parameters in (
        ("none", {}), ("null", None), ("a list", []), ("33 tasks", {"tasks": {str(n): LABELS for n in range(33)}}),
        ("a task that is none", {"tasks": {"a": 5}}), ("a task without a name", {"tasks": {"": LABELS}}),
        ("tasks in tasks", {"tasks": {"a": {"tasks": {"b": LABELS}}}}), ("33 saved tasks", {"task": ["a"] * 33}),
        ("a name out of the folder", {"task": "../a"}), ("a name of 1 MB", {"task": "a" * 1_000_000}),
        ("32 tasks of 10,000 labels",
         {"tasks": {str(n): {"candidate_labels": [f"{n} {m}" for m in range(1000)]} for n in range(32)}}),
    ):  # fmt: skip
        yield f"instead of parameters: {name}", said("/classify", BAD, {"inputs": IMAGE, "parameters": parameters})
    yield (
        "a saved task that is not there",
        said("/classify", ABSENT | BAD, {"inputs": IMAGE, "parameters": {"task": "none-such"}}),
    )
    yield (
        "inputs twice",
        said("/classify", ANY, f'{{"inputs": "a", "inputs": "{IMAGE}", "parameters": {json.dumps(LABELS)}}}'),
    )
    yield (
        "an operation of the container",
        said("/classify", BAD, {"operation": "inspect", "inputs": IMAGE, "parameters": LABELS}),
    )
    yield (
        "a million faults",
        said("/classify", BAD, {"inputs": IMAGE, "parameters": {"candidate_labels": [{"a": 1}] * 300_000}}),
    )
    for name, inputs in (
        ("nothing", {}), ("null", None), ("501 texts", {"texts": ["a"] * 501}), ("a number", {"texts": [1]}),
        ("a text of 1 MB", {"texts": ["a" * 1_000_000]}), ("a blank text", {"texts": [" "]}),
        ("a surrogate", {"texts": ["\udc00"]}),
        ("an unknown member", {"text": ["a"]}),
    ):  # fmt: skip
        yield f"to embed: {name}", said("/embed", BAD, {"inputs": inputs})
    yield "to embed: a text and an image", said("/embed", GOOD, {"inputs": {"texts": ["a"], "images": [IMAGE]}})


def queries() -> Iterator[tuple[str, Sent]]:
    """Beside an image as it is."""

    def raw(statuses: frozenset[int], query: str, content_type: str | None = "image/png", body: bytes = PNG) -> Sent:
        return Sent("POST", "/classify", statuses, body, content_type, query)

    yield "an image and labels", raw(GOOD, QUERY)
    yield "labels repeated", raw(GOOD, "candidate_labels=red&candidate_labels=blue")
    yield "labels as axios repeats them", raw(GOOD, "candidate_labels[]=red&candidate_labels[]=blue")
    yield "labels as JSON", raw(GOOD, "candidate_labels=%5B%22red%22,%22blue%22%5D")
    yield "a default value", raw(GOOD, f"{QUERY}&multi_label=false")
    for name, query in (
        ("no labels", ""), ("an unknown field", f"{QUERY}&colour=red"), ("half an escape", "candidate_labels=red,%E"),
        ("Latin-1", "candidate_labels=caf%E9,tea"), ("broken JSON", "candidate_labels=%5B1,"),
        ("top_k twice", f"{QUERY}&top_k=1&top_k=2"),
        ("10,000 fields", f"{QUERY}&" + "&".join(f"a{n}=1" for n in range(10_000))),
        ("a field of 1 MB", f"{QUERY}&a=" + "b" * 1_000_000),
        ("a field's name of 100 kB", f"{QUERY}&" + "a" * 100_000 + "=1"), ("deep JSON", "tasks=" + "%5B" * 5000),
        ("parameters that are a list", "parameters=%5B%5D"), ("a NUL", "candidate_labels=a%00,%00"),
    ):  # fmt: skip
        yield f"query: {name}", raw(BAD | (GOOD if name in ("a NUL", "half an escape") else frozenset()), query)
    yield (
        "JSON with a query that differs",
        Sent("POST", "/classify", BAD, asked(GOOD).body, JSON, "candidate_labels=red,green"),
    )
    for name, content_type, statuses in (
        ("octets", "application/octet-stream", GOOD), ("SageMaker's own", "application/x-image", GOOD),
        ("capitals", "IMAGE/PNG", GOOD | BAD | {422}), ("another image", "image/jpeg", GOOD),
        ("an unknown image", "image/x-nobody", GOOD),
        ("with a parameter", "image/png; q=1", GOOD), ("text", "text/plain", TYPE), ("none", None, TYPE),
        ("curl's own", "application/x-www-form-urlencoded", TYPE), ("a page", "text/html", TYPE),
        ("nothing", ";", TYPE),
        ("a slash", "/", TYPE), ("10 kB", "a" * 10_000, TYPE), ("signs", "im\u00e4ge/png", TYPE),
        ("two", "image/png, image/jpeg", GOOD | TYPE),
        ("JSON of HTTP APIs", "application/vnd.api+json", TYPE),
        ("multipart, but of another kind", "multipart/mixed; boundary=x", TYPE),
    ):  # fmt: skip
        yield f"content type: {name}", raw(statuses, QUERY, content_type)
    yield "an empty image", raw(BAD, QUERY, body=b"")
    yield "an image of 4.3 MB", raw(frozenset({413}), QUERY, body=bytes(4_300_000))


def forms() -> Iterator[tuple[str, Sent]]:
    """Heads, boundaries and fields of multipart/form-data (RFC 7578)."""
    yield "a form", form(GOOD, FILE + WORDS + END)
    yield (
        "a form with empty optional fields",
        form(GOOD, FILE + WORDS + part('content-disposition: form-data; name="top_k"', b"") + END),
    )
    yield "a form with a preamble and an epilogue", form(GOOD, b"hello\r\n" + FILE + WORDS + END + b"bye")
    for name, head in (
        ("100,000 semicolons", 'content-disposition: form-data; name="' + ";" * 100_000),
        ("a head of 1 MB", "content-disposition: form-data; name=a; x=" + "b" * 1_000_000),
        ("10,000 headers", "a: b\r\n" * 10_000 + "content-disposition: form-data; name=a"),
        ("RFC 2231 with 5,000 digits", "content-disposition: form-data; name*" + "9" * 5000 + "=a"),
        ("RFC 2231 parts", "content-disposition: form-data; name*0=a; name*2=b; name*1=c"),
        *((f"the charset {charset}", f"content-disposition: form-data; name*={charset}'en'%41")
          for charset in ("undefined", "idna", "punycode", "rot13", "zip", "utf-7", "a\0b", "x" * 1000)),
        ("no name", "content-disposition: form-data"), ("no disposition", "content-type: text/plain"),
        ("nothing", ""),
        ("an unknown field", 'content-disposition: form-data; name="label"'),
        ("an empty name", 'content-disposition: form-data; name=""'),
        ("a name of 100 kB", f'content-disposition: form-data; name="{"n" * 100_000}"'),
        ("a folded line", "content-disposition: form-data;\r\n name=a"),
        ("half a quote", 'content-disposition: form-data; name="a'),
        ("Latin-1", 'content-disposition: form-data; name="\xe9"'),
    ):  # fmt: skip
        yield f"form: {name}", form(BAD, FILE + WORDS + part(head) + END)
    for name, content_type in (
        ("no boundary", "multipart/form-data"), ("an empty one", "multipart/form-data; boundary="),
        ("another one", "multipart/form-data; boundary=y"),
        ("RFC 2231", "multipart/form-data; boundary*=undefined''x"),
        ("5,000 digits", "multipart/form-data; boundary*" + "1" * 5000 + "=x"),
        ("10 kB", "multipart/form-data; boundary=" + "x" * 10_000),
        ("half a quote", 'multipart/form-data; boundary="x'),
        ("100,000 semicolons", "multipart/form-data; boundary=" + ";" * 100_000),
        ("an idna one", "multipart/form-data; boundary*=idna''x"),
    ):  # fmt: skip
        loose = GOOD if name in ("RFC 2231", "half a quote") else frozenset()
        yield f"boundary: {name}", form(BAD | loose, FILE + WORDS + END, content_type)
    yield "form: cut off", form(BAD, FILE + WORDS)
    yield "form: empty", form(BAD, b"")
    yield "form: nothing but its end", form(BAD, END)
    yield (
        "form: the file is text",
        form(BAD, part('content-disposition: form-data; name="image"', b"a.png") + WORDS + END),
    )
    yield "form: 65 files", form(BAD, FILE * 65 + WORDS + END)
    yield "form: 50,000 parts", form(BAD, FILE + part("content-disposition: form-data; name=a", b"") * 50_000 + END)
    yield (
        "form: a field that is no UTF-8",
        form(BAD, FILE + part('content-disposition: form-data; name="candidate_labels"', b"caf\xe9,tea") + END),
    )
    yield "form: labels in the query, too", Sent("POST", "/classify", BAD, FILE + WORDS + END, FORM, QUERY)
    yield (
        "form: an operation",
        form(BAD, FILE + WORDS + part("content-disposition: form-data; name=operation", b"inspect") + END),
    )


def kept() -> Iterator[tuple[str, Sent]]:
    """Tasks, uploads, annotations, imports, trainings, models and batches."""
    task = {"candidate_labels": ["a", "b"]}
    for name in ("-a", "A", "a" * 64, "a.b", "%2e%2e", "a%2Fb", "%00", "caf%C3%A9", "a b", "%ff"):
        yield f"a task called {name[:20]}", said(f"/tasks/{name}", BAD | NONE_SUCH, task, "PUT")
        for method in ("GET", "DELETE"):
            yield f"{method} of a task called {name[:20]}", Sent(method, f"/tasks/{name}", BAD | NONE_SUCH)
    yield (
        "a task of 2 MB",
        said("/tasks/large", TOO_LARGE, {"candidate_labels": [f"{n:0900}" for n in range(2000)]}, "PUT"),
    )
    for name, value in (
        ("a list", "1, 2"),
        ("no tag", '"'),
        ("100 kB", "a" * 100_000),
        ("a weak one", 'W/"a"'),
        ("signs", "\u00e9"),
    ):
        yield f"if-match is {name}", said("/tasks/none-such", BAD | {412}, task, "PUT", if_match=value)
    yield "if-none-match of an etag", said("/tasks/none-such", BAD, task, "PUT", if_none_match='"a"')
    for value in ("0", "-1", "101", "1e3", "\u0661", "9" * 5000, "", "1.0", "NaN"):
        for path in ("/tasks", "/annotations", "/trainings", "/batches"):
            query = "limit=" + ("%D9%A1" if value == "\u0661" else value)
            allowed = GOOD if value == "" or (value == "101" and path == "/none") else frozenset()
            yield f"a limit of {value[:10]!r} for {path}", Sent("GET", path, BAD | allowed, query=query)
    for path in ("/tasks", "/annotations", "/trainings", "/batches"):
        for name, cursor in (
            ("a way out", "../../x"),
            ("1 kB", "a" * 1100),
            ("a NUL", "%00"),
            ("no UTF-8", "%FF"),
            ("another's", NOBODY),
        ):
            yield f"after {name} in {path}", Sent("GET", path, GOOD | BAD, query=f"after={cursor}")
        yield f"an unknown field for {path}", Sent("GET", path, BAD, query="page=2")
        yield f"a limit twice for {path}", Sent("GET", path, BAD, query="limit=1&limit=2")
    for dataset in ("..", "A", "a/b", "a" * 64, "%00", "", "caf%C3%A9"):
        yield (
            f"a dataset called {dataset[:10]}",
            Sent("GET", "/annotations", BAD if dataset else GOOD, query=f"dataset={dataset}"),
        )
    for image in ("", "x", "A" * 64, "0" * 63, "0" * 65, "0" * 64):
        yield (
            f"erase the image {image[:3]} of {len(image)}",
            Sent("DELETE", "/annotations", GOOD | ABSENT if image == "0" * 64 else BAD, query=f"image={image}"),
        )
    note = {"image": IMAGE, "label": "red"}
    for name, body in (
        ("nothing", {}), ("no image", {"label": "a"}), ("nothing said", {"image": IMAGE}),
        ("a task without a label", {"image": IMAGE, "sentences": "a", "task": "b"}),
        ("a label of numbers", {**note, "label": 0}), ("an unknown split", {**note, "split": "holdout"}),
        ("65 of them", {"annotations": [note] * 65}),
        ("none of them", {"annotations": []}), ("something else", {"annotations": {"a": 1}}),
        ("more beside them", {"annotations": [note], "task": "a"}),
        ("65 sentences", {"image": IMAGE, "sentences": [str(n) for n in range(65)]}),
        ("a blank sentence", {"image": IMAGE, "sentences": " "}),
        ("a surrogate", {"image": IMAGE, "sentences": "\ud800"}),
        ("an image of text", {"image": base64.b64encode(b"text").decode(), "label": "a"}),
    ):  # fmt: skip
        yield f"an annotation with {name}", said("/annotations", BAD | {422}, body)
    yield (
        "an annotation of an upload that is not there",
        said("/annotations", ABSENT, {**note, "image": {"s3_key": "uploads/none"}}),
    )
    for name, key in (
        ("blank", " "),
        ("empty", ""),
        ("256 characters", "k" * 256),
        ("a tab", "a\tb"),
        ("signs", "k\u00e9"),
    ):
        yield (
            f"an idempotency key that is {name}",
            said("/annotations", BAD | CREATED | GOOD, note, idempotency_key=key),
        )
    for name, body in (
        ("none", {}), ("both", {"s3_key": "uploads/a", "s3_prefix": "uploads/b"}),
        ("elsewhere", {"s3_prefix": "tasks/"}),
        ("a way out", {"s3_prefix": "uploads/../tasks/"}), ("everything", {"s3_prefix": ""}),
        ("a long one", {"s3_key": "uploads/" + "a" * 1100}),
        ("a number", {"s3_key": 1}), ("a surrogate", {"s3_key": "uploads/\ud800"}),
        ("a NUL", {"s3_key": "uploads/\0"}),
    ):  # fmt: skip
        may = BAD | ABSENT | ({202} if name in ("a way out", "a NUL") else frozenset())
        yield f"an import of {name}", said("/annotations/imports", may, {"dataset": "hostile", **body})
        yield f"a batch of {name}", said("/batches", may, {"parameters": LABELS, **body})
    for name, body in (
        ("no question", {"s3_prefix": "collections/a/"}),
        ("two questions", {"s3_prefix": "collections/a/", "task": "a", "parameters": LABELS}),
        ("an unknown task", {"s3_prefix": "collections/a/", "task": "none-such"}),
        ("bad labels", {"s3_prefix": "collections/a/", "parameters": {"candidate_labels": ["a"]}}),
    ):  # fmt: skip
        yield f"a batch with {name}", said("/batches", BAD | ABSENT, body)
    for name, hyperparameters in (
        ("an unknown one", {"stepz": 1}), ("a word", {"steps": "many"}), ("a negative one", {"steps": -1}),
        ("NaN", {"learning_rate": "NaN"}),
        ("1e999", {"learning_rate": 1e308 * 10}), ("a list", {"steps": [1]}),
        ("10,000 of them", {f"a{n}": 1 for n in range(10_000)}), ("a long name", {"k" * 100_000: 1}),
    ):  # fmt: skip
        yield (
            f"a training with {name}",
            said("/trainings", BAD | ABSENT, {"dataset": "hostile", "hyperparameters": hyperparameters}),
        )
    for name, body in (
        ("no time", {"max_runtime_s": 0}), ("no money", {"max_spend_usd": 0}),
        ("another promotion", {"promote": "always"}), ("another base", {"base_version": "none-such"}),
        ("a base out of the folder", {"base_version": "../base"}), ("an empty dataset", {}),
        ("endless money", {"max_spend_usd": 1e300}),
    ):  # fmt: skip
        yield f"a training with {name}", said("/trainings", BAD | ABSENT | {409}, {"dataset": "hostile-none", **body})
    for name, body in (
        ("nothing", {}), ("another bucket", {"s3_uri": "s3://somebody/models/a/", "version": "a"}),
        ("no address", {"s3_uri": "models/a/", "version": "a"}),
        ("an empty version", {"s3_uri": "s3://b/models/a/", "version": ""}),
        ("a version with CR LF", {"s3_uri": "s3://b/models/a/", "version": "a\r\nb"}),
        ("a file's address", {"s3_uri": "file:///etc/", "version": "a"}),
        ("an address of 100 kB", {"s3_uri": "s3://b/models/" + "a" * 100_000, "version": "a"}),
        ("a surrogate", {"s3_uri": "s3://b/models/\ud800/", "version": "a"}),
        ("base again", {"s3_uri": "s3://b/models/a/", "version": "base"}),
    ):  # fmt: skip
        yield f"a model from {name}", said("/models", BAD | ABSENT | {409}, body)
    for count in (0, 65, -1, 1.5, "two", 10**400):
        yield f"{str(count)[:5]} uploads", said("/uploads", BAD, {"count": count})
    yield "uploads as many as null says", said("/uploads", CREATED, {"count": None})
    for media_type in ("text/html", "image/", "image/é", "a" * 1000, "image/png\r\nx: y", 5):
        may = BAD | (CREATED if media_type == "image/png\r\nx: y" else frozenset())
        yield f"an upload of {str(media_type)[:20]!r}", said("/uploads", may, {"content_type": media_type})
    for path in ("/annotations/{}", "/annotations/imports/{}", "/trainings/{}", "/batches/{}", "/models/{}"):
        for name in (NOBODY, "none", "%2e%2e%2f", "0" * 36, "a" * 2000, "%00", "%FF", "caf%C3%A9", "a%0d%0ab"):
            yield f"GET {path.format(name[:20])}", Sent("GET", path.format(name), NONE_SUCH)
        yield f"DELETE {path.format(NOBODY)}", Sent("DELETE", path.format(NOBODY), NONE_SUCH)
    yield "promote nothing", Sent("POST", "/models/none-such/promote", ABSENT)
    yield "promote by force of words", said("/models/base/promote", BAD, {"force": "yes please"})
    yield "resume nothing", Sent("POST", f"/batches/{NOBODY}/resume", ABSENT)


def paths() -> Iterator[tuple[str, Sent]]:
    """Paths and methods that are none."""
    for path in (
        "/clasify", "/classify/", "//classify", "/classify/../health", "/%63lassify2", "/classify;a=b", "/.env",
            "/v1/v1/health",
        "/tasks/a/b", "/models/a/b/c", "/annotations/imports/a/b", "/health/x", "/openapi.yaml", "/admin",
            "/" + "a" * 5000,
    ):  # fmt: skip
        yield (
            f"GET {path[:30]}",
            Sent("GET", path, NONE_SUCH | GOOD if path in ("//classify", "/classify/../health") else NONE_SUCH),
        )
    for method in ("PUT", "PATCH", "DELETE", "TRACE"):
        yield f"{method} /classify", Sent(method, "/classify", NONE_SUCH)
    for path in ("/health", "/openapi.json", "/"):
        yield f"{path} with a query", Sent("GET", path, GOOD | BAD, query="a=b")


FAMILIES = (json_bodies, questions, queries, forms, kept, paths)
REQUESTS: Mapping[str, Sent] = {name: sent for family in FAMILIES for name, sent in family()}
