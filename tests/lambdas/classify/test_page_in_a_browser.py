"""The page as a person sees it: in headless Chromium, against an API that answers by the contract.

One browser for the module. Whatever a test does, the page must break no rule of its own policy and write no error.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, ViewportSize, expect, sync_playwright

from contract import routes
from contract.endpoint import Paused, Standing
from contract.problems import Forbidden, ServiceUnavailable, TooManyRequests, UnprocessableImage
from tests.lambdas.classify import page_answers as answers
from tests.lambdas.classify.page_api import KEY, Asked, PageApi, overtaken, served
from wordsight.__main__ import parser
from wordsight.tasks import parameters_of

ROOT = Path(__file__).parents[3]
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    not CHROMIUM and not os.environ.get("STRICT"), reason="no Chromium here, the page is not tested: apt-get install it"
)

expect.set_options(timeout=15_000)
WIDE, NARROW = 1200, 390
HELD_S = 5
COPIED_S = 15
VIEWS = ("ask", "teach", "models", "api")
Scheme = Literal["light", "dark"]
Open = Callable[..., Page]

WATCH_POLICY = "document.addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective));"
CHOOSE_EARLY = """new MutationObserver((_, observer) => {
  const input = document.querySelector("%s");
  if (!input) return;
  observer.disconnect();
  const files = new DataTransfer();
  files.items.add(new File([document.createElement("canvas").toDataURL()], "early.png", {type: "image/png"}));
  input.files = files.files;
}).observe(document, {childList: true, subtree: true});"""
"""A person is faster than the page's script."""
LOW_CONTRAST = Path(__file__).with_name("contrast.js").read_text()
NOTE_FOCUS = """() => {
  window.reached = new Set();
  addEventListener('focusin', event => reached.add(event.target.outerHTML));
}"""
REACHABLE = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
  .filter(each => each.checkVisibility() && !each.disabled)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=CHROMIUM or "chromium", args=["--no-sandbox", "--disable-gpu", "--disable-extensions"]
        ) as browser,
    ):
        yield browser


@pytest.fixture
def api() -> PageApi:
    return PageApi()


@pytest.fixture
def opened(browser: Browser, api: PageApi) -> Iterator[Open]:
    """Opens the page at a view; afterwards it must have broken no rule and written no error.

    The view is there from the beginning: what another one asked before it could reach the API behind it.
    A request that the API refuses is an error to a browser's console, and none of the page's.
    """
    said: list[str] = []
    with ExitStack() as stack:
        url = stack.enter_context(served(api))

        def note(message: ConsoleMessage) -> None:
            if message.type == "error":
                said.append(message.text)

        def open(
            view: str = "", *, width: int = WIDE, scheme: Scheme = "light", key: str = KEY, before: str = ""
        ) -> Page:
            size: ViewportSize = {"width": width, "height": 900}
            context = browser.new_context(
                viewport=size, color_scheme=scheme, permissions=["clipboard-read", "clipboard-write"]
            )
            page = stack.enter_context(context).new_page()
            page.set_default_timeout(15_000)
            page.add_init_script(WATCH_POLICY + before)
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("console", note)
            if view:
                page.add_init_script(f"sessionStorage.getItem('key') ?? sessionStorage.setItem('key', '{key}');")
            page.goto(f"{url}#{view}" if view else f"{url}#key={key}" if key else url)
            return page

        yield open
    assert [each for each in said if "Failed to load resource" not in each] == []


def row(page: Page, label: str) -> Locator:
    """The row of a label in Ask, with its score."""
    return page.locator("#questions li", has=page.get_by_label(f"Label {label}", exact=True))


def picture(directory: Path, name: str, colour: str = "teal") -> Path:
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (64, 64), colour).save(path)
    return path


@contextmanager
def held(api: PageApi, route: routes.Route = routes.CLASSIFY) -> Iterator[threading.Event]:
    """Every answer of a route waits meanwhile, until the event is set."""
    go = threading.Event()

    def hold(asked: Asked) -> None:
        if asked.route is route:
            go.wait(HELD_S)

    api.hold = hold
    yield go
    go.set()
    api.hold = lambda _: None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_view_can_be_read_and_reached_by_keys(api: PageApi, opened: Open, width: int, scheme: Scheme) -> None:
    api.taught["thing"] = answers.taught({"fish": 16, "house": 16, "tree": 16}, 0.4, 0.9, doubtful=True)
    api.trainings = [answers.RUNNING]
    page = opened(width=width, scheme=scheme)
    signs = {"ask": "91.3 %", "teach": "40 % → 90 %", "models": "33 % → 94 %", "api": "Ask the model about images"}
    for view in VIEWS:
        page.get_by_role("link", name=view.title() if view != "api" else "API", exact=True).click()
        expect(page.locator(f"#{view}").get_by_text(signs[view])).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        while page.evaluate("document.getAnimations().length"):  # bars that still grow
            page.wait_for_timeout(20)
        assert page.evaluate(LOW_CONTRAST) == [], view
        if scheme == "light":
            assert unreached(page) == [], view


def unreached(page: Page) -> list[str]:
    """What can be operated and is not reached by pressing Tab again and again."""
    everything = page.evaluate(f"({REACHABLE})().length")
    page.evaluate("document.activeElement.blur()")
    page.evaluate(NOTE_FOCUS)
    for _ in range(everything + 12):  # what scrolls is reached by keys, too
        page.keyboard.press("Tab")
    found: list[str] = page.evaluate(f"({REACHABLE})().map(each => each.outerHTML).filter(each => !reached.has(each))")
    return found


