"""The README and docs/: their tables, their paths and their commands are true."""

import json
import re
from pathlib import Path

import pytest

from contract import limits
from contract.batches import MAX_BATCH_IMAGES, SHARD_IMAGES
from contract.questions import Parameters
from contract.routes import ROUTES, Route
from contract.taught import KEPT_HEADS
from lambdas.teach.examples import READ_ANNOTATIONS
from model.clip.lookahead import AVIF_BYTES_PER_PIXEL, WEBP_BYTES_PER_PIXEL
from model.serving.decoders import SLOW
from stacks.config import USD_PER_HOUR, stage_config
from tests.readme import README, RUN, asked_by, blocks

ROOT = Path(__file__).resolve().parent.parent
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


def section(title: str) -> str:
    return re.split(r"\n#+ ", README.split(f"# {title}\n", 1)[1], maxsplit=1)[0]


def test_the_limits_are_the_contracts() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", section("Limits"), re.MULTILINE)
    assert dict(rows[2:]) == LIMITS


def test_every_path_of_the_tree_exists_and_every_folder_of_ours_is_in_it() -> None:
    folder, named = ROOT, set()
    for line in section("Where things are").split("```")[1].strip().splitlines():
        indent, name = re.match(r"( *)(\S+)", line).groups()  # type: ignore[union-attr]
        path = (folder if indent else ROOT) / name
        assert path.exists(), f"{name} is in the README's tree, but not in the repository"
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
    requests = [request for heading in RUN for block in blocks(heading) for request in asked_by(block)]
    shown = {route_of(*request) for request in requests}
    assert [f"{route.method} {route.path}" for route in ROUTES if route not in shown] == []


def test_the_stages_cost_what_the_configuration_says() -> None:
    for stage in map(stage_config, ("dev", "prod")):
        usd_per_hour = USD_PER_HOUR[stage.endpoint_instance_type]
        assert f"`{stage.endpoint_instance_type}`, about ${usd_per_hour:.2f} an hour" in README


def test_the_small_checkpoints_figures_are_its_own() -> None:
    world = json.loads((ROOT / "model/shipped/wordsight.json").read_text())["metrics"]["world"]
    quoted = dict(
        re.findall(r"(colours|shapes|things|counts|hundred)\D*? at (\d?\.\d\d)", section("The small checkpoint"))
    )
    tasks = {"colours": "colour", "shapes": "shape", "things": "thing", "counts": "count"}
    figures = {word: world[task]["accuracy"] for word, task in tasks.items()}
    figures["hundred"] = world["colour_and_shape_unseen"]["accuracy"]
    assert {word: float(figure) for word, figure in quoted.items()} == {k: round(v, 2) for k, v in figures.items()}


def test_so_many_heads_are_kept_as_it_says() -> None:
    assert f"last {KEPT_HEADS} heads are kept" in README.replace("\n", " ")


def test_a_shard_has_as_many_images_as_it_says() -> None:
    assert f"single shards of {SHARD_IMAGES} images" in README.replace("\n", " ")


def test_how_fast_it_is_is_what_the_reports_say_from_the_slowest_to_the_fastest_kind_of_cpu() -> None:
    said = section("How fast, and what if it is too much")
    measured: dict[str, list[float]] = {}
    for report in (ROOT / "benchmarks").glob("*/serving.md"):
        assert f"(benchmarks/{report.parent.name}/serving.md)" in said
        bars = re.findall(r"^\| B\d+ \| (.+?) \| ([\d.]+)x \|", report.read_text(encoding="utf-8"), re.MULTILINE)
        for what, figure in dict(reversed(bars)).items():  # "the same, 12 Mpixel" is first what the README quotes
            measured.setdefault(what, []).append(float(figure))
    quoted = {what: cells[0] for what, cells in table_rows(said).items() if cells[0].endswith("x")}
    assert len(quoted) == 6
    for what, figures in quoted.items():
        assert list(map(float, re.findall(r"([\d.]+)x", figures))) == sorted(
            {min(measured[what]), max(measured[what])}
        ), what


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target, heading in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", document.read_text(encoding="utf-8")):
        linked = document.parent / target if target else document
        assert linked.exists(), target
        headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE) if heading else []
        assert not heading or heading in [anchor(each) for each in headings], f"{target}#{heading}"


