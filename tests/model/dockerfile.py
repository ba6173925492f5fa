"""The Dockerfile without a builder: the files that its stages copy, laid out in a folder, and what they miss there."""

import ast
import functools
import re
import shutil
from collections.abc import Iterator
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


def lay_out(target: str, root: Path, text: str = DOCKERFILE) -> list[str]:
    """Copy what the stage copies into `root`, as if that were the image's /, and say what it misses on the way."""
    missing = []
    for word, rest in instructions(target, text):
        if word == "COPY":
            _copy(rest, root)
        missing += [f"{word} names {path}" for path in _named(rest) if word != "COPY" and not _at(root, path).exists()]
    return missing + _imported_in_vain(_at(root, "."))


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


def _copy(rest: str, root: Path) -> None:
    *copied, goal = rest.split()
    if copied[0].startswith("--from"):
        _at(root, goal).mkdir(parents=True)  # made by another stage; that it is copied is all there is to see
        return
    for source in copied:
        base = ROOT / source
        for file in _files(base):
            inside = Path(base.name) if base.is_file() else file.relative_to(base)
            path = _at(root, goal) / inside if goal.endswith("/") or base.is_dir() else _at(root, goal)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, path)


def _at(root: Path, path: str) -> Path:
    return root / (Path(WORKDIR) / path).relative_to("/")


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


def _imported_in_vain(app: Path) -> list[str]:
    """Modules of ours that a module in `app` imports, although they or a package around them are not there."""
    missing = []
    for file in app.rglob("*.py"):
        for module in _imports(file):
            parts = module.split(".")
            for depth in range(1, len(parts) + 1):
                path = Path(*parts[:depth])
                needed = [each for each in (path.with_suffix(".py"), path / "__init__.py") if (ROOT / each).is_file()]
                missing += [f"{file.relative_to(app)} imports {each}" for each in needed if not (app / each).is_file()]
    return missing


def _imports(file: Path) -> list[str]:
    return _imports_of(file.read_text())


@functools.cache
def _imports_of(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found