def test_an_answer_stands_there_as_soon_as_the_link_with_the_key_is_opened(api: PageApi, opened: Open) -> None:
    page = opened()
    expect(row(page, "fish").locator("output")).to_have_text("91.3 %")
    expect(page.locator("#pill")).to_have_text("in service · world-f0c296612b57")
    expect(page.locator("#about")).to_contain_text("model 3, decode 12, network")
    assert KEY not in page.url and page.evaluate("sessionStorage.getItem('key')") == KEY
    page.reload()
    expect(row(page, "fish").locator("output")).to_have_text("91.3 %")
    api.key = "another"
    page.reload()
    expect(page.locator("#access")).to_contain_text("does not take this key")


def test_without_a_key_the_page_says_who_has_one_and_goes_on_when_it_is_given(opened: Open) -> None:
    page = opened(key="")
    expect(page.locator("#access")).to_contain_text("make local prints a link that holds it")
    page.get_by_label("API key").fill(KEY)
    page.keyboard.press("Enter")
    expect(row(page, "fish").locator("output")).to_have_text("91.3 %")
    expect(page.locator("#access")).to_be_hidden()
    expect(page.get_by_label("Saved questions").locator("option")).to_have_text(["New question", "thing"])


def test_a_key_that_comes_by_a_link_is_used_in_a_tab_that_is_open(opened: Open) -> None:
    page = opened(key="another")
    expect(page.locator("#access")).to_contain_text("does not take this key")
    page.evaluate("key => { location.hash = '#key=' + key }", KEY)
    expect(page.locator("#access")).to_be_hidden()
    expect(row(page, "fish").locator("output")).to_have_text("91.3 %")
    expect(page.get_by_label("Saved questions").locator("option")).to_have_text(["New question", "thing"])


def test_where_requests_are_signed_it_names_the_command_that_signs(api: PageApi, opened: Open) -> None:
    unsigned = Forbidden("the request is not signed with AWS credentials (SigV4), or there is no such route")
    api.key = ""
    api.problems = {routes.LIST_TASKS: [unsigned] * 9, routes.CLASSIFY: [unsigned] * 9}
    page = opened(key="")
    expect(page.locator("#access")).to_contain_text("wordsight open shows this page and signs")
    expect(page.get_by_label("API key")).to_be_hidden()


def test_labels_are_written_where_their_answers_stand(api: PageApi, opened: Open) -> None:
    page = opened()
    expect(row(page, "fish").locator("output")).to_have_text("91.3 %")
    before = len(api.of(routes.CLASSIFY))
    page.keyboard.press("/")
    page.keyboard.type("a red boat")
    page.keyboard.press("Enter")
    page.get_by_label("Label a red boat").fill("a red, red boat")  # it is there, and may have a comma
    expect(page.get_by_label("Label a red, red boat")).to_be_visible()
    page.get_by_label("Label a red, red boat").fill("a red boat")
    page.keyboard.press("Enter")
    page.keyboard.type("a kite, a drum,")
    expect(row(page, "a drum").locator("output")).not_to_be_empty()
    asked = [each.body.parameters.tasks["question-1"] for each in api.of(routes.CLASSIFY)[before:]]
    assert [each.label for each in asked[-1].candidate_labels][-3:] == ["a red boat", "a kite", "a drum"]
    assert len(asked) <= 6, "one question for each pause, and not for each key"
    page.get_by_label("Label a drum").fill("")
    page.get_by_label("New label").first.press("Backspace")
    expect(page.get_by_label("Label a kite")).to_be_focused()
    page.get_by_label("Remove a kite").click()
    expect(page.get_by_label("Label a kite")).to_have_count(0)
    assert page.url.endswith("#ask?labels=fish,house,tree,car,cup,star,a%20red%20boat")
    page.reload()
    expect(row(page, "a red boat").locator("output")).not_to_be_empty()


def test_a_label_that_is_there_may_have_a_comma_in_it(opened: Open) -> None:
    page = opened("ask?labels=red%2C%20green,blue")
    page.get_by_label("Label red, green").fill("red, grey")
    expect(row(page, "red, grey").locator("output")).to_have_text("91.3 %")
    expect(page.get_by_label("Label blue")).to_be_visible()


def test_only_the_newest_answer_is_shown_and_the_old_one_is_dimmed_meanwhile(api: PageApi, opened: Open) -> None:
    page = opened()
    expect(row(page, "fish").locator("output")).to_have_text("91.3 %")
    with held(api):
        page.get_by_label("Label house").fill("a barn")
        expect(page.locator("#questions")).to_have_class("stack stale")
        page.get_by_label("Label fish").fill("a whale")
        expect(row(page, "a whale").locator("output")).to_have_text("")
    expect(row(page, "a whale").locator("output")).to_have_text("91.3 %")
    expect(page.locator("#questions")).to_have_class("stack")


def test_a_label_is_described_and_scored_on_its_own(api: PageApi, opened: Open) -> None:
    page = opened("ask?labels=warm=an%20orange%20fish,cold&each=1")
    expect(page.get_by_label("How labels are scored")).to_have_value("each")
    page.get_by_role("button", name="Describe cold").click()
    page.keyboard.type("a blue fish")
    expect(row(page, "cold").locator("output")).not_to_be_empty()
    expect(page).to_have_url(re.compile("#ask.labels=warm=an%20orange%20fish,cold=a%20blue%20fish&each=1$"))
    page.wait_for_timeout(400)
    question = api.of(routes.CLASSIFY)[-1].body.parameters.tasks["question-1"]
    assert question.multi_label and [each.annotations for each in question.candidate_labels] == [
        ["an orange fish"],
        ["a blue fish"],
    ]


