"""A task's head: what some annotated images teach about its labels at once, without a training.

The towers stay as they are. Every label is a Gaussian among the embeddings (model/clip/evidence.py); what these say of
an image is added to what the words say, with weights under which the annotated images themselves are told apart best,
each by the head that has not seen it. All is in closed form but three weights, and every choice is made by likelihood
of images left out: nothing is tuned for a data set.

Shapes: N annotated images, K labels, T of them with images, B images that are asked about, d numbers of an embedding.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor

from model.clip.evidence import Gaussians, enough_rows, likeliest_weights

RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""How much of the prior covariance is added to the scatter, in units of its mean. All are taken, in proportion to their
likelihoods: with a few images the likeliest one is so by chance."""
LONE_RIDGE = 1.0
"""Where no label has two images, so that none can be left out."""
ISOTROPIC_SHARE = 0.02
"""Of the prior covariance, where a background is known, which may know nothing of some directions. This, and that all
ridges are taken, was chosen by pictograms, scanned digits and hand signs."""
WEIGHTS = (1.0, 1.0, 0.8)
"""Of the words about what sets an image apart, of the words about all images, and of the evidence: what they are taken
for before any image is seen. These and what follows, PRIOR_IMAGES too, were chosen by pictograms, scanned digits, steel
defects and CIFAR-10."""
STRENGTHS = (0.3, 0.3, 4.0)
"""How strongly, as the precision of their logarithms."""
TRUST_ROUNDS = 2
MIN_TRUSTING_IMAGES = 4
"""A label with fewer images gives no reason to doubt one of them."""
MIN_TRUST = 0.02
FIRST_ERROR_RATE, MIN_ERROR_RATE, MAX_ERROR_RATE = 0.1, 0.01, 0.5
ERROR_RATE_STEPS = 20
OFFSETS = (-12.0, 6.0)
"""Between which the advantage of a label lies that has a text and no image."""
OFFSET_STEPS = 11
MIN_HIDDEN_LABELS = 3
"""With images, for that advantage to be learnt by hiding these."""
CONFIDENCES = tuple(10 ** (step / 4) for step in range(-8, 3))
"""What the words' scale may be multiplied by, when they are compared with a head."""
WIDER = 10.0
"""See Head.unknown."""
MIN_TRUSTED = 0.5
"""Of an annotation that tells how well images fit their label."""
LEAST_SPREAD = 1.0
"""Of how well they fit, in nats: copies of an image tell nothing of others."""
SAME = 1e-8
"""Unit vectors whose mean square from their mean is less are one image."""


