"""SageMaker's endpoints: models, endpoint configurations, blue/green updates, and the containers that answer."""

import contextlib
import http.client
import itertools
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from local.containers import Container, Images
from local.permissions import Denied, Permissions, container_facts
from local.processes import answers, free_port
from local.s3 import download_prefix, keys_under
from local.sagemaker import Answer, ApiError, Record, arn
from local.settings import ACCOUNT

DEFAULT_STARTUP_TIMEOUT_S = 480
"""SageMaker waits 8 minutes for /ping unless the variant says otherwise."""

PING_TIMEOUT_S = 2
INVOCATION_TIMEOUT_S = 60
STOP_GRACE_S = 30
"""SageMaker's own figures: a container must answer within 60 s and is killed 30 s after SIGTERM."""

RESTART_PAUSE_S = 1
MAX_CUSTOM_ATTRIBUTES_CHARACTERS = 1024

FORWARDED_HEADERS = ("content-type", "accept", "x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-inference-id")
"""InvokeEndpoint strips every other header before the container sees the request."""


class Table:
    """The records of one resource type, e.g. `Table("endpoint-config", "EndpointConfig")`."""

    def __init__(self, kind: str, prefix: str) -> None:
        self._kind = kind
        self._name, self._arn = f"{prefix}Name", f"{prefix}Arn"
        self._records: dict[str, Record] = {}

    def add(self, request: Record) -> Record:
        """Store a Create request under its name; returns what the API answers."""
        name = request[self._name]
        address = arn(self._kind, name)
        if name in self._records:
            raise ApiError(f'Cannot create already existing {self._kind} "{address}".')
        self._records[name] = {**request, self._arn: address, "CreationTime": time.time()}
        return {self._arn: address}

    def find(self, name: str) -> Record:
        if name not in self._records:
            raise ApiError(f'Could not find {self._kind} "{arn(self._kind, name)}".')
        return self._records[name]

    def remove(self, name: str) -> None:
        self.find(name)
        del self._records[name]


