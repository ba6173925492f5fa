"""Which precision a run computes in."""

import time
from collections.abc import Callable

import pytest
import torch

from contract.hyperparameters import Hyperparameters
from model.training.loop import Loop
from model.training.precision import PROBED_STEPS, picks_bf16

CPU = torch.device("cpu")


@pytest.mark.parametrize(("slow", "picked"), [(False, True), (True, False), (None, False)])
def test_a_cpu_takes_what_its_steps_are_clearly_faster_in(slow: bool | None, picked: bool) -> None:
    taken = []

    def step(bf16: bool) -> None:
        taken.append(bf16)
        time.sleep(0.03 if bf16 is slow else 0.01)

    assert picks_bf16("auto", CPU, step) is picked
    assert sorted(taken) == [False] * PROBED_STEPS + [True] * PROBED_STEPS


def test_a_precision_that_is_asked_for_is_not_probed() -> None:
    def step(bf16: bool) -> None:
        raise AssertionError(f"probed with bf16={bf16}")

    assert picks_bf16("bf16", CPU, step) and not picks_bf16("fp32", CPU, step)


def test_the_decision_is_part_of_the_state_and_outlives_a_restart(loop_of: Callable[..., Loop]) -> None:
    started, resumed = loop_of(precision="auto"), loop_of(precision="auto")
    started.take_step()
    assert started.bf16 is not None
    state = started.state() | {"bf16": not started.bf16}
    resumed.resume((1, state))
    resumed.take_step()
    assert resumed.bf16 is not started.bf16


def test_weights_and_loss_stay_in_full_precision(loop_of: Callable[..., Loop]) -> None:
    full, half = loop_of(), loop_of(precision="bf16")
    losses = [loop.take_step() for loop in (full, half)]
    assert half.bf16 and losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.05)
    assert {weight.dtype for weight in half.learning} == {torch.float32}


def test_the_default_is_to_decide_by_probe() -> None:
    assert Hyperparameters().precision == "auto"
