"""A server does without what torch imports for tracing, and who needs it gets it."""

import subprocess
import sys
from pathlib import Path

import torch

from model.serving import torch_without_tracing

SHAPES_KNOWN = "'torch._prims_common' in sys.modules and hasattr(torch._meta_registrations, 'meta_index_Tensor')"


def said_by(program: str) -> str:
    """What Python prints in a process of its own: torch is imported once in each."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_server_begins_without_the_shapes_of_operations_and_completes_them_when_it_must() -> None:
    program = f"""
import sys
from model.serving import torch_without_tracing
torch_without_tracing.begin()
import model.serving.load, torch
print({SHAPES_KNOWN}, end=" ")
torch_without_tracing.complete()
print({SHAPES_KNOWN}, torch.nn.functional.gelu(torch.ones(2, 3, device="meta")).shape)
"""
    assert said_by(program) == "False True torch.Size([2, 3])"


def test_where_torch_is_there_already_nothing_is_taken_from_it() -> None:
    torch_without_tracing.begin()
    torch_without_tracing.complete()
    assert hasattr(torch._meta_registrations, "meta_index_Tensor")
