"""What a task learns from annotated images at once."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from model.clip.head import Head, Lesson, fit_head

WIDTH, SCALE = 32, 30.0


class World:
    """Labels with a place each; images lie around theirs, texts too, but all of them elsewhere, as a CLIP's do."""

    def __init__(self, labels: int, noise: float = 0.9, text_noise: float = 0.6, seed: int = 0) -> None:
        self.draw = torch.Generator().manual_seed(seed)
        self.places = normalize(self.normal(labels, WIDTH), dim=1)
        self.gap = 0.3 * normalize(self.normal(1, WIDTH), dim=1)
        self.noise = noise
        self.texts = normalize(self.places + text_noise * self.normal(labels, WIDTH) / WIDTH**0.5 - self.gap, dim=1)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.draw)

    def images(self, each: int, *labels: int) -> tuple[Tensor, Tensor]:
        """So many of every label, or of these."""
        targets = torch.tensor(labels or range(len(self.places))).repeat_interleave(each)
        spread = self.noise * self.normal(len(targets), WIDTH) / WIDTH**0.5 * 1.5
        return normalize(self.places[targets] + spread + self.gap, dim=1), targets

    def lesson(self, each: int, *labels: int) -> Lesson:
        return fit_head(*self.images(each, *labels), self.texts, SCALE)


def right(logits: Tensor, targets: Tensor) -> float:
    return float((logits.argmax(dim=1) == targets).float().mean())


def gain_of(lesson: Lesson) -> float:
    assert lesson.gain is not None
    return lesson.gain