def test_none_may_fit_and_labels_have_a_wording_which_is_saved(api: PageApi, opened: Open) -> None:
    page = opened("ask?labels=cat,dog&none=1&template=a%20drawing%20of%20a%20%7B%7D")
    expect(page.get_by_label("How labels are scored")).to_have_value("none")
    expect(row(page, "none of these").locator("output")).to_have_text("2.1 %")
    expect(page.get_by_label("Remove none of these")).to_be_hidden()
    page.get_by_label("Sentences around each label").fill("a drawing of a {}\na {}")
    expect(page).to_have_url(re.compile("&none=1&template=a%20drawing%20of%20a%20%7B%7D&template=a%20%7B%7D$"))
    expect(page.get_by_label("Code")).to_contain_text("unknown=true")
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Name").fill("pets")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page).to_have_url(re.compile("#ask.task=pets$"))
    saved = api.of(routes.PUT_TASK)[-1].body
    assert saved.unknown and saved.hypothesis_template == ["a drawing of a {}", "a {}"]
    page.reload()
    expect(page.get_by_label("Sentences around each label")).to_have_value("a drawing of a {}\na {}")
    expect(page.get_by_label("How labels are scored")).to_have_value("none")
    expect(page).to_have_url(re.compile("#ask.task=pets$"))
    page.get_by_label("How labels are scored").select_option("One of these")
    expect(page.get_by_label("Label none of these")).to_have_count(0)


def test_one_label_is_no_question_yet(api: PageApi, opened: Open) -> None:
    page = opened("ask?labels=fish")
    expect(page.get_by_text("Add a second label, or score each on its own.")).to_be_visible()
    page.get_by_label("How labels are scored").select_option("Each on its own")
    expect(row(page, "fish").locator("output")).to_have_text("91.3 %")


