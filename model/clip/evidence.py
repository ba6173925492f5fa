"""Labels as Gaussians among embeddings, all with one covariance: what each says of an image that it has not seen.

Gaussians with one covariance over CLIP's embeddings: Wang et al., A Hard-to-Beat Baseline for Training-Free CLIP-based
Adaptation, 2024 (https://arxiv.org/abs/2402.04087), which break with few images and need others to choose a ridge by.
Both choices are made by leave-one-out here, as Allen's PRESS does for ridge regression (1974), and a label's mean is
drawn towards where its text puts it.

Shapes: N annotated images, T labels that have some, d numbers of an embedding. Symbols:

    x_i, y_i, r_i    an image's unit vector, its label, and how far the annotation is trusted, from 0 to 1
    t_k              a label's unit vector as it is served; τ_k: less the mean of all
    n_k, x̄_k         sum of r over a label's images, and their mean; μ: the mean of all x̄_k
    S                the scatter within labels: the sum of r (x - x̄_y)(x - x̄_y)ᵀ
    g_k, m_k         where a label's images lie by its text alone, μ + ρ τ_k, and by its text and its images. Texts and
                     images lie apart, but what sets labels apart points the same way; ρ ≥ 0 is what fits best
    A                the metric: the inverse of S + δσ²Q, with a ridge δ and a prior covariance Q
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

PRIOR_IMAGES = 1.0
"""As so many images a label's text counts for its mean (κ)."""
MIN_LABELS = 3
"""With images, for what is learnt from labels about labels."""
LEAST_VARIANCE = 1e-3
"""Within labels, as a share of all variance: of a label's copies of one image nobody knows how its images differ."""


MAX_STEPS = 50
"""Of Newton's method, which takes about five."""
MAX_SCORES = 1_000_000
"""Of images left out for labels: as many are enough to find three weights by."""


