"""`embed`: CLIP's unit vectors of images and texts, as lines of JSON."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from contract.limits import MAX_TEXTS
from wordsight.api import Api, CommandError
from wordsight.bulk import Failed, Told, add_images, ask_each
from wordsight.images import STDIN, Found, find_images
from wordsight.terminal import json_line


def add(parser: ArgumentParser) -> None:
    add_images(parser, "*")
    parser.add_argument("--text", action="append", default=[], metavar="TEXT", help="repeat it for several")
    parser.add_argument("--texts", metavar="FILE", help="a text per line; - is standard input")


def run(api: Api, arguments: Namespace) -> None:
    """Print each vector as it comes. Raises CommandError if nothing is given, and at the end if an image has none."""
    texts = [*arguments.text, *_lines(arguments.texts)]
    if not texts and not arguments.images:
        raise CommandError("nothing to embed is given: images, folders, --text or --texts")
    found = find_images(arguments.images) if arguments.images else Found([], 0)
    for first in range(0, len(texts), MAX_TEXTS):
        some = texts[first : first + MAX_TEXTS]
        answer = api.ask("POST", "/embed", {"inputs": {"texts": some}})
        for text, embedding in zip(some, answer["texts"], strict=True):
            print(json_line({"text": text, "embedding": embedding}))

    def ask(patient: Api, images: list[Any]) -> list[Any]:
        answers: list[Any] = patient.ask("POST", "/embed", {"inputs": {"images": images}})["images"]
        return answers

    told = Told(found, arguments)
    for path, outcome in told.each(ask_each(api, found.paths, ask)):
        said = {"error": outcome.sentence} if isinstance(outcome, Failed) else {"embedding": outcome}
        print(json_line({"path": path, **said}))
        sys.stdout.flush()
    told.end()


def _lines(path: str | None) -> list[str]:
    if path is None:
        return []
    try:
        text = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
        return [line for line in text.decode().splitlines() if line.strip()]
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is no UTF-8 text") from None
