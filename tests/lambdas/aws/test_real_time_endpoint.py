"""SageMaker as whoever runs the container. What its failures mean to a caller is in test_endpoint.py."""

from contract.limits import MAX_INVOCATION_BYTES
from lambdas.aws.real_time_endpoint import RealTimeEndpoint
from tests.lambdas.sagemaker import SageMaker


def test_an_endpoint_is_as_sagemaker_describes_it(sagemaker: SageMaker) -> None:
    endpoint = RealTimeEndpoint("wordsight-test", sagemaker.connect)
    assert endpoint.state() == ("InService", True)
    sagemaker.endpoint_status, sagemaker.instances = "Updating", 0
    assert endpoint.state() == ("Updating", False)


def test_it_takes_what_the_contract_allows_and_says_how_it_is_deleted(sagemaker: SageMaker) -> None:
    endpoint = RealTimeEndpoint("wordsight-test", sagemaker.connect)
    assert endpoint.max_image_bytes == MAX_INVOCATION_BYTES
    assert endpoint.deletion == "aws sagemaker delete-endpoint --endpoint-name wordsight-test"