class Gaussians:
    """The annotated images' labels, all float64. `x` [N, d], `y` [N], `t` [T, d], `trust` [N], `prior` Q [d, d].

    What is `_along` is in coordinates in which both the scatter and Q are diagonal, so that every ridge is a division.
    """

    def __init__(self, x: Tensor, y: Tensor, t: Tensor, trust: Tensor, prior: Tensor) -> None:
        self.x, self.y, self.trust = x, y, trust
        self.rows = torch.arange(len(y))
        member = one_hot(y, len(t)).double()  # [N, T]
        self.leaves_some = member.sum(dim=0)[y] > 1  # whether the label has an image without it [N]
        member = member * trust[:, None]
        self.counts = member.sum(dim=0)  # n_k [T]
        self.averages = member.T @ x / self.counts[:, None]  # x̄_k [T, d]
        self.centre = self.averages.mean(dim=0)  # μ [d]
        self.towards = t - t.mean(dim=0)  # τ_k [T, d]
        self.apart = x - self.averages[y]  # [N, d]
        self.slope, self.text_variance = 0.0, float(self.towards.square().sum())
        if len(t) >= MIN_LABELS and self.text_variance > 0:
            self.slope = float((self.towards * self.averages).sum()) / self.text_variance
        self.by_text = self.centre + max(self.slope, 0.0) * self.towards  # g_k [T, d]
        self.means = self._drawn(self.counts[:, None], self.averages, self.by_text)  # m_k [T, d]
        total = float((x - self.centre).square().sum())
        within = float((self.apart.square() * trust[:, None]).sum()) if self.leaves_some.any() else total
        self.variance = max(within, LEAST_VARIANCE * total) / x.shape[1]  # σ²
        self.axes, self.scatter_along = _diagonal((self.apart * trust[:, None]).T @ self.apart, prior)

    @staticmethod
    def _drawn(counts: Tensor, averages: Tensor, by_text: Tensor) -> Tensor:
        """Means of images, drawn to where texts put them: m = (n x̄ + κ g) / (n + κ)."""
        return (counts * averages + PRIOR_IMAGES * by_text) / (counts + PRIOR_IMAGES)

    def precisions(self, ridge: float) -> Tensor:
        """A, along its axes [d]."""
        return 1 / (self.scatter_along + ridge * self.variance)

    def metric(self, ridge: float) -> Tensor:
        """A [d, d]"""
        return (self.axes * self.precisions(ridge)) @ self.axes.T

    def left_out_distances(self, ridges: Sequence[float]) -> Iterator[tuple[Tensor, Tensor]]:
        """By each ridge (x_i - m_k)ᵀ A (x_i - m_k) [N, T], and the same from g of the own label [N], both by a refit
        without image i but for δσ²Q: without it in S, the own label's mean, μ, and where texts put all labels. The only
        image of a label is at the distance of that label's text.

        With R = x_i - x̄_y the scatter without it is S - f R Rᵀ, f = r n / (n - r), so by Sherman and Morrison its
        inverse is A + f / (1 - h) A R Rᵀ A, with h = f RᵀAR. The own average moves by q = r / (n - r) R, so μ by q / T
        and ρ by τ_y q / Σ|τ|² in the other direction, and a label's mean by κ / (n_k + κ) of both.
        """
        n, labels = self.counts[self.y], len(self.counts)
        left = torch.where(self.leaves_some, n - self.trust, torch.zeros_like(n))
        step = torch.where(self.leaves_some, self.trust / left.clamp(min=1e-9), torch.zeros_like(n))  # q = step R
        slope = torch.zeros_like(n)  # what ρ changes by [N]
        if self.slope:
            moved = step * (self.towards[self.y] * self.apart).sum(dim=1) / self.text_variance
            slope = (self.slope - moved).clamp(min=0) - max(self.slope, 0.0)
        back, slope = (step / labels)[:, None], slope[:, None]  # μ moves by -back R
        x, r, means, towards = (each @ self.axes for each in (self.x, self.apart, self.means, self.towards))
        by_text = (self.by_text @ self.axes)[self.y] + slope * towards[self.y] - back * r
        averages = (self.averages @ self.axes)[self.y] - step[:, None] * r
        from_text, from_own = x - by_text, x - self._drawn(left[:, None], averages, by_text)
        precisions = torch.stack([self.precisions(ridge) for ridge in ridges], dim=1)  # [d, ridges]
        pairs = ((x, x), (x, r), (r, r), (from_text, from_text), (from_text, r), (from_own, from_own), (from_own, r))
        products = torch.stack([(one * other) @ precisions for one, other in pairs])  # such as xᵀAx [7, N, ridges]
        share = PRIOR_IMAGES / (self.counts + PRIOR_IMAGES)  # [T]
        for a, (x_x, x_r, r_r, text_text, text_r, own_own, own_r) in zip(
            precisions.T, products.permute(2, 0, 1)[..., None], strict=True
        ):
            weighed = (a * torch.cat([means, towards])).T  # [d, 2T]
            (x_mean, x_towards), (r_mean, r_towards) = ((each @ weighed).split(labels, dim=1) for each in (x, r))
            f = (step * n)[:, None]
            f = f / (1 - (f * r_r).clamp(max=1 - 1e-6))  # f / (1 - h)
            # x - m_k moves by share (back R - slope τ_k)
            moved_x = back * x_r - slope * x_towards
            moved_mean = back * r_mean - slope * ((means * towards) @ a)
            moved_r = back * r_r - slope * r_towards
            moved_moved = back * (moved_r - slope * r_towards) + slope.square() * (towards.square() @ a)
            distances = x_x - 2 * x_mean + means.square() @ a
            distances += 2 * share * (moved_x - moved_mean) + share.square() * moved_moved
            distances += f * (x_r - r_mean + share * moved_r).square()
            distances[self.rows, self.y] = (own_own + f * own_r.square())[:, 0]
            yield distances, (text_text + f * text_r.square())[:, 0]

    def left_out_evidence(self, ridges: Sequence[float]) -> Iterator[tuple[Tensor, Tensor]]:
        """By each ridge the logarithms of the likelihoods that follow [N, T], up to what is the same for all labels;
        and what is due to each label where none is left out [T].

        A mean is itself uncertain: m_k lies from where it would be with ever more images, squared and by A, by what
        `_uncertainty` says, which makes a label with few images seem farther than it is, and one that an image is left
        out of seem farther than the others. Half of that is due to its evidence. Without this the counts alone would
        tell an image's label from the others.
        """
        own = self.rows, self.y
        left = torch.where(self.leaves_some, self.counts[self.y] - self.trust, torch.zeros_like(self.trust))
        for distances, to_text in self.left_out_distances(ridges):
            spread = self._spread(distances[own], to_text, left)
            due = 0.5 * self._uncertainty(self.counts, *spread)
            evidence = due - 0.5 * distances
            evidence[own] = 0.5 * (self._uncertainty(left, *spread) - distances[own])
            yield evidence, due

    def _spread(self, to_own: Tensor, to_text: Tensor, left: Tensor) -> tuple[float, float]:
        """How far, squared and by A, images lie from their label's true mean, and that from where its text puts it, by
        how far images left out [N] lie from m, of so many others, and from g. No less than 0.
        """
        some = self.leaves_some
        if not some.any():
            return 0.0, float(to_text.mean())
        shares = self.trust[some] / self.trust[some].sum()
        own, text = float(shares @ to_own[some]), float(shares @ to_text[some])
        images, prior = (float(shares @ self._uncertainty(left[some], *each)) for each in ((1.0, 0.0), (0.0, 1.0)))
        # own = within + images within + prior between, and text = within + between
        within = max((own - prior * text) / (1 + images - prior), 0.0)
        return (within, text - within) if text > within else (own / (1 + images), 0.0)

    def _uncertainty(self, counts: Tensor, within: float, between: float) -> Tensor:
        """The expected square of how far means of n images and a text lie from the true ones: of n / (n + κ) times
        the images' noise and κ / (n + κ) times the text's, which has a part of the images' by way of μ.
        """
        n, k = counts, PRIOR_IMAGES
        return ((n + 2 * k / len(self.counts)) * within + k**2 * between) / (n + k) ** 2


