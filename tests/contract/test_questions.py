"""Questions: labels, their sentences, and what may be asked of them; and questions that are kept."""

from dataclasses import replace

import pytest

from contract import limits
from contract.problems import BadRequest, PayloadTooLarge
from contract.questions import MAX_TASK_BYTES, Question, Task, task_key, task_name
from contract.validation import validate
from tests.contract.encodings import IMAGE, as_json, as_named, as_raw, encoded, labels


def test_tasks_inherit_what_is_said_beside_them() -> None:
    tasks = {"animal": {"candidate_labels": "cat, dog"}, "mood": {"candidate_labels": "calm", "multi_label": True}}
    request = as_json(encoded(), hypothesis_template="a {}", top_k=1, tasks=tasks)
    assert list(request.parameters.questions) == ["animal", "mood"]
    assert all(q.hypothesis_template == ["a {}"] and q.top_k == 1 for q in request.parameters.questions.values())


def test_unknown_is_off_unless_it_is_said_holds_for_all_tasks_and_is_one_answer_more() -> None:
    assert as_json(encoded(), candidate_labels=["cat", "none of these"]).parameters.unknown is False
    request = as_json(encoded(), unknown=True, tasks={"animal": {"candidate_labels": "cat, dog"}})
    assert [(each.unknown, each.answered_labels) for each in request.parameters.questions.values()] == [(True, 3)]
    asked = as_named(candidate_labels="cat, dog", unknown="true", thresholds='{"None of These": 0.5}').parameters
    assert asked.unknown and asked.threshold_of("none of these") == 0.5


def test_saved_tasks_become_questions_and_what_is_said_beside_them_comes_first() -> None:
    saved = {"animal": {"candidate_labels": "cat, dog", "top_k": 2}, "mood": {"candidate_labels": "calm, wild"}}
    lone = as_named(task="animal", top_k=1).parameters.with_saved(saved)
    assert list(lone.questions) == [""] and lone.top_k == 1 and len(lone.candidate_labels) == 2
    both = as_named(task=["mood", "animal"], threshold=0.5).with_saved_tasks(saved).parameters
    assert list(both.questions) == ["mood", "animal"] and not both.task_names
    assert [(q.top_k, q.threshold) for q in both.questions.values()] == [(None, 0.5), (2, 0.5)]


def test_the_limits_hold_for_saved_tasks_too() -> None:
    saved = {name: {"candidate_labels": [f"{n}" for n in range(9_000)]} for name in "abc"}
    with pytest.raises(BadRequest, match="27000 prompts"):
        as_named(task=list("abc")).with_saved_tasks(saved)
    with pytest.raises(BadRequest, match="54000 scores"):
        replace(as_named(task="a"), images=[IMAGE] * 6).with_saved_tasks(saved)


