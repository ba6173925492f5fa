"""The newest pause or resume of the endpoint, as it is stored: what a call is told that finds no endpoint."""

from contract.endpoint import CHANGE_KEY, EndpointChange, Paused, Standing, standing
from contract.problems import Conflict
from lambdas.aws.clients import Connect
from lambdas.aws.endpoint import Endpoint
from lambdas.aws.s3 import Document, Store


class Changes:
    """That of one stage. Every method raises ServiceUnavailable if S3 does not answer."""

    def __init__(self, data: Store) -> None:
        self._data = data

    def newest(self) -> Document[EndpointChange] | None:
        """The newest change with its state, None if there never was one."""
        found = self._data.read(CHANGE_KEY)
        return Document(found.key, EndpointChange.model_validate(found.value), found.etag) if found else None

    def write(self, change: EndpointChange, over: Document[EndpointChange] | None) -> Document[EndpointChange]:
        """Store a change in the place of `over`. Raises PreconditionFailed if another writer came first."""
        return self._data.write(CHANGE_KEY, change, etag=over.etag if over else None, absent=over is None)

    def standing(self) -> Standing | None:
        """How the stage is, if it is paused or about to be; None if there should be an endpoint as ever."""
        newest = self.newest()
        return standing(newest.value) if newest else None

    def why_absent(self) -> Paused | None:
        """What a call is told that finds no endpoint, if that is on purpose."""
        found = self.standing()
        return Paused(found) if found else None

    def refuse(self, what: str) -> None:
        """Raises Conflict if the stage is paused or about to be: `what` needs the endpoint."""
        if found := self.standing():
            raise Conflict(f"{what} needs the endpoint, and {found.sentence}")


def endpoint_of(name: str, data: Store, connect: Connect) -> Endpoint:
    """The endpoint as calls find it that say why there is none, if the stage is paused."""
    return Endpoint(name, connect, why_absent=Changes(data).why_absent)
