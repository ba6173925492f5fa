"""The page at GET /: one file, and headers that let it load nothing from anywhere else."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from contract.limits import MAX_INLINE_IMAGE_BYTES


@cache
def html() -> str:
    """`page.html` with the contract's limit in its place."""
    text = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return text.replace("{max_inline_image_bytes}", str(MAX_INLINE_IMAGE_BYTES))


def security_headers() -> dict[str, str]:
    """Response headers of the page: its own script and style run, by their digests, and nothing else does."""
    policy = {
        "default-src": "'none'",
        "script-src": _digest("script"),
        "style-src": _digest("style"),
        "img-src": "blob: data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }


@cache
def _digest(tag: str) -> str:
    """The hash source of the one inline `tag` (https://www.w3.org/TR/CSP3/#grammardef-hash-source)."""
    found = re.search(rf"<{tag}>(.*?)</{tag}>", html(), re.DOTALL)
    if found is None:
        raise ValueError(f"page.html has no <{tag}> without attributes")
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()}'"
