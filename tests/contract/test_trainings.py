import re

import pytest

from contract.problems import BadRequest
from contract.trainings import METRIC_DEFINITIONS, TrainingBody, channel_s3_uri, training_key
from contract.validation import validate

ID = "20260101120000-0a1b2c"


def test_hyperparameters_are_passed_on_as_sagemaker_takes_them() -> None:
    given = {"epochs": 5, "lock_image": True, "learning_rate": 1e-4, "loss": "sigmoid"}
    body = validate(TrainingBody, {"hyperparameters": given})
    strings = {"epochs": "5", "lock_image": "true", "learning_rate": "0.0001", "loss": "sigmoid"}
    assert body.hyperparameter_strings == strings


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"hyperparameters": {"epochs": 0}}, "hyperparameter epochs is '0'"),
        ({"hyperparameters": {"epoch": 1}}, "'epoch' is no hyperparameter: allowed are data, init"),
        ({"hyperparameters": {"lora_rank": 4, "init": "scratch"}}, "lora_rank adapts what a base has learnt"),
        ({"max_runtime_s": 3600, "max_spend_usd": 1}, "are given together: give one of them"),
        ({"max_runtime_s": 599}, "max_runtime_s: .* got 599"),
        ({"max_spend_usd": 0}, "max_spend_usd: .* got 0"),
        ({"promote": "always"}, "promote: "),
        ({"dataset": "Welds"}, "a dataset's name has"),
    ],
)
def test_what_a_training_may_not_be_told_is_named_before_it_costs(asked: dict[str, object], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        validate(TrainingBody, asked)


def test_without_a_body_what_is_live_learns_the_default_dataset() -> None:
    body = validate(TrainingBody, {})
    assert (body.dataset, body.base_version, body.promote, body.spot) == ("default", "live", "manual", None)


def test_a_request_and_its_snapshot_lie_under_its_id() -> None:
    assert training_key(ID) == f"trainings/{ID}.json"
    assert channel_s3_uri("bucket", ID) == f"s3://bucket/snapshots/{ID}/channel.manifest"
    with pytest.raises(BadRequest, match="one that POST /trainings has answered"):
        training_key("20260101120000-0A1B2C")


def test_each_metric_is_found_in_a_line_and_no_metric_in_anothers_name() -> None:
    line = "step=10 steps=300 loss=1.5 images_per_s=90 logit_scale=14.3 data_wait=0.02"
    found = {name: match[1] for name, regex in METRIC_DEFINITIONS.items() if (match := re.search(regex, line))}
    assert found == {
        **{"train:step": "10", "train:steps": "300", "train:loss": "1.5"},
        **{"train:images_per_s": "90", "train:logit_scale": "14.3", "train:data_wait": "0.02"},
    }
    of_validation = " validation_loss=2.5 validation_accuracy=0.5"
    assert not re.search(METRIC_DEFINITIONS["train:loss"], of_validation)
    assert re.search(METRIC_DEFINITIONS["validation:loss"], of_validation)[1] == "2.5"  # type: ignore[index]
