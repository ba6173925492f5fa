"""Finding sentences and images."""

import torch

from model.evaluation.retrieval import recall_at, retrieval


def test_the_best_true_one_decides() -> None:
    cosines = torch.tensor([[0.9, 0.8, 0.1], [0.1, 0.2, 0.9]])
    truth = torch.tensor([[False, True, True], [False, False, True]])
    assert [recall_at(cosines, truth, k) for k in (1, 2)] == [0.5, 1.0]


def test_a_sentence_said_of_several_images_is_found_with_any_of_them() -> None:
    cosines = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.7]])
    truth = torch.tensor([[True, False], [True, False], [False, True]])
    found = retrieval(cosines, truth)
    assert found["text_to_image_recall_at_1"] == found["image_to_text_recall_at_1"] == 1


def test_a_model_that_scores_everything_alike_finds_nothing_by_luck() -> None:
    assert recall_at(torch.zeros(10, 10), torch.eye(10, dtype=torch.bool), 1) == 0
