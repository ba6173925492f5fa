"""Any route of the API, in a dozen lines to copy: of WORDSIGHT_URL's, else of the one that `make local` has started."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import requests

LOCAL = Path(__file__).resolve().parent.parent / ".local"
BUSY, ATTEMPTS = (429, 503, 504), 8


def ask(method: str, path: str, **request: Any) -> Any:
    """The JSON that it answers; what comes too fast for it is sent again. Ends the program if it refuses."""
    url = os.environ.get("WORDSIGHT_URL") or (LOCAL / "url").read_text().strip()
    key = os.environ.get("WORDSIGHT_API_KEY") or (LOCAL / "api-key").read_text().strip()
    for _ in range(ATTEMPTS):
        answer = requests.request(method, f"{url}/{path}", headers={"x-api-key": key}, timeout=60, **request)
        if answer.status_code not in BUSY:
            break
        time.sleep(float(answer.headers.get("retry-after", 2)))
    if not answer.ok:
        sys.exit(f"{method} /{path}: {answer.json().get('detail', answer.text)}")
    return answer.json() if answer.content else None
