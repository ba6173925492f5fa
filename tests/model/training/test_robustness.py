"""A run over images as they come: two in a hundred are broken, or unusual in every way that is no reason to refuse."""

import io
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.containers import TrainSettings
from contract.hyperparameters import Hyperparameters
from contract.limits import MAX_TEXT_CHARS
from model.clip.image import EXIF_ORIENTATION
from model.data.examples import ManifestExamples
from model.training.job import main
from model.training.start import load_base, load_channel

IMAGES = 450
LAST_VALIDATION = 20
RUN = ["steps=8", "batch_size=64", "warmup_steps=2", "evaluation_scenes=100", "selection_scenes=100"]
"""Eight steps of 64 show every one of the images to train on."""


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def picture(mode: str = "RGB") -> Image.Image:
    """Black above, white below."""
    image = Image.new("L", (40, 40))
    image.paste(255, (0, 20, 40, 40))
    return image.convert("RGB").convert(mode)


def lying() -> bytes:
    """A camera held on its side: stored a quarter turn to the left, with the EXIF mark that says so."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    return encoded(picture().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)


def sixteen_bits() -> bytes:
    return encoded(Image.fromarray(np.asarray(picture("L")).astype(np.uint16) * 257))


def bomb() -> bytes:
    png = bytearray(encoded(picture()))
    png[16:24] = struct.pack(">II", 60_000, 60_000)
    return bytes(png)


BROKEN: dict[str, Callable[[], bytes]] = {
    "corrupt": lambda: b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4,
    "truncated": lambda: encoded(picture(), "JPEG")[:400],
    "bomb": bomb,
    "empty": lambda: b"",
}
UNUSUAL: dict[str, tuple[Callable[[], bytes], str]] = {
    "lying": (lying, "None"),
    "sixteen_bits": (sixteen_bits, "NA"),
    "cmyk": (lambda: encoded(picture("CMYK"), "JPEG"), "null"),
    "palette": (lambda: encoded(picture("P")), "🙂 日本語"),
    "one_pixel": (lambda: encoded(Image.new("RGB", (1, 1), "white")), "word " * 300),
}


@pytest.fixture
def job(tmp_path: Path, checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /opt/ml whose channel holds 450 images, 9 of them broken or unusual and spread among the others."""
    channel = tmp_path / "input/data/train"
    channel.mkdir(parents=True)
    odd = {name: (make(), "broken") for name, make in BROKEN.items()}
    odd |= {name: (make(), said) for name, (make, said) in UNUSUAL.items()}
    files = [(f"{n}.png", (encoded(Image.new("RGB", (8, 8), (n % 256, 0, 0))), f"number {n}")) for n in range(IMAGES)]
    for place, (name, file) in enumerate(odd.items()):
        files[LAST_VALIDATION + 47 * (place + 1) - 40] = (name, file)
    lines = []
    for number, (name, (data, said)) in enumerate(files):
        (channel / name).write_bytes(data)
        split = "validation" if number < LAST_VALIDATION else "train"
        lines.append({"image": name, "captions": [said, "something"], "split": split})
    (channel / "data.jsonl").write_text("\n".join(map(json.dumps, lines)))
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.setenv("BASE_MODEL_DIR", str(checkpoint_dir))
    return tmp_path


def channel_examples() -> ManifestExamples:
    settings, asked = TrainSettings.from_env(os.environ), Hyperparameters(kept_pixels_bytes=0)
    channel = load_channel(settings, asked, load_base(settings, asked))
    assert channel is not None
    return channel


@pytest.mark.slow
def test_a_run_over_two_percent_odd_images_ends_with_the_exact_list_of_the_broken(job: Path) -> None:
    assert main(RUN) == 0
    listed = [json.loads(line) for line in (job / "output/data/quarantine.jsonl").read_text().splitlines()]
    assert [one["image"] for one in listed] == list(BROKEN)
    assert all(one["reason"] for one in listed)
    assert (job / "model/model.safetensors").is_file()


def test_one_more_broken_image_than_allowed_stops_the_run_and_names_them(job: Path) -> None:
    (job / "input/data/train/400.png").write_bytes(b"GIF89a")
    assert main(RUN) == 1
    failure = (job / "output/failure").read_text()
    assert "5 of 450 images can't be read, allowed is a share of 0.01" in failure
    assert all(f"{name}: " in failure for name in (*BROKEN, "400.png"))
    assert not (job / "model/model.safetensors").exists()


def test_unusual_images_are_seen_as_a_person_sees_them(job: Path) -> None:
    examples = channel_examples()
    rows = {record.image: row for row, record in enumerate(examples.records)}
    for name in ("lying", "sixteen_bits", "cmyk", "palette"):
        picture = examples.image(rows[name])
        assert isinstance(picture, Image.Image)
        grey = np.asarray(picture.convert("L"))
        assert grey[4:16].max() < 60 and grey[24:36].min() > 195, name
    (one_pixel,) = np.asarray(examples.image(rows["one_pixel"])).tolist()
    assert one_pixel == [[255, 255, 255]]


def test_words_that_look_like_nothing_emoji_and_long_captions_are_trained_on(job: Path) -> None:
    said = {" ".join(text[:MAX_TEXT_CHARS].split()) for _, text in UNUSUAL.values()}
    assert said <= set(channel_examples().sentences())
