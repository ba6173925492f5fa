from local.permissions import MOMENTS, container_facts
from tests.local.conftest import IMAGE


def test_every_implied_call_says_where_it_is_documented() -> None:
    for moment in MOMENTS.values():
        assert moment.service in ("lambda", "states", "sagemaker", "cloudformation", "scheduler")
        assert all(calls.source.startswith("https://") for calls in moment.calls)


def test_an_images_repository_is_known_by_its_arn_however_the_image_is_named() -> None:
    repository = "arn:aws:ecr:us-east-1:000000000000:repository/container-assets"
    for image in (IMAGE, IMAGE.partition(":")[0] + "@sha256:0123"):
        assert container_facts(image, "group", "stream", "space") == {
            **{"repository_arn": repository, "log_group": "group", "log_stream": "stream"},
            **{"metric_namespace": "space"},
        }
