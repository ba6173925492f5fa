"""The contract: what is asked, in which encodings, within which limits, and the sentence a caller hears otherwise."""

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import limits
from contract.answers import LabelScore, render_classify
from contract.invocation import AnswerAttributes, InvocationAttributes
from contract.problems import (
    PROBLEMS,
    BadRequest,
    PayloadTooLarge,
    Problem,
    ProblemError,
    UnprocessableImage,
    UnsupportedMediaType,
)
from contract.questions import Parameters, Question
from contract.requests import ClassifyRequest, EmbedRequest, InspectRequest, S3Object, parse_request, to_multipart

IMAGE = bytes(range(256)) + b"\r\n--\r\n\r\n"
PNG = "image/png"
JSON = "application/json"


def encoded(image: bytes = IMAGE) -> str:
    return base64.b64encode(image).decode()


def as_named(**parameters: object) -> ClassifyRequest:
    """The API's request, before its saved tasks were looked up."""
    body = {"inputs": encoded(), "parameters": parameters}
    request = parse_request(JSON, json.dumps(body).encode(), operation="classify")
    assert isinstance(request, ClassifyRequest)
    return request


def as_json(inputs: object, **parameters: object) -> ClassifyRequest:
    request = parse_request(JSON, json.dumps({"inputs": inputs, "parameters": parameters}).encode())
    assert isinstance(request, ClassifyRequest)
    return request


def as_form(*parts: tuple[str, str, bytes]) -> ClassifyRequest:
    body = b""
    for name, filename, content in parts:
        file = f'; filename="{filename}"' if filename else ""
        body += f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"
    request = parse_request("multipart/form-data; boundary=XX", body + b"--XX--\r\n")
    assert isinstance(request, ClassifyRequest)
    return request


def as_raw(**query: list[str]) -> ClassifyRequest:
    request = parse_request(PNG, IMAGE, query)
    assert isinstance(request, ClassifyRequest)
    return request


def labels(request: ClassifyRequest) -> list[str]:
    return [each.label for each in request.parameters.candidate_labels]


def sentence(excinfo: pytest.ExceptionInfo[BadRequest]) -> str:
    return excinfo.value.detail


