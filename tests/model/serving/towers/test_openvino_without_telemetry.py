"""OpenVINO by itself reports its use to Google Analytics."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]

SCRIPT = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        print(event, arguments)
sys.addaudithook(refuse)
import torch
from model.serving.towers.openvino_without_telemetry import openvino
model = openvino.convert_model(torch.nn.Linear(2, 2), example_input=torch.ones(1, 2))
openvino.Core().compile_model(model, "CPU")([torch.ones(1, 2).numpy()])
"""


@pytest.mark.slow
def test_converting_and_running_a_model_tells_nobody(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_openvino_is_imported_in_this_way_only() -> None:
    importing = [
        source.name
        for source in (ROOT / "model").rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text()))
        if (isinstance(node, ast.Import) and any(each.name.split(".")[0] == "openvino" for each in node.names))
        or (isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "openvino")
    ]
    assert importing == ["openvino_without_telemetry.py"]
