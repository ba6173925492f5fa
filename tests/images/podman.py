"""podman where no Docker engine answers: root on Debian, with nothing from a registry.

Layers and the base image are kept in a folder; all else of a run, mounts included, goes with it.
"""

import fcntl
import hashlib
import importlib.metadata
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import hub
from tests.images import pip_settings
from tests.images.engine import Engine, timed

SHIPPED = Path(__file__).parents[2] / "model" / "shipped"

HUB_PORT = 20_000 + zlib.crc32(str(SHIPPED).encode()) % 10_000
"""Always the same, since it is part of the key that the layer of weights is kept by; another for another checkout."""

TOOLS = ("podman", "runc", "mmdebstrap")

DEBIAN = (
    *("mmdebstrap", "--quiet", "--variant=minbase", "--format=tar"),
    "--include=python3,python3-pip,ca-certificates,netbase",
    *(f"--dpkgopt=path-exclude=/usr/share/{unused}/*" for unused in ("doc", "man", "locale")),
    # pip may install where apt does: nobody else lives there
    '--customize-hook=rm "$1"/usr/lib/python3*/EXTERNALLY-MANAGED; ln -s /usr/bin/python3 "$1/usr/local/bin/python"',
    *("bookworm", "-"),
)
"""Makes what stands in for python:3.12-slim, as a tar. Its Python is 3.11, the oldest that Wordsight runs on."""

BASE_IMAGE = f"localhost/wordsight-base:{hashlib.sha256(' '.join(DEBIAN).encode()).hexdigest()[:12]}"

BUILD = ("build", "--isolation=chroot", "--layers", "--pull=never", "--format=docker")

STORAGE = """
[storage]
driver = "overlay"
graphroot = "{cache}/layers"
runroot = "{run}/storage"
"""
# runc and cgroupfs ask for fewer rights than crun and systemd, which a machine that is a container itself has not
ENGINE = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{run}/tmp"
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=20000:20000", "nproc=4000:4000"]
"""


def obstacle() -> str | None:
    """Why podman can't be had here, or None. Installs it if that is all that is missing."""
    if platform.machine() != "x86_64":
        return f"the images are for x86-64, and this machine is {platform.machine()}"
    if os.geteuid() != 0:
        return "without Docker it takes root"
    said = ""
    if _missing_tools() and shutil.which("apt-get"):
        print(f"installing {', '.join(_missing_tools())}", flush=True)
        said = _apt_get("update") + _apt_get("install", "--yes", "--no-install-recommends", *_missing_tools())
    if missing := _missing_tools():
        return f"{', '.join(missing)} can't be found, nor be installed by apt-get: {said[-1000:] or 'it is not here'}"
    return None


def _missing_tools() -> list[str]:
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def _apt_get(*arguments: str) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", "-qq", *arguments], env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


@contextmanager
def engine(cache: Path) -> Iterator[Engine]:
    """podman with its layers in `cache`, for one at a time."""
    cache.mkdir(exist_ok=True)
    with (
        (cache / "lock").open("w") as lock,
        tempfile.TemporaryDirectory(prefix="ws", dir="/run") as run,  # short: sockets' paths have 108 characters
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends this early leaves no mounts, either
        (Path(run) / "storage.conf").write_text(STORAGE.format(cache=cache, run=run))
        (Path(run) / "containers.conf").write_text(ENGINE.format(run=run))
        podman = Engine(
            "podman",
            {
                "CONTAINERS_STORAGE_CONF": f"{run}/storage.conf",
                "CONTAINERS_CONF": f"{run}/containers.conf",
                "TMPDIR": str(cache / "tmp"),
            },
        )
        try:
            _clean(podman, cache)  # after a run that was killed
            (cache / "tmp").mkdir()
            yield podman
        finally:
            _clean(podman, cache)
            _unmount(Path(run))


def _clean(podman: Engine, cache: Path) -> None:
    """Remove containers, those of builds that failed included, and what they mounted."""
    podman("rm", "--all", "--force", check=False)
    podman("system", "prune", "--external", "--force", check=False)
    _unmount(cache)
    for of_this_run in ("tmp", "layers/libpod"):  # the latter knows the folder in /run
        shutil.rmtree(cache / of_this_run, ignore_errors=True)


def _unmount(folder: Path) -> None:
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in reversed(mounted):
        if Path(mount).is_relative_to(folder):
            subprocess.run(["umount", "--lazy", mount], check=False)


@contextmanager
def how_to_build(podman: Engine, scratch: Path) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    """A build's options, and its arguments in place of the Dockerfile's defaults: the base image and the hub that there
    are without a registry and a network.
    """
    _make_base(podman)
    hub.publish(SHIPPED, scratch / "repository")
    repositories = {hub.MODEL_ID: hub.Repository.of(scratch / "repository")}
    with hub.serving(repositories, port=HUB_PORT) as served:
        arguments = {
            "BASE_IMAGE": BASE_IMAGE,
            "HF_ENDPOINT": served.url,
            "MODEL_ID": hub.MODEL_ID,
            "MODEL_REVISION": hub.REVISION,
        }
        if importlib.metadata.version("torch").endswith("+cpu"):
            arguments["TORCH_CPU_INDEX"] = ""  # this machine's own pip settings lead to torch's build for CPUs
        yield (*BUILD, *pip_settings.volumes(scratch)), arguments


def _make_base(podman: Engine) -> None:
    """Make the image BASE_IMAGE, unless it is there."""
    if podman("image", "exists", BASE_IMAGE, check=False).returncode == 0:
        return
    variables = ("PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8")
    changes = [f"--change=ENV {variable}" for variable in variables]
    with timed("made the base image"), subprocess.Popen(DEBIAN, stdout=subprocess.PIPE) as debian:
        podman("import", "--quiet", *changes, "-", BASE_IMAGE, stdin=debian.stdout)
    if debian.returncode != 0:
        podman("rmi", BASE_IMAGE)
        raise RuntimeError(f"mmdebstrap ended with {debian.returncode}")
