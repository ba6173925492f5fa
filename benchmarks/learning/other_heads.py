"""What others do with frozen embeddings and a few labelled images, each as its paper says where that can be followed:
none of them may look at more images than the head, so that what needs others to choose by is chosen by leaving out.

Shapes: N annotated images, K labels, B images that are asked about, d numbers of an embedding.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

RIDGES = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
SHARPNESSES = (1.0, 3.0, 5.5, 10.0, 30.0, 100.0)
SHARES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
PUBLISHED = (1.0, 5.5)
"""Share and sharpness of Tip-Adapter for ImageNet, where no image can be left out."""
PENALTIES = (0.01, 0.1, 1.0)
FOLDS = 3


def nearest_mean(images: Tensor, labels: Tensor, texts: Tensor, scale: float, asked: Tensor) -> Tensor:
    """By the cosine to the mean of each label's images (Snell et al. 2017)."""
    return scale * asked @ normalize(one_hot(labels, len(texts)).float().T @ images, dim=1).T


def ridge(images: Tensor, labels: Tensor, texts: Tensor, scale: float, asked: Tensor) -> Tensor:
    """Labels as 0 and 1 regressed on embeddings, by the ridge with the least squared error of images left out (Allen
    1974). What it answers are no logits.
    """
    goals = one_hot(labels, len(texts)).double()
    centre, level = images.double().mean(dim=0), goals.mean(dim=0)
    left, values, right = torch.linalg.svd(images.double() - centre, full_matrices=False)
    fits = left.T @ (goals - level)

    def error(strength: float) -> float:
        kept = values.square() / (values.square() + strength)
        rest = goals - level - left @ (kept[:, None] * fits)
        leverage = (left.square() * kept).sum(dim=1, keepdim=True) + 1 / len(images)
        return float((rest / (1 - leverage).clamp(min=1e-6)).square().mean())

    best = min(RIDGES, key=error)
    weights = right.T @ ((values / (values.square() + best))[:, None] * fits)
    answered: Tensor = (asked.double() - centre) @ weights + level
    return answered.float()


def tip_adapter(images: Tensor, labels: Tensor, texts: Tensor, scale: float, asked: Tensor) -> Tensor:
    """Words and how near the annotated images are: exp(-β (1 - x x_i)), times α (Zhang et al. 2022, the form without
    training). α and β are those by which most images that are left out are right, instead of a validation set's.
    """
    goals, words = one_hot(labels, len(texts)).float(), scale * images @ texts.T
    others = 1 - torch.eye(len(images))
    alike = images @ images.T
    best, most = PUBLISHED, -1.0
    if int(goals.sum(dim=0).max()) > 1:
        for beta in SHARPNESSES:
            near = (torch.exp(beta * (alike - 1)) * others) @ goals
            for alpha in SHARES:
                right = float(((words + alpha * near).argmax(dim=1) == labels).float().mean())
                best, most = ((alpha, beta), right) if right > most else (best, most)
    alpha, beta = best
    return scale * asked @ texts.T + alpha * torch.exp(beta * (asked @ images.T - 1)) @ goals


def gaussians(images: Tensor, labels: Tensor, texts: Tensor, scale: float, asked: Tensor) -> Tensor:
    """Gaussians with one covariance and words beside them: A Hard-to-Beat Baseline, Wang et al. 2024, with its shrunk
    precision; its weight, which a validation set chooses there, is 1.
    """
    goals = one_hot(labels, len(texts)).float()
    means = goals.T @ images / goals.sum(dim=0).clamp(min=1)[:, None]
    apart = images - means[labels]
    size = images.shape[1]
    scatter = apart.T @ apart
    shrunk = scatter + (scatter.trace() / max(len(images) - 1, 1) + 1e-4) * torch.eye(size)
    towards = means @ torch.linalg.inv(shrunk) * size
    evidence: Tensor = asked @ towards.T - 0.5 * (towards * means).sum(dim=1)
    return scale * asked @ texts.T + evidence


def logistic(images: Tensor, labels: Tensor, texts: Tensor, scale: float, asked: Tensor) -> Tensor:
    """Logistic regression that begins at the words and is held there: a penalty times |W - s T|² / 2, chosen by three
    folds (as CLAP is, Silva-Rodríguez et al. 2024, without its multipliers).
    """
    start = scale * texts

    def fitted(rows: Tensor, penalty: float) -> Tensor:
        weights = start.clone().requires_grad_()
        optimizer = torch.optim.LBFGS([weights], max_iter=30, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            held = 0.5 * penalty * (weights - start).square().sum()
            value = cross_entropy(images[rows] @ weights.T, labels[rows], reduction="sum") + held
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        return weights.detach()

    place = one_hot(labels, len(texts)).cumsum(dim=0).gather(1, labels[:, None])[:, 0]  # of an image in its label
    folds = min(FOLDS, int(place.max()))

    def left_out(penalty: float) -> float:
        losses = [
            cross_entropy(images[out] @ fitted((~out).nonzero()[:, 0], penalty).T, labels[out], reduction="sum")
            for out in (place % folds == fold for fold in range(folds))
        ]
        return float(torch.stack(losses).sum())

    best = min(PENALTIES, key=left_out) if folds > 1 else PENALTIES[-1]
    return asked @ fitted(torch.arange(len(images)), best).T
