"""Without a GPU the CPU serves, unless a GPU was expected."""

import pytest
import torch

from model.device import DeviceError, describe_cuda, pick_device

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


@without_gpu
def test_without_a_gpu_the_cpu_serves() -> None:
    assert pick_device(expect_gpu=False) == "cpu"


@without_gpu
def test_an_expected_gpu_that_is_absent_is_an_error_that_says_what_to_change() -> None:
    with pytest.raises(DeviceError, match=r"torch .* no usable GPU.*driver of 580.*InferenceAmiVersion"):
        pick_device(expect_gpu=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_that_computes_serves() -> None:
    assert pick_device(expect_gpu=True) == "cuda"
    assert torch.cuda.get_device_name() in describe_cuda()
