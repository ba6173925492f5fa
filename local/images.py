"""What an image would run, without running it: the CDK stages every image's build context in the cloud assembly under
the hash that becomes the image's tag, and the Dockerfile in there says which program it starts."""

import json
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path


class ImageError(ValueError):
    """No program can be found for an image URI. The text names the image and the folder that was searched."""


@dataclass(frozen=True)
class Program:
    """The command line of an image before its argument, its working directory and the environment its ENV lines set."""

    command: tuple[str, ...]
    directory: Path
    environment: dict[str, str]


def find_program(image_uri: str, cloud_assembly: Path) -> Program:
    """The program of the image that CDK would have built and pushed as `image_uri`; raises ImageError."""
    tag = re.split(r"[:@]", image_uri.rsplit("/", 1)[-1])[-1]
    for manifest in sorted(cloud_assembly.glob("*.assets.json")):
        asset = json.loads(manifest.read_text()).get("dockerImages", {}).get(tag)
        if asset:
            context = cloud_assembly / asset["source"]["directory"]
            source = asset["source"]
            dockerfile = context / source.get("dockerFile", "Dockerfile")
            return _read_dockerfile(context, dockerfile, source.get("dockerBuildTarget"))
    raise ImageError(f"No build context for {image_uri} in {cloud_assembly}. Local mode runs the app's own images.")


def _read_dockerfile(context: Path, dockerfile: Path, target: str | None) -> Program:
    """What the stage `target`, by default the last one, inherits and sets itself."""
    stages: dict[str, Program] = {}
    command: list[str] = []
    environment: dict[str, str] = {}
    stage = ""
    for line in dockerfile.read_text().replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word.upper() == "FROM":
            if stage and stage == target:
                break
            base, *name = [part for part in rest.split() if not part.startswith("--")]
            inherited = stages.get(base, Program((), context, {}))
            stage = name[-1] if name else base
            command, environment = list(inherited.command), dict(inherited.environment)
        elif word.upper() == "ENTRYPOINT":
            command = json.loads(rest)
        elif word.upper() == "ENV":
            pairs = (pair.partition("=") for pair in shlex.split(rest))
            environment |= {name: value for name, _, value in pairs if "$" not in value}
        stages[stage] = Program(tuple(command), context, dict(environment))
    if not command:
        raise ImageError(f"{dockerfile} has no ENTRYPOINT in JSON form, so there is no program to start.")
    if command[0] == "python":
        command[0] = sys.executable
    environment.pop("PATH", None)
    return Program(tuple(command), context, environment)
