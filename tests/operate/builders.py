"""Builders of container images: small programs under a builder's name, as far as a preflight speaks to one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OCI = "application/vnd.oci.image.manifest.v1+json"
CLASSIC: Mapping[str, Any] = {"Id": "sha256:0", "Architecture": "amd64"}
"""What Docker's older store says of an image: nothing of its manifest."""
CONTAINERD: Mapping[str, Any] = {**CLASSIC, "Descriptor": {"mediaType": OCI}}
PODMAN: Mapping[str, Any] = {**CLASSIC, "ManifestType": OCI}

SCRIPT = """#!/bin/sh
echo "$@" >> {log}
case "$1" in
{cases}
image) [ "$2" = inspect ] && cat {image}; exit 0 ;;
build) for context; do :; done; grep -q "FROM scratch" "$context/Dockerfile" ;;
esac
"""


def install(folder: Path, name: str = "docker", image: Mapping[str, Any] = CLASSIC, **fails: str) -> dict[str, str]:
    """An environment whose PATH leads to such a program. `fails`: commands by what they say before they end with 1."""
    described, log = folder / f"{name}.json", folder / f"{name}.log"
    described.write_text(json.dumps([image]))
    log.touch()
    cases = "\n".join(f"{command}) echo '{said}' >&2; exit 1 ;;" for command, said in fails.items())
    return program(folder, name, SCRIPT.format(log=log, image=described, cases=cases))


def program(folder: Path, name: str, script: str) -> dict[str, str]:
    """An environment whose PATH leads to a shell script of this name first."""
    path = folder / name
    path.write_text(script)
    path.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def commands(folder: Path, name: str = "docker") -> list[str]:
    """What was asked of the program."""
    return (folder / f"{name}.log").read_text().splitlines()