class TestEncodings:
    def test_json_raw_and_form_ask_the_same(self) -> None:
        asked = {"candidate_labels": ["cat", "dog"], "hypothesis_template": "a {}", "top_k": 1, "multi_label": True}
        from_json = as_json(encoded(), **asked)
        from_raw = as_raw(candidate_labels=["cat,dog"], hypothesis_template=["a {}"], top_k=["1"], multi_label=["true"])
        from_form = as_form(
            ("image", "cat.png", IMAGE),
            ("candidate_labels", "", b"cat, dog"),
            ("hypothesis_template", "", b"a {}"),
            ("top_k", "", b"1"),
            ("multi_label", "", b"true"),
        )
        assert from_json.images == from_raw.images == from_form.images == [IMAGE]
        assert from_json.parameters == from_raw.parameters == from_form.parameters

    def test_one_form_field_of_parameters_is_the_json_member(self) -> None:
        asked = {"candidate_labels": ["cat", "dog"], "threshold": 0.5}
        form = as_form(("image", "cat.png", IMAGE), ("parameters", "", json.dumps(asked).encode()))
        assert form.parameters == as_json(encoded(), **asked).parameters

    @pytest.mark.parametrize("query", [["a, b", "c"], ['["a, b", "c"]']])
    def test_a_repeated_parameter_or_json_keeps_the_commas_of_a_label(self, query: list[str]) -> None:
        assert labels(as_raw(candidate_labels=query)) == ["a, b", "c"]

    def test_a_template_may_start_with_its_place_for_the_label(self) -> None:
        request = as_raw(candidate_labels=["a,b"], hypothesis_template=["{}, photographed"])
        assert request.parameters.hypothesis_template == ["{}, photographed"]

    def test_octet_stream_is_an_image_too(self) -> None:
        request = parse_request("application/octet-stream", IMAGE, {"candidate_labels": ["a,b"]})
        assert request.images == [IMAGE]

    def test_base64_may_be_wrapped_in_lines_and_be_a_data_uri(self) -> None:
        wrapped = base64.encodebytes(IMAGE * 9).decode()
        assert as_json("data:image/png;base64," + wrapped, candidate_labels="a,b").images == [IMAGE * 9]

    def test_two_files_in_a_form_are_a_list_and_one_is_not(self) -> None:
        label_field = ("candidate_labels", "", b"a,b")
        assert as_form(("image", "1", b"1"), ("image", "2", b"2"), label_field).listed
        assert not as_form(("image", "1", b"1"), label_field).listed

    @given(st.binary(min_size=1), st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=5, unique=True))
    def test_what_the_lambda_writes_the_container_reads(self, image: bytes, words: list[str]) -> None:
        sent = as_json(encoded(image), candidate_labels=words, hypothesis_template=["{}", "a {}"], threshold=0.25)
        received = parse_request(*to_multipart(sent, [image, image]))
        assert isinstance(received, ClassifyRequest)
        assert received.images == [image, image]
        assert received.parameters == sent.parameters

    @pytest.mark.parametrize("listed", [True, False])
    def test_a_lone_image_is_answered_by_a_list_if_the_lambda_says_so(self, listed: bool) -> None:
        sent = ClassifyRequest([IMAGE], Parameters(candidate_labels="a, b"), listed)
        assert parse_request(*to_multipart(sent, [IMAGE])) == sent
        with pytest.raises(BadRequest, match="listed: not a known field"):
            parse_request(*to_multipart(replace(sent, listed=True), [IMAGE]), operation="classify")

    def test_multipart_costs_under_five_percent(self) -> None:
        image = bytes(50_000)
        _, body = to_multipart(as_raw(candidate_labels=["cat,dog"]), [image])
        assert len(body) <= 1.05 * len(image)

    def test_texts_and_images_to_embed_survive_the_way_to_the_container(self) -> None:
        sent = parse_request(JSON, json.dumps({"inputs": {"texts": ["a", "[b"]}}).encode(), operation="embed")
        assert parse_request(*to_multipart(sent, [IMAGE])) == EmbedRequest([IMAGE], ["a", "[b"])

    def test_images_to_inspect_survive_the_way_to_the_container(self) -> None:
        assert parse_request(*to_multipart(InspectRequest([IMAGE]), [IMAGE])) == InspectRequest([IMAGE])
        as_json = {"operation": "inspect", "inputs": [encoded(), "*"]}
        image, problem = parse_request(JSON, json.dumps(as_json).encode()).images
        assert image == IMAGE and isinstance(problem, BadRequest)
        with pytest.raises(BadRequest, match="between 1 and 64"):
            InspectRequest([])

    def test_tasks_survive_the_way_to_the_container(self) -> None:
        sent = as_json(encoded(), multi_label=True, tasks={"t": {"candidate_labels": "a,b", "multi_label": False}})
        received = parse_request(*to_multipart(sent, [IMAGE]))
        assert isinstance(received, ClassifyRequest)
        assert received.parameters.questions == sent.parameters.questions
        assert not received.parameters.tasks["t"].multi_label

    @pytest.mark.parametrize(
        ("content_type", "words"),
        [
            ("application/x-www-form-urlencoded", "-H 'content-type: image/jpeg'"),
            ("text/plain", "text/plain"),
            (None, "no content-type"),
        ],
    )
    def test_other_media_types_are_told_what_to_send(self, content_type: str | None, words: str) -> None:
        with pytest.raises(UnsupportedMediaType, match=words):
            parse_request(content_type, IMAGE, {"candidate_labels": ["a,b"]})