def test_thirty_labels_fit_one_screen(opened: Open) -> None:
    page = opened()
    page.get_by_label("New label").focus()
    page.evaluate("navigator.clipboard.writeText([...Array(24)].map((_, i) => `label ${i}`).join('\\n'))")
    page.keyboard.press("ControlOrMeta+V")
    expect(page.get_by_role("button", name="22 more")).to_be_visible()
    expect(row(page, "fish").locator("output")).to_have_text("91.3 %")
    assert page.evaluate("document.documentElement.scrollHeight") <= 900
    page.get_by_role("button", name="22 more").click()
    expect(page.get_by_label("Label label 23")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollHeight") <= 1100


def test_several_questions_are_one_request(api: PageApi, opened: Open) -> None:
    page = opened("ask?labels=fish,house&labels=red,blue")
    expect(row(page, "red").locator("output")).to_have_text("91.3 %")
    assert {tuple(each.body.parameters.tasks) for each in api.of(routes.CLASSIFY)} == {("question-1", "question-2")}
    page.get_by_role("button", name="Remove this question").last.click()
    expect(page.get_by_label("Label red")).to_have_count(0)


def test_no_question_is_asked_before_a_saved_one_beside_it_is_there(api: PageApi, opened: Open) -> None:
    with held(api, routes.GET_TASK) as go:
        page = opened("ask?labels=red,blue&task=thing")
        expect(page.get_by_label("Label red")).to_be_visible()
        page.wait_for_timeout(300)
        assert api.of(routes.CLASSIFY) == []
        go.set()
    expect(row(page, "house").locator("output")).not_to_be_empty()
    asked = [each.body.parameters for each in api.of(routes.CLASSIFY)]
    assert [each.task for each in asked if each.task] == [["thing"]]
    assert [tuple(each.tasks) for each in asked if each.tasks] == [("question-1",)]


def test_the_best_is_bold_and_comes_first_where_that_is_wished(api: PageApi, opened: Open) -> None:
    api.best = "tree"
    page = opened("ask?labels=fish,house,tree")
    expect(row(page, "tree").locator("output")).to_have_text("91.3 %")
    expect(row(page, "tree")).to_have_class("row best")
    first = page.locator("#questions li input").first
    expect(first).to_have_value("fish")
    page.get_by_role("button", name="Best first").click()
    expect(first).to_have_value("tree")


def test_a_question_is_saved_under_a_name_and_never_over_somebody_elses(api: PageApi, opened: Open) -> None:
    page = opened("ask?labels=cat,dog")
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Name").fill("My Pets")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_label("Saved questions")).to_have_value("my-pets")
    expect(page).to_have_url(re.compile("#ask.task=my-pets$"))
    expect(page.locator("#about")).to_contain_text("by its words")
    page.get_by_label("New label").fill("bird")
    api.problems[routes.PUT_TASK] = [overtaken("my-pets")]
    page.get_by_role("button", name="Save").click()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_contain_text("my-pets is there already")
    page.get_by_role("button", name="Replace it").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert [each.label for each in api.of(routes.PUT_TASK)[-1].body.candidate_labels] == ["cat", "dog", "bird"]


def test_the_code_asks_this_very_question(opened: Open) -> None:
    page = opened("ask?labels=cat,it%27s%20a%20dog")
    code = page.get_by_label("Code")
    expect(code).to_contain_text('-H "x-api-key: $KEY" -F "image=@fish.png"')
    expect(code).to_contain_text("candidate_labels=cat, it'\\''s a dog")
    page.get_by_label("Language").select_option("Python")
    expect(code).to_contain_text('{"candidate_labels":["cat","it\'s a dog"]}')
    page.get_by_label("Language").select_option("JavaScript")
    page.get_by_role("button", name="Copy").click()
    assert "new FormData()" in clipboard(page, "FormData")


@pytest.mark.parametrize(
    ("view", "program"),
    [
        ("ask?labels=cat,it%27s%20a%20%24dog&none=1&template=a%20{}&template=-%20{}!", "wordsight"),
        ("ask?labels=-cat&each=1", "wordsight"),
        ("ask?task=thing", "wordsight"),
        ("ask?task=thing&task=pet", "wordsight"),
        ("ask?labels=50%,dog&template=[%20{}", "wordsight"),
        ("ask?labels=cat=a%20cat%27s%20face,dog", "curl"),  # these are what wordsight has no flags for
        ("ask?labels=a%2C%20b,dog", "curl"),
        ("ask?labels=cat,dog&labels=red,green", "curl"),
    ],
)
def test_the_shell_asks_this_very_question(api: PageApi, opened: Open, tmp_path: Path, view: str, program: str) -> None:
    api.tasks["pet"] = {"candidate_labels": [{"label": "cat"}, {"label": "dog"}]}
    page = opened(view)
    expect(page.get_by_label("Label star")).to_have_count(0)  # of the question that is there at first
    expect(page.locator("#questions output").first).to_have_text("91.3 %")
    page.locator("#file").set_input_files(picture(tmp_path, 'fish, "1\\2"; $big.png'))
    expect(page.locator("#questions output").first).to_have_text("91.3 %")
    by_the_page, asked = meant(api), len(api.of(routes.CLASSIFY))
    as_a_program = f'wordsight() {{ "{sys.executable}" -m wordsight "$@"; }}; '
    environ = {**os.environ, "KEY": KEY, "PYTHONPATH": str(ROOT)}
    for number, (language, begins) in enumerate({"Shell": program, "curl": "curl"}.items(), start=1):
        page.get_by_label("Language").select_option(language)
        command = page.get_by_label("Code").inner_text()
        assert command.startswith(begins)
        subprocess.run(["bash", "-c", as_a_program + command], cwd=tmp_path, env=environ, check=True)
        assert len(api.of(routes.CLASSIFY)) == asked + number and meant(api) == by_the_page


def test_the_shell_keeps_what_a_saved_question_says_beside_its_labels(api: PageApi, opened: Open) -> None:
    api.tasks["pet"] = {"candidate_labels": [{"label": "cat"}, {"label": "dog"}], "top_k": 1, "threshold": 0.2}
    page = opened("ask?task=pet")
    page.get_by_label("Label cat").fill("kitten")
    page.get_by_label("Language").select_option("Shell")
    expect(page.get_by_label("Code")).to_contain_text("--top-k")
    said = shlex.split(page.get_by_label("Code").inner_text().replace("\\\n", ""))
    arguments = parser().parse_args(said[1:])
    assert parameters_of(arguments) == {"candidate_labels": "kitten, dog", "top_k": 1, "threshold": 0.2}


def meant(api: PageApi) -> Any:
    """What was asked last, whichever way it was written."""
    asked = api.of(routes.CLASSIFY)[-1].body.parameters
    members = ("candidate_labels", "hypothesis_template", "multi_label", "unknown")
    return asked.task_names, [[getattr(each, name) for name in members] for each in asked.tasks.values() or [asked]]


def clipboard(page: Page, holds: str) -> str:
    """What lies there once it holds that: a browser copies beside the page's script."""
    deadline_s = time.monotonic() + COPIED_S
    while holds not in (text := str(page.evaluate("navigator.clipboard.readText()"))):
        assert time.monotonic() < deadline_s, text
        page.wait_for_timeout(50)
    return text


def test_several_images_are_a_table_that_can_be_copied(api: PageApi, opened: Open, tmp_path: Path) -> None:
    page = opened()
    files = [picture(tmp_path, f"{name}.png") for name in ("one", "two", "three")]
    page.locator("#file").set_input_files(files)
    expect(page.locator("#many tr")).to_have_count(4)
    expect(page.locator("#many")).to_contain_text("three.png")
    expect(page.locator("#many td.n").first).to_have_text("91.3 %")
    page.get_by_role("button", name="Copy as CSV").click()
    copied = clipboard(page, "image,").splitlines()
    assert copied[0].startswith("image,question-1") and copied[1] == "one.png,fish,0.913,"
    page.get_by_role("button", name="two.png").first.click()
    expect(page.locator("#stage img")).to_have_attribute("alt", "two.png")


@pytest.mark.parametrize("stage", ["stage", "teach-stage"])
def test_an_image_that_is_chosen_before_the_script_runs_is_not_forgotten(opened: Open, stage: str) -> None:
    page = opened("ask" if stage == "stage" else "teach?task=thing", before=CHOOSE_EARLY % f"#{stage} input")
    expect(page.locator(f"#{stage} img")).to_have_attribute("alt", "early.png")


def test_what_is_no_image_is_told_in_the_apis_words(api: PageApi, opened: Open, tmp_path: Path) -> None:
    page = opened()
    expect(row(page, "fish").locator("output")).to_have_text("91.3 %")
    api.problems[routes.CLASSIFY] = [UnprocessableImage("the image can't be decoded: send a JPEG, PNG or WebP")]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    page.locator("#file").set_input_files(broken)
    expect(page.get_by_text("The image can't be decoded: send a JPEG, PNG or WebP.")).to_be_visible()
    expect(page.get_by_text("broken.png can't be shown here")).to_be_visible()
    expect(row(page, "fish").locator("output")).to_have_text("")


def test_too_much_at_once_is_waited_for_and_asked_once_more(api: PageApi, opened: Open) -> None:
    api.problems[routes.CLASSIFY] = [TooManyRequests("slow down and try again", retry_after_s=1)]
    page = opened()
    expect(page.locator("#notice")).to_contain_text("Slow down and try again. Trying again in 1 s.")
    expect(row(page, "fish").locator("output")).to_have_text("91.3 %")
    expect(page.locator("#notice")).to_be_hidden()


def test_a_starting_endpoint_is_waited_for(api: PageApi, opened: Open) -> None:
    api.problems[routes.HEALTH] = [ServiceUnavailable("the endpoint wordsight-dev is Creating", retry_after_s=30)]
    page = opened("api")
    expect(page.locator("#notice")).to_contain_text("is Creating. A new endpoint usually takes 5 to 10 minutes")
    expect(page.locator("#pill")).to_contain_text("starting")
    expect(page.locator("#pill")).to_contain_text("in service")
    expect(page.locator("#notice")).to_be_hidden()


def test_a_paused_stage_is_said_and_its_end_waited_for(api: PageApi, opened: Open) -> None:
    paused = Paused(Standing("paused", "the stage is paused since noon: ask for it"))
    api.problems[routes.HEALTH] = [paused]
    page = opened("api")
    expect(page.locator("#notice")).to_have_text("The stage is paused since noon: ask for it.")
    expect(page.locator("#pill")).to_contain_text("paused")
    expect(page.locator("#pill")).to_contain_text("in service")
    expect(page.locator("#notice")).to_be_hidden()


def test_it_says_when_the_machine_is_offline(opened: Open) -> None:
    page = opened()
    expect(row(page, "fish").locator("output")).to_have_text("91.3 %")
    page.context.set_offline(True)
    expect(page.get_by_text("This machine is offline.").first).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("#notice")).to_be_hidden()