def _diagonal(scatter: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Axes [d, d], as columns, along which the prior covariance is 1 and the scatter what follows, [d]."""
    root = torch.linalg.cholesky(prior)
    half = torch.linalg.solve_triangular(root, scatter, upper=False)
    whitened = torch.linalg.solve_triangular(root, half.T, upper=False)
    values, vectors = torch.linalg.eigh((whitened + whitened.T) / 2)
    return torch.linalg.solve_triangular(root.T, vectors, upper=True), values.clamp(min=0)


def likeliest_weights(
    features: Tensor, targets: Tensor, shares: Tensor, expected: Sequence[float], strengths: Sequence[float]
) -> tuple[list[float], float]:
    """Positive weights [F] under which softmax(features [N, T, F] @ weights) says the targets best, each image weighing
    its share, and whose logarithms are expected with these strengths; and the negative logarithm of that likelihood.

    By Newton's method with Fisher's information for the likelihood's second derivative, which is never negative.
    """
    start, held = torch.tensor(expected, dtype=torch.float64).log(), torch.tensor(strengths, dtype=torch.float64)
    rows = torch.arange(len(targets))

    def loss(at: Tensor) -> tuple[float, Tensor]:
        said = (features @ at.exp()).log_softmax(dim=1)
        return float(-(shares * said[rows, targets]).sum() + 0.5 * (held * (at - start).square()).sum()), said

    at = start
    value, said = loss(at)
    for _ in range(MAX_STEPS):
        weighed, chances = features * at.exp(), said.exp()
        expectation = (chances[..., None] * weighed).sum(dim=1)  # [N, F]
        rise = (shares[:, None] * (weighed[rows, targets] - expectation)).sum(dim=0)
        spread = ((shares[:, None] * chances)[..., None] * weighed).flatten(0, 1).T @ weighed.flatten(0, 1)
        information = spread - (shares[:, None] * expectation).T @ expectation
        slope = held * (at - start) - rise
        step = torch.linalg.solve(information + torch.diag((-rise).clamp(min=0) + held), -slope).clamp(-1.5, 1.5)
        length = 1.0
        before = value
        while length > 1e-3:
            value, said = loss(at + length * step)
            if value <= before:
                break
            length /= 2
        else:
            value = before
            break
        at = at + length * step
        if before - value < 1e-6 * len(targets):
            break
    return at.exp().tolist(), value


def enough_rows(rows: Tensor, labels: int, most: int = MAX_SCORES) -> Tensor:
    """Every first, second or third row and so on, so that they have no more scores for so many labels."""
    return rows[:: -(-len(rows) * labels // most)]
