"""Signatures of AWS (SigV4) for APIs whose callers sign (`auth=iam`), by botocore where that is installed."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

Sign = Callable[[str, str, bytes | None, Mapping[str, str]], Mapping[str, str]]
"""From a request's method, address, body and headers to the headers with a signature."""

_REGION_OF_HOST = re.compile(r"\.execute-api\.([a-z0-9-]+)\.")


def signed_by_the_shell(url: str, environ: Mapping[str, str]) -> Sign | None:
    """Signatures with the shell's AWS credentials, or None where there are none, or no botocore."""
    try:
        import botocore.session
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return None
    try:
        session = botocore.session.Session()
        credentials = session.get_credentials()
    except BotoCoreError:  # such as a profile that is not there
        return None
    of_host = _REGION_OF_HOST.search(urlsplit(url).hostname or "")
    region = of_host[1] if of_host else environ.get("AWS_REGION") or session.get_config_variable("region")
    return signed(credentials, region) if credentials and region else None


def signed(credentials: Any, region: str) -> Sign:
    """Signatures for API Gateway with botocore's `credentials`."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    def sign(method: str, url: str, content: bytes | None, headers: Mapping[str, str]) -> Mapping[str, str]:
        request = AWSRequest(method, url, data=content, headers=dict(headers))
        SigV4Auth(credentials, "execute-api", region).add_auth(request)
        return dict(request.headers.items())

    return sign