def test_annotations_stand_for_their_label_and_templates_for_the_others() -> None:
    described = {"label": "cat", "annotations": ["a small furry pet", "it purrs"]}
    parameters = as_json(encoded(), candidate_labels=[described, "dog"], hypothesis_template=["a {}", "{}!"]).parameters
    cat, dog = parameters.candidate_labels
    assert parameters.prompts(cat) == ["a small furry pet", "it purrs"]
    assert parameters.prompts(dog) == ["a dog", "dog!"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "candidate_labels is missing"),
        ({"candidate_labels": "cat"}, "add a second label or set multi_label"),
        ({"candidate_labels": ["cat", "cat"]}, "'cat' is given twice"),
        (
            {"candidate_labels": ["cat", " None of  These"], "unknown": True},
            "' None of  These' is what unknown answers",
        ),
        ({"candidate_labels": "a,b", "unknown": True, "multi_label": True}, "unknown is given with multi_label"),
        ({"candidate_labels": "cat", "unknown": True}, "add a second label"),
        ({"candidate_labels": "a,b", "thresholds": {"none of these": 1}}, "not one of the candidate_labels"),
        ({"candidate_labels": ["cat", " "]}, "must not be blank"),
        ({"candidate_labels": ["cat", 5]}, "a label is text or .* got 5"),
        ({"candidate_labels": ["cat", "x" * 1001]}, "at most 1000 characters"),
        ({"candidate_labels": "a,b", "tasks": {"t": {"candidate_labels": "a,b"}}}, "give one of them"),
        ({"candidate_labels": "a,b", "hypothesis_template": "photo"}, "needs {} where the label goes, got 'photo'"),
        ({"candidate_labels": "a,b", "top_k": 0}, "top_k: .* got 0"),
        ({"candidate_labels": "a,b", "threshold": 1.5}, "threshold: .* got 1.5"),
        ({"candidate_labels": "a,b", "labels": 1}, "parameters.labels: is not a known field"),
        ({"tasks": {"t": {"candidate_labels": "cat"}}}, "parameters.tasks.t: a lone label"),
        ({"candidate_labels": "a,b", "thresholds": {"c": 0.5}}, "thresholds names 'c'"),
        ({"candidate_labels": "a,b", "thresholds": {"b": 2}}, "thresholds.b: .* got 2"),
        ({"tasks": {"t": {"candidate_labels": "a,b"}}, "thresholds": {"a": 0.5}}, "inside each of the tasks"),
        ({"candidate_labels": "a,b", "task": "t"}, "candidate_labels and task are given together"),
        ({"task": []}, "task: "),
        ({"task": ["a", "B"]}, "a saved task's name has 1 to 63 .* got 'B'"),
    ],
)
def test_a_bad_parameter_is_named_with_what_is_allowed(asked: dict[str, object], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        as_json(encoded(), **asked)


@pytest.mark.parametrize(
    ("text", "twin"), [("Fish", "fish"), ("fish", "fish "), ("caf\u00e9", "cafe\u0301"), ("a  cat", "a cat")]
)
def test_labels_that_are_the_same_to_the_model_are_refused_in_both_their_spellings(text: str, twin: str) -> None:
    with pytest.raises(BadRequest, match=f"the labels {text!r} and {twin!r} are the same to the model"):
        as_json(encoded(), candidate_labels=["dog", text, {"label": twin, "annotations": ["it swims"]}])


def test_a_threshold_names_its_label_in_any_spelling() -> None:
    asked = as_json(encoded(), candidate_labels=["Fish", "dog"], thresholds={"fish ": 0.7, "dog": 0.2}).parameters
    assert asked.thresholds == {"Fish": 0.7, "dog": 0.2} and asked.threshold_of("Fish") == 0.7
    with pytest.raises(BadRequest, match="thresholds names the label 'Fish' twice"):
        as_json(encoded(), candidate_labels=["Fish", "dog"], thresholds={"fish": 0.7, "FISH": 0.2})


def test_sentences_that_are_the_same_to_the_model_count_once() -> None:
    cat = {"label": "cat", "annotations": ["a cat", "it purrs", "A  cat"]}
    asked = as_json(encoded(), candidate_labels=[cat, "dog"], hypothesis_template=["a {}", "a {}", "{}!"]).parameters
    assert [asked.prompts(label) for label in asked.candidate_labels] == [["a cat", "it purrs"], ["a dog", "dog!"]]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"candidate_labels": '["fish, fried", "car"]'}, {"candidate_labels": ["fish, fried", "car"]}),
        ({"tasks": '{"t": {"candidate_labels": "a,b"}}'}, {"tasks": {"t": {"candidate_labels": ["a", "b"]}}}),
        (
            {"candidate_labels": "a,b", "hypothesis_template": '["{}", "a {}"]', "thresholds": '{"a": 0.5}'},
            {"candidate_labels": "a,b", "hypothesis_template": ["{}", "a {}"], "thresholds": {"a": 0.5}},
        ),
    ],
)
def test_json_in_a_text_is_what_it_says_in_every_encoding(written: dict[str, str], meant: dict[str, object]) -> None:
    fields = {name: [text] for name, text in written.items()}
    assert as_json(encoded(), **written).parameters == as_json(encoded(), **meant).parameters
    assert as_raw(**fields).parameters == as_json(encoded(), **meant).parameters
    assert as_named(task='["a", "b"]').parameters.task_names == ["a", "b"]


