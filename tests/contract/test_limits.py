from contract import limits


def test_every_step_of_the_timeout_ladder_outlasts_the_one_it_waits_for() -> None:
    assert limits.CONTAINER_TIMEOUT_S < limits.SDK_READ_TIMEOUT_S
    assert longest_call_s(limits.SDK_MAX_ATTEMPTS, limits.SDK_READ_TIMEOUT_S) < limits.LAMBDA_TIMEOUT_S
    assert longest_call_s(limits.SERVICE_MAX_ATTEMPTS, limits.SERVICE_READ_TIMEOUT_S) < limits.LAMBDA_TIMEOUT_S
    assert limits.LAMBDA_TIMEOUT_S < limits.API_TIMEOUT_S


def longest_call_s(attempts: int, read_timeout_s: int) -> int:
    """What a call takes of a service that never answers, with the pauses before it is repeated: 1, 2, 4 … s at most.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
    """
    return attempts * (limits.SDK_CONNECT_TIMEOUT_S + read_timeout_s) + 2 ** (attempts - 1) - 1
