"""Takes the pictures of the page in docs/page/, of the local system that is up:

    make local && make screenshots

Before that it saves a task, and annotates pictograms for it, some of them wrongly, so that there is something to see.
For Models it lets a small training learn others, unless there was one.
"""

import io
import json
import random
import shutil
import time
import urllib.request
from base64 import b64encode
from collections import defaultdict
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from local.settings import LocalSettings
from tests.e2e.loop import pictograms
from tests.local.conftest import ROOT

PICTURES = ROOT / "docs/page"
TASK = "pictogram"
LABELS = ("bell", "boat", "clock", "envelope")
SHOTS, WRONG, DRAWN = 14, 3, 200
PICTURES_AT_FIRST = 24
"""Of the annotated images, in Teach."""
TRAINED, SHOTS_TRAINED, AT_ONCE = "drawing", 16, 32
RECIPE = {"threads": 1, "precision": "fp32", "steps": 100, "selection_scenes": 1000, "evaluation_scenes": 200}
"""Of a training that takes some minutes."""
RUNNING = ("queued", "snapshot", "training", "gating")
WIDTHS, HEIGHT = (1200, 390), 900
WITHIN_MS, SETTLED_MS = 60_000, 2_000
COLOURS = 255
"""Of a picture: a third of the bytes, and hardly a difference."""


class Api:
    """The API of the system that is up."""

    def __init__(self, settings: LocalSettings) -> None:
        self.url, self.key = settings.url_file.read_text().strip(), settings.api_key_file.read_text().strip()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"x-api-key": self.key, "content-type": "application/json"}
        request = urllib.request.Request(self.url + path, content, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)


def drawings(seed: int) -> dict[str, list[bytes]]:
    """Pictograms by their labels."""
    drawn: dict[str, list[bytes]] = defaultdict(list)
    for image, label in pictograms(seed, DRAWN):
        drawn[label].append(image)
    return drawn


def teach(api: Api) -> None:
    """Let the task learn, and wait until it has."""
    drawn = drawings(seed=1)
    said = [(image, label) for label in LABELS for image in drawn[label][:SHOTS]]
    wrong = random.Random(1).sample(range(len(said)), WRONG)
    api.ask("PUT", f"/tasks/{TASK}", {"candidate_labels": list(LABELS)})
    annotate(
        api,
        TASK,
        [(image, LABELS[LABELS.index(label) - (number in wrong)]) for number, (image, label) in enumerate(said)],
    )
    while not learnt(api.ask("GET", f"/tasks/{TASK}")["taught"], len(said)):
        time.sleep(1)


def annotate(api: Api, task: str, said: list[tuple[bytes, str]]) -> None:
    """Keep images with their labels, as the dataset that is called like the task."""
    for start in range(0, len(said), AT_ONCE):
        some = said[start : start + AT_ONCE]
        named = [
            {"image": b64encode(image).decode(), "label": label, "task": task, "dataset": task} for image, label in some
        ]
        api.ask("POST", "/annotations", {"annotations": named})


def train(api: Api) -> None:
    """Let a training make a version, and wait until it has."""
    if any(each["source"] == "training" for each in api.ask("GET", "/models")["models"]):
        return
    annotate(api, TRAINED, [(image, label) for label, drawn in drawings(2).items() for image in drawn[:SHOTS_TRAINED]])
    training = api.ask("POST", "/trainings", {"dataset": TRAINED, "hyperparameters": RECIPE})
    while (state := api.ask("GET", f"/trainings/{training['id']}")["state"]) in RUNNING:
        time.sleep(1)
    print(f"a training is {state}")


def learnt(taught: Any, images: int) -> bool:
    return bool(taught and taught["learnt"]) and sum(taught["learnt"]["images"].values()) >= images


def show(page: Page, view: str, folder: Path) -> None:
    """Open a view and wait until it shows what there is."""
    page.get_by_role("link", name="API" if view == "api" else view.title(), exact=True).click()
    if view == "ask":
        expect(page.locator("#about")).to_contain_text("network", timeout=WITHIN_MS)
        page.get_by_role("button", name="house.png").click()
        expect(page.locator("#stage img")).to_have_attribute("alt", "house.png")
        page.wait_for_timeout(SETTLED_MS)
        page.get_by_role("button", name="fish.png").click()
        page.wait_for_timeout(SETTLED_MS)
    if view == "teach":
        page.get_by_label("Question to teach").select_option(TASK)
        page.locator("#teach-stage input").set_input_files(sorted(folder.iterdir()))
        expect(page.locator("#answers .best")).to_be_visible(timeout=WITHIN_MS)
        expect(page.locator("#pictures img[src]")).to_have_count(PICTURES_AT_FIRST, timeout=WITHIN_MS)
    if view == "models":
        expect(page.locator("#detail svg").first).to_be_visible(timeout=WITHIN_MS)
    if view == "api":
        page.locator("#api details summary").nth(2).click(timeout=WITHIN_MS)
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(SETTLED_MS)


def main() -> None:
    api = Api(LocalSettings.from_env({}))
    teach(api)
    folder = ROOT / ".local/tmp/pictures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, (image, _) in enumerate(each for each in pictograms(seed=9, count=40) if each[1] in LABELS):
        (folder / f"{number:02}.png").write_bytes(image)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"]) as browser,
    ):
        pages = [browser.new_page(viewport={"width": width, "height": HEIGHT}) for width in WIDTHS]
        for view in ("ask", "teach", "api", "models"):
            if view == "models":
                train(api)
            for width, page in zip(WIDTHS, pages, strict=True):
                page.goto(f"{api.url}/#key={api.key}")
                page.reload()
                show(page, view, folder)
                taken = page.screenshot(full_page=view != "api")  # which is long
                picture = Image.open(io.BytesIO(taken)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
                picture.save(PICTURES / f"{view}-{width}.png", optimize=True)
                print(f"docs/page/{view}-{width}.png")


if __name__ == "__main__":
    main()