def test_what_looks_like_json_and_is_none_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"candidate_labels: is not valid JSON"):
        as_json(encoded(), candidate_labels="[fish, car")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"candidate_labels": "a," * 2_000_000}, "more than 250,000 values|commas, at most 10000 labels"),
        ({"candidate_labels": "a," * 20_001}, "20001 commas, at most 10000 labels"),
        ({"candidate_labels": [1] * 200_000}, "200000 are given, at most 10000"),
        ({"candidate_labels": [{"label": "a", "annotations": [1] * 20_001}]}, "20001 annotations, at most 20000"),
        ({"candidate_labels": ["a", dict.fromkeys(map(str, range(99_999)), 1)]}, 'a label is text or .* got {"0": 1'),
        ({"candidate_labels": "a,b", "hypothesis_template": ["{}"] * 1001}, "1001 are given, at most 1000"),
        ({"candidate_labels": "a,b", "thresholds": {str(n): 1 for n in range(10_001)}}, "at most 10000"),
        ({"candidate_labels": ["a", "b" * 999], "hypothesis_template": "{}{}{}"}, "2997 characters .* 3 places"),
        ({"tasks": {str(n): {} for n in range(33)}}, "tasks: 33 are given, at most 32"),
        ({"tasks": {t: {"candidate_labels": ",".join(map(str, range(9_000)))} for t in "abc"}}, "27000 prompts"),
        ({"tasks": {t: dict.fromkeys(map(str, range(9_000)), 1) for t in "abc"}}, "tasks.a: 9000 fields"),
        ({"task": ["a"] * 33}, "task.*33 are given, at most 32"),
    ],
    ids=range(12),
)
def test_what_is_too_much_is_counted_before_it_is_built(asked: dict[str, object], words: str) -> None:
    with pytest.raises(BadRequest, match=words) as caught:
        as_json(encoded(), **asked)
    assert len(caught.value.detail) < 500


def test_a_template_may_hold_its_place_several_times_if_the_prompts_stay_short() -> None:
    asked = as_json(encoded(), candidate_labels=["a", "b" * 999], hypothesis_template="{}, {}").parameters
    assert asked.prompts(asked.candidate_labels[0]) == ["a, a"]


def test_a_lone_label_is_fine_on_its_own_scale() -> None:
    assert labels(as_json(encoded(), candidate_labels="cat", multi_label=True)) == ["cat"]


def test_too_many_labels() -> None:
    with pytest.raises(BadRequest, match="at most 10000"):
        as_json(encoded(), candidate_labels=[str(n) for n in range(limits.MAX_LABELS + 1)])


def test_too_many_prompts() -> None:
    with pytest.raises(BadRequest, match="27000 prompts"):
        as_json(encoded(), candidate_labels=[str(n) for n in range(9000)], hypothesis_template=["{}", "a {}", "b {}"])


def test_the_schema_shows_every_way_to_write_labels_and_templates() -> None:
    properties = Question.model_json_schema()["properties"]
    text, items = properties["candidate_labels"]["anyOf"]
    assert text["type"] == "string" and items["maxItems"] == limits.MAX_LABELS
    assert [kind.get("type", "Label") for kind in items["items"]["anyOf"]] == ["string", "Label"]
    assert [kind["type"] for kind in properties["hypothesis_template"]["anyOf"]] == ["string", "array", "null"]


def test_a_task_is_kept_as_it_was_written() -> None:
    written = {"candidate_labels": "cat, dog", "description": "pets"}
    kept = validate(Task, written).document()
    assert kept == {"candidate_labels": [{"label": "cat"}, {"label": "dog"}], "description": "pets"}
    assert validate(Task, kept) == validate(Task, written)


def test_a_task_has_no_more_sentences_than_one_request() -> None:
    labels = [str(number) for number in range(9_000)]
    with pytest.raises(BadRequest, match="27000 prompts"):
        validate(Task, {"candidate_labels": labels, "hypothesis_template": ["{}", "a {}", "b {}"]})


def test_a_task_is_small_enough_to_be_read_with_every_request() -> None:
    labels = [{"label": str(number), "annotations": ["x" * 1000]} for number in range(MAX_TASK_BYTES // 1000)]
    with pytest.raises(PayloadTooLarge, match="at most 1,000,000 are kept: use fewer labels"):
        validate(Task, {"candidate_labels": labels}).document()


def test_a_tasks_name_is_a_part_of_its_key() -> None:
    assert task_key("a-1_b") == "tasks/a-1_b.json" and task_name("tasks/a-1_b.json") == "a-1_b"


@pytest.mark.parametrize("name", ["", "Animal", "_a", "a/b", "a" * 64])
def test_what_is_no_name_is_told_what_is(name: str) -> None:
    with pytest.raises(BadRequest, match="a saved task's name has 1 to 63 lower-case letters"):
        task_key(name)
