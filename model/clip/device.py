"""Which device runs the model: a GPU that torch can't use must never pass for a slow one."""

import os
from pathlib import Path

import torch

from model.clip.cuda_compat import COMPAT_DIR

SYSTEM_CPUS = Path("/sys/devices/system/cpu")


class DeviceError(Exception):
    """A GPU was expected and can't be used. The text says what was found and what to change."""


def pick_device(expect_gpu: bool, gpu: str = "cuda") -> str:
    """`gpu` if it computes, else "cpu".

    Raises DeviceError if `expect_gpu` and CUDA is absent or fails at a first small sum.
    """
    fault = "and torch finds none"
    if torch.cuda.is_available():
        try:
            torch.ones(8, device=gpu).sum().item()
            return gpu
        except RuntimeError as error:
            fault = f"and does not compute ({error})"
    if expect_gpu:
        raise DeviceError(f"a GPU is expected {fault}: {describe_cuda()}. {REMEDY}")
    return "cpu"


REMEDY = (
    "Check that the instance type has a GPU. CUDA 13 needs an NVIDIA driver of 580 or newer: on an endpoint set "
    "InferenceAmiVersion to al2023-ami-sagemaker-inference-gpu-4-1; a training job can't choose its driver, so build "
    f"its image on one with NVIDIA's compatibility library in {COMPAT_DIR}, or take another instance type"
)


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the device has units for bfloat16. A T4 (compute capability 7.5) has none, and emulating them is slow."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def free_cores() -> int:
    """On how many cores this process may run. Of vCPUs that share a core only one counts: they share its arithmetic."""
    if not hasattr(os, "sched_getaffinity"):  # macOS, which shares none
        return os.cpu_count() or 1
    topology = (SYSTEM_CPUS / f"cpu{cpu}/topology/thread_siblings_list" for cpu in os.sched_getaffinity(0))
    return len({path.read_text() if path.is_file() else str(path) for path in topology})


def describe_cuda() -> str:
    """torch's CUDA and the GPU it sees, in words for a log line."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no usable GPU"
    return f"torch {torch.__version__} built for CUDA {torch.version.cuda or 'none'}, {gpu}"
