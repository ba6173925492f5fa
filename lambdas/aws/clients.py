"""AWS clients whose patience fits into the timeout ladder of the contract."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from contract.limits import LAMBDA_TIMEOUT_S, SDK_CONNECT_TIMEOUT_S, SDK_MAX_ATTEMPTS, SDK_READ_TIMEOUT_S

STORAGE_TIMEOUT_S = LAMBDA_TIMEOUT_S - SDK_CONNECT_TIMEOUT_S - SDK_READ_TIMEOUT_S
"""How long S3 may be silent: what the ladder leaves beside the model's own time."""

Connect = Callable[[str], Any]
"""From a service's name to its boto3 client, the same one each time."""


@cache
def connect(service: str) -> Any:
    """The boto3 client of `service`, made at its first use: most calls need one of the three."""
    return boto3.client(
        service,
        config=Config(
            connect_timeout=SDK_CONNECT_TIMEOUT_S,
            read_timeout=STORAGE_TIMEOUT_S if service == "s3" else SDK_READ_TIMEOUT_S,
            retries={"total_max_attempts": SDK_MAX_ATTEMPTS},
            tcp_keepalive=True,
            # What is signed for others must be so as every region takes it, and lead to the bucket's own region: by
            # default forms carry the old signature in us-east-1, and lead there from everywhere else.
            signature_version="s3v4" if service == "s3" else None,
            s3={"addressing_style": "virtual"},
        ),
    )
