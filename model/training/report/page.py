"""The report as one page of HTML that needs nothing beside itself: no script, no request; readable on a phone, light
and dark. Labels and sentences are what users wrote, so every text is escaped, and the page's policy forbids the rest.
"""

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from contract.reports import MAX_MISTAKES, REPORT, REPORT_PAGE, Confusion, Mistake, Report
from contract.verdict import percent
from model.training.report.charts import curves, dumbbells, frontier, reliability

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
SHADES = 10
STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf7; --card: #fff; --ink: #1f2328; --soft: #62686f; --line: #e2ddd2;
  --accent: #2f6f5e; --tint: 47, 111, 94; --wrong: #9d2f24; --wrong-tint: 157, 47, 36 }
@media (prefers-color-scheme: dark) { :root { --paper: #15171a; --card: #1e2125; --ink: #e8e6e1; --soft: #9aa0a8;
  --line: #343a41; --accent: #6fbfa8; --tint: 111, 191, 168; --wrong: #f09a8f; --wrong-tint: 240, 154, 143 } }
* { box-sizing: border-box }
body { margin: 0; padding: 1rem; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
main { max-width: 60rem; margin: 0 auto; display: grid; gap: 1rem }
h1 { font-size: 1.1rem; font-weight: 700; margin: 0 } h2 { font-size: 1rem; font-weight: 650; margin: 0 0 .5rem }
section { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1rem; min-width: 0 }
p { margin: .25rem 0 } .soft, figcaption { color: var(--soft); font-size: .875rem }
.big { font-size: 2.5rem; font-weight: 650; line-height: 1.2; margin: .5rem 0 } .big small { color: var(--soft);
  font-size: 1rem; font-weight: 400; display: inline-block }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr)); gap: 1rem }
figure { margin: 0; min-width: 0 } svg { display: block; width: 100%; max-width: 30rem; height: auto }
svg text { fill: var(--ink); font-size: 12px } svg .end { text-anchor: end } svg .middle { text-anchor: middle }
svg .strong { font-weight: 650 } svg text.soft { fill: var(--soft); font-size: 12px } .grid { stroke: var(--line) }
.chance, .limit { stroke: var(--soft); stroke-dasharray: 4 3 } .limit { stroke: var(--wrong) }
.interval { stroke: rgba(var(--tint), .35); stroke-width: 10 }
.line { fill: none; stroke-width: 2 } .line.soft { stroke: var(--soft) } .line.after { stroke: var(--accent) }
circle.after { fill: var(--accent) } circle.see { fill-opacity: .6 }
circle.before { fill: var(--card); stroke: var(--soft); stroke-width: 2 }
.key i { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin: 0 .3rem 0 .6rem;
  border: 2px solid var(--soft) } .key i.after { background: var(--accent); border-color: var(--accent) }
