"""The Dockerfile without a builder: the files that its stages copy, and what they miss there."""

import ast
import functools
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "model" / "Dockerfile").read_text()
TARGETS = ("weights", "serve", "train")
WORKDIR = "/opt/wordsight/app"

Instruction = tuple[str, str]
"""A word such as COPY and the rest of its line."""

NAMED = (r"-r (\S+\.txt)", r"python (\S+\.py)", r'"?-m"?,? "?(model[.\w]+)', r"BASE_MODEL_DIR=(\S+)")
"""How RUN, ENV and ENTRYPOINT name files that have to be there."""


def instructions(target: str, text: str = DOCKERFILE) -> list[Instruction]:
    """What makes a stage, in order, the stages that it is built from included."""
    stages: dict[str, list[Instruction]] = {}
    lines: list[Instruction] = []
    for line in re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = [part for part in rest.split() if not part.startswith("--")]
            stages[name] = lines = list(stages.get(base, []))
        elif word:
            lines.append((word, rest))
    return stages[target]


def sources(target: str) -> set[Path]:
    """The repository's files that the building of a target copies, those of the stages that it copies from included."""
    found: set[Path] = set()
    for word, rest in instructions(target):
        if word == "COPY" and (stage := re.match(r"--from=(\w+)", rest)):
            found |= sources(stage[1])
        elif word == "COPY":
            found |= {file for source in rest.split()[:-1] for file in _files(ROOT / source)}
    return found


def lay_out(target: str, root: Path) -> None:
    """Copy what the stage copies into `root`, as if that were the image's /."""
    for path, file in copies(target).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, root / path)


def copies(target: str, text: str = DOCKERFILE) -> dict[Path, Path]:
    """The repository's files that a stage copies, by their paths in the image, as seen from its /."""
    return {path: file for word, rest in instructions(target, text) if word == "COPY" for path, file in _copied(rest)}


def missing(target: str, text: str = DOCKERFILE) -> list[str]:
    """What the stage names or imports, although nothing has copied it until then."""
    found = []
    there: dict[Path, Path] = {}
    folders: set[Path] = set()
    for word, rest in instructions(target, text):
        if word == "COPY":
            there.update(_copied(rest))
            folders |= {_at(rest.split()[-1])} if rest.startswith("--from") else set()  # made by another stage
            folders |= {parent for path in there for parent in path.parents}
        else:
            found += [f"{word} names {path}" for path in _named(rest) if _at(path) not in folders | there.keys()]
    return found + _imported_in_vain(there)


def third_party_imports(target: str) -> set[str]:
    """The top-level modules, neither ours nor Python's, that any module of a stage imports."""
    copied = [file for file in sources(target) if file.suffix == ".py"]
    return {module.split(".")[0] for file in copied for module in _imports(file)} - {"contract", "model", "__future__"}


def requirements(target: str) -> dict[str, str]:
    """What a stage installs, from the files that it names: distributions, as `normal` writes them, and their pins."""
    files = [path for word, rest in instructions(target) if word == "RUN" for path in re.findall(NAMED[0], rest)]
    lines = (line.split("#")[0].split() for path in files for line in (ROOT / path).read_text().splitlines())
    return {normal(name): version for name, version in (words[0].split("==") for words in lines if words)}


def normal(distribution: str) -> str:
    """A distribution's name, of which pip takes several spellings, in one."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _copied(rest: str) -> Iterator[tuple[Path, Path]]:
    """(path in the image, file) of a COPY; none of one from another stage, of which only its being there is seen."""
    *copied, goal = rest.split()
    for source in [] if rest.startswith("--from") else copied:
        base = ROOT / source
        for file in _files(base):
            inside = Path(base.name) if base.is_file() else file.relative_to(base)
            yield _at(goal) / inside if goal.endswith("/") or base.is_dir() else _at(goal), file


def _at(path: str) -> Path:
    """A path of the image as seen from its /."""
    return (Path(WORKDIR) / path).relative_to("/")


def _files(path: Path) -> list[Path]:
    return [
        file for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file() and file.suffix != ".pyc"
    ]


def _named(rest: str) -> Iterator[str]:
    for pattern in NAMED:
        for found in re.findall(pattern, rest):
            yield _program(found) if found.startswith("model.") else found


def _program(module: str) -> str:
    """The file that `python -m` runs."""
    path = module.replace(".", "/")
    return f"{path}/__main__.py" if (ROOT / path).is_dir() else f"{path}.py"


def _imported_in_vain(there: Mapping[Path, Path]) -> list[str]:
    """Modules of ours that a module in the image imports, although they or a package around them are not there."""
    return [
        f"{file.relative_to(ROOT)} imports {needed}"
        for file in there.values()
        for needed, at in (_needed(file) if file.suffix == ".py" else ())
        if at not in there
    ]


@functools.cache
def _needed(file: Path) -> list[tuple[Path, Path]]:
    """The repository's files that a module imports, the packages around them included, and their paths in the image."""
    parts = (module.split(".") for module in _imports(file))
    paths = {Path(*each[:depth]) for each in parts for depth in range(1, len(each) + 1)}
    names = sorted(each for path in paths for each in (path.with_suffix(".py"), path / "__init__.py"))
    return [(each, _at(str(each))) for each in names if (ROOT / each).is_file()]


@functools.cache
def _imports(file: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found
