"""The Dockerfile has to repeat names that are defined elsewhere; here they are held together, without a builder."""

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from contract.containers import ServeSettings
from tests.model.dockerfile import (
    DOCKERFILE,
    TARGETS,
    WORKDIR,
    instructions,
    lay_out,
    missing,
    normal,
    requirements,
    third_party_imports,
)

COPIES = list(re.finditer(r"^COPY .*\n", DOCKERFILE, re.M))

NOT_IMPORTED = {
    "pip": "installs the others, which an older one can't by hashes from a lock file",
    "tokenizers": "pinned: transformers splits texts with it, and both images must do that alike",
    "httptools": "uvicorn parses HTTP with it",
    "tensorboard": "torch.utils.tensorboard writes with it",
}


def environment() -> dict[str, str]:
    lines = re.findall(r"^ENV (.+)", DOCKERFILE.replace("\\\n", " "), re.M)
    return dict(pair.split("=", 1) for line in lines for pair in line.split())


def test_the_entrypoint_is_a_program_that_takes_the_argument_and_the_signals_itself() -> None:
    entrypoints = [json.loads(found) for found in re.findall(r"^ENTRYPOINT (.+)", DOCKERFILE, re.M)]
    assert entrypoints == [["python", "-m", "model.training"], ["python", "-m", "model.serving"]]


def test_what_it_sets_for_the_server_are_the_servers_names() -> None:
    names = {field.alias for field in ServeSettings.model_fields.values()}
    assert {"BASE_MODEL_DIR", "RUN_AS_USER"} <= names & environment().keys()
    base_model_dir = ServeSettings.from_env({}).base_model_dir
    assert environment()["BASE_MODEL_DIR"] == str(base_model_dir)
    assert f"COPY --from=weights {base_model_dir} {base_model_dir}" in DOCKERFILE


def test_nothing_is_fetched_at_run_time_and_the_gpu_is_let_in() -> None:
    assert environment().items() >= {
        ("HF_HUB_OFFLINE", "1"),
        ("TRANSFORMERS_OFFLINE", "1"),
        ("NVIDIA_VISIBLE_DEVICES", "all"),
        ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"),
    }


def test_the_base_model_is_pinned_to_a_commit() -> None:
    assert re.search(r"^ARG MODEL_REVISION=[0-9a-f]{40}$", DOCKERFILE, re.M)
    assert "--platform=linux/amd64" in DOCKERFILE


def test_a_change_of_code_does_not_fetch_the_weights_again() -> None:
    copied = [rest for word, rest in instructions("weights") if word == "COPY"]
    installed_from = "model/pip.txt model/requirements.txt model/requirements.lock model/"
    programs = {path for rest in copied[1:] for path in rest.split()[:-1] if not path.endswith("__init__.py")}
    assert copied[0] == installed_from
    assert programs == {"model/clip/fetch.py", "model/clip/open_clip.py", "contract/open_clip.py"}


def test_weights_that_do_not_load_end_the_build_of_either_image() -> None:
    base_model_dir = environment()["BASE_MODEL_DIR"]
    for target in ("serve", "train"):
        loading = [rest for word, rest in instructions(target) if word == "RUN" and "load_checkpoint" in rest]
        assert len(loading) == 1
        assert f"'{base_model_dir}'" in loading[0]


@pytest.mark.parametrize("target", TARGETS)
def test_a_stage_copies_whatever_its_programs_need(target: str) -> None:
    assert missing(target) == []


@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: f"{copy.start()}: {copy[0].strip()}")
def test_a_stage_that_copies_less_is_noticed(copy: re.Match[str]) -> None:
    less = DOCKERFILE[: copy.start()] + DOCKERFILE[copy.end() :]
    assert any(missing(target, less) for target in TARGETS)


IMPORT_ALL = """
import importlib, pkgutil, sys
def load(kept):
    for package in ("contract", "model"):
        found = pkgutil.walk_packages(importlib.import_module(package).__path__, package + ".")
        for name in sorted(each.name for each in found):
            if not name.endswith("__main__") and kept(name):
                importlib.import_module(name)
                print(name)
sys.modules["openvino"] = None   # as on a GPU
load(lambda name: not name.startswith("model.serving.towers.openvino"))
del sys.modules["openvino"]
load(lambda name: True)
"""


@pytest.mark.parametrize(("target", "program"), [("serve", "model.serving.server"), ("train", "model.training.job")])
def test_all_that_an_image_holds_can_be_imported_there_and_without_openvino_on_a_gpu(
    target: str, program: str, tmp_path: Path
) -> None:
    lay_out(target, tmp_path)
    done = run_alone(tmp_path, "-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert program in done.stdout.splitlines()


def test_the_weights_are_fetched_by_files_that_stand_alone(tmp_path: Path) -> None:
    lay_out("weights", tmp_path)
    done = run_alone(tmp_path, "-m", "model.clip.fetch", "./nowhere", str(tmp_path / "base"))
    assert "fetch: there is no folder ./nowhere" in done.stderr


def run_alone(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in the image's working directory, which sees nothing of ours that is elsewhere."""
    folder = root / WORKDIR.removeprefix("/")
    variables = {"PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=variables, capture_output=True, text=True)


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_installs_what_it_imports_and_nothing_else(target: str) -> None:
    distributions = packages_distributions()
    modules = third_party_imports(target) - sys.stdlib_module_names
    imported = {normal(distributions[module][0]) for module in modules}
    installed = requirements(target).keys()
    assert imported <= installed
    if target != "weights":  # it stands on what both images hold
        assert installed - imported <= NOT_IMPORTED.keys()


def test_whatever_is_installed_without_an_import_has_a_reason_that_still_holds() -> None:
    assert NOT_IMPORTED.keys() <= {name for target in TARGETS for name in requirements(target)}
