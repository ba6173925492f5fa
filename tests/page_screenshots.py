"""Takes the pictures of the page in docs/page/, of the local system that is up:

    make local && make screenshots

Before that it saves a task, and annotates pictograms for it, some of them wrongly, so that there is something to see.
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


def teach(api: Api) -> None:
    """Let the task learn, and wait until it has."""
    drawn: dict[str, list[bytes]] = defaultdict(list)
    for image, label in pictograms(seed=1, count=DRAWN):
        drawn[label].append(image)
    said = [(image, label) for label in LABELS for image in drawn[label][:SHOTS]]
    wrong = random.Random(1).sample(range(len(said)), WRONG)
    api.ask("PUT", f"/tasks/{TASK}", {"candidate_labels": list(LABELS)})
    for number, (image, label) in enumerate(said):
        answer = LABELS[LABELS.index(label) - 1] if number in wrong else label
        named = {"label": answer, "task": TASK, "dataset": TASK}
        api.ask("POST", "/annotations", {"image": b64encode(image).decode(), **named})
    while not learnt(api.ask("GET", f"/tasks/{TASK}")["taught"], len(said)):
        time.sleep(1)


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
        expect(page.locator("#doubtful img").first).to_be_visible(timeout=WITHIN_MS)
        expect(page.locator("#doubtful .none")).to_have_count(0, timeout=WITHIN_MS)
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
        for width in WIDTHS:
            page = browser.new_page(viewport={"width": width, "height": HEIGHT})
            page.goto(f"{api.url}/#key={api.key}")
            for view in ("ask", "teach", "models", "api"):
                show(page, view, folder)
                taken = page.screenshot(full_page=view != "api")  # which is long
                picture = Image.open(io.BytesIO(taken)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
                picture.save(PICTURES / f"{view}-{width}.png", optimize=True)
                print(f"docs/page/{view}-{width}.png")


if __name__ == "__main__":
    main()
