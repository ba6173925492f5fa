import pytest

from contract.limits import CONTAINER_TIMEOUT_S, LAMBDA_TIMEOUT_S, SDK_CONNECT_TIMEOUT_S, SDK_READ_TIMEOUT_S
from lambdas.aws.clients import CONCURRENT_CALLS, concurrently, connect


@pytest.mark.parametrize("service", ["sagemaker-runtime", "sagemaker", "s3"])
def test_a_client_gives_up_before_the_function_does(service: str):
    config = connect(service).meta.config
    attempts = config.retries["total_max_attempts"]
    assert attempts * (config.connect_timeout + config.read_timeout) < LAMBDA_TIMEOUT_S
    assert config.tcp_keepalive


def test_the_model_is_given_its_whole_time():
    config = connect("sagemaker-runtime").meta.config
    assert config.read_timeout == SDK_READ_TIMEOUT_S > CONTAINER_TIMEOUT_S


def test_a_silent_bucket_leaves_the_model_its_time():
    s3 = connect("s3").meta.config
    assert s3.read_timeout + SDK_CONNECT_TIMEOUT_S + SDK_READ_TIMEOUT_S <= LAMBDA_TIMEOUT_S


def test_a_client_is_made_once():
    assert connect("s3") is connect("s3")


@pytest.mark.parametrize("region, host", [("us-east-1", "s3"), ("eu-central-1", "s3.eu-central-1")])
def test_a_signed_form_is_taken_by_every_region_and_leads_to_the_buckets_own(
    monkeypatch: pytest.MonkeyPatch, region: str, host: str
):
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    form = connect.__wrapped__("s3").generate_presigned_post("a-bucket", "uploads/1")
    assert form["url"] == f"https://a-bucket.{host}.amazonaws.com/"
    assert form["fields"]["x-amz-algorithm"] == "AWS4-HMAC-SHA256"


def test_results_come_in_order_and_no_more_are_begun_than_may_be_in_memory():
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return -number

    results = concurrently(work, range(3 * CONCURRENT_CALLS))
    assert next(results) == 0
    assert len(begun) <= CONCURRENT_CALLS
    assert [*results] == [-number for number in range(1, 3 * CONCURRENT_CALLS)]
    assert [*concurrently(work, [])] == []


def test_what_one_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(concurrently(lambda number: 1 // number, [1, 0, 2]))
