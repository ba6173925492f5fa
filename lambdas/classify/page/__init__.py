"""The page at GET /: the files beside this one in one document, and headers that let it load nothing from elsewhere."""

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path

from contract.images import THUMBNAIL_SIZES_PX
from contract.limits import API_KEY_HEADER, MAX_INLINE_IMAGE_BYTES
from contract.questions import DEFAULT_HYPOTHESIS_TEMPLATE, UNKNOWN_LABEL

FOLDER = Path(__file__).parent
SCRIPTS = ("page", "images", "charts", "ask", "code", "teach", "models", "reference", "start")
"""One module in parts: what is used first comes first."""
COMMENT = re.compile(r"^ *//.*\n|^ */\*\*.*\*/\n", re.MULTILINE)
"""On a line of its own; it is for those who read the files, and is not sent."""


@cache
def html() -> str:
    """`index.html` with the style, the script and what the script needs of the contract, without comments."""
    contract = {
        **{"key_header": API_KEY_HEADER, "max_bytes": MAX_INLINE_IMAGE_BYTES, "unknown": UNKNOWN_LABEL},
        **{"template": DEFAULT_HYPOTHESIS_TEMPLATE, "thumbnail_px": THUMBNAIL_SIZES_PX[1]},
    }
    script = "".join(map(_text, (f"{name}.js" for name in SCRIPTS))).replace("{contract}", json.dumps(contract))
    script = COMMENT.sub("", script)
    return _text("index.html").replace("{style}", _text("style.css")).replace("{script}", script)


def security_headers() -> dict[str, str]:
    """Response headers of the page: its own script and style run, by their digests, and nothing else does."""
    policy = {
        "default-src": "'none'",
        "script-src": _digest('script type="module"'),
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


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def _digest(start: str) -> str:
    """The hash source of the one inline tag (https://www.w3.org/TR/CSP3/#grammardef-hash-source)."""
    found = re.search(rf"<{start}>(.*?)</{start.split()[0]}>", html(), re.DOTALL)
    if found is None:
        raise ValueError(f"index.html has no <{start}>")
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()}'"