.key i.train { height: 0; border-radius: 0; border-width: 2px 0 0; vertical-align: middle }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-size: .875rem }
th { font-weight: 400; text-align: left; color: var(--soft) } th, td { padding: .15rem .5rem }
.matrix td { text-align: center; border: 1px solid var(--line); min-width: 2.2rem } .matrix .right { font-weight: 650 }
.matrix th { max-width: 10rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.matrix thead th { text-align: center }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .75rem }
.mistakes img { width: 7rem; height: 7rem; object-fit: contain; background: var(--paper); border-radius: 9px }
.mistakes p { margin: 0; font-size: .875rem; line-height: 1.35 } .wrong { color: var(--wrong) }
summary { cursor: pointer; color: var(--soft) }
pre { font: .8125rem/1.5 ui-monospace, monospace; white-space: pre-wrap; margin: .5rem 0 }
""" + "".join(
    f".{name}{shade} {{ background: rgba(var(--{tint}), {0.55 * shade / SHADES:.3g}) }}\n"
    for name, tint in (("r", "tint"), ("w", "wrong-tint"))
    for shade in range(1, SHADES + 1)
)


def write_report(directory: Path, report: Report) -> None:
    """Leave the report beside a checkpoint, for programs and for people."""
    (directory / REPORT).write_text(report.model_dump_json(), encoding="utf-8")
    (directory / REPORT_PAGE).write_text(page(report), encoding="utf-8")


def page(report: Report) -> str:
    """The whole document."""
    sections = [_verdict(report), _curves(report), _tasks(report), *map(_confusion, report.confusions)]
    worth = "".join(filter(None, (_calibration(report), _forgetting(report))))
    sections += [f'<div class="two">{worth}</div>' if worth else "", _mistakes(report), _recipe(report)]
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="content-security-policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.version)}</title><style>{STYLE}</style></head>"
    )
    return f"{head}<body><main>{''.join(filter(None, sections))}</main></body></html>\n"


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _verdict(report: Report) -> str:
    base = f"from {escape(report.parent)}, " if report.parent else ""
    big = ""
    if report.accuracy_after is not None:
        before = "" if report.accuracy_before is None else f"{percent(report.accuracy_before)} → "
        big = f'<p class="big">{before}{percent(report.accuracy_after)} <small>of the validation images</small></p>'
    told = dict.fromkeys(filter(None, (report.strategy, report.choice)))  # one sentence where nothing was trained
    choice = "".join(f"<p>{escape(sentence)}</p>" for sentence in told)
    return (
        f'<section><h1>{escape(report.version)}</h1><p class="soft">{base}made {escape(report.created)}</p>{big}'
        f"<p>{escape(report.outcome)}</p>{choice}"
        '<p class="soft">The gate judges it after this was written: its verdict is with the model, in '
        "GET /models/{version}.</p></section>"
    )


def _curves(report: Report) -> str:
    drawn = [_figure(title, chart) for title, chart in curves(report.history)]
    key = '<p class="soft key"><i class="train"></i>in training <i class="after"></i>on validation images</p>'
    return _section("How it learnt", f'<div class="two">{"".join(drawn)}</div>', key) if drawn else ""


def _tasks(report: Report) -> str:
    groups = [
        (f"New: on the {report.reported_on} images", [task for task in report.tasks if task.kind == "new"]),
        ("Old: on images that are drawn", [task for task in report.tasks if task.kind == "old"]),
        ("Old: on images that were labelled before", [task for task in report.tasks if task.kind == "labelled"]),
    ]
    drawn = [_figure(title, dumbbells(tasks)) for title, tasks in groups if tasks]
    key = (
        '<p class="soft key"><i></i>before <i class="after"></i>after. The band is the 95 % interval of the change, '
        "the dashed line what guessing gets.</p>"
    )
    return (
        _section("Before and after", f'<div class="two">{"".join(drawn)}</div>', key, *_heads(report), *_told(report))
        if drawn
        else ""
    )


def _told(report: Report) -> Iterator[str]:
    """For which of what was labelled before no limit holds."""
    for task in report.tasks:
        if task.no_limit:
            yield f'<p class="soft">{escape(task.name)}: {escape(task.no_limit)}.</p>'


def _heads(report: Report) -> Iterator[str]:
    """What the instant way would have done, with which a training is to be compared."""
    for task in report.tasks:
        if task.taught_before is not None and task.taught_after is not None:
            yield (
                f"<p>{escape(task.name)}: taught at once by {task.taught_images:,} training images, the base gets "
                f"{percent(task.taught_before)} right, and this model {percent(task.taught_after)}.</p>"
            )


def _figure(title: str, chart: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{chart}</figure>"


def _confusion(confusion: Confusion) -> str:
    head = "".join(f"<th>{number}</th>" for number in range(1, len(confusion.labels) + 1))
    rows = "".join(_confused(number, confusion) for number in range(len(confusion.labels)))
    more = f" The {confusion.left_out:,} labels that are confused least are left out." if confusion.left_out else ""
    about = f'<p class="soft">A row is what is true, a column what was said.{more}</p>'
    table = f'<table class="matrix"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return _section(f"Confusions: {confusion.task}", f'<div class="scroll">{table}</div>', about)


def _confused(row: int, confusion: Confusion) -> str:
    counts = confusion.counts[row]
    asked = sum(counts) or 1
    cells = []
    for column, count in enumerate(counts):
        right = row == column
        shade = f"{'r' if right else 'w'}{max(1, round(SHADES * count / asked))}" if count else ""
        kind = " ".join(filter(None, (shade, "right" if right else "")))
        cells.append(f'<td class="{kind}">{count or ""}</td>')
    label = escape(confusion.labels[row])
    return f'<tr><th title="{label}">{row + 1} {label}</th>{"".join(cells)}</tr>'


def _calibration(report: Report) -> str:
    if not report.calibration:
        return ""
    about = (
        '<p class="soft">Answers on the dashed line are right as often as they are sure; above it more often. A circle '
        "is as large as there are many of them.</p>"
    )
    chart = _figure("How many are right", reliability(report.calibration))
    return _section("How far its scores can be trusted", chart, about)


def _forgetting(report: Report) -> str:
    if not report.frontier:
        return ""
    said = []
    if report.worst_drop is not None and report.mean_drop is None:  # too few images for a mean
        said.append(
            f"<p>{escape(report.worst_task or '')} changed by {_signed(-report.worst_drop)} points of accuracy.</p>"
        )
    if report.mean_drop is not None and report.worst_drop is not None:
        said.append(
            f"<p>The old tasks changed by {_signed(-report.mean_drop)} points of accuracy in the mean, and "
            f"{escape(report.worst_task or '')} by {_signed(-report.worst_drop)}.</p>"
        )
    if found := report.reference:
        least = (
            ""
            if found.agreement_at_least is None
            else f", and very likely {percent(found.agreement_at_least)} of those to all such images"
        )
        said.append(
            f"<p>{percent(found.agreement)} of its answers to {found.images:,} reference images are its base's"
            f"{least}. What is missing to 100 % counts as what an old task has lost.</p>"
        )
    limits = ""
    if report.max_forgetting is not None and report.max_task_forgetting is not None:
        limits = (
            f" At most {100 * report.max_forgetting:g} points may be lost in the mean, the red line, and "
            f"{100 * report.max_task_forgetting:g} at any one task."
        )
    about = (
        '<p class="soft">Each circle is a mixture of base and fine-tuned weights, by the share of the latter: what it '
        "gets right of the new validation images, and what it may cost the old tasks, the upper end of an interval. "
        f"The filled one is published.{limits}</p>"
    )
    chart = _figure("Right on new images", frontier(report.frontier, report.max_forgetting))
    return _section("What it forgot", *said, chart, about)


def _mistakes(report: Report) -> str:
    if not report.mistakes:
        return ""
    about = f'<p class="soft">The surest of its wrong answers, at most {MAX_MISTAKES}.</p>'
    shown = "".join(map(_mistake, report.mistakes))
    return _section("Its worst mistakes", f'<div class="mistakes">{shown}</div>', about)


def _mistake(found: Mistake) -> str:
    task = f'<p class="soft">{escape(found.task)}</p>' if found.task else ""
    name = escape(found.image)
    return (
        f'<figure><img src="data:image/jpeg;base64,{escape(found.thumbnail)}" alt="{name}" title="{name}">{task}'
        f'<p class="wrong">said {escape(found.said)}, {percent(found.score)}</p>'
        f"<p>true: {escape(found.truth)}, {percent(found.truth_score)}</p></figure>"
    )


def _recipe(report: Report) -> str:
    rows = "".join(_rows(report))
    runs = escape("\n".join(report.commands))
    digest = f'<p class="soft">Data digest {escape(report.data_digest)}</p>' if report.data_digest else ""
    table = f"<details><summary>All hyperparameters</summary><table>{rows}</table></details>" if rows else ""
    return _section("How it was made", f"<pre>{runs}</pre>", table, digest)


def _rows(report: Report) -> Iterator[str]:
    told: Iterable[tuple[str, object]] = report.recipe.items()
    return (f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in told)


def _signed(points_of_one: float) -> str:
    return f"{round(100 * points_of_one, 1) + 0.0:+.1f}"  # of zero there is one
