"""What labels as Gaussians say of images that they have not seen."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from model.clip.evidence import Gaussians, enough_rows, likeliest_weights

WIDTH, LABELS, RIDGE = 12, 4, 0.3


def gaussians(labels: list[int], background: bool, keep: Tensor | None = None) -> Gaussians:
    """Of images that are trusted more and less, or of some of them, and of texts that point a little to them."""
    draw = torch.Generator().manual_seed(3)
    y = torch.tensor(labels)
    places, noise = torch.randn(LABELS, WIDTH, generator=draw), torch.randn(len(y), WIDTH, generator=draw)
    trust = 0.3 + 0.7 * torch.rand(len(y), generator=draw).double()
    texts = normalize(places + torch.randn(LABELS, WIDTH, generator=draw), dim=1).double()
    images = normalize(places[y] + noise, dim=1).double()
    other = torch.randn(WIDTH, WIDTH, generator=draw).double()
    prior = other @ other.T / WIDTH + 0.1 * torch.eye(WIDTH) if background else torch.eye(WIDTH).double()
    rows = torch.arange(len(y)) if keep is None else keep
    return Gaussians(images[rows], y[rows], texts, trust[rows], prior)


@pytest.mark.parametrize("background", [False, True])
def test_leaving_an_image_out_is_the_same_as_a_fit_that_never_saw_it(background: bool) -> None:
    labels = [0] * 2 + [1] * 5 + [2] * 3 + [3] * 4
    whole = gaussians(labels, background)
    assert whole.slope > 0
    ((told, to_text),) = whole.left_out_distances([RIDGE])
    prior = torch.linalg.inv(whole.axes @ whole.axes.T)
    for row, label in enumerate(labels):
        rest = gaussians(labels, background, torch.arange(len(labels))[torch.arange(len(labels)) != row])
        scatter = (rest.apart * rest.trust[:, None]).T @ rest.apart
        metric = torch.linalg.inv(scatter + RIDGE * whole.variance * prior)
        off = whole.x[row] - rest.means
        assert told[row].tolist() == pytest.approx(((off @ metric) * off).sum(dim=1).tolist(), rel=1e-9)
        from_text = whole.x[row] - rest.by_text[label]
        assert float(to_text[row]) == pytest.approx(float(from_text @ metric @ from_text), rel=1e-9)


def test_the_metric_is_the_inverse_of_the_scatter_with_a_part_of_the_prior() -> None:
    whole = gaussians([0] * 3 + [1] * 3 + [2] * 3 + [3] * 3, background=True)
    prior = torch.linalg.inv(whole.axes @ whole.axes.T)
    scatter = (whole.apart * whole.trust[:, None]).T @ whole.apart
    wanted = torch.linalg.inv(scatter + RIDGE * whole.variance * prior)
    assert torch.allclose(whole.metric(RIDGE), wanted, rtol=1e-9)


@pytest.mark.parametrize("each", [2, 3])
def test_the_counts_alone_do_not_tell_the_label_of_an_image_that_is_left_out(each: int) -> None:
    """Images of one Gaussian, whose labels mean nothing, are no likelier to have their own label than any other."""
    draw = torch.Generator().manual_seed(each)
    labels, width, leads = 6, 64, []
    y = torch.arange(labels).repeat_interleave(each)
    for _ in range(40):
        x, t = torch.randn(len(y), width, generator=draw), torch.randn(labels, width, generator=draw)
        one = Gaussians(x.double(), y, t.double(), torch.ones(len(y)).double(), torch.eye(width).double())
        ((evidence, _),) = one.left_out_evidence([1.0])
        others = (evidence.sum(dim=1) - evidence[one.rows, y]) / (labels - 1)
        leads.append((evidence[one.rows, y] - others).mean() / (evidence - evidence.mean(dim=1, keepdim=True)).std())
    assert float(torch.stack(leads).mean()) == pytest.approx(0, abs=0.12)


def test_labels_with_few_images_and_with_many_are_equally_likely_where_these_lie_alike() -> None:
    draw = torch.Generator().manual_seed(0)
    y = torch.tensor([0] * 40 + [1] * 2)
    leads = []
    for _ in range(60):
        x = torch.randn(len(y), WIDTH, generator=draw).double()
        one = Gaussians(x, y, torch.eye(2, WIDTH).double(), torch.ones(len(y)).double(), torch.eye(WIDTH).double())
        ((_, due),) = one.left_out_evidence([1.0])
        asked = torch.randn(40, WIDTH, generator=draw).double()
        off = asked[:, None] - one.means  # [40, 2, d]
        evidence = due - 0.5 * ((off @ one.metric(1.0)) * off).sum(dim=-1)
        leads.append((evidence[:, 0] - evidence[:, 1]).mean() / (evidence[:, 0] - evidence[:, 1]).std())
    assert float(torch.stack(leads).mean()) == pytest.approx(0, abs=0.15)


def test_the_weights_that_tell_targets_best_are_found() -> None:
    draw = torch.Generator().manual_seed(0)
    features, targets = torch.randn(400, 3, 2, generator=draw).double(), torch.zeros(400, dtype=torch.long)
    features[:, 0, 0] += 1.0  # the first says something, the second nothing
    shares, expected, strengths = torch.ones(400).double(), (1.0, 1.0), (0.3, 0.3)
    found, loss = likeliest_weights(features, targets, shares, expected, strengths)
    assert found[0] > 0.5 and found[1] < 0.2

    def loss_at(weights: list[float]) -> float:
        at = torch.tensor(weights).double()
        said = (features @ at).log_softmax(dim=1)[:, 0].sum()
        return float(-said) + sum(
            0.5 * s * math.log(w / e) ** 2 for w, e, s in zip(weights, expected, strengths, strict=True)
        )

    assert loss == pytest.approx(loss_at(found))
    for step in (0.98, 1.02):
        assert loss_at([found[0] * step, found[1]]) > loss and loss_at([found[0], found[1] * step]) > loss - 1e-3


def test_a_few_targets_move_weights_less_than_many() -> None:
    features, targets = torch.zeros(50, 2, 1).double(), torch.zeros(50, dtype=torch.long)
    features[:, 0] = 1.0
    few, many = (
        likeliest_weights(features[:count], targets[:count], torch.ones(count).double(), [0.8], [4.0])[0][0]
        for count in (2, 50)
    )
    assert 0.8 < few < 1.1 < 1.5 < many


def test_of_very_many_scores_evenly_chosen_images_are_enough() -> None:
    rows = torch.arange(100, 190)
    assert enough_rows(rows, 10, most=900).tolist() == rows.tolist()
    assert enough_rows(rows, 10, most=899).tolist() == rows[::2].tolist()
    assert enough_rows(rows, 1000, most=30_000).tolist() == rows[::3].tolist()
