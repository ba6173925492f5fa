"""The Dockerfile has to repeat names that are defined elsewhere; here they are held together."""

import json
import re
from pathlib import Path

from contract.containers import ServeSettings

DOCKERFILE = (Path(__file__).parents[2] / "model" / "Dockerfile").read_text()


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