def anchor(heading: str) -> str:
    """As GitHub calls it in a link."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", documents()[1:], ids=lambda path: path.name)
def test_paths_and_tests_that_a_document_names_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)(?:::(\w+))?`", text)
    assert named
    for path, test in named:
        assert (ROOT / path).exists(), path
        assert not test or f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_every_make_command_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
    text = re.sub(r"can make \w+", "", document.read_text(encoding="utf-8"))
    assert set(re.findall(r"`?make ([a-z-]+)", text)) - targets == set()


def test_every_parameter_is_in_the_table() -> None:
    (table,) = (table for table in section("Classify").split("\n\n") if table.startswith("| parameter |"))
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(Parameters.model_fields)


def table_rows(text: str) -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {name: cells for name, *cells in rows}


def test_what_fine_tuning_is_worth_is_what_the_report_says() -> None:
    report = (ROOT / "benchmarks/learning.md").read_text(encoding="utf-8")
    digits, pictograms = (
        table_rows(report.split(f"## {name}\n")[1].split("\n\n|")[1]) for name in DOMAINS_OF_THE_REPORT
    )
    quoted = table_rows(section("Bring a dataset").split("learning.md)")[1])
    methods = [name for name in quoted if name in digits and name not in ("method", "---")]
    assert len(methods) == 5
    for name in methods:
        _, _, new, old, *_ = digits[name]
        _, _, other_new, other_old, *_ = pictograms[name]
        assert quoted[name] == [new, old, other_new, other_old]


def test_how_honest_fine_tuned_scores_are_is_what_the_report_says() -> None:
    report = (ROOT / "benchmarks/learning.md").read_text(encoding="utf-8")
    by_domain = [table_rows(report.split(f"## {name}\n")[1].split("carries:\n\n")[1]) for name in DOMAINS_OF_THE_REPORT]
    assert all(rows["task"][-1] == "replay + interpolation (the default)" for rows in by_domain)
    mean, worst = (max(float(rows[name][-1]) for rows in by_domain) for name in ("mean", "worst"))
    assert f"by default at most {mean:.3f} in the mean and {worst:.3f} at any task" in README.replace("\n", " ")
    assert mean <= 0.05 and worst <= 0.08


def test_what_annotated_images_teach_at_once_is_what_the_report_says() -> None:
    report = (ROOT / "benchmarks/teach.md").read_text(encoding="utf-8")
    measured = table_rows(report.split("## Tasks that the words do not know\n")[1].split("\n\n![")[0])
    quoted = table_rows(section("Bring a dataset").split("teach.md)")[1])
    counts = [measured["images of each class"].index(each) for each in quoted["images of each class"]]
    assert len(counts) > 4 and "The mean of digits, pictograms, signs." in report
    for name in ("words", "nearest mean", "ridge", "head"):
        assert quoted[name] == [measured[name][place] for place in counts]
    digits = table_rows(report.split("## Digits\n")[1].split("\n\nFine-tuned")[0])
    (tuned,) = re.findall(r"as published: accuracy ([\d.]+),", report)
    by_head = digits["head"][digits["images of each class"].index("16")]
    assert (
        f"which 16 digits of each class bring to {tuned} in" in README.replace("\n", " ")
        and f"head to {by_head} at" in README
    )


STALE = 0.05
"""By such a share of the tests the README's number may be off, or every new test would have to change it."""


def test_the_readme_counts_the_tests(request: pytest.FixtureRequest) -> None:
    counted = re.search(r"Its ([\d,]+) tests", section("Test it"))
    assert counted
    options = request.config.option
    if [Path(each).resolve() for each in request.config.args] != [ROOT / "tests"] or options.keyword:
        pytest.skip("only the whole suite can be counted")
    quoted = int(counted[1].replace(",", ""))
    assert options.markexpr != "not slow" or abs(quoted - request.session.testscollected) <= STALE * quoted
