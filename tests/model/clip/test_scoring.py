"""Scores: what must hold whatever the model is."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from contract.checkpoints import Calibration, MultiLabelCalibration, UnknownCalibration
from contract.questions import UNKNOWN_LABEL, Label, Question
from model.clip.scoring import (
    label_embeds,
    mean_direction,
    neutral_prompts,
    prompts_of,
    rank,
    score,
    unknown_by_confidence,
    with_unknown,
)

WIDTH = 8
UNCALIBRATED = Calibration()


def vector(text: str) -> torch.Tensor:
    """A unit vector that depends on the text alone."""
    seed = sum(ord(character) * 31**place for place, character in enumerate(text)) % 2**31
    return normalize(torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed)), dim=0)


def ask(*labels: str | Label, **options: object) -> Question:
    return Question(candidate_labels=list(labels), hypothesis_template="a photo of a {}.", **options)


def scores(question: Question, calibration: Calibration = UNCALIBRATED) -> dict[str, float]:
    """Each label's score for one fixed image."""
    text_embeds = {prompt: vector(prompt) for prompt in prompts_of(question)}
    row = score(label_embeds(question, text_embeds), vector("the image").unsqueeze(0), 10.0, calibration)[0]
    return {label.label: value for label, value in zip(question.candidate_labels, row.tolist(), strict=True)}


def test_softmax_scores_sum_to_one() -> None:
    assert sum(scores(ask("cat", "dog", "fish")).values()) == pytest.approx(1)


def test_scores_are_the_softmax_of_scaled_cosines() -> None:
    cosines = torch.stack([vector("a photo of a cat."), vector("a photo of a dog.")]) @ vector("the image")
    expected = torch.softmax(10 * cosines, dim=0)
    assert scores(ask("cat", "dog")) == pytest.approx({"cat": expected[0].item(), "dog": expected[1].item()})


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_order_of_labels_permutes_their_scores(multi_label: bool) -> None:
    one, other = ask("cat", "dog", "fish", multi_label=multi_label), ask("fish", "cat", "dog", multi_label=multi_label)
    assert scores(one) == pytest.approx(scores(other))


@pytest.mark.parametrize("calibration", [UNCALIBRATED, Calibration(multi_label=MultiLabelCalibration(a=4.0, b=-1.0))])
def test_with_multi_label_another_label_changes_no_score(calibration: Calibration) -> None:
    alone = scores(ask("cat", multi_label=True), calibration)
    among = scores(ask("cat", "a spaceship", "rain", multi_label=True), calibration)
    assert among["cat"] == pytest.approx(alone["cat"], abs=1e-6)


def test_a_calibrated_label_on_its_own_is_a_sigmoid_of_its_cosine() -> None:
    calibration = Calibration(multi_label=MultiLabelCalibration(a=4.0, b=-1.0))
    cosine = vector("a photo of a cat.") @ vector("the image")
    expected = torch.sigmoid(4 * cosine - 1).item()
    assert scores(ask("cat", multi_label=True), calibration)["cat"] == pytest.approx(expected)


def test_an_uncalibrated_label_on_its_own_is_weighed_against_something() -> None:
    assert scores(ask("something", multi_label=True))["something"] == pytest.approx(0.5)


def test_the_neutral_prompt_keeps_the_questions_templates() -> None:
    question = Question(
        candidate_labels=[Label(label="cat", annotations=["a small pet"])],
        hypothesis_template=["a {}", "the {}"],
        multi_label=True,
    )
    assert neutral_prompts(question) == ["a something", "the something"]
    assert list(prompts_of(question)) == ["a small pet", "a something", "the something"]


def test_a_temperature_flattens_the_softmax_and_keeps_its_order() -> None:
    sharp, flat = scores(ask("cat", "dog")), scores(ask("cat", "dog"), Calibration(temperature=5.0))
    assert max(sharp.values()) > max(flat.values()) > 0.5
    assert max(sharp, key=sharp.__getitem__) == max(flat, key=flat.__getitem__)