def test_it_says_what_the_model_knows_and_how_to_have_another(api: PageApi, opened: Open) -> None:
    page = opened()
    expect(page.locator("#knows")).to_contain_text("It has never seen a photograph. Licence: MIT.")
    expect(page.locator("#knows")).to_contain_text("make local MODEL=openai/clip-vit-base-patch32")
    api.knows = None
    page.reload()
    expect(row(page, "fish").locator("output")).to_have_text("91.3 %")
    expect(page.locator("#knows")).to_be_hidden()


def annotated(api: PageApi) -> list[Any]:
    """(label, sentences, dataset) of what was annotated."""
    entries = [entry for each in api.of(routes.POST_ANNOTATIONS) for entry in each.body]
    return [(entry.body.label, entry.body.sentences, entry.dataset) for entry in entries]


def test_images_are_labelled_by_keys_and_the_accuracy_rises(api: PageApi, opened: Open, tmp_path: Path) -> None:
    page = opened("teach?task=thing")
    expect(page.get_by_text("Its accuracy will stand here")).to_be_visible()
    page.locator("#teach-stage input").set_input_files([picture(tmp_path, f"{number}.png") for number in range(5)])
    expect(page.get_by_role("button", name="fish", exact=True)).to_contain_text("91 %")
    expect(page.get_by_text("5 to go")).to_be_visible()
    api.taught["thing"] = answers.taught({"fish": 2, "house": 2}, 0.4, 0.6)
    page.keyboard.press("2")
    expect(page.get_by_text("4 to go · 1 labelled")).to_be_visible()
    expect(page.get_by_text("40 % → 60 %")).to_be_visible()
    earlier = api.taught["thing"]["heads"]
    taught = answers.taught({"fish": 16, "house": 16}, 0.4, 0.9)
    api.taught["thing"] = {**taught, "heads": [*taught["heads"], *earlier]}
    page.keyboard.press("ArrowRight")
    page.keyboard.press("1")
    expect(page.get_by_text("40 % → 90 %")).to_be_visible()
    expect(page.get_by_label("Accuracy by the number of images")).to_be_visible()
    sentence = page.get_by_label("A sentence that is true of the image")
    sentence.fill("  ")
    page.keyboard.press("Enter")  # says nothing
    sentence.fill("a red boat")
    page.keyboard.press("Enter")
    page.locator("body").click(position={"x": 5, "y": 5})
    expect(page.get_by_text("2 to go · 3 labelled")).to_be_visible()
    assert annotated(api) == [("house", [], "thing"), ("fish", [], "thing"), (None, ["a red boat"], "thing")]
    expect(page.get_by_role("button", name="Train on 3 images")).to_be_visible()
    page.keyboard.press("z")
    expect(page.get_by_text("3 to go · 2 labelled")).to_be_visible()
    expect(page.get_by_role("button", name="Train on 2 images")).to_be_visible()
    page.wait_for_timeout(100)
    assert len(api.of(routes.DELETE_ANNOTATION)) == 1


def test_what_is_taken_back_is_taken_from_where_it_was_said_before_more_is_said_of_it(
    api: PageApi, opened: Open, tmp_path: Path
) -> None:
    page = opened("teach?task=thing")
    page.locator("#teach-stage input").set_input_files([picture(tmp_path, f"{number}.png") for number in range(2)])
    expect(page.get_by_role("button", name="fish", exact=True)).to_be_enabled()
    with held(api, routes.POST_ANNOTATIONS):
        page.keyboard.press("1")
        page.keyboard.press("z")
        dataset = page.get_by_label("Dataset")
        dataset.fill("others")
        dataset.press("Enter")
        dataset.blur()
        expect(page.locator("#queue")).to_have_text("2 to go")
    with held(api, routes.DELETE_ANNOTATION):
        page.keyboard.press("2")
        page.wait_for_timeout(300)
        assert len(annotated(api)) == 1, "not before what was said first is gone"
    expect(page.locator("#queue")).to_have_text("1 to go · 1 labelled")
    assert [each.query for each in api.of(routes.DELETE_ANNOTATION)] == [{"dataset": ["thing"]}]
    assert annotated(api) == [("fish", [], "thing"), ("house", [], "others")]
    api.problems[routes.DELETE_ANNOTATION] = [UnprocessableImage("it is being trained on")]
    page.keyboard.press("z")
    expect(page.locator("#notice")).to_have_text("It is being trained on.")
    expect(page.locator("#queue")).to_have_text("1 to go · 1 labelled")
    page.keyboard.press("z")
    expect(page.locator("#queue")).to_have_text("2 to go")
    assert api.of(routes.DELETE_ANNOTATION)[-1].query == {"dataset": ["others"]}