class TestParameters:
    def test_tasks_inherit_what_is_said_beside_them(self) -> None:
        tasks = {"animal": {"candidate_labels": "cat, dog"}, "mood": {"candidate_labels": "calm", "multi_label": True}}
        request = as_json(encoded(), hypothesis_template="a {}", top_k=1, tasks=tasks)
        assert list(request.parameters.questions) == ["animal", "mood"]
        assert all(q.hypothesis_template == ["a {}"] and q.top_k == 1 for q in request.parameters.questions.values())

    def test_saved_tasks_become_questions_and_what_is_said_beside_them_comes_first(self) -> None:
        saved = {"animal": {"candidate_labels": "cat, dog", "top_k": 2}, "mood": {"candidate_labels": "calm, wild"}}
        lone = as_named(task="animal", top_k=1).parameters.with_saved(saved)
        assert list(lone.questions) == [""] and lone.top_k == 1 and len(lone.candidate_labels) == 2
        both = as_named(task=["mood", "animal"], threshold=0.5).with_saved_tasks(saved).parameters
        assert list(both.questions) == ["mood", "animal"] and not both.task_names
        assert [(q.top_k, q.threshold) for q in both.questions.values()] == [(None, 0.5), (2, 0.5)]

    def test_the_limits_hold_for_saved_tasks_too(self) -> None:
        saved = {name: {"candidate_labels": [f"{n}" for n in range(9_000)]} for name in "abc"}
        with pytest.raises(BadRequest, match="27000 prompts"):
            as_named(task=list("abc")).with_saved_tasks(saved)
        with pytest.raises(BadRequest, match="54000 scores"):
            replace(as_named(task="a"), images=[IMAGE] * 6).with_saved_tasks(saved)

    def test_the_container_knows_no_saved_task(self) -> None:
        with pytest.raises(BadRequest, match="the model knows no saved tasks"):
            as_json(encoded(), task="animal")

    def test_annotations_stand_for_their_label_and_templates_for_the_others(self) -> None:
        described = {"label": "cat", "annotations": ["a small furry pet", "it purrs"]}
        parameters = as_json(
            encoded(), candidate_labels=[described, "dog"], hypothesis_template=["a {}", "{}!"]
        ).parameters
        cat, dog = parameters.candidate_labels
        assert parameters.prompts(cat) == ["a small furry pet", "it purrs"]
        assert parameters.prompts(dog) == ["a dog", "dog!"]

    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            ({}, "candidate_labels is missing"),
            ({"candidate_labels": "cat"}, "add a second label or set multi_label"),
            ({"candidate_labels": ["cat", "cat"]}, "'cat' is given twice"),
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
    def test_a_bad_parameter_is_named_with_what_is_allowed(self, asked: dict[str, object], words: str) -> None:
        with pytest.raises(BadRequest, match=words):
            as_json(encoded(), **asked)

    def test_a_lone_label_is_fine_on_its_own_scale(self) -> None:
        assert labels(as_json(encoded(), candidate_labels="cat", multi_label=True)) == ["cat"]

    def test_an_unknown_field_of_a_form_is_named(self) -> None:
        with pytest.raises(BadRequest, match="candidate_label: not a known field"):
            as_raw(candidate_label=["a,b"])

    def test_a_parameter_given_twice_is_named(self) -> None:
        with pytest.raises(BadRequest, match="top_k is given 2 times"):
            as_raw(candidate_labels=["a,b"], top_k=["1", "2"])


