import torch

from benchmarks.learning.unknown import ASKED, auroc, measure, noise, photographs, report
from model.clip.checkpoint import load_checkpoint
from model.clip.encode import Clip
from tests.lambdas.manage.conftest import SHIPPED


def test_auroc_is_one_where_all_known_are_surer_and_a_half_where_none_can_be_told() -> None:
    assert auroc(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0])) == 1.0
    assert auroc(torch.tensor([1.0, 1.0]), torch.tensor([1.0])) == 0.5
    assert auroc(torch.tensor([0.0]), torch.tensor([1.0, -1.0])) == 0.5


def test_noise_and_photographs_are_the_same_each_time_and_not_one_like_another() -> None:
    for images in (noise, photographs):
        once, again = list(images(3)), list(images(3))
        assert [image.tobytes() for image in once] == [image.tobytes() for image in again]
        assert len({image.tobytes() for image in once}) == 3


def test_the_report_has_every_task_and_judge_and_what_is_served_tells_the_far_from_the_known() -> None:
    figures = measure(Clip(load_checkpoint(SHIPPED)), scenes=60, far_images=12)
    assert {task for task, _ in figures} == set(ASKED)
    thing = figures["thing", "served"]
    assert min(thing["pictograms"], thing["photographs"]) > 0.8
    assert "| word bank |" in report(figures) and "| colour_and_shape |" in report(figures)