def test_another_questions_labels_are_there_only_with_it_and_in_their_order(
    api: PageApi, opened: Open, tmp_path: Path
) -> None:
    api.tasks["digit"] = {"candidate_labels": [{"label": each} for each in ("3", "1", "2")]}
    page = opened("teach?task=thing")
    page.locator("#teach-stage input").set_input_files([picture(tmp_path, "0.png")])
    fish = page.get_by_role("button", name="fish", exact=True)
    expect(fish).to_be_enabled()
    with held(api, routes.GET_TASK):
        page.get_by_label("Question to teach").select_option("digit")
        expect(fish).to_have_count(0)
        page.keyboard.press("1")
    expect(page.get_by_role("button", name="3", exact=True)).to_be_enabled()
    assert annotated(api) == []
    shares = page.locator("#shares progress")
    assert [each.get_attribute("aria-label") for each in shares.all()] == ["3", "1", "2"]


def test_a_dataset_can_be_named_while_there_is_news(api: PageApi, opened: Open, tmp_path: Path) -> None:
    page = opened("teach?task=thing")
    page.locator("#teach-stage input").set_input_files([picture(tmp_path, "0.png")])
    page.get_by_role("button", name="fish", exact=True).click()
    expect(page.locator("#queue")).to_have_text("1 labelled")
    page.get_by_label("Dataset").fill("oth")
    api.taught["thing"] = answers.taught({"fish": 2, "house": 2}, 0.4, 0.6)
    expect(page.get_by_text("40 % → 60 %")).to_be_visible()
    expect(page.get_by_label("Dataset")).to_have_value("oth")


def test_an_image_that_is_dropped_while_its_question_is_fetched_is_guessed_too(
    api: PageApi, opened: Open, tmp_path: Path
) -> None:
    with held(api, routes.GET_TASK):
        page = opened("teach?task=thing")
        page.locator("#teach-stage input").set_input_files([picture(tmp_path, "0.png")])
        expect(page.get_by_text("1 to go")).to_be_visible()
        page.wait_for_timeout(400)
    expect(page.get_by_role("button", name="fish", exact=True)).to_contain_text("91 %")


def drag(page: Page, *paths: Path, types: Sequence[str] = ("dragEnter", "dragOver", "drop"), x: int = 300) -> None:
    """As a person does it, folders too: https://chromedevtools.github.io/devtools-protocol/tot/Input/"""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": list(map(str, paths)), "dragOperationsMask": 1}
    for type in types:
        session.send("Input.dispatchDragEvent", {"type": type, "x": x, "y": 300, "data": data})


def test_a_folder_that_is_dropped_labels_what_lies_in_it(api: PageApi, opened: Open, tmp_path: Path) -> None:
    for name in ("house/1.png", "house/2.png", "fish/3.png", "other/4.png"):
        picture(tmp_path, name, ("red", "green", "blue", "teal")[int(name[-5]) - 1])
    (tmp_path / "fish/notes.txt").write_text("no image")
    page = opened("teach?task=thing")
    expect(page.get_by_text("Its accuracy will stand here")).to_be_visible()
    drag(page, *(tmp_path / name for name in ("house", "fish", "other")))
    expect(page.get_by_text("4 to go")).to_be_visible()
    page.get_by_role("button", name="Label 3 images by their folders").click()
    expect(page.locator("#queue")).to_have_text("1 to go · 3 labelled")
    assert sorted(label for label, _, _ in annotated(api)) == ["fish", "house", "house"]


def test_images_that_are_dropped_are_asked(opened: Open, tmp_path: Path) -> None:
    page = opened()
    drag(page, picture(tmp_path, "one.png"), types=("dragEnter", "dragOver"))
    expect(page.locator("#stage")).to_have_class("stage over")
    drag(page, picture(tmp_path, "one.png"), types=("dragOver",), x=WIDE - 9)
    expect(page.locator("#stage")).to_have_class("stage")
    drag(page, picture(tmp_path, "one.png"), picture(tmp_path, "two.png"))
    expect(page.locator("#stage")).to_have_class("stage")
    expect(page.locator("#many tr")).to_have_count(3)
    expect(page.locator("#stage img")).to_have_attribute("alt", "one.png")


def test_what_could_not_be_kept_comes_back(api: PageApi, opened: Open, tmp_path: Path) -> None:
    page = opened("teach?task=thing")
    page.locator("#teach-stage input").set_input_files([picture(tmp_path, "0.png")])
    expect(page.get_by_text("1 to go")).to_be_visible()
    api.problems[routes.POST_ANNOTATIONS] = [UnprocessableImage("the image has 90 megapixels")]
    page.get_by_role("button", name="tree", exact=True).click()
    expect(page.locator("#notice")).to_have_text("The image has 90 megapixels.")
    expect(page.get_by_text("1 to go")).to_be_visible()


