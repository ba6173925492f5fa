"""Without a GPU the CPU serves, unless a GPU was expected."""

import os

import pytest
import torch

from model.clip.device import DeviceError, describe_cuda, free_cores, multiplies_bf16, pick_device

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


@without_gpu
def test_without_a_gpu_the_cpu_serves() -> None:
    assert pick_device(expect_gpu=False) == "cpu"


@without_gpu
def test_an_expected_gpu_that_is_absent_is_an_error_that_says_what_to_change() -> None:
    with pytest.raises(DeviceError, match=r"torch .* no usable GPU.*driver of 580.*InferenceAmiVersion.*training job"):
        pick_device(expect_gpu=True)


def test_a_cpu_is_not_asked_for_bfloat16() -> None:
    assert not multiplies_bf16(torch.device("cpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_that_computes_serves() -> None:
    assert pick_device(expect_gpu=True) == "cuda"
    assert pick_device(expect_gpu=True, gpu="cuda:0") == "cuda:0"
    assert torch.cuda.get_device_name() in describe_cuda()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_bfloat16_is_for_gpus_that_have_units_for_it() -> None:
    assert multiplies_bf16(torch.device("cuda")) == (torch.cuda.get_device_capability() >= (8, 0))


def test_only_the_cores_this_process_may_run_on_are_counted() -> None:
    allowed = os.sched_getaffinity(0)
    assert 1 <= free_cores() <= len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert free_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
