"""Answers: what is said of images, and the shape it is said in."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypedDict

from pydantic import Field

from contract.problems import Problem, ProblemError
from contract.requests import ClassifyRequest


class LabelScore(TypedDict):
    """One label and how well it fits, between 0 and 1."""

    label: str
    score: float


Classification = Annotated[
    list[LabelScore] | dict[str, list[LabelScore]] | list[list[LabelScore] | Problem | dict[str, list[LabelScore]]],
    Field(
        title="Classification",
        description="Labels, best first; by name for `tasks`; for a list of images a list of these",
    ),
]
"""The answer of POST /classify in all of its shapes; in a list, a bad image's problem stands in its place."""


class Embeddings(TypedDict):
    """The answer of POST /embed: unit vectors, each as long as the model's projection."""

    images: list[list[float] | Problem]
    texts: list[list[float]]


class ImageFacts(TypedDict):
    """What is to be known of an image file, whatever the model. `perceptual_hash`: see `contract.perceptual_hash`."""

    sha256: str
    size_bytes: int
    media_type: str
    width: int
    height: int
    perceptual_hash: str


class Inspection(ImageFacts):
    """What "inspect" answers of one image: `embedding` is its unit vector as `contract.teaching.embedding_text` writes
    it, of the version of the model that is told beside the answer.
    """

    embedding: str


class Health(TypedDict):
    """The answer of GET /health. What the served model knows is null while the endpoint can't be asked."""

    status: str
    endpoint: str
    knows: str | None
    languages: list[str] | None
    licence: str | None


Answers = Mapping[str, list[LabelScore]]
"""One image's answers by question, named as in `Parameters.questions`; best label first."""


def render_classify(request: ClassifyRequest, answers: Sequence[Answers | ProblemError]) -> Any:
    """The response body for one `Answers` or problem per image of `request`, in the shape that was asked for.

    A question answers with a list of LabelScore, `tasks` with a dict of such lists; a list of images with a list of
    these, in which a bad image's problem stands in its place. A lone image's problem is raised.
    """
    named = bool(request.parameters.tasks)
    items = [a if isinstance(a, ProblemError) else dict(a) if named else a[""] for a in answers]
    return arrange(items, listed=request.listed)


def arrange(items: Sequence[Any], *, listed: bool) -> Any:
    """A list of items with problems rendered in their places, or the lone item itself; its problem is raised."""
    if listed:
        return [item.body() if isinstance(item, ProblemError) else item for item in items]
    (item,) = items
    if isinstance(item, ProblemError):
        raise item
    return item