class TestLimits:
    def test_too_many_labels(self) -> None:
        with pytest.raises(BadRequest, match="at most 10000"):
            as_json(encoded(), candidate_labels=[str(n) for n in range(limits.MAX_LABELS + 1)])

    def test_too_many_prompts(self) -> None:
        with pytest.raises(BadRequest, match="27000 prompts"):
            as_json(
                encoded(), candidate_labels=[str(n) for n in range(9000)], hypothesis_template=["{}", "a {}", "b {}"]
            )

    def test_too_many_images(self) -> None:
        with pytest.raises(BadRequest, match="65 images, between 1 and 64"):
            as_json([encoded()] * 65, candidate_labels="a,b")

    def test_scores_are_limited_unless_top_k_keeps_them_few(self) -> None:
        words = [str(n) for n in range(6000)]
        with pytest.raises(BadRequest, match="set top_k"):
            as_json([encoded()] * 10, candidate_labels=words)
        assert len(as_json([encoded()] * 10, candidate_labels=words, top_k=5).images) == 10

    def test_image_bytes_are_limited_together(self) -> None:
        half = bytes(limits.MAX_INLINE_IMAGE_BYTES // 2 + 1)
        with pytest.raises(PayloadTooLarge, match="shrink them to 1024 px"):
            as_form(("image", "a", half), ("image", "b", half), ("candidate_labels", "", b"a,b"))

    def test_every_step_of_the_timeout_ladder_outlasts_the_one_it_waits_for(self) -> None:
        sdk_s = limits.SDK_MAX_ATTEMPTS * (limits.SDK_CONNECT_TIMEOUT_S + limits.SDK_READ_TIMEOUT_S)
        assert limits.CONTAINER_TIMEOUT_S < limits.SDK_READ_TIMEOUT_S
        assert sdk_s < limits.LAMBDA_TIMEOUT_S < limits.API_TIMEOUT_S


class TestSources:
    @pytest.mark.parametrize(
        ("inputs", "words"),
        [
            (5, "an image is base64 text or .* got 5"),
            ({"url": "x"}, "an image is base64 text or"),
            ({"s3_key": "tasks/a.json"}, "must start with 'uploads/', got 'tasks/a.json'"),
            ({"s3_key": "uploads/" + "é" * 600}, "at most 1024 bytes, got 1208"),
            ("https://example.com/cat.jpg", "is a URL, which is never fetched"),
            ("no base64!", "not valid base64"),
            ("", "the image is empty"),
        ],
    )
    def test_what_is_no_image_is_refused_with_what_is(self, inputs: object, words: str) -> None:
        with pytest.raises(BadRequest, match=words):
            as_json(inputs, candidate_labels="a,b")

    def test_a_bad_image_in_a_list_loses_only_itself(self) -> None:
        request = as_json([encoded(), "no base64!", {"s3_key": "uploads/1"}], candidate_labels="a,b")
        good, bad, stored = request.images
        assert (good, stored) == (IMAGE, S3Object(s3_key="uploads/1"))
        assert isinstance(bad, BadRequest)

    @pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff", b"[" * 200_000])
    def test_a_body_that_is_no_json_object(self, body: bytes) -> None:
        with pytest.raises(BadRequest, match="the body"):
            parse_request(JSON, body)

    def test_an_empty_raw_body(self) -> None:
        with pytest.raises(BadRequest, match=r"--data-binary @image\.jpg"):
            parse_request(PNG, b"", {"candidate_labels": ["a,b"]})

    def test_a_form_without_the_at_sign(self) -> None:
        with pytest.raises(BadRequest, match=r"-F image=@image\.jpg"):
            as_form(("image", "", b"cat.jpg"), ("candidate_labels", "", b"a,b"))

    def test_a_form_that_was_cut(self) -> None:
        body = b'--XX\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n' + IMAGE
        with pytest.raises(BadRequest, match="the body was cut"):
            parse_request("multipart/form-data; boundary=XX", body)

    @given(st.sampled_from([JSON, PNG, "multipart/form-data; boundary=XX"]), st.binary())
    def test_no_bytes_at_all_make_the_parser_fail_otherwise(self, content_type: str, body: bytes) -> None:
        try:
            parse_request(content_type, b"--XX" + body + b"\r\n--XX--" if "XX" in content_type else body)
        except ProblemError as problem:
            assert problem.status in (400, 413, 415)

    @pytest.mark.parametrize("field", ["candidate_labels", "tasks", "parameters"])
    def test_a_field_that_is_nested_without_end(self, field: str) -> None:
        with pytest.raises(BadRequest, match=f"{field} is not valid JSON"):
            as_raw(**{field: ["[" * 200_000]})

    def test_one_text_of_a_form_is_a_text_to_embed(self) -> None:
        request = parse_request(PNG, IMAGE, {"texts": ["a cat, a dog"]}, operation="embed")
        assert request == EmbedRequest([IMAGE], ["a cat, a dog"])

    def test_nothing_to_embed(self) -> None:
        with pytest.raises(BadRequest, match="nothing to embed"):
            parse_request(JSON, b'{"inputs": {}}', operation="embed")

    def test_the_caller_of_a_route_does_not_choose_the_operation(self) -> None:
        body = json.dumps({"inputs": encoded(), "parameters": {"candidate_labels": "a,b"}, "operation": "embed"})
        with pytest.raises(BadRequest, match="operation: is not a known field"):
            parse_request(JSON, body.encode(), operation="classify")


ANSWER = {"": [LabelScore(label="a", score=0.75), LabelScore(label="b", score=0.25)]}


class TestAnswers:
    def test_one_image_and_one_label_set_answer_in_hugging_faces_shape(self) -> None:
        request = as_json(encoded(), candidate_labels="a,b")
        assert render_classify(request, [ANSWER]) == [{"label": "a", "score": 0.75}, {"label": "b", "score": 0.25}]

    def test_a_list_answers_with_a_list_even_of_one(self) -> None:
        assert render_classify(as_json([encoded()], candidate_labels="a,b"), [ANSWER]) == [ANSWER[""]]

    def test_tasks_answer_with_a_dict(self) -> None:
        request = as_json(encoded(), tasks={"t": {"candidate_labels": "a,b"}})
        assert render_classify(request, [{"t": ANSWER[""]}]) == {"t": ANSWER[""]}

    def test_a_bad_image_of_a_list_is_a_problem_in_its_place(self) -> None:
        request = as_json([encoded(), encoded()], candidate_labels="a,b")
        first, second = render_classify(request, [UnprocessableImage("not an image"), ANSWER])
        assert (first["status"], first["detail"], first["error"]) == (422, "not an image", "not an image")
        assert second == ANSWER[""]

    def test_a_lone_bad_image_is_the_answer_of_the_whole_request(self) -> None:
        with pytest.raises(UnprocessableImage):
            render_classify(as_json(encoded(), candidate_labels="a,b"), [UnprocessableImage("not an image")])

    @pytest.mark.parametrize("problem", PROBLEMS.values())
    def test_a_problem_is_rfc_9457_and_says_its_sentence_where_hugging_face_looks(
        self, problem: type[ProblemError]
    ) -> None:
        body = problem("what went wrong", retry_after_s=2).body("request-1")
        assert Problem.model_validate(body).model_dump() == body
        assert body["status"] == problem.status and body["error"] == body["detail"] == "what went wrong"


class TestCustomAttributes:
    def test_both_directions_read_what_they_write(self) -> None:
        asked = InvocationAttributes("request 1 ü", deadline_epoch_ms=1_800_000_000_000)
        answered = AnswerAttributes("name@1;2=3", 2, 77, {"decode": 1.5, "model": 20.0})
        assert InvocationAttributes.decode(asked.encode()) == asked
        assert AnswerAttributes.decode(answered.encode()) == answered

    @given(st.text())
    def test_they_fit_the_header_and_never_fail_on_foreign_text(self, text: str) -> None:
        encoded_text = AnswerAttributes(text, timings_ms={f"stage{n}": 1e6 for n in range(99)}).encode()
        assert len(encoded_text) <= 1024 and encoded_text.isascii() and encoded_text.isprintable()
        InvocationAttributes.decode(text)

    @pytest.mark.parametrize("deadline", ["soon", "-1", "9" * 5000])
    def test_a_deadline_that_is_no_time_is_none(self, deadline: str) -> None:
        assert InvocationAttributes.decode(f"deadline_epoch_ms={deadline}").deadline_epoch_ms is None

    def test_a_truncated_text_is_a_warning(self) -> None:
        headers = AnswerAttributes("v1", 3, 77, {"model": 20.0}).headers()
        assert headers["warning"].startswith('299 wordsight "3 texts are longer than the 77 tokens')
        assert headers["x-model-version"] == "v1" and headers["server-timing"] == "model;dur=20.0"
        assert "warning" not in AnswerAttributes("v1").headers()


class TestTheSchema:
    def test_shows_every_way_to_write_labels_and_templates(self) -> None:
        properties = Question.model_json_schema()["properties"]
        text, items = properties["candidate_labels"]["anyOf"]
        assert text["type"] == "string" and items["maxItems"] == limits.MAX_LABELS
        assert [kind.get("type", "Label") for kind in items["items"]["anyOf"]] == ["string", "Label"]
        assert [kind["type"] for kind in properties["hypothesis_template"]["anyOf"]] == ["string", "array"]
