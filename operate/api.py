"""The API of a deployed stage, called as its `auth` asks: with its key, or signed with the shell's credentials."""

from urllib.parse import urlsplit

import boto3

from operate.stage import Stage
from wordsight.api import Api
from wordsight.signing import signed


def open_api(stage: Stage) -> Api:
    """The stage's API. Raises OperatorError if it is not deployed."""
    outputs = stage.outputs("Api")
    client = stage.connect("apigateway")
    url = address(outputs["ApiUrl"], client.meta.endpoint_url)
    if "ApiKeyId" in outputs:
        return Api(url, client.get_api_key(apiKey=outputs["ApiKeyId"], includeValue=True)["value"])
    sign = signed(boto3.Session().get_credentials(), client.meta.region_name)  # which an open API does not look at
    return Api(url, key="", sign=sign)


def address(url: str, endpoint_url: str) -> str:
    """Where the API whose output is `url` is reached, without a final slash.

    `endpoint_url` is API Gateway's own address. Where that is AWS's the output is true. An emulator's outputs spell
    addresses of AWS as well, though the API is served under the emulator's address, which AWS's clients know from
    AWS_ENDPOINT_URL: so what is asked is the client, and no name of an emulator.
    """
    output = urlsplit(url)
    api, of_aws, region_and_suffix = (output.hostname or "").partition(".execute-api.")
    suffix = region_and_suffix.partition(".")[2]
    if not of_aws or (urlsplit(endpoint_url).hostname or "").endswith(f".{suffix}"):
        return url.rstrip("/")
    return f"{endpoint_url.rstrip('/')}/_aws/execute-api/{api}{output.path}".rstrip("/")