def test_what_is_annotated_is_shown_by_label_and_by_split(api: PageApi, opened: Open) -> None:
    said = [("house", "train"), ("fish", None), ("fish", "test"), ("tree", "validation"), (None, None)]
    api.annotations, api.counts, api.page = answers.annotations(*said), {"fish": 2, "house": 1, "tree": 1}, 2
    page = opened("teach?task=thing")
    pictures = page.locator("#pictures > div")
    # pages of two are read until there is enough to show
    expect(pictures).to_have_text(["house · train", "fish", "fish · test", "tree · validation", "an old house"])
    expect(page.get_by_role("button", name="More")).to_be_hidden()
    page.get_by_label("Split").select_option("Drawn by each training")
    expect(pictures).to_have_text(["fish", "an old house"])
    page.get_by_label("Label", exact=True).select_option("fish")
    page.get_by_label("Split").select_option("test")
    expect(pictures).to_have_text(["fish · test"])
    page.get_by_label("Label", exact=True).select_option("tree")
    expect(page.locator("#few")).to_have_text("None is.")


def test_the_pictures_are_the_small_ones_each_asked_for_once(api: PageApi, opened: Open, tmp_path: Path) -> None:
    api.annotations, api.counts = answers.annotations(*[("fish", None)] * 30), {"fish": 30}
    page = opened("teach?task=thing")
    shown = page.locator("#pictures img[src^='data:image/jpeg']")
    expect(shown).to_have_count(24)
    page.get_by_role("button", name="More").click()
    expect(shown).to_have_count(30)
    page.locator("#teach-stage input").set_input_files(picture(tmp_path, "0.png"))
    page.get_by_role("button", name="tree", exact=True).click()
    expect(page.locator("#pictures img[src^='blob:']")).to_have_count(1)  # which this page has sent itself
    expect(page.locator("#pictures > div").first).to_have_text("tree")
    page.keyboard.press("z")
    expect(page.locator("#pictures > div").first).to_have_text("fish")
    asked = api.of(routes.GET_ANNOTATED_IMAGE)
    assert len(asked) == 30 and all(each.query == {"size": ["256"]} for each in asked)


def test_what_the_model_disagrees_with_is_shown_and_changed(api: PageApi, opened: Open) -> None:
    api.taught["thing"] = answers.taught({"fish": 16, "house": 16}, 0.4, 0.9, doubtful=True)
    api.annotations, api.counts = answers.annotations(("house", "train"), ("fish", None)), {"fish": 1, "house": 1}
    page = opened("teach?task=thing")
    pictures = page.locator("#pictures > div")
    expect(pictures).to_have_count(2)
    page.get_by_role("button", name="Model disagrees (1)").click()
    expect(pictures).to_have_count(1)
    expect(pictures).to_contain_text("Said house, looks like tree (93 %)")
    pictures.get_by_role("button", name="It is tree").click()
    expect(page.get_by_role("button", name="Model disagrees (0)")).to_be_visible()
    expect(pictures).to_have_count(0)
    (changed,) = api.of(routes.PUT_ANNOTATION)
    assert b'"label":"tree"' in changed.body and b"an old house" in changed.body
    page.get_by_role("button", name="Model disagrees (0)").click()
    expect(pictures.first).to_have_text("tree · train")


def test_an_earlier_head_is_brought_back(api: PageApi, opened: Open) -> None:
    taught = answers.taught({"fish": 16, "house": 16}, 0.4, 0.9)
    (head,) = taught["heads"]
    earlier = {**head, "sha256": "1" * 64, "images": 8, "after": {"accuracy": 0.7, "calibration_error": 0.1}}
    api.taught["thing"] = {**taught, "heads": [head, earlier]}
    page = opened("teach?task=thing")
    page.get_by_text("What it was taught before").click()
    rows = page.locator("#heads tr")
    expect(rows.nth(1)).to_contain_text("answers")
    expect(rows.nth(2)).to_contain_text("70 %")
    page.get_by_role("button", name="Bring back").click()
    expect(rows.nth(2)).to_contain_text("answers")
    assert api.of(routes.TEACH_TASK)[-1].body.head == "1" * 64


def test_words_come_back_where_they_are_wished(api: PageApi, opened: Open) -> None:
    api.taught["thing"] = answers.taught({"fish": 16, "house": 16}, 0.4, 0.9)
    page = opened("teach?task=thing")
    page.get_by_role("button", name="Back to its words").click()
    expect(page.get_by_text("answers by its words, as you asked")).to_be_visible()
    expect(page.get_by_role("button", name="Teach it again")).to_be_visible()


def test_a_training_is_begun_with_its_price_and_seen_in_models(api: PageApi, opened: Open) -> None:
    api.counts = {"fish": 20, "house": 20, "tree": 8}
    page = opened("teach?task=thing")
    expect(page.get_by_text("Sixteen of each are a good start: 8 more of tree.")).to_be_visible()
    page.get_by_role("button", name="Train on 48 images").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("about 15 min, $0.18")
    dialog.get_by_label("Afterwards").select_option("auto")
    dialog.get_by_label("Hyperparameters").fill("epochs: 5")
    dialog.get_by_role("button", name="Train").click()
    expect(dialog).to_be_visible()  # until it is JSON
    dialog.get_by_label("Hyperparameters").fill('{"epochs": 5}')
    dialog.get_by_role("button", name="Train").click()
    expect(page.get_by_text("Training on pictograms")).to_be_visible()
    expect(page.get_by_text("training · step 120 of 300 · 80 s left")).to_be_visible()
    for curve in ("loss by step", "accuracy by step"):
        expect(page.get_by_label(curve, exact=True)).to_be_visible()
    begun = api.of(routes.START_TRAINING)[-1].body
    assert (begun.dataset, begun.promote, begun.hyperparameters) == ("thing", "auto", {"epochs": 5})
    page.get_by_role("button", name="Stop the training").click()
    page.get_by_role("button", name="Stop it").click()
    expect(page.get_by_text("The training on pictograms was stopped")).to_be_visible()


