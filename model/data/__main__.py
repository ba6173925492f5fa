"""What training would find in a folder of images and sentences, before a machine is paid for it.

    python -m model.data validate data/
    python -m model.data validate data/ --checkpoint model/shipped     also whether the model can read the sentences

Ends with status 1 if training would refuse the data.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from transformers.utils import logging

from contract.hyperparameters import Hyperparameters
from contract.layouts.places import shown
from model.clip.checkpoint import load_checkpoint
from model.clip.folder import CheckpointError
from model.data.records import DataError
from model.data.survey import Reading, Report, survey

UNREADABLE_NAMED = 20
FAULTS_NAMED = 100
PAIRS_NAMED = 5


def table(report: Report, max_unreadable_share: float) -> str:
    """The report for a person."""
    images = sum(report.images.values())
    fewest, most = report.captions_per_image
    origin = "as the data says" if report.splits_named else "no split is named: kept back by a hash of the path"
    shortest, median, longest = report.words_per_caption
    splits = ", ".join(f"{count:,} {split}" for split, count in report.images.items())
    lines = [
        ("layout", report.layout),
        ("images", f"{images:,}: {splits} ({origin})"),
        ("captions", f"{report.captions:,}, {fewest} to {most} per image; {report.different_captions:,} differ"),
        ("", f"of {shortest} to {longest} words, half of them up to {median}"),
        ("balance", f"{report.most_frequent_images / images:.1%} of the images have {report.most_frequent!r}"),
        *_label_lines(report.labels, images),
        ("weights", f"{report.weights[0]:g} to {report.weights[1]:g}"),
        ("ignored", _counted(report.ignored_fields, "no field")),
        *(("left out", f"{times:,} because {why}") for why, times in report.left_out.items()),
        *(("noticed", f"{times:,} times: {what}") for what, times in report.notes.items()),
        *([("faults", f"{len(report.faults):,} rows can't be taken")] if report.faults else []),
        *_some([f"{one.place}: {one.reason}" for one in report.faults], FAULTS_NAMED),
        ("unreadable", f"{len(report.unreadable):,} of {images:,}, allowed is {max_unreadable_share:.1%}"),
        *_some([f"{one.image}: {one.reason}" for one in report.unreadable], UNREADABLE_NAMED),
        ("same file", f"{len(report.same_file):,}, of which {len(report.same_file_across_splits):,} across splits"),
        *_some([" = ".join(pair) for pair in report.same_file_across_splits], PAIRS_NAMED),
        ("look alike", f"{len(report.look_alike_across_splits):,} images to measure on look like one to train on"),
        *_some([" = ".join(pair) for pair in report.look_alike_across_splits], PAIRS_NAMED),
        *_reading_lines(report.reading),
        ("training", f"would refuse it: {report.refusal}" if report.refusal else "would take it"),
    ]
    return shown("\n".join(f"{name:12}{text}" for name, text in lines))


def _label_lines(labels: Mapping[str, Mapping[str, int]], images: int) -> list[tuple[str, str]]:
    """A line per task; its labels come with the most frequent first."""
    lines = []
    for task, counts in labels.items():
        first, *_, last = (f"{label!r} ({count:,})" for label, count in (*counts.items(), *counts.items()))
        without = images - sum(counts.values())
        lines.append(("labels", f"{task}: {len(counts):,}, {first} to {last}; {without:,} images have none"))
    return lines


def _reading_lines(reading: Reading | None) -> list[tuple[str, str]]:
    if reading is None:
        return [("vocabulary", "name a model with --checkpoint to see whether it can read the captions")]
    return [
        ("too long", f"{reading.too_long / reading.captions:.1%} of the captions exceed the {reading.context_length} "
                     "tokens the model reads; the rest of these is cut off"),
        ("vocabulary", f"{reading.known_words / max(1, reading.words):.1%} of the words are tokens of their own; the "
                       f"most frequent others: {_counted(reading.frequent_unknown, 'none')}"),
    ]  # fmt: skip


def _counted(counts: Mapping[str, int], nothing: str) -> str:
    return ", ".join(f"{name} ({times:,})" for name, times in counts.items()) or nothing


def _some(sentences: Sequence[str], limit: int) -> list[tuple[str, str]]:
    more = [f"and {len(sentences) - limit:,} more: --json names them all"] if len(sentences) > limit else []
    return [("", sentence) for sentence in [*sentences[:limit], *more]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, write the figures if asked, and return 1 if training would refuse the data."""
    defaults = Hyperparameters()
    parser = argparse.ArgumentParser(
        prog="python -m model.data", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    validate = parser.add_subparsers(required=True).add_parser("validate", help="what training would find in a folder")
    validate.add_argument("directory", type=Path)
    validate.add_argument("--checkpoint", type=Path, help="the model to be trained: can it read the sentences?")
    validate.add_argument("--max-unreadable-share", type=float, default=defaults.max_unreadable_share)
    validate.add_argument("--json", type=Path, help="where to write the figures")
    chosen = parser.parse_args(arguments)
    logging.disable_progress_bar()
    share = chosen.max_unreadable_share
    try:
        base = load_checkpoint(chosen.checkpoint) if chosen.checkpoint else None
        report = survey(
            chosen.directory,
            defaults.model_copy(update={"max_unreadable_share": share}),
            base.tokenizer if base else None,
            base.context_length if base else 0,
        )
    except (DataError, CheckpointError) as error:
        print(error, file=sys.stderr)
        return 1
    print(table(report, share))
    if chosen.json:
        chosen.json.write_text(json.dumps(asdict(report), indent=1, ensure_ascii=False))
    return 1 if report.refusal else 0


if __name__ == "__main__":
    sys.exit(main())
