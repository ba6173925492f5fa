"""The environment of the Lambdas: every name written once, read once, never looked up elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

ENDPOINT_NAME = "ENDPOINT_NAME"
DATA_BUCKET = "DATA_BUCKET"
CORS_ORIGINS = "CORS_ORIGINS"  # separated by commas; absent or empty: no other site may call the API from a browser

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
_ENDPOINT_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
ORIGIN = re.compile(r"\*|https?://[^/\s,*]+")
"""What `cors_origins` may hold: every origin, or one by its scheme, host and port."""


class SettingsError(Exception):
    """A Lambda's environment is incomplete or wrong; the message names every fault."""


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """What the API's function needs to know.

    Built directly, by the stack that writes it, nothing is checked: names are still CDK tokens there.
    """

    endpoint_name: str
    data_bucket: str
    cors_origins: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read what `to_env` wrote.

        Raises SettingsError naming every variable that is missing or malformed, its value and what is allowed.
        """
        endpoint_name = environ.get(ENDPOINT_NAME, "")
        data_bucket = environ.get(DATA_BUCKET, "")
        origins = tuple(part.strip() for part in environ.get(CORS_ORIGINS, "").split(",") if part.strip())
        faults = [
            *_faults(ENDPOINT_NAME, endpoint_name, _ENDPOINT_NAME, "letters, digits and hyphens, at most 63"),
            *_faults(DATA_BUCKET, data_bucket, _BUCKET_NAME, "the name of an S3 bucket"),
        ]
        for origin in origins:
            faults += _faults(CORS_ORIGINS, origin, ORIGIN, "* or origins such as https://example.com, no path")
        if faults:
            raise SettingsError("; ".join(faults))
        return cls(endpoint_name=endpoint_name, data_bucket=data_bucket, cors_origins=origins)

    def to_env(self) -> dict[str, str]:
        """The function's environment variables, by name."""
        return {
            ENDPOINT_NAME: self.endpoint_name,
            DATA_BUCKET: self.data_bucket,
            CORS_ORIGINS: ",".join(self.cors_origins),
        }


def _faults(name: str, value: str, pattern: re.Pattern[str], allowed: str) -> list[str]:
    if not value:
        return [f"the environment variable {name} is missing or empty: set it to {allowed}"]
    if not pattern.fullmatch(value):
        return [f"the environment variable {name} is {value!r}, allowed is {allowed}"]
    return []
