import pytest

from local.api import ApiError
from local.metrics import Metrics

LOSS = {"Name": "train:loss", "Regex": r" loss=(\S+)"}


def values(metrics: Metrics) -> dict[str, float]:
    return {metric["MetricName"]: metric["Value"] for metric in metrics.final}


def test_a_metric_has_its_newest_value() -> None:
    metrics = Metrics([LOSS, {"Name": "step", "Regex": r"step=(\d+)"}])
    metrics.read(["step=10 loss=2.5", "nothing of it"])
    metrics.read(["step=20 loss=1.5 validation_loss=9"])
    assert values(metrics) == {"train:loss": 1.5, "step": 20.0}


def test_a_metric_that_was_never_printed_is_not_listed() -> None:
    metrics = Metrics([LOSS])
    metrics.read(["step=10"])
    assert values(metrics) == {}


def test_what_is_no_number_is_passed_over() -> None:
    metrics = Metrics([LOSS])
    metrics.read([" loss=0.5", " loss=unknown", " loss=nan"])
    assert values(metrics) == {"train:loss": 0.5}


def test_the_first_group_is_the_value() -> None:
    metrics = Metrics([{"Name": "loss", "Regex": r"loss=(\S+) of (\S+)"}])
    metrics.read(["loss=3 of 4"])
    assert values(metrics) == {"loss": 3.0}


@pytest.mark.parametrize(("regex", "reason"), [("loss=(", "missing"), ("loss=", "no group")])
def test_an_expression_that_cannot_be_used_is_refused(regex: str, reason: str) -> None:
    with pytest.raises(ApiError, match=reason):
        Metrics([{"Name": "loss", "Regex": regex}])
