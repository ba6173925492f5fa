"""`classify`: which labels fit these images?"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from wordsight.api import Api, CommandError, image_chunks, image_source, read_image
from wordsight.tasks import add_question, parameters_of
from wordsight.terminal import bar, raw


def add(parser: ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    add_question(parser)


def run(api: Api, arguments: Namespace) -> None:
    """Print the answers. Raises CommandError after all of them if an image can't be read."""
    answers: dict[Path, Any] = {}
    for chunk in image_chunks((path, read_image(path)) for path in arguments.images):
        asked = {"inputs": [image_source(api, image) for _, image in chunk], "parameters": parameters_of(arguments)}
        answers |= zip((path for path, _ in chunk), api.ask("POST", "/classify", asked), strict=True)
    if arguments.json:
        print(raw(list(answers.values())))
    else:
        print("\n\n".join(f"{path}\n{_rendered(answer)}" for path, answer in answers.items()))
    if bad := [str(path) for path, answer in answers.items() if _is_problem(answer)]:
        raise CommandError(f"{len(bad)} of {len(answers)} images were not classified: {', '.join(bad)}")


def _is_problem(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("status"), int)  # by task, every member is a list


def _rendered(answer: Any) -> str:
    if _is_problem(answer):
        return f"  {answer['detail']}"
    if isinstance(answer, dict):
        return "\n".join(f"  {task}\n{_scores(scores)}" for task, scores in answer.items())
    return _scores(answer)


def _scores(scores: list[dict[str, Any]]) -> str:
    width = max((len(each["label"]) for each in scores), default=0)
    return "\n".join(f"  {each['label']:{width}}  {each['score']:6.1%}  {bar(each['score'])}" for each in scores)
