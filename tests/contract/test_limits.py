from contract import limits


def test_every_step_of_the_timeout_ladder_outlasts_the_one_it_waits_for() -> None:
    sdk_s = limits.SDK_MAX_ATTEMPTS * (limits.SDK_CONNECT_TIMEOUT_S + limits.SDK_READ_TIMEOUT_S)
    assert limits.CONTAINER_TIMEOUT_S < limits.SDK_READ_TIMEOUT_S
    assert sdk_s < limits.LAMBDA_TIMEOUT_S < limits.API_TIMEOUT_S