@dataclass(frozen=True)
class Head:
    """What was learnt, in fp32: the logits of an image x are `weights` [K, d] x + `biases` [K].

    What all labels' evidence has in common, half the image's distance from the `centre` [d] by the `metric` [d, d],
    makes no difference between them. It does for a label without images, `text_only` bool [K], which it is added for,
    and it tells what is unlike all annotated images. `fit` [2]: the mean of how well these fit their own label, each
    left out, and the standard deviation. The three last are None where no evidence could be had.
    """

    weights: Tensor
    biases: Tensor
    text_only: Tensor
    centre: Tensor | None = None
    metric: Tensor | None = None
    fit: Tensor | None = None

    def logits(self, images: Tensor) -> Tensor:
        """Of unit vectors [B, d], for softmax over the labels [B, K]."""
        logits = images @ self.weights.T + self.biases
        if not self.has_text_only:
            return logits
        return logits + self._common(images)[:, None] * self.text_only

    def unknown(self, images: Tensor, logits: Tensor) -> Tensor:
        """How likely it is that no label fits, of unit vectors [B, d] and their `logits` [B, K]: 0 to 1, [B].

        By how badly the best label fits, in standard deviations of what annotated images fit theirs by, beside an
        outlier's, which are WIDER times as large (Box & Tiao 1968, A Bayesian approach to some outlier problems): as
        likely as the others beforehand. It tells what is unlike all annotated images, and next to nothing of an image
        like these that shows something else. How well a label without images fits is said by its words alone.
        """
        if self.fit is None:
            return torch.zeros(len(images))
        worse = (self.fit[0] - (logits.amax(dim=1) - self._common(images))).clamp(min=0) / self.fit[1]
        return torch.sigmoid(0.5 * worse.square() * (1 - WIDER**-2) - math.log(WIDER))

    @cached_property
    def has_text_only(self) -> bool:
        """Whether a label has no images."""
        return self.metric is not None and bool(self.text_only.any())

    def _common(self, images: Tensor) -> Tensor:
        """Half the distances from the centre [B]."""
        if self.centre is None or self.metric is None:
            raise ValueError("a head without evidence knows no distances")
        apart = images - self.centre
        return 0.5 * ((apart @ self.metric) * apart).sum(dim=1)

    def tensors(self) -> dict[str, Tensor]:
        """By name, to be stored."""
        return {each.name: tensor for each in fields(self) if (tensor := getattr(self, each.name)) is not None}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Head":
        """From what `tensors` gave. Raises ValueError if these are others, or hold anything but numbers."""
        weights = tensors.get("weights")
        if weights is None or weights.ndim != 2:
            raise ValueError(f"a head has weights [labels, width], not {_named(tensors)}")
        labels, width = weights.shape
        shapes = {"weights": (labels, width), "biases": (labels,), "text_only": (labels,)}
        if tensors.keys() - shapes:
            shapes |= {"centre": (width,), "metric": (width, width), "fit": (2,)}
        if {name: tuple(each.shape) for name, each in tensors.items()} != shapes:
            raise ValueError(f"a head for {labels} labels and width {width} is {shapes}, not {_named(tensors)}")
        for name, tensor in tensors.items():
            wanted = torch.bool if name == "text_only" else torch.float32
            if tensor.dtype != wanted or not tensor.isfinite().all():
                raise ValueError(f"{name} of a head must be finite {wanted}, not {tensor.dtype}")
        return cls(**tensors)


def _named(tensors: Mapping[str, Tensor]) -> str:
    return str({name: tuple(tensor.shape) for name, tensor in tensors.items()})[:300]


@dataclass(frozen=True)
class Lesson:
    """A head, and what it says of every annotated image that it has not seen."""

    head: Head
    logits: Tensor
    """[N, K]: each row by the head without that image, before any annotation is doubted: doubts are made of all images.
    The only image of a label leaves its text.
    """
    doubts: Tensor
    """[N]: how likely each annotation is wrong; 0 where there are too few to tell"""
    gain: float | None
    """Of these logits' log-likelihood against that of the words alone, in nats an image, every label weighing the same:
    of images left out, so a head with a gain is expected to help. The words are taken at the confidence that suits
    these images best, which no head has to be taught for, and what choosing a weight by the same images gains is taken
    off (Akaike 1974). None where nothing can be left out: no label has two images, or only one has any.
    """

    @property
    def has_gain(self) -> bool:
        """Whether the head is expected to answer better than the words alone."""
        return self.gain is not None and self.gain > 0


def fit_head(images: Tensor, labels: Tensor, texts: Tensor, scale: float, background: Tensor | None = None) -> Lesson:
    """Learn from unit vectors of images [N, d] with the numbers of their labels [N], and of the labels' texts [K, d].

    `scale`: of the served logits, after the temperature. `background`: a covariance [d, d] that tells in which
    directions images differ anyway, such as `Clip.background`. Where nothing can be learnt, because all images have one
    label or are one image, the head is the words alone. Raises ValueError for what is not of these shapes, or finite.
    """
    _check(images, labels, texts, scale, background)
    lesson = _Lesson(images, labels, texts, scale, background)
    return lesson.words() if lesson.has_nothing_to_learn else lesson.learnt()