def test_what_a_training_lacks_is_said_in_numbers(api: PageApi, opened: Open) -> None:
    api.counts = {"fish": 3}
    api.check = {**answers.CHECK, "starts": False, "missing": ["3 annotations, at least 20 are needed"]}
    page = opened("teach?task=thing")
    page.get_by_role("button", name="Train on 3 images").click()
    expect(page.get_by_role("dialog")).to_contain_text("3 annotations, at least 20 are needed.")
    page.get_by_role("button", name="Close").click()
    assert len(api.of(routes.START_TRAINING)) == 1


def test_a_version_is_judged_in_words_and_charts_and_promoted(api: PageApi, opened: Open) -> None:
    page = opened("models")
    detail = page.locator("#detail")
    expect(detail).to_contain_text("33 % → 94 %")
    expect(detail.get_by_label("Accuracy before and after, by task")).to_contain_text("pictogram (new)")
    expect(detail.get_by_label("Validation accuracy by step")).to_contain_text("step 300: 94 %")
    expect(page.locator("#versions tr")).to_have_count(4)
    page.get_by_role("button", name=f"Promote {answers.TUNED['version']}").click()
    expect(page.get_by_role("dialog")).to_contain_text("37")
    page.get_by_role("dialog").get_by_role("button", name="Promote").click()
    live = page.locator("#versions tr", has_text=answers.TUNED["version"])
    expect(live).to_contain_text("live")
    assert api.of(routes.PROMOTE_MODEL)[-1].body.force is False


def test_a_versions_mixtures_show_what_was_published_and_what_it_may_have_cost(api: PageApi, opened: Open) -> None:
    mixed = answers.TUNED["metrics"]["interpolation"]
    api.models.append(answers.trained("boundless", interpolation={**mixed, "max_forgetting": 1}))
    page = opened("models")
    chart = page.get_by_label("Accuracy on the new by what the old tasks may have lost")
    expect(chart.locator("circle")).to_have_count(6)
    expect(chart.get_by_text("limit")).to_have_count(0)  # it is far away
    page.get_by_role("link", name=answers.TUNED["version"], exact=True).click()
    expect(chart.locator("circle.dot")).to_have_count(1)
    expect(chart.locator("text", has_text="published: 75 %")).to_be_visible()
    expect(chart.locator("text", has_text="limit")).to_be_visible()
    expect(chart.locator(".hot").last).to_have_text(
        "75 % fine-tuned: 94.0 % of the new, at most 1.6 points lost, 3.6 points at relation"
    )
    expect(page.get_by_text("Published are 75% fine-tuned and 25% base weights.")).to_be_visible()
    page.get_by_role("link", name="base", exact=True).click()
    expect(page.get_by_role("heading", name="base")).to_be_visible()
    expect(chart).to_be_hidden()  # no training has made it


def test_what_promotes_a_version_is_reached_on_a_phone_without_scrolling_sideways(opened: Open) -> None:
    page = opened("models", width=NARROW)
    promote = page.get_by_role("button", name=f"Promote {answers.TUNED['version']}")
    expect(promote).to_be_visible()
    scrolled = page.locator("#versions .scroll")
    assert scrolled.evaluate("each => each.scrollWidth - each.clientWidth") <= 0
    box = promote.bounding_box()
    assert box and box["x"] + box["width"] <= NARROW


def test_a_refused_version_is_promoted_only_by_its_name(api: PageApi, opened: Open) -> None:
    page = opened("models")
    name = answers.REFUSED["version"]
    page.get_by_role("button", name=f"Promote {name}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("it is not better than its base for sure")
    dialog.get_by_role("button", name="Promote").click()
    expect(dialog).to_be_visible()
    dialog.get_by_role("textbox").fill(name)
    dialog.get_by_role("button", name="Promote").click()
    expect(dialog).to_be_hidden()
    page.wait_for_timeout(100)
    assert api.of(routes.PROMOTE_MODEL)[-1].body.force is True


def test_what_was_live_before_can_be_rolled_back_to(api: PageApi, opened: Open) -> None:
    tuned = {
        **answers.TUNED,
        "live": True,
        "promotion": answers.promotion(answers.TUNED["version"], "s3://none/", "live"),
    }
    api.models = [{**answers.BASE, "live": False}, tuned]
    page = opened("models")
    page.get_by_role("button", name="Roll back to base").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.locator("#versions tr", has_text="base").last).to_contain_text("live")
    assert api.of(routes.PROMOTE_MODEL)[-1].names == ("base",)


def test_a_promotion_that_is_under_way_is_told(api: PageApi, opened: Open) -> None:
    api.rolling = answers.promotion(answers.TUNED["version"], state="updating")
    page = opened("models")
    expect(page.get_by_text("is going live: updating")).to_be_visible()
    expect(page.get_by_role("button", name=f"Promote {answers.TUNED['version']}")).to_be_disabled()


def test_the_api_is_described_and_asked(opened: Open) -> None:
    page = opened("api")
    expect(page.locator("#api details")).to_have_count(len(routes.ROUTES))
    operation = page.locator("details", has=page.get_by_text("/tasks/{task}", exact=True)).first
    operation.locator("summary").click()
    operation.get_by_label("task", exact=True).fill("thing")
    expect(operation.get_by_label("curl")).to_contain_text('-H "x-api-key: $KEY"')
    expect(operation.get_by_label("curl")).to_contain_text("/v1/tasks/thing")
    operation.get_by_role("button", name="Send").click()
    expect(operation.get_by_label("Answer")).to_contain_text("200")
    expect(operation.get_by_label("Answer")).to_contain_text('"label": "fish"')