@pytest.mark.parametrize("each", [1, 2, 4, 16])
def test_it_answers_better_than_words_that_know_little_and_the_more_the_better(each: int) -> None:
    world = World(8, text_noise=3.0)
    asked, targets = world.images(50)
    lesson = world.lesson(each)
    by_words = right(SCALE * asked @ world.texts.T, targets)
    assert right(lesson.head.logits(asked), targets) > by_words + 0.1
    if each > 1:
        assert gain_of(lesson) > 0
        assert right(lesson.head.logits(asked), targets) > right(world.lesson(each // 2).head.logits(asked), targets)


def test_words_that_know_the_answer_lose_next_to_nothing() -> None:
    world = World(8, noise=0.8, text_noise=0.1)
    asked, targets = world.images(100)
    for each in (1, 2, 16):
        assert right(world.lesson(each).head.logits(asked), targets) > right(asked @ world.texts.T, targets) - 0.03


@pytest.mark.parametrize("each", [2, 4])
def test_labels_that_mean_nothing_show_no_gain(each: int) -> None:
    """Neither where the words know other labels nor where they know nothing; and the images that are left out are told
    no better than by chance.
    """
    world, labels = World(5, text_noise=1.0), 5
    gains, accuracies = [], []
    for _ in range(8):
        images, truth = world.images(each)
        shuffled = truth[torch.randperm(len(truth), generator=world.draw)]
        lesson = fit_head(images, shuffled, world.texts, SCALE)
        gains.append(gain_of(lesson))
        accuracies.append(right(lesson.logits, shuffled))
    assert sum(gains) / len(gains) < 0.0
    assert sum(accuracies) / len(accuracies) == pytest.approx(1 / labels, abs=0.12)


def test_the_gain_is_over_words_at_the_confidence_that_suits_them() -> None:
    """Words that are right, but far too sure or unsure, are no reason to be taught."""
    world = World(4, noise=1.5, text_noise=0.0)
    images, labels = world.images(6)
    gains = [gain_of(fit_head(images, labels, world.texts, scale)) for scale in (3.0, 30.0, 300.0)]
    assert max(gains) < 0.15


def test_its_probabilities_of_images_that_it_has_not_seen_are_honest() -> None:
    world = World(6, text_noise=3.0, noise=1.5)
    lesson = world.lesson(20)
    asked, targets = world.images(200)
    sure = lesson.head.logits(asked).softmax(dim=1).max(dim=1).values.mean()
    assert float(sure) == pytest.approx(right(lesson.head.logits(asked), targets), abs=0.08)
    left_out = right(lesson.logits, torch.arange(6).repeat_interleave(20))
    assert left_out == pytest.approx(right(lesson.head.logits(asked), targets), abs=0.1)


def test_wrong_labels_are_doubted_and_harm_little() -> None:
    world = World(5, text_noise=3.0)
    images, labels = world.images(16)
    wrong = torch.arange(0, 80, 10)
    spoilt = labels.clone()
    spoilt[wrong] = (labels[wrong] + 1 + torch.arange(8) % 3) % 5
    lesson = fit_head(images, spoilt, world.texts, SCALE)
    most_doubtful = lesson.doubts.argsort(descending=True)[:8]
    assert len({*most_doubtful.tolist()} & {*wrong.tolist()}) >= 6
    assert gain_of(lesson) > 0
    asked, targets = world.images(50)
    clean = right(fit_head(images, labels, world.texts, SCALE).head.logits(asked), targets)
    assert right(lesson.head.logits(asked), targets) > clean - 0.05


def test_right_labels_are_hardly_doubted_and_too_few_not_at_all() -> None:
    assert float(World(5).lesson(16).doubts.mean()) < 0.03
    assert World(5).lesson(3).doubts.tolist() == [0.0] * 15


def test_a_label_in_words_works_beside_taught_ones() -> None:
    world = World(6, text_noise=0.5)
    lesson = world.lesson(8, 0, 1, 2, 3)
    assert lesson.head.text_only.tolist() == [False] * 4 + [True] * 2
    for labels in ((0, 1, 2, 3), (4, 5)):
        asked, targets = world.images(100, *labels)
        assert right(lesson.head.logits(asked), targets) > 0.7


def test_a_label_in_words_works_beside_labels_with_an_image_each() -> None:
    world = World(4, text_noise=0.3)
    head = world.lesson(1, 0, 1, 2).head
    for label in range(4):
        asked, targets = world.images(100, label)
        assert right(head.logits(asked), targets) > 0.6


def test_the_only_image_of_a_label_leaves_its_text_when_it_is_left_out() -> None:
    """What the head knows of the label comes from that image, and must not be what it is judged by."""
    world = World(5, text_noise=0.5)
    texts = torch.cat([world.texts[:4], world.texts[3:4]])  # the last label has the words of the one before
    images, labels = world.images(6, 0, 1, 2)
    lone, label = world.images(1, 3)
    lesson = fit_head(torch.cat([images, lone]), torch.cat([labels, label]), texts, SCALE)
    assert float(lesson.logits[-1, 3]) == float(lesson.logits[-1, 4])
    assert not torch.allclose(lesson.logits[:-1, 3], lesson.logits[:-1, 4])
    assert lesson.head.logits(lone)[0, 3] > lesson.head.logits(lone)[0, 4]


def test_where_every_label_has_one_image_nothing_can_be_left_out() -> None:
    lesson = World(4).lesson(1)
    assert lesson.gain is None and lesson.doubts.tolist() == [0.0] * 4


def test_where_all_labels_are_taught_it_is_a_matrix() -> None:
    world = World(5)
    head = world.lesson(4).head
    asked, _ = world.images(10)
    weights, biases = head.weights, head.biases
    assert (weights.shape, biases.shape, weights.dtype) == ((5, WIDTH), (5,), torch.float32)
    assert torch.equal(asked @ weights.T + biases, head.logits(asked))


@pytest.mark.parametrize("labels", [(0, 1, 2, 3), (0, 1, 2)])
def test_a_head_is_the_same_after_it_was_stored_and_refuses_what_is_none(labels: tuple[int, ...]) -> None:
    world = World(4)
    head = world.lesson(4, *labels).head
    asked, _ = world.images(5)
    stored = head.tensors()
    assert torch.equal(Head.of(stored).logits(asked), head.logits(asked))
    spoilt = (
        {name: tensor for name, tensor in stored.items() if name != "biases"},
        stored | {"biases": stored["biases"][1:]},
        stored | {"weights": stored["weights"].double()},
        stored | {"weights": stored["weights"] * float("nan")},
        stored | {"more": torch.zeros(1)},
        {},
    )
    for tensors in spoilt:
        with pytest.raises(ValueError, match="head"):
            Head.of(tensors)


@pytest.mark.parametrize(("labels", "each"), [([2], 1), ([2], 4), ([0, 1], 0)])
def test_where_there_is_nothing_to_learn_the_words_answer(labels: list[int], each: int) -> None:
    """One label, whether it has one image or some; or two labels of the same image."""
    world = World(3)
    if each:
        images, targets = world.images(each, *labels)
    else:
        images, targets = world.images(1, 0)[0].expand(4, WIDTH), torch.tensor([*labels, *labels])
    lesson = fit_head(images, targets, world.texts, SCALE)
    asked, _ = world.images(5)
    assert torch.allclose(lesson.head.logits(asked), SCALE * asked @ world.texts.T, atol=1e-4)
    assert torch.allclose(lesson.logits, SCALE * images @ world.texts.T, atol=1e-4)
    assert lesson.gain is None and not lesson.doubts.any()
    assert lesson.head.unknown(asked, lesson.head.logits(asked)).tolist() == [0.0] * len(asked)


@pytest.mark.parametrize("case", ["two images", "copies", "one each of two labels", "many and one", "equal texts"])
def test_odd_sets_of_images_make_a_head_of_finite_numbers(case: str) -> None:
    world = World(3, text_noise=0.5)
    images, labels = {
        "two images": world.images(2, 0),
        "copies": world.images(1, 0, 1, 2),
        "one each of two labels": world.images(1, 0, 2),
        "many and one": world.images(9, 0),
        "equal texts": world.images(3),
    }[case]
    texts = world.texts
    if case == "copies":
        images, labels = images.repeat(3, 1), labels.repeat(3)
    if case == "many and one":
        one = world.images(1, 1)
        images, labels = torch.cat([images, one[0]]), torch.cat([labels, one[1]])
    if case == "equal texts":
        texts = texts[:1].expand(3, WIDTH)
    lesson = fit_head(images, labels, texts, SCALE)
    asked, targets = world.images(40, *labels.unique().tolist())
    logits = lesson.head.logits(asked)
    assert logits.isfinite().all() and lesson.logits.isfinite().all() and lesson.doubts.isfinite().all()
    assert right(logits, targets) > 0.6
    assert logits.dtype == lesson.logits.dtype == lesson.doubts.dtype == torch.float32


def test_a_label_with_many_images_does_not_drown_one_with_few() -> None:
    world = World(3, text_noise=3.0)
    many, few = world.images(60, 0), world.images(3, 1, 2)
    lesson = fit_head(torch.cat([many[0], few[0]]), torch.cat([many[1], few[1]]), world.texts, SCALE)
    for label in range(3):
        asked, targets = world.images(100, label)
        assert right(lesson.head.logits(asked), targets) > 0.6


def test_a_background_tells_in_which_directions_images_differ_anyway() -> None:
    world = World(6, text_noise=3.0)
    idle = 12.0 * torch.diag((torch.arange(WIDTH) < 4).float())  # they differ there for no reason
    images, labels = world.images(1)
    asked, targets = world.images(100)
    shake = idle.sqrt() * 0.2
    images = normalize(images + world.normal(*images.shape) @ shake, dim=1)
    asked = normalize(asked + world.normal(*asked.shape) @ shake, dim=1)
    plain = fit_head(images, labels, world.texts, SCALE)
    told = fit_head(images, labels, world.texts, SCALE, background=idle + 0.1 * torch.eye(WIDTH))
    assert right(told.head.logits(asked), targets) > right(plain.head.logits(asked), targets)


def test_what_is_no_set_of_annotated_images_is_refused_with_a_sentence() -> None:
    world = World(3)
    images, labels = world.images(2)
    nan = images.clone()
    nan[0, 0] = float("nan")
    wrong: list[tuple[str, dict[str, Tensor | float]]] = [
        ("every image needs the number of its label", {"images": images[:0], "labels": labels[:0]}),
        ("6 images, labels .5", {"labels": labels[1:]}),
        ("one of 0 to 2, not 3", {"labels": labels + 1}),
        ("one of 0 to 2, not -1", {"labels": labels - 1}),
        ("images must be finite numbers: 1 are not", {"images": nan}),
        ("texts must be finite numbers", {"texts": world.texts / 0}),
        ("of one width", {"texts": world.texts[:, 1:]}),
        ("above 0, not 0", {"scale": 0.0}),
        ("above 0, not nan", {"scale": float("nan")}),
        ("covariance of shape .32, 32.", {"background": torch.eye(3)}),
    ]
    for sentence, given in wrong:
        with pytest.raises(ValueError, match=sentence):
            fit_head(**({"images": images, "labels": labels, "texts": world.texts, "scale": SCALE} | given))  # type: ignore[arg-type]


def test_it_is_the_same_in_any_order_of_the_images_and_of_the_labels() -> None:
    world = World(4)
    images, labels = world.images(6)
    order = torch.randperm(24, generator=world.draw)
    asked, _ = world.images(5)
    logits = fit_head(images, labels, world.texts, SCALE).head.logits(asked)
    shuffled = fit_head(images[order], labels[order], world.texts, SCALE).head.logits(asked)
    assert torch.allclose(logits, shuffled, atol=1e-4)
    turned = fit_head(images, 3 - labels, world.texts.flip(0), SCALE).head.logits(asked)
    assert torch.allclose(logits, turned.flip(1), atol=1e-4)


def test_a_head_without_what_labels_without_images_need_is_another() -> None:
    world = World(4)
    head = world.lesson(6, 0, 1, 2).head
    asked, _ = world.images(5)
    assert head.metric is not None
    assert not torch.allclose(head.logits(asked)[:, 3], replace(head, metric=None).logits(asked)[:, 3])


def unknown(head: Head, images: Tensor) -> Tensor:
    return head.unknown(images, head.logits(images))


def strangers(world: World) -> Tensor:
    """Images that lie together, as those of labels do, and elsewhere."""
    return normalize(normalize(world.normal(1, WIDTH), dim=1) + world.normal(200, WIDTH) / WIDTH**0.5 / 3, dim=1)


@pytest.mark.parametrize("each", [4, 30])
def test_what_is_unlike_all_annotated_images_is_unknown_and_what_is_like_them_is_not(each: int) -> None:
    world = World(6, noise=0.3)
    head = world.lesson(each).head
    asked, _ = world.images(200)
    assert float((unknown(head, asked) > 0.5).float().mean()) < 0.06
    assert float((unknown(head, strangers(world)) > 0.5).float().mean()) > 0.9


def test_wrong_labels_do_not_make_everything_known() -> None:
    world = World(6, noise=0.3)
    images, labels = world.images(20)
    labels[::10] = (labels[::10] + 1) % 6
    head = fit_head(images, labels, world.texts, SCALE).head
    assert float((unknown(head, strangers(world)) > 0.5).float().mean()) > 0.9


def test_images_of_a_label_without_any_are_known_by_its_words() -> None:
    world = World(6, noise=0.3)
    asked, _ = world.images(100, 4, 5)
    beside, without = world.lesson(8, 0, 1, 2, 3).head, World(6, noise=0.3)
    four = fit_head(*without.images(8, 0, 1, 2, 3), without.texts[:4], SCALE).head
    assert float((unknown(beside, asked) > 0.5).float().mean()) < 0.1
    assert float((unknown(four, asked) > 0.5).float().mean()) > 0.9


def test_copies_of_one_image_tell_nothing_of_how_images_differ() -> None:
    world = World(2)
    images, labels = world.images(1)
    head = fit_head(images.repeat_interleave(3, dim=0), labels.repeat_interleave(3), world.texts, SCALE).head
    assert unknown(head, world.images(20)[0]).isfinite().all()