def test_annotations_count_as_the_direction_of_their_mean() -> None:
    sentences = ["a small pet", "it purrs", "whiskers"]
    mean = normalize(torch.stack([vector(sentence) for sentence in sentences]).mean(0), dim=0)
    assert torch.allclose(mean_direction([[vector(s) for s in sentences]])[0], mean, atol=1e-6)
    described = scores(ask(Label(label="cat", annotations=sentences), "dog"))
    expected = torch.softmax(10 * torch.stack([mean, vector("a photo of a dog.")]) @ vector("the image"), dim=0)
    assert described["cat"] == pytest.approx(expected[0].item(), abs=1e-6)


def test_one_annotation_is_the_label() -> None:
    described = scores(ask(Label(label="x", annotations=["a photo of a cat."]), "dog"))
    assert described["x"] == pytest.approx(scores(ask("cat", "dog"))["cat"], abs=1e-6)


def test_answers_come_best_first_and_cut_by_top_k_and_threshold() -> None:
    row = torch.tensor([0.1, 0.6, 0.3])
    assert [a["label"] for a in rank(ask("a", "b", "c"), row)] == ["b", "c", "a"]
    assert [a["label"] for a in rank(ask("a", "b", "c", top_k=1), row)] == ["b"]
    assert [a["label"] for a in rank(ask("a", "b", "c", threshold=0.3), row)] == ["b", "c"]
    assert rank(ask("a", "b", "c", threshold=0.9), row) == []


def test_a_label_with_a_threshold_of_its_own_is_held_to_that_and_not_to_the_common_one() -> None:
    row = torch.tensor([0.1, 0.6, 0.3])
    question = ask("a", "b", "c", threshold=0.5, thresholds={"a": 0.05, "b": 0.7})
    assert [a["label"] for a in rank(question, row)] == ["a"]


def test_equal_scores_keep_the_order_they_were_asked_in() -> None:
    assert [a["label"] for a in rank(ask("z", "a", "m"), torch.full((3,), 0.5))] == ["z", "a", "m"]


def test_no_label_fits_where_none_can_be_told_from_another_and_one_does_where_the_model_is_sure() -> None:
    rows = torch.tensor([[0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0], [0.7, 0.1, 0.1, 0.1]])
    unknown = unknown_by_confidence(rows, None)
    assert unknown.tolist() == pytest.approx([1.0, 0.0, 0.4])
    found = with_unknown(rows, unknown)
    assert found[:2].tolist() == [[0.0, 0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0, 0.0]]
    assert found[2].tolist() == pytest.approx([0.42, 0.06, 0.06, 0.06, 0.4])


def test_a_calibration_says_how_much_doubt_there_is_for_that_many_labels() -> None:
    row, calibration = torch.tensor([0.8, 0.15, 0.05]), UnknownCalibration(a=2, b=-1, offset=0.5)
    found = with_unknown(row, unknown_by_confidence(row, calibration))
    unknown = 1 / (1 + math.exp(-(2 * math.log(0.3 / 0.7) - math.log(3) + 0.5)))
    assert found.tolist() == pytest.approx([*((1 - unknown) * row).tolist(), unknown])
    assert unknown_by_confidence(torch.tensor([1.0, 0.0]), calibration).isfinite()
    answers = rank(ask("cat", "dog", "fish", unknown=True), found)
    assert {"label": UNKNOWN_LABEL, "score": pytest.approx(unknown)} in answers


def test_with_unknown_there_is_one_answer_more_ranked_and_cut_as_the_others() -> None:
    row = torch.tensor([0.3, 0.4, 0.3])
    assert UNKNOWN_LABEL not in {answer["label"] for answer in rank(ask("cat", "dog", "fish"), row)}
    shared = with_unknown(row, torch.tensor(0.9))
    answers = rank(ask("cat", "dog", "fish", unknown=True), shared)
    assert [answer["label"] for answer in answers] == [UNKNOWN_LABEL, "dog", "cat", "fish"]
    assert sum(answer["score"] for answer in answers) == pytest.approx(1)
    assert len(rank(ask("cat", "dog", unknown=True, top_k=1), shared[1:])) == 1
    strict = ask("cat", "dog", "fish", unknown=True, thresholds={UNKNOWN_LABEL: 0.99})
    assert UNKNOWN_LABEL not in {answer["label"] for answer in rank(strict, shared)}
