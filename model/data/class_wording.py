"""A class as sentences, for data that has labels and no captions.

One template would teach that template: a model asked in other words then loses 8 to 20 points of accuracy. So a class
is said in many ways in training, and asked in others.
"""

from contract.questions import DEFAULT_HYPOTHESIS_TEMPLATE

TRAINING_WORDINGS = (
    "{label}", "{article}", "a photo of {label}", "a photo of {article}", "a picture of {article}", "it is {article}",
    "an image that shows {label}", "there is {article} here", "one can see {label}", "this picture shows {article}",
    "an example of {label}", "what it shows: {label}",
)  # fmt: skip
HELD_OUT_WORDINGS = (DEFAULT_HYPOTHESIS_TEMPLATE, "In this one you can see {}.")


def spoken(label: str) -> str:
    """A folder's or class's name as words: `traffic_light` is said "traffic light"."""
    return " ".join(label.replace("_", " ").replace("-", " ").split()) or label


def said_in_training(label: str) -> tuple[str, ...]:
    """The sentences that are trained on; the first is the label alone."""
    words = spoken(label)
    return tuple(wording.format(label=words, article=with_article(words)) for wording in TRAINING_WORDINGS)


def said_in_evaluation(label: str) -> tuple[str, ...]:
    """The sentences that are only asked."""
    return tuple(wording.format(spoken(label)) for wording in HELD_OUT_WORDINGS)


def with_article(noun: str) -> str:
    """`an arrow`, `a circle`."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"
