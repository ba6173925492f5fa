"""The first question to the deployed API: what is on the sample image? And how to ask one's own."""

import json
import shlex
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from local.deployment import Deployment
from local.settings import ACCOUNT, REGION, SECRET, LocalError

IMAGE = Path(__file__).with_name("sample.png")
LABELS = ("fish", "house", "tree", "car")
LABELS_IN_A_URL = quote(",".join(LABELS), safe=",")

ANSWER_TIMEOUT_S = 60
BAR_WIDTH = 30

Scores = list[dict[str, float | str]]


def classify(deployment: Deployment, image: Path = IMAGE) -> Scores:
    """POST the image and LABELS to /classify; waits while the API says it is not ready. Raises LocalError."""
    url = f"{deployment.url}/classify?candidate_labels={quote(','.join(LABELS), safe='')}"
    signed = AWSRequest("POST", url, {"content-type": "image/png"}, image.read_bytes())
    if deployment.api_key:
        signed.headers["x-api-key"] = deployment.api_key
    if deployment.signed:
        SigV4Auth(boto3.Session().get_credentials(), "execute-api", REGION).add_auth(signed)
    request = urllib.request.Request(url, signed.data, dict(signed.headers))  # noqa: S310
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S) as response:  # noqa: S310
                return list(json.load(response))
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > deadline:
                text = error.read().decode("utf-8", "replace")
                raise LocalError(f"POST {url} answered {error.code}: {text}") from None
            time.sleep(0.5)


def health(deployment: Deployment) -> dict[str, Any]:
    """The answer of GET /health, which needs no key; nothing if the API is not ready."""
    try:
        with urllib.request.urlopen(f"{deployment.url}/health", timeout=ANSWER_TIMEOUT_S) as response:  # noqa: S310
            return dict(json.load(response))
    except OSError:
        return {}


def picture(scores: Scores) -> str:
    """The answer with a bar per label."""
    width = max(len(str(score["label"])) for score in scores)
    return "\n".join(
        f"  {score['label']:<{width}}  {float(score['score']):5.1%}  {'█' * round(BAR_WIDTH * float(score['score']))}"
        for score in scores
    )


def examples(deployment: Deployment) -> list[str]:
    """Commands to paste into a shell: curl with a file, curl with a form, and Python, whose client can't sign."""
    image, labels = shlex.quote(_relative(IMAGE)), ",".join(LABELS)
    key = f"-H 'x-api-key: {deployment.api_key}' " if deployment.api_key else ""
    if deployment.signed:
        key = f"--aws-sigv4 aws:amz:{REGION}:execute-api --user {ACCOUNT}:{SECRET} "
    headers = f", headers={{'x-api-key': '{deployment.api_key}'}}" if deployment.api_key else ""
    token = deployment.api_key or "none"  # else the client would send the Hugging Face login's, if there is one
    of_curl = [
        f"curl {key}-H 'content-type: image/png' --data-binary @{image} "
        f"'{deployment.url}/classify?candidate_labels={LABELS_IN_A_URL}'",
        f"curl {key}-F image=@{image} -F 'candidate_labels={labels}' {deployment.url}/classify",
    ]
    of_python = f"""{shlex.quote(_relative(Path(sys.executable)))} - <<'END'
from huggingface_hub import InferenceClient
client = InferenceClient(model='{deployment.url}/classify'{headers}, token='{token}')
print(client.zero_shot_image_classification('{_relative(IMAGE)}', candidate_labels={list(LABELS)}))
END"""
    return of_curl if deployment.signed else [*of_curl, of_python]


def _relative(path: Path) -> str:
    """As a person in the current folder would type it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
