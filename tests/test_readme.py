"""README, docs/ and their like: their tables, their figures, their paths and their commands are true."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from contract import limits
from contract.batches import MAX_BATCH_IMAGES, SHARD_IMAGES
from contract.gain import ENOUGH_IMAGES
from contract.hyperparameters import Hyperparameters
from contract.images import IMAGE_EXPIRES_IN_S
from contract.progress import MAX_HISTORY_POINTS
from contract.questions import Parameters
from contract.reference import MAX_REFERENCE_IMAGES, MAX_REFERENCE_PROMPTS, MAX_REFERENCE_TASKS, REFERENCE_TASKS
from contract.reports import MAX_MISTAKES
from contract.routes import ROUTES, Route
from contract.schedule import CHOSEN_BY_IMAGES, KEPT_IMAGES, PROJECTION_STEPS
from contract.taught import KEPT_HEADS
from contract.trainings import MAX_OLD_IMAGES, MAX_OLD_SETS
from lambdas.manage.trainings import MAX_CHECKED_ANNOTATIONS
from lambdas.stored.datasets import FEW_IMAGES
from lambdas.stored.old import MAX_ANCESTORS, MAX_DATASETS, MAX_IMAGES, MAX_READ, asked_as
from lambdas.teach.examples import READ_ANNOTATIONS
from model.clip.lookahead import AVIF_BYTES_PER_PIXEL, WEBP_BYTES_PER_PIXEL
from model.data.crops import MOST_STRETCHED
from model.serving.decoders import SLOW
from operate.prices import HOURS_PER_MONTH, REST_USD_PER_MONTH, training_usd_per_hour
from stacks.config import StageConfig
from stacks.stage_files import stage_config
from tests.readme import DOCUMENTS, NOT_PASTED, PASTED, README, ROOT, asked_by, blocks, examples, pasted, section

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

DEV, PROD = stage_config("dev"), stage_config("prod")
MOST_WEBP_PIXELS = SLOW.memory_bytes // WEBP_BYTES_PER_PIXEL // 1_000_000 * 1_000_000
MOST_AVIF_PIXELS = SLOW.memory_bytes // AVIF_BYTES_PER_PIXEL // 1_000_000 * 1_000_000
LIMITS = {
    "images of one request, together": f"{limits.MAX_INLINE_IMAGE_BYTES:,} bytes",
    "images of one request, uploaded before (`s3_key`)": f"{limits.MAX_INVOCATION_BYTES:,} bytes",
    "pixels of an image": (
        f"{limits.MAX_IMAGE_PIXELS:,}; WebP {MOST_WEBP_PIXELS:,} and AVIF {MOST_AVIF_PIXELS:,}, which take several "
        "times their size to decode"
    ),
    "longer side of an image, in shorter sides": f"{limits.MAX_IMAGE_ASPECT_RATIO}",
    "pixels of one request, decoded (a large JPEG is decoded small)": f"{limits.MAX_REQUEST_PIXELS:,}",
    "to decode an image": (
        f"{SLOW.memory_bytes // 2**20} MB of memory, {SLOW.cpu_s:g} s and {SLOW.cpu_s_per_mpixel:.2f} s more per "
        "million pixels"
    ),
    "images in one request": f"{limits.MAX_IMAGES:,}",
    "labels in one question": f"{limits.MAX_LABELS:,}",
    "tasks in one request": f"{limits.MAX_TASKS:,}",
    "prompts: labels x annotations or templates": f"{limits.MAX_PROMPTS:,}",
    "scores in one answer: images x labels, or images x `top_k`": f"{limits.MAX_SCORES:,}",
    "texts to embed in one request": f"{limits.MAX_TEXTS:,}",
    "templates of one question": f"{limits.MAX_TEMPLATES:,}",
    "characters of a text": f"{limits.MAX_TEXT_CHARS:,}",
    "characters of a template with a label in all of its places": f"{limits.MAX_PROMPT_CHARS:,}",
    "values in one JSON body, with the commas in its texts": f"{limits.MAX_JSON_ITEMS:,}",
    "parts of a form": f"{limits.MAX_FORM_PARTS:,}",
    "labels of a task that learns in seconds": f"{limits.MAX_TAUGHT_LABELS:,}",
    "images that it learns from; of more, a sample": (
        f"{limits.MAX_TAUGHT_IMAGES:,}, and with more than {limits.MAX_TAUGHT_SCORES // limits.MAX_TAUGHT_IMAGES} "
        f"labels {limits.MAX_TAUGHT_SCORES:,} divided by their number"
    ),
    "annotations that are looked at for that": f"{READ_ANNOTATIONS:,}",
    "images in one batch": f"{MAX_BATCH_IMAGES:,}",
    "seconds until an answer": f"{limits.API_TIMEOUT_S}",
    "requests per second to one route, and with one API key": (
        f"{DEV.throttling_rate_rps:g}, and {DEV.throttling_burst} at once; "
        f"`prod`: {PROD.throttling_rate_rps:g} and {PROD.throttling_burst}; locally no limit"
    ),
}


DOMAINS_OF_THE_REPORT = ("Digits", "Pictograms")


MOST_README_LINES = 250
"""Read aloud in five minutes."""
NOT_OF_THE_REPOSITORY = (
    *("collections", "uploads", "images", "snapshots", "models"),
    *("openai", "laion", "my-pets", "tuned", "crack", "sound"),
)
"""Where paths begin that are not the repository's: in the buckets; on a hub, and in a user's own folders."""


def report(path: str) -> str:
    return (ROOT / "benchmarks" / path).read_text(encoding="utf-8")


def in_one_line(document: str) -> str:
    return re.sub(r"\s+", " ", DOCUMENTS[document])


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= MOST_README_LINES


@pytest.mark.parametrize("question", ["how to pay less", "how to undo", "what was never seen on AWS"])
def test_a_stranger_finds_in_one_guess(question: str) -> None:
    (row,) = (line for line in section("README.md", "## Where things are").splitlines() if question in line)
    (page,) = re.findall(r"\]\((docs/.+?)\)", row)
    assert re.search(rf"^#+ {question}$", DOCUMENTS[page], re.MULTILINE | re.IGNORECASE)


def test_the_limits_are_the_contracts() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", section("docs/api.md", "## Limits"), re.MULTILINE)
    assert dict(rows[2:]) == LIMITS


@pytest.mark.parametrize("document", ["README.md", "docs/develop.md"])
def test_every_path_of_the_tree_exists_and_every_folder_of_ours_is_in_it(document: str) -> None:
    folder, named = ROOT, set()
    for line in section(document, "## Where things are").split("```")[1].strip().splitlines():
        indent, name = re.match(r"( *)(\S+)", line).groups()  # type: ignore[union-attr]
        path = (folder if indent else ROOT) / name
        assert path.exists(), f"{name} is in the tree of {document}, but not in the repository"
        if not indent:
            folder = path
            named.add(name.rstrip("/"))
    folders = {path.parent.name for path in ROOT.glob("*/*.py") if not path.parent.name.startswith((".", "cdk.out"))}
    assert folders <= named


def route_of(method: str, path: str) -> Route:
    """Where API Gateway sends a request: of several routes that match, to the one with the fewest parameters."""
    matching = [
        route
        for route in ROUTES
        if route.method == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route.path), path)
    ]
    assert matching, f"an example asks {method} {path}, which is no route"
    return min(matching, key=lambda route: route.path.count("{"))


def test_every_route_is_in_an_example_that_is_run() -> None:
    requests = [request for document in PASTED for block in pasted(document) for request in asked_by(block)]
    shown = {route_of(*request) for request in requests}
    assert [f"{route.method} {route.path}" for route in ROUTES if route not in shown] == []


def test_every_example_is_pasted_and_nothing_is_left_out_that_is_not_there() -> None:
    assert {document for document, text in DOCUMENTS.items() if examples(text)} == set(PASTED)
    shell = [line for text in DOCUMENTS.values() for language, code in blocks(text) for line in code.splitlines()]
    assert [command for command in NOT_PASTED if not any(line.startswith(command) for line in shell)] == []


def test_what_is_code_says_its_language() -> None:
    languages = {language for text in DOCUMENTS.values() for language, _ in blocks(text)}
    assert languages == {"sh", "python", "js", "toml", "mermaid", ""}
    output = [code for text in DOCUMENTS.values() for language, code in blocks(text) if not language]
    assert not any(re.search(r"^(curl|wordsight|make|\.venv/bin/python) ", code, re.MULTILINE) for code in output)


def test_a_stage_that_is_shown_is_allowed() -> None:
    shown = [code for text in DOCUMENTS.values() for language, code in blocks(text) if language == "toml"]
    assert shown
    for code in shown:
        knobs = tomllib.loads(code)
        assert knobs.pop("inherit") == "dev"
        StageConfig(stage="alice", **knobs)


def test_the_headers_of_an_answer_are_those_that_a_page_may_read() -> None:
    rows = table_rows(section("docs/api.md", "## What else it answers"))
    assert {name.strip("`") for name in rows} - {"header", "---"} == set(limits.EXPOSED_HEADERS)


def test_the_stages_cost_what_the_configuration_says() -> None:
    rows = table_rows(section("docs/operate.md", "## How to pay less"))
    for stage in (DEV, PROD):
        endpoint, training = stage.endpoint_usd_per_hour, training_usd_per_hour(stage)
        assert endpoint and training
        hour, month = f"${endpoint:.2f} an hour", f"${endpoint * HOURS_PER_MONTH:.0f} a month"
        of_readme = table_rows(section("README.md", "## Deploy to AWS"))[f"`{stage.stage}`"]
        assert (
            of_readme[0].startswith(f"`{stage.endpoint_instance_type}`,") and of_readme[1] == f"about {hour}, {month}"
        )
        active, rest = f"${endpoint + training:.2f} an hour", f"under ${REST_USD_PER_MONTH} a month"
        assert rows[f"`{stage.stage}`"] == [f"{hour}, {month}", active, rest]


def test_the_small_checkpoints_figures_are_its_own() -> None:
    world = json.loads((ROOT / "model/shipped/wordsight.json").read_text())["metrics"]["world"]
    quoted = dict(
        re.findall(
            r"(colours|shapes|things|counts|hundred)\D*? at (\d?\.\d\d)",
            section("docs/models.md", "## The small checkpoint").replace("\n", " "),
        )
    )
    tasks = {"colours": "colour", "shapes": "shape", "things": "thing", "counts": "count"}
    figures = {word: world[task]["accuracy"] for word, task in tasks.items()}
    figures["hundred"] = world["colour_and_shape_unseen"]["accuracy"]
    assert {word: float(figure) for word, figure in quoted.items()} == {k: round(v, 2) for k, v in figures.items()}


RECIPE = Hyperparameters()
IN_WORDS = {900: "a quarter of an hour", 500: "half a second", 0.6: "three fifths", 1.333: "a third"}
NUMBERS = [
    ("batches", f"single shards of {SHARD_IMAGES} images"),
    ("teaching", f"last {KEPT_HEADS} heads are kept"),
    ("datasets", f"as a list of up to {limits.MAX_IMAGES} in"),
    ("datasets", f"for {IN_WORDS.get(IMAGE_EXPIRES_IN_S)}"),
    ("training", f"at most {MAX_CHECKED_ANNOTATIONS:,} annotations are counted"),
    ("training", f"fewer than {ENOUGH_IMAGES} validation images"),
    ("training", f"labels with fewer than {FEW_IMAGES} images to train on"),
    ("training", f"at most {MAX_HISTORY_POINTS} points of loss and accuracy"),
    ("training", f"the {MAX_MISTAKES} worst mistakes"),
    ("training", f"at most {RECIPE.max_forgetting} accuracy in the mean (`max_forgetting`)"),
    ("training", f"and {RECIPE.max_task_forgetting} at any one (`max_task_forgetting`)"),
    ("training", f"{IN_WORDS.get(RECIPE.crop_area_min)} of their area at least"),
    ("training", f"by {IN_WORDS.get(round(min(1 / RECIPE.crop_area_min, MOST_STRETCHED), 3))} at most"),
    ("training", f"| {MAX_ANCESTORS} | versions, from the base through its parents |"),
    ("training", f"| {MAX_DATASETS} | datasets of these that have something to ask, and {MAX_DATASETS} others;"),
    ("training", f"of each other one {MAX_READ:,} annotations are read |"),
    ("training", f"| {MAX_OLD_SETS} | tasks in a dataset, those with the most images;"),
    ("training", f"| {MAX_IMAGES} | images of a task in a dataset, a sample by hash |"),
    ("training", f"| {MAX_OLD_IMAGES:,} | images of all together,"),
    ("training", f"takes a sample of at most {MAX_REFERENCE_IMAGES:,} of your own images"),
    ("training", f"the first {MAX_REFERENCE_TASKS} by name with {MAX_REFERENCE_PROMPTS:,} sentences together at most"),
    ("training", f"the lines of a `{REFERENCE_TASKS}` in DIR"),
    ("training", f"called `{asked_as('defect', 'welds')}` or, where labels have no task, `{asked_as(None, 'welds')}`"),
    ("training", f"reading {CHOSEN_BY_IMAGES:,} images at most takes, and {KEPT_IMAGES:,} more of the replayed world"),
    ("training", f"and three times {PROJECTION_STEPS} steps of the matrix"),
    ("performance", f"longer than {IN_WORDS.get(DEV.queue_budget_ms)} for the model (`queue_budget_ms`)"),
    ("api", f"in more than {IN_WORDS.get(DEV.queue_budget_ms)} (`queue_budget_ms`)"),
]


@pytest.mark.parametrize(("page", "said"), NUMBERS, ids=[said for _, said in NUMBERS])
def test_a_number_is_what_the_code_says(page: str, said: str) -> None:
    assert said in in_one_line(f"docs/{page}.md")


@pytest.mark.parametrize(
    ("document", "heading", "figures"),
    [("docs/performance.md", "## Beside transformers", 6), ("README.md", "## What it is worth", 2)],
)
def test_how_fast_it_is_is_what_the_reports_say_from_the_slowest_to_the_fastest_kind_of_cpu(
    document: str, heading: str, figures: int
) -> None:
    measured: dict[str, list[float]] = {}
    for path in (ROOT / "benchmarks").glob("*/serving.md"):
        kind = f"{path.parent.name}/serving.md"
        assert f"(../benchmarks/{kind})" in DOCUMENTS["docs/performance.md"]
        bars = re.findall(r"^\| B\d+ \| (.+?) \| ([\d.]+)x \|", report(kind), re.MULTILINE)
        for what, figure in dict(reversed(bars)).items():  # "the same, 12 Mpixel" is first what is quoted
            measured.setdefault(what, []).append(float(figure))
    quoted = {what: cells[0] for what, cells in table_rows(section(document, heading)).items() if cells[0][-1:] == "x"}
    assert len(quoted) == figures
    for what, said in quoted.items():
        assert list(map(float, re.findall(r"([\d.]+)x", said))) == sorted({min(measured[what]), max(measured[what])}), (
            what
        )


def test_how_well_none_of_these_is_told_is_what_the_report_says() -> None:
    quoted = table_rows(section("docs/api.md", "### None of these"))
    measured = [table_rows(part) for part in report("unknown.md").split("\n## ")]
    best, surer, off = (next(cells for name, cells in quoted.items() if begins in name) for begins in (
        "is the best answer for", "surer one", "off in the mean"
    ))  # fmt: skip
    tasks = ("shape", "thing", "colour", "colour_and_shape")
    for place, cell in enumerate(best):
        shares = [int(measured[3][task][place].rstrip("%")) for task in tasks]
        assert cell == f"{min(shares)} to {max(shares)} %"
    for place, cell in enumerate(surer[1:]):
        assert abs(int(cell.rstrip(" %")) - 100 * float(measured[1]["served"][place])) <= 0.5 + 1e-9
    for place, cell in enumerate(off[1:]):
        errors = [measured[4][task][place].split("→ 0")[1] for task in tasks]
        assert cell == f"{min(errors)} to {max(errors)}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    folder = (ROOT / document).parent
    for target, heading in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", DOCUMENTS[document]):
        linked = folder / target if target else ROOT / document
        assert linked.exists(), target
        headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE) if heading else []
        assert not heading or heading in [anchor(each) for each in headings], f"{target}#{heading}"


def anchor(heading: str) -> str:
    """As GitHub calls it in a link."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_and_tests_that_a_document_names_exist(document: str) -> None:
    for path, test in re.findall(r"`((?:[\w.-]+/)+[\w.-]*)(?:::(\w+))?`", DOCUMENTS[document]):
        if path.split("/")[0] in NOT_OF_THE_REPOSITORY:
            continue
        assert (ROOT / path).exists(), path
        assert not test or f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_command_that_is_named_exists(document: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
    text = re.sub(r"can make \w+", "", DOCUMENTS[document])
    assert set(re.findall(r"`?make ([a-z-]+)", text)) - targets == set()


def test_every_parameter_is_in_the_table() -> None:
    (table,) = (
        table for table in section("docs/api.md", "## Classify").split("\n\n") if table.startswith("| parameter |")
    )
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(Parameters.model_fields)


def table_rows(text: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {name: cells for name, *cells in rows}


def of_domain(name: str) -> dict[str, list[str]]:
    """The rows of a domain in the report on fine-tuning."""
    return table_rows(report("learning.md").split(f"## {name}\n")[1].split("\n\n|")[1])


def test_what_fine_tuning_is_worth_is_what_the_report_says() -> None:
    digits, pictograms = map(of_domain, DOMAINS_OF_THE_REPORT)
    quoted = table_rows(section("docs/training.md", "## What it is worth"))
    methods = [name for name in quoted if name in digits and name not in ("method", "---")]
    assert len(methods) == 5
    for name in methods:
        _, _, new, old, *_ = digits[name]
        _, _, other_new, other_old, *_ = pictograms[name]
        assert quoted[name] == [new, old, other_new, other_old]


def test_what_the_defaults_teach_over_seeds_is_what_the_report_says() -> None:
    """Of every domain that all seeds were run of."""
    said = report("learning-seeds.md")
    measured = table_rows(said.split("## What was found\n")[1])
    unfinished = re.search(r"Not run with every seed yet: (.*)\.", said)
    finished = measured.keys() - {"domain", "---", *(unfinished[1].split(", ") if unfinished else ())}
    quoted = table_rows(section("docs/training.md", "## What it is worth"))
    assert finished and finished == measured.keys() & quoted.keys() - {"domain", "---"}
    places = [measured["domain"].index(column) for column in quoted["domain"]]
    assert len(places) == 3
    for name in finished:
        assert quoted[name] == [measured[name][place] for place in places]


def test_how_honest_fine_tuned_scores_are_is_what_the_report_says() -> None:
    parts = (report("learning.md").split(f"## {name}\n")[1].split("carries:\n\n")[1] for name in DOMAINS_OF_THE_REPORT)
    by_domain = [table_rows(part) for part in parts]
    assert all(rows["task"][-1] == "replay + interpolation (the default)" for rows in by_domain)
    mean, worst = (max(float(rows[name][-1]) for rows in by_domain) for name in ("mean", "worst"))
    assert f"by default at most {mean:.3f} in the mean and {worst:.3f} at any task" in in_one_line("docs/training.md")
    assert mean <= 0.05 and worst <= 0.08


def taught_digits() -> str:
    """The accuracy of a head that 16 digits of each class have made."""
    rows = table_rows(report("teach.md").split("## Digits\n")[1].split("\n\nFine-tuned")[0])
    return rows["head"][rows["images of each class"].index("16")]


def test_what_annotated_images_teach_at_once_is_what_the_report_says() -> None:
    measured = table_rows(report("teach.md").split("## Tasks that the words do not know\n")[1].split("\n\n![")[0])
    quoted = table_rows(section("docs/teaching.md", "## What it is worth"))
    counts = [measured["images of each class"].index(each) for each in quoted["images of each class"]]
    assert len(counts) > 4 and "The mean of digits, pictograms, signs." in report("teach.md")
    for name in ("words", "nearest mean", "ridge", "head"):
        assert quoted[name] == [measured[name][place] for place in counts]
    (tuned,) = re.findall(r"as published: accuracy ([\d.]+),", report("teach.md"))
    said = in_one_line("docs/teaching.md")
    assert f"16 digits of each class bring to {tuned} in" in said and f"head to {taught_digits()} at" in said


def test_what_teaching_is_worth_is_in_the_readme_as_the_reports_say() -> None:
    digits = of_domain("Digits")
    (_, _, words, untouched, *_), (_, _, tuned, kept, *_) = (
        digits[method] for method in ("zero-shot", "replay + interpolation (the default)")
    )
    trained_on = re.search(r"([\d,]+) to train on", report("learning.md").split("## Digits\n")[1])
    assert trained_on
    quoted = table_rows(section("README.md", "## What it is worth"))
    assert quoted["by words alone"] == [words, untouched]
    assert quoted["taught in seconds, 16 images of each class"] == [taught_digits(), untouched]
    assert quoted[f"fine-tuned, {trained_on[1]} images"] == [tuned, kept]


STALE = 0.05
"""By such a share of the tests the README's number may be off, or every new test would have to change it."""


def test_the_readme_counts_the_tests(request: pytest.FixtureRequest) -> None:
    counted = re.search(r"Its ([\d,]+) tests", section("README.md", "## Test it"))
    assert counted
    options = request.config.option
    if [Path(each).resolve() for each in request.config.args] != [ROOT / "tests"] or options.keyword:
        pytest.skip("only the whole suite can be counted")
    quoted = int(counted[1].replace(",", ""))
    assert options.markexpr != "not slow" or abs(quoted - request.session.testscollected) <= STALE * quoted