class InferenceContainer:
    """One `serve` program in `base`, listening on `port`. `start` launches it and can be called again."""

    def __init__(self, base: Path, port: int, start: Callable[[], Container]) -> None:
        self._base, self._port, self._start = base, port, start
        self._stopping = threading.Event()
        self._container = start()

    def wait_until_healthy(self, timeout_s: float) -> None:
        """Return once /ping answers 200, then keep the program alive; raises ApiError with the FailureReason."""
        deadline = time.monotonic() + timeout_s
        while not self.answers():
            how = ""
            if (code := self._container.exit_code) is not None:
                how = f"its program ended with code {code}"
            elif time.monotonic() > deadline:
                how = f"it had {timeout_s:g} s"
            if how:
                failed = f"The primary container did not pass the ping health check ({how})"
                raise ApiError(f"{failed}: {self._container.last_words()}", "EndpointFailed")
            time.sleep(0.1)
        threading.Thread(target=self._keep_alive, daemon=True).start()

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST /invocations; raises OSError or http.client.HTTPException when no whole answer comes in time."""
        forwarded = {name: value for name, value in headers.items() if name.lower() in FORWARDED_HEADERS}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=INVOCATION_TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request("POST", "/invocations", body, forwarded)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def answers(self) -> bool:
        """Whether /ping says 200."""
        return answers(f"http://127.0.0.1:{self._port}/ping", PING_TIMEOUT_S)

    def stop(self) -> None:
        """End the program after it has drained, and remove its folder."""
        self._stopping.set()
        self._container.stop(STOP_GRACE_S)
        shutil.rmtree(self._base, ignore_errors=True)

    def _keep_alive(self) -> None:
        while not self._stopping.is_set():
            self._container.wait()
            if not self._stopping.wait(RESTART_PAUSE_S):
                self._container = self._start()


class Endpoints:
    """Endpoints of one variant each. A container's folder is made under `directory`."""

    def __init__(self, directory: Path, images: Images, permissions: Permissions) -> None:
        self._directory, self._images, self._permissions = directory, images, permissions
        self.models = Table("model", "Model")
        self.configs = Table("endpoint-config", "EndpointConfig")
        self._endpoints = Table("endpoint", "Endpoint")
        self._serving: dict[str, InferenceContainer] = {}
        self._in_flight: Counter[InferenceContainer] = Counter()
        self._routing = threading.Condition()
        self._deployments: dict[str, threading.Thread] = {}
        self._numbers = itertools.count(1)

    def create_model(self, request: Record) -> Record:
        """Refuses, as SageMaker does, a model whose image or data cannot be found."""
        container = request["PrimaryContainer"]
        self._images.find(container["Image"])
        uri = _model_data_uri(container)
        if uri and not uri.endswith("/"):
            raise ApiError(f"S3Uri {uri} of type S3Prefix must end with a slash.")
        try:
            if uri and not keys_under(self._permissions.s3(request["ExecutionRoleArn"]), uri):
                raise ApiError(f"Could not find model data at {uri}.")
        except ClientError as error:
            raise ApiError(f"Could not access model data at {uri}: {error}") from None
        return self.models.add(request)

    def create_endpoint_config(self, request: Record) -> Record:
        for variant in request["ProductionVariants"]:
            self.models.find(variant["ModelName"])
        return self.configs.add(request)

    def create_endpoint(self, request: Record) -> Record:
        self.configs.find(request["EndpointConfigName"])
        answer = self._endpoints.add({**request, "EndpointStatus": "Creating"})
        self._deploy(request)
        return answer

    def update_endpoint(self, request: Record) -> Record:
        endpoint = self._endpoints.find(request["EndpointName"])
        self.configs.find(request["EndpointConfigName"])
        if endpoint["EndpointStatus"] != "InService":
            raise ApiError(f"Cannot update endpoint in status {endpoint['EndpointStatus']}.")
        endpoint["EndpointStatus"] = "Updating"
        self._deploy(request)
        return {"EndpointArn": endpoint["EndpointArn"]}

    def describe_endpoint(self, request: Record) -> Record:
        endpoint = self._endpoints.find(request["EndpointName"])
        serving = self._serving.get(request["EndpointName"])
        if serving is None or serving.answers():
            return endpoint
        gone = [{**each, "CurrentInstanceCount": 0} for each in endpoint.get("ProductionVariants", [])]
        return {**endpoint, "ProductionVariants": gone}

    def delete_endpoint(self, name: str) -> None:
        self.settle(name)
        with self._routing:
            serving = self._serving.pop(name, None)
        if serving:
            self._retire(serving)
        self._endpoints.remove(name)

    def settle(self, name: str) -> Record:
        """Wait until the endpoint is no longer Creating or Updating; returns its description."""
        if deployment := self._deployments.get(name):
            deployment.join()
        return self._endpoints.find(name)

    def invoke(self, name: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The container's answer if it is a success; raises ApiError (ModelError, 424) if it is not."""
        if len(headers.get("x-amzn-sagemaker-custom-attributes", "")) > MAX_CUSTOM_ATTRIBUTES_CHARACTERS:
            raise ApiError("CustomAttributes must be at most 1024 characters long.", "ValidationError")
        try:
            with self._routed(name) as serving:
                answer = serving.invoke(body, headers)
        except TimeoutError:
            raise _model_error(0, "Your invocation timed out while waiting for a response from container") from None
        except (OSError, http.client.HTTPException) as error:
            raise _model_error(0, f"The connection to the container broke: {error!r}") from None
        if answer.status >= 300:
            raise _model_error(answer.status, answer.body.decode("utf-8", "replace"))
        return answer

    @contextlib.contextmanager
    def _routed(self, name: str) -> Iterator[InferenceContainer]:
        """The container that a request of now goes to; until the request is answered, an update lets it run."""
        with self._routing:
            serving = self._serving.get(name)
            if serving is None:
                raise ApiError(f"Endpoint {name} of account {ACCOUNT} not found.", "ValidationError")
            self._in_flight[serving] += 1
        try:
            yield serving
        finally:
            with self._routing:
                self._in_flight[serving] -= 1
                self._routing.notify_all()

    def _retire(self, serving: InferenceContainer) -> None:
        """End a container that nothing is routed to any more, once it has answered what it was asked."""
        with self._routing:
            self._routing.wait_for(lambda: not self._in_flight[serving])
            del self._in_flight[serving]
        serving.stop()

    def stop_all(self) -> None:
        for serving in self._serving.values():
            serving.stop()

    def _deploy(self, request: Record) -> None:
        name, config_name = request["EndpointName"], request["EndpointConfigName"]
        of_update = (name, config_name, alarms_of(request))
        self._deployments[name] = threading.Thread(target=self._replace, args=of_update, daemon=True)
        self._deployments[name].start()

    def _replace(self, name: str, config_name: str, alarms: list[str]) -> None:
        """Blue/green: the new container must be healthy before it takes over; if it fails, the old one goes on."""
        endpoint, old = self._endpoints.find(name), self._serving.get(name)
        try:
            variant = self.configs.find(config_name)["ProductionVariants"][0]
            for alarm in alarms if old else ():
                role = self.models.find(variant["ModelName"])["ExecutionRoleArn"]
                self._permissions.imply("alarms guard an update", role, alarm=alarm)
            new = self._serve(name, variant)
        except (ApiError, Denied, OSError, Boto3Error, BotoCoreError, ClientError) as error:
            endpoint.update(EndpointStatus="InService" if old else "Failed", FailureReason=str(error))
            return
        with self._routing:
            self._serving[name] = new
        count = variant.get("InitialInstanceCount", 1)
        summary = {"VariantName": variant["VariantName"], "CurrentInstanceCount": count, "DesiredInstanceCount": count}
        endpoint.pop("FailureReason", None)
        endpoint.update(EndpointStatus="InService", EndpointConfigName=config_name, ProductionVariants=[summary])
        if old:
            self._retire(old)

    def _serve(self, endpoint_name: str, variant: Record) -> InferenceContainer:
        """A healthy container of the variant's model; raises ApiError and leaves no process behind."""
        record = self.models.find(variant["ModelName"])
        model, role = record["PrimaryContainer"], record["ExecutionRoleArn"]
        program = self._images.find(model["Image"])
        base = self._directory / f"{endpoint_name}-{next(self._numbers)}"
        group = f"/aws/sagemaker/Endpoints/{endpoint_name}"
        stream = f"{variant['VariantName']}/{base.name}"
        known = container_facts(model["Image"], group, stream, "/aws/sagemaker/Endpoints")
        self._permissions.imply("a container starts", role, **known)
        (base / "model").mkdir(parents=True)
        if uri := _model_data_uri(model):
            download_prefix(self._permissions.s3(role), uri, base / "model")
        port = free_port()
        address = {"SAGEMAKER_BIND_TO_PORT": str(port), "BIND_HOST": "127.0.0.1"}
        environment = {**model.get("Environment", {}), **address}
        start = partial(self._images.start, program, "serve", base, environment, group, stream)
        container = InferenceContainer(base, port, start)
        timeout_s = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_STARTUP_TIMEOUT_S)
        try:
            container.wait_until_healthy(timeout_s)
        except ApiError:
            container.stop()
            raise
        return container


def alarms_of(request: Record) -> list[str]:
    """Names of the alarms that end an update."""
    rollback = request.get("DeploymentConfig", {}).get("AutoRollbackConfiguration", {})
    return [alarm["AlarmName"] for alarm in rollback.get("Alarms", [])]


def _model_data_uri(container: Record) -> str:
    return str(container.get("ModelDataSource", {}).get("S3DataSource", {}).get("S3Uri", ""))


def _model_error(status: int, message: str) -> ApiError:
    side = "client" if 400 <= status < 500 else "server"
    text = f'Received {side} error ({status}) from primary with message "{message}".'
    return ApiError(text, "ModelError", 424, OriginalStatusCode=status, OriginalMessage=message)
