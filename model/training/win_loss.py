"""What fine-tuning has won on the new domain, image by image, so that a gate can tell it from luck."""

from torch import Tensor

from model.clip.encode import Clip
from model.training.loop import Loop


def gain(loop: Loop, base: Clip) -> dict[str, int]:
    """Of the new domain's validation images, how many the averaged weights get right and the base does not (`won`),
    and the other way round (`lost`). An image is got right if the best of all validation sentences is true of it.
    """
    before, after = _right(*loop.validation_cosines(base)), _right(*loop.validation_cosines())
    return {"images": len(after), "won": int((after & ~before).sum()), "lost": int((before & ~after).sum())}


def _right(cosines: Tensor, positives: Tensor) -> Tensor:
    """shape = [images]"""
    return positives.gather(1, cosines.argmax(dim=1, keepdim=True))[:, 0].bool()
