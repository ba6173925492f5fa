"""Which deployment is meant: what the flags say, else the environment, else the one that runs on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wordsight.api import Api, CommandError

URL_VARIABLE = "WORDSIGHT_URL"
KEY_VARIABLE = "WORDSIGHT_API_KEY"
LOCAL = Path(__file__).resolve().parent.parent / ".local"
"""Where `make local` writes down the address and the key."""


def connect(url: str | None, key: str | None, environ: Mapping[str, str], local: Path = LOCAL) -> Api:
    """The API. Raises CommandError if nothing says where it is."""
    if found := url or environ.get(URL_VARIABLE):
        return Api(found, key or environ.get(KEY_VARIABLE) or "")
    if not (local / "url").is_file():
        raise CommandError(
            f"no API is known: give --url and --api-key, or set {URL_VARIABLE} and {KEY_VARIABLE}, "
            "or start one on this machine: make local"
        )
    return Api((local / "url").read_text().strip(), key or (local / "api-key").read_text().strip())
