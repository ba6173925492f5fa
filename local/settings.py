"""Where the local system lives: its port, its state folder and the names of the files in it, each written once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ACCOUNT = "000000000000"
"""The emulator takes a 12-digit access key as the account; the CDK CLI caches accounts by access key."""

REGION = "us-east-1"

DEFAULT_PORT = 4566
STAGE = "dev"
"""The stage that local mode runs; others ask for hardware that a machine need not have, or keep their data."""

PORT_VARIABLE = "WORDSIGHT_LOCAL_PORT"
DIRECTORY_VARIABLE = "WORDSIGHT_LOCAL_DIR"


class LocalError(Exception):
    """Local mode cannot go on. The text says what went wrong and what to do about it."""


@dataclass(frozen=True)
class LocalSettings:
    """One local system. Two of them can run side by side with different ports and directories."""

    repository: Path
    directory: Path
    port: int
    answer_timeout_s: float = 30.0
    """How long a busy emulator may take to answer before it counts as hung."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read `WORDSIGHT_LOCAL_PORT` and `WORDSIGHT_LOCAL_DIR`; raises LocalError for a bad port.

        Without the first, the port is the one this directory's system was started with.
        """
        repository = Path(__file__).resolve().parents[1]
        directory = (repository / (environ.get(DIRECTORY_VARIABLE) or ".local")).resolve()
        recorded = directory / "port"
        started_with = recorded.read_text() if recorded.exists() else str(DEFAULT_PORT)
        port = environ.get(PORT_VARIABLE) or started_with
        if not (port.isdecimal() and 1024 <= int(port) <= 65535):
            raise LocalError(f"{PORT_VARIABLE} is {port!r}. It must be a whole number from 1024 to 65535.")
        return cls(repository=repository, directory=directory, port=int(port))

    @property
    def endpoint_url(self) -> str:
        """The emulator's address for every AWS client."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def owner_mark(self) -> Path:
        """Proof that we made the directory, and so may remove it."""
        return self.directory / "made-by-wordsight"

    @property
    def port_file(self) -> Path:
        """The port that the running system was started with."""
        return self.directory / "port"

    @property
    def pid_file(self) -> Path:
        """The emulator's process id."""
        return self.directory / "pid"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def cloud_assembly(self) -> Path:
        """What `cdk synth` wrote: templates, and the build contexts that stand for the images."""
        return self.directory / "cdk.out"

    @property
    def emulator_log(self) -> Path:
        return self.directory / "emulator.log"

    @property
    def cdk_log(self) -> Path:
        return self.directory / "cdk.log"

    @property
    def outputs(self) -> Path:
        """The stacks' outputs as `cdk deploy --outputs-file` wrote them."""
        return self.directory / "outputs.json"

    @property
    def url_file(self) -> Path:
        return self.directory / "url"

    @property
    def api_key_file(self) -> Path:
        return self.directory / "api-key"

    @property
    def programs(self) -> Path:
        """What stands for /opt/ml: one folder per running container."""
        return self.directory / "programs"

    @property
    def logs(self) -> Path:
        """One file per program that served or trained."""
        return self.directory / "logs"

    @property
    def temporary(self) -> Path:
        """TMPDIR of everything under local mode, so that nothing stays elsewhere."""
        return self.directory / "tmp"

    @property
    def node_modules(self) -> Path:
        return self.repository / "node_modules"