def _check(images: Tensor, labels: Tensor, texts: Tensor, scale: float, background: Tensor | None) -> None:
    shape, size = tuple(images.shape), tuple(texts.shape)
    if len(shape) != 2 or len(size) != 2 or shape[1] != size[1] or not size[0]:
        raise ValueError(f"images and texts must be vectors of one width, not of shapes {shape} and {size}")
    if not shape[0] or tuple(labels.shape) != shape[:1] or labels.is_floating_point():
        raise ValueError(f"every image needs the number of its label: {shape[0]} images, labels {tuple(labels.shape)}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= size[0]:
        raise ValueError(f"a label's number is one of 0 to {size[0] - 1}, not {low if low < 0 else high}")
    for name, tensor in {"images": images, "texts": texts}.items():
        if not tensor.isfinite().all():
            raise ValueError(f"embeddings of {name} must be finite numbers: {int((~tensor.isfinite()).sum())} are not")
    if not 0 < scale < float("inf"):
        raise ValueError(f"the scale must be above 0, not {scale}")
    if background is not None:
        wanted = (shape[1], shape[1])
        if tuple(background.shape) != wanted or not background.isfinite().all() or not background.trace() > 0:
            raise ValueError(f"a background must be a covariance of shape {wanted}, not {tuple(background.shape)}")


@dataclass(frozen=True)
class _Fitted:
    """What the annotated images lead to, by all ridges in proportion to their likelihoods. Evidence has its weight."""

    gaussians: Gaussians
    a: float
    """Of the words about what sets an image apart"""
    e: float
    """Of the words about all images"""
    evidence: Tensor
    """Of every image about every taught label, as if it were not annotated [N, T]"""
    due: Tensor
    """To each taught label, for how uncertain its mean is [T]"""
    precisions: Tensor
    """Of the metric along its axes [d]"""


class _Lesson:
    """The annotated images, which are looked at several times with other trust. All in float64, on the CPU."""

    def __init__(self, images: Tensor, labels: Tensor, texts: Tensor, scale: float, background: Tensor | None) -> None:
        self.x, self.labels, self.t = images.cpu().double(), labels.cpu().long(), texts.cpu().double()
        self.scale = scale
        images_of = self.labels.bincount(minlength=len(texts))  # [K]
        self.taught = images_of > 0
        self.y = (self.taught.cumsum(dim=0) - 1)[self.labels]  # among the taught labels [N]
        self.rows = torch.arange(len(labels))
        self.images_of = images_of[self.labels]  # of each image's label [N]
        self.some = self.images_of > 1  # images whose label has another [N]
        self.prior = torch.eye(texts.shape[1], dtype=torch.float64)
        if background is not None:
            known = background.cpu().double() * (len(self.prior) / background.trace())
            self.prior = ISOTROPIC_SHARE * self.prior + (1 - ISOTROPIC_SHARE) * known

    @property
    def has_nothing_to_learn(self) -> bool:
        """Nothing tells labels apart: there is one, or one image."""
        spread = float((self.x - self.x.mean(dim=0)).square().sum(dim=1).mean())
        return int(self.taught.sum()) < 2 or spread < SAME

    def words(self) -> Lesson:
        """The words alone."""
        untaught = torch.zeros(len(self.t), dtype=torch.bool)
        weights = (self.scale * self.t).float()
        head = Head(weights, torch.zeros(len(self.t)), untaught)
        return Lesson(head, self.by_words.float(), torch.zeros(len(self.x)), None)

    def learnt(self) -> Lesson:
        """What is learnt, after wrong labels have been found."""
        trust = torch.ones(len(self.x), dtype=torch.float64)
        fitted, doubts, rate = self.fit(trust), torch.zeros_like(trust), FIRST_ERROR_RATE
        logits, _ = self.answers(fitted)
        for _ in range(TRUST_ROUNDS):
            doubts, rate = self.doubts(fitted, rate)
            wanted = (1 - doubts).clamp(min=MIN_TRUST) if rate >= MIN_ERROR_RATE else torch.ones_like(trust)
            if torch.equal(wanted, trust):
                break
            trust = wanted
            fitted = self.fit(trust)
        _, advantage = self.answers(fitted)
        gain = self.gain(logits) if self.some.any() else None
        return Lesson(self.head(fitted, advantage), logits.float(), doubts.float(), gain)

    @cached_property
    def by_words(self) -> Tensor:
        """The logits of the words alone [N, K]."""
        return self.scale * self.x @ self.t.T

    def fit(self, trust: Tensor) -> _Fitted:
        """By every ridge with the weights that suit it, and by all in proportion to the likelihood that they leave."""
        gaussians = Gaussians(self.x, self.y, self.t[self.taught], trust, self.prior)
        ridges = RIDGES if self.some.any() else (LONE_RIDGE,)
        mean: list[Tensor] = []
        least, whole = math.inf, 0.0
        for ridge, (evidence, due) in zip(ridges, gaussians.left_out_evidence(ridges), strict=True):
            rms = self.rms(evidence)
            (a, e, b), loss = self.weights(gaussians, evidence / rms)
            parts = [torch.tensor([a, e]), *(b / rms * part for part in (evidence, due, gaussians.precisions(ridge)))]
            best = min(least, loss)
            whole = whole * math.exp(best - least) + math.exp(best - loss)
            share, least = math.exp(best - loss) / whole, best
            mean = [old.lerp(new, share) for old, new in zip(mean, parts, strict=True)] if mean else parts
        words, evidence, due, precisions = mean
        return _Fitted(gaussians, float(words[0]), float(words[1]), evidence, due, precisions)

    def rms(self, evidence: Tensor) -> float:
        """Of what evidence [N, T] tells labels apart by."""
        apart = evidence - evidence.mean(dim=1, keepdim=True)
        if self.some.any():
            apart = apart[self.some]
        else:  # nothing is known of evidence for the own label
            others = torch.ones_like(evidence, dtype=torch.bool)
            others[self.rows, self.y] = False
            apart = apart[others]
        return float(apart.square().mean().sqrt().clamp(min=1e-12))

    def weights(self, gaussians: Gaussians, evidence: Tensor) -> tuple[list[float], float]:
        """See WEIGHTS, and the loss that they leave. The last stays what it is taken for where none can be left out."""
        some, weighed = (self.some, 3) if self.some.any() else (torch.ones_like(self.some), 2)
        rows = enough_rows(self.rows[some], evidence.shape[1])
        targets, part = self.y[rows], len(rows) / int(some.sum())
        common = (self.scale * self.t[self.taught] @ gaussians.centre).expand(len(rows), -1)
        words = self.by_words[rows][:, self.taught] - common
        features = torch.stack([words, common, evidence[rows]][:weighed], dim=-1)
        shares = gaussians.trust / gaussians.counts[self.y]  # every label weighs the same
        shares = shares[rows] * (gaussians.trust.sum() / shares.sum() / part)
        found, loss = likeliest_weights(features, targets, shares, WEIGHTS[:weighed], STRENGTHS[:weighed])
        return [*found, *WEIGHTS[weighed:]], loss

    def logits(self, fitted: _Fitted) -> Tensor:
        """Of each image by the head without it, for labels with images [N, T]."""
        return self.words_within(fitted)[:, self.taught] + fitted.evidence

    def answers(self, fitted: _Fitted) -> tuple[Tensor, float]:
        """The same for all labels [N, K], where one without images has what the words add and an advantage: the
        evidence that is typical for the right label, and what hiding labels shows.
        """
        known, words = self.logits(fitted), self.words_within(fitted)
        advantage = self.typical(fitted)
        if not self.taught.all() and int(self.taught.sum()) >= MIN_HIDDEN_LABELS and self.some.any():
            advantage += self.offset(known, words[:, self.taught] + advantage, fitted.gaussians.trust)
        logits = words + advantage
        logits[:, self.taught] = known
        alone = self.rows[~self.some], self.labels[~self.some]
        logits[alone] = words[alone] + advantage
        return logits, advantage

    def words_within(self, fitted: _Fitted) -> Tensor:
        """What the words add [N, K]: a s t (x - μ) + e s t μ."""
        common = self.scale * self.t @ fitted.gaussians.centre
        return fitted.a * (self.by_words - common) + fitted.e * common

    def typical(self, fitted: _Fitted) -> float:
        """The evidence for the right label, as a median; where no image can be left out, that for the others."""
        own = torch.zeros_like(fitted.evidence, dtype=torch.bool)
        own[self.rows, self.y] = True
        if self.some.any():
            return float(fitted.evidence[own & self.some[:, None]].median())
        return float(fitted.evidence[~own].median())

    def doubts(self, fitted: _Fitted, rate: float) -> tuple[Tensor, float]:
        """How likely each label is wrong [N], by expectation maximisation over the rate of errors, which fall on all
        labels alike; and that rate.
        """
        chances = self.logits(fitted).softmax(dim=1)[self.rows, self.y]
        enough = self.images_of >= MIN_TRUSTING_IMAGES
        if not enough.any():
            return torch.zeros_like(chances), 0.0
        right = chances
        for _ in range(ERROR_RATE_STEPS):
            right = (1 - rate) * chances / ((1 - rate) * chances + rate / int(self.taught.sum()))
            rate = min(max(float(1 - right[enough].mean()), 1e-4), MAX_ERROR_RATE)
        return torch.where(enough, 1 - right, torch.zeros_like(right)), rate

    def offset(self, logits: Tensor, by_text: Tensor, trust: Tensor) -> float:
        """The advantage with which labels would be told best if their images were hidden, one label after the other.

        The likelihood is concave in it, so its slope, which falls, is halved in on.
        """
        some, targets = self.some, self.y[self.some]
        infinite = torch.full((int(some.sum()), 1), -torch.inf, dtype=torch.float64)
        logits, by_text = logits[some], by_text[some]
        below = torch.cat([infinite, logits.logcumsumexp(dim=1)[:, :-1]], dim=1)
        above = torch.cat([infinite, logits.flip(1).logcumsumexp(dim=1)[:, :-1]], dim=1).flip(1)
        lead = by_text - torch.logaddexp(below, above)  # of a hidden label before all others [some, T]
        totals = torch.zeros(logits.shape[1], dtype=torch.float64).index_add_(0, targets, trust[some])
        shares = trust[some] / totals[targets]
        hidden = int((totals > 0).sum())  # whose images the others are to be told from
        low, high = OFFSETS
        for _ in range(OFFSET_STEPS):
            middle = (low + high) / 2
            expected = (shares[:, None] * (lead + middle).sigmoid())[:, totals > 0].sum()
            low, high = (middle, high) if expected < hidden else (low, middle)
        return (low + high) / 2

    def gain(self, logits: Tensor) -> float:
        """See Lesson. A head has one weight more than the words' confidence, worth 1 / N by its choice alone."""
        words = max(self._likelihood(each * self.by_words) for each in CONFIDENCES)
        return self._likelihood(logits) - words - 1 / len(self.x)

    def _likelihood(self, logits: Tensor) -> float:
        """The mean logarithm of the annotations' probabilities, every label weighing the same."""
        said = logits.log_softmax(dim=1)[self.rows, self.labels]
        return float((said / self.images_of).sum() / int(self.taught.sum()))

    def head(self, fitted: _Fitted, advantage: float) -> Head:
        """Evidence is relative to what a label at the centre μ would have, which keeps fp32 exact:
        (m - μ)ᵀA(x - μ) - ½ (m - μ)ᵀA(m - μ) and what is due to it.
        """
        gaussians, taught = fitted.gaussians, self.taught
        metric = (gaussians.axes * fitted.precisions) @ gaussians.axes.T
        apart = gaussians.means - gaussians.centre  # m - μ [T, d]
        pointing = apart @ metric
        weights = fitted.a * self.scale * self.t
        biases = (fitted.e - fitted.a) * self.scale * self.t @ gaussians.centre
        weights[taught] += pointing
        biases[taught] += fitted.due - 0.5 * (pointing * apart).sum(dim=1) - pointing @ gaussians.centre
        biases[~taught] += advantage
        own = self.logits(fitted)[self.rows, self.y]
        sure = self.some & (gaussians.trust > MIN_TRUSTED)
        own = own[sure] if sure.any() else own
        fit = torch.stack([own.mean(), own.std(correction=0).clamp(min=LEAST_SPREAD)])
        of_images = (each.float() for each in (gaussians.centre, metric, fit))
        return Head(weights.float(), biases.float(), ~taught, *of_images)
