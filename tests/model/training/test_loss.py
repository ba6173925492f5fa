"""The contrastive loss with several positives."""

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, normalize

from model.training.loss import Objective, contrastive_loss, sigmoid_loss


def test_it_is_infonce_when_all_captions_differ() -> None:
    torch.manual_seed(0)
    logits = torch.randn(6, 6) * 5
    diagonal = torch.arange(6)
    infonce = (cross_entropy(logits, diagonal) + cross_entropy(logits.T, diagonal)) / 2
    assert torch.allclose(contrastive_loss(logits, torch.eye(6, dtype=torch.bool)), infonce, atol=1e-6)


def test_perfect_features_score_zero_although_captions_repeat() -> None:
    classes = torch.tensor([0, 0, 0, 1, 1, 2])
    images = torch.eye(3)[classes]
    positives = classes[:, None] == torch.arange(3)
    assert contrastive_loss(100 * images @ torch.eye(3), positives) == pytest.approx(0, abs=1e-6)


def test_the_order_of_images_and_texts_does_not_matter() -> None:
    torch.manual_seed(0)
    logits, positives = torch.randn(5, 7), torch.rand(5, 7) < 0.4
    positives[:, 0] = True
    rows, columns = torch.randperm(5), torch.randperm(7)
    shuffled = contrastive_loss(logits[rows][:, columns], positives[rows][:, columns])
    assert torch.allclose(contrastive_loss(logits, positives), shuffled, atol=1e-6)


def test_a_second_true_caption_is_no_negative() -> None:
    """An image that likes both of its captions is not pushed away from either."""
    logits = torch.tensor([[9.0, 9.0, 0.0], [0.0, 0.0, 9.0]], requires_grad=True)
    positives = torch.tensor([[True, True, False], [False, False, True]])
    contrastive_loss(logits, positives).backward()
    assert logits.grad is not None and logits.grad.abs().max() < 1e-3


def test_its_gradient_draws_an_image_to_its_caption() -> None:
    torch.manual_seed(0)
    images = torch.randn(4, 8, requires_grad=True)
    texts = normalize(torch.randn(4, 8), dim=-1)
    positives = torch.eye(4, dtype=torch.bool)
    for _ in range(100):
        loss = contrastive_loss(10 * normalize(images, dim=-1) @ texts.T, positives)
        (gradient,) = torch.autograd.grad(loss, images)
        images = (images - 0.5 * gradient).detach().requires_grad_()
    assert (normalize(images, dim=-1) @ texts.T).argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_texts_and_images_without_a_positive_do_not_count() -> None:
    logits = torch.randn(3, 3)
    positives = torch.tensor([[True, False, False], [False, True, False], [False, False, False]])
    assert torch.isfinite(contrastive_loss(logits, positives))


def test_shapes_that_disagree_are_named() -> None:
    with pytest.raises(ValueError, match=r"\[2, 3\] but positives \[3, 2\]"):
        contrastive_loss(torch.zeros(2, 3), torch.zeros(3, 2, dtype=torch.bool))


def test_the_sigmoid_loss_is_a_yes_or_no_question_for_every_pair() -> None:
    torch.manual_seed(0)
    logits, positives = torch.randn(5, 7) * 5, torch.rand(5, 7) < 0.4
    asked = binary_cross_entropy_with_logits(logits, positives.float(), reduction="sum") / 5
    assert torch.allclose(sigmoid_loss(logits, positives), asked, atol=1e-5)


def test_an_unknown_pair_pulls_and_pushes_nothing_in_the_sigmoid_loss_either() -> None:
    logits = torch.tensor([[3.0, 1.0], [0.0, 2.0]], requires_grad=True)
    known = torch.tensor([[True, False], [True, True]])
    objective = Objective("sigmoid")
    masked = logits.masked_fill(~known, float("-inf"))
    objective.begin(masked)
    objective(masked, torch.eye(2, dtype=torch.bool)).backward()
    assert objective.bias is not None and objective.bias.grad is not None and bool(objective.bias.grad.isfinite())
    assert logits.grad is not None and logits.grad[0, 1] == 0 and bool(logits.grad[known].all())


def test_the_sigmoids_bias_begins_where_an_images_probabilities_add_up_to_about_one() -> None:
    torch.manual_seed(0)
    logits, objective = torch.randn(16, 64), Objective("sigmoid")
    objective.begin(logits)
    assert objective.bias is not None
    total = (logits + objective.bias.detach()).sigmoid().sum(dim=1).mean()
    assert float(total) == pytest.approx(1, abs=0.1)


def test_infonce_has_nothing_of_its_own_to_learn() -> None:
    assert not list(Objective("infonce").parameters()) and len(list(Objective("sigmoid").parameters())) == 1
