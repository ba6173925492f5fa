"""The routes from proxy event to proxy answer, with SageMaker behind real botocore clients."""

import base64
import io
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.endpoint import CHANGE_KEY, EndpointChange
from contract.invocation import AnswerAttributes, InvocationAttributes
from contract.limits import MAX_ANSWER_BYTES, MAX_INLINE_IMAGE_BYTES
from contract.model_cards import UNKNOWN, EndpointCards, ModelCard
from contract.problems import Problem
from contract.requests import ClassifyRequest, EmbedRequest
from lambdas.classify import main as classify
from lambdas.classify.main import create_app
from tests.lambdas.conftest import CONTEXT, SETTINGS, Call
from tests.lambdas.gateway import Answer, Resolve, event, proxy_event
from tests.lambdas.sagemaker import JPEG_START, SageMaker, model_error

JPEG = base64.b64decode(event("classify_raw")["body"])


API_KEY = event("classify_raw")["headers"]["x-api-key"]


BROKEN = b"not an image"


ENCODINGS = ["classify_json", "classify_raw", "classify_form"]


def post(path: str, body: Any) -> dict[str, Any]:
    return proxy_event("POST", path, headers={"content-type": "application/json"}, body=json.dumps(body).encode())


def classify_list(*images: bytes | dict[str, str] | str, **parameters: Any) -> dict[str, Any]:
    inputs = [base64.b64encode(image).decode() if isinstance(image, bytes) else image for image in images]
    return post("/classify", {"inputs": inputs, "parameters": {"candidate_labels": ["cat", "dog"], **parameters}})


class TestTheThreeEncodings:
    def test_give_the_same_scores_for_the_same_image(self, call: Call):
        answers = [call(event(name)) for name in ENCODINGS]
        assert [answer.status for answer in answers] == [200, 200, 200]
        assert answers[0].json == answers[1].json == answers[2].json
        assert sorted(each["label"] for each in answers[0].json) == ["cat", "dog, asleep"]

    def test_lead_to_the_same_invocation(self, call: Call, sagemaker: SageMaker):
        for name in ENCODINGS:
            call(event(name))
        first, second, third = sagemaker.requests
        assert isinstance(first, ClassifyRequest) and first.images == [JPEG]
        assert first == second == third

    def test_send_at_most_a_twentieth_more_than_the_image(self, call: Call, sagemaker: SageMaker):
        image = JPEG_START + bytes(100_000)
        call(
            proxy_event(
                "POST", "/classify", headers={"content-type": "image/jpeg"}, body=image, query="candidate_labels=a,b"
            )
        )
        assert len(sagemaker.bodies[0]) <= 1.05 * len(image)

    def test_every_byte_of_an_image_arrives(self, call: Call, sagemaker: SageMaker):
        image = JPEG_START + bytes(range(256)) * 3 + b"\r\n--\r\n"
        for media_type in ("image/jpeg", "application/octet-stream"):
            call(
                proxy_event(
                    "POST", "/classify", headers={"content-type": media_type}, body=image, query="candidate_labels=a,b"
                )
            )
        assert [request.images for request in sagemaker.requests] == [[image], [image]]

    def test_header_names_may_be_written_in_any_case(self, call: Call):
        for name in ("content-type", "Content-Type", "CONTENT-TYPE"):
            query = "candidate_labels=cat&candidate_labels=dog"
            assert (
                call(proxy_event("POST", "/classify", headers={name: "image/png"}, body=JPEG, query=query)).status
                == 200
            )

    def test_a_query_without_its_repeated_values_is_read(self, call: Call, sagemaker: SageMaker):
        made = event("classify_raw") | {
            "multiValueQueryStringParameters": None,
            "queryStringParameters": {"candidate_labels": "cat,dog"},
        }
        assert call(made).status == 200
        assert [label.label for label in sagemaker.requests[0].parameters.candidate_labels] == ["cat", "dog"]  # type: ignore[union-attr]


class TestTheShapeOfAnAnswer:
    def test_a_list_of_one_stays_a_list_and_is_sent_as_one_image(self, call: Call, sagemaker: SageMaker):
        alone = call(event("classify_json")).json
        listed = call(classify_list(JPEG, candidate_labels=["cat", "dog, asleep"])).json
        assert listed == [alone]
        assert sagemaker.requests[0] == sagemaker.requests[1]

    def test_bad_images_of_a_list_keep_their_places_and_the_others_their_answers(
        self, call: Call, sagemaker: SageMaker
    ):
        answer = call(classify_list(JPEG, "*no base64*", BROKEN, JPEG + b"2", "https://example.com/cat.jpg"))
        assert answer.status == 200
        good, no_base64, not_an_image, other, url = answer.json
        assert good == call(classify_list(JPEG)).json[0] and other == call(classify_list(JPEG + b"2")).json[0]
        assert [each["status"] for each in (no_base64, not_an_image, url)] == [400, 422, 400]
        assert "not valid base64" in no_base64["detail"] and "is a URL" in url["detail"]

    def test_a_list_with_one_readable_image_among_bad_ones_is_arranged_too(self, call: Call):
        bad, good = call(classify_list("*", JPEG)).json
        assert bad["status"] == 400 and len(good) == 2

    def test_a_list_whose_only_image_is_broken_is_a_list_with_a_problem(self, call: Call):
        answer = call(classify_list(BROKEN))
        assert answer.status == 200 and [each["status"] for each in answer.json] == [422]

    def test_nothing_is_invoked_when_no_image_of_a_list_can_be_sent(self, call: Call, sagemaker: SageMaker):
        assert [each["status"] for each in call(classify_list("*", "http://x")).json] == [400, 400]
        assert sagemaker.calls == 0

    def test_a_lone_broken_image_is_an_error(self, call: Call):
        made = proxy_event(
            "POST", "/classify", headers={"content-type": "image/png"}, body=BROKEN, query="candidate_labels=a,b"
        )
        answer = call(made)
        assert answer.status == 422 and answer.detail == "the image is not one: send a JPEG"

    def test_tasks_answer_by_name(self, call: Call):
        tasks = {"animal": {"candidate_labels": "cat, dog"}, "place": {"candidate_labels": "street, sofa", "top_k": 1}}
        body = {"inputs": base64.b64encode(JPEG).decode(), "parameters": {"tasks": tasks}}
        answer = call(post("/classify", body)).json
        assert {name: len(scores) for name, scores in answer.items()} == {"animal": 2, "place": 1}

    def test_labels_come_back_as_they_were_written(self, call: Call):
        answer = call(classify_list(JPEG, candidate_labels=["猫", 'a "quoted" dog', "<b>"]))
        assert sorted(each["label"] for each in answer.json[0]) == ["<b>", 'a "quoted" dog', "猫"]
        assert "猫" in answer.text

    def test_an_answer_larger_than_lambda_returns_says_what_to_ask_instead(self, call: Call):
        images = [JPEG] * 64
        answer = call(classify_list(*images, candidate_labels=[f"{n:04}" + "x" * 900 for n in range(200)]))
        assert answer.status == 400 and f"bytes, at most {MAX_ANSWER_BYTES:,} can" in answer.detail
        assert call(classify_list(*images, candidate_labels=["x" * 900, "y"], top_k=1)).status == 200

    def test_an_answer_is_measured_with_the_escapes_that_lambda_may_add(self, call: Call):
        """1.5 million letters; as many in Chinese are 4.6 MB of UTF-8, and 9.2 MB as escapes."""
        for letter, status in (("x", 200), ("猫", 400)):
            labels = [f"{n:02}" + letter * 400 for n in range(60)]
            assert call(classify_list(*[JPEG] * 64, candidate_labels=labels)).status == status


class TestEmbed:
    def test_answers_vectors_of_images_and_texts(self, call: Call, sagemaker: SageMaker):
        answer = call(event("embed")).json
        assert len(answer["images"]) == len(answer["texts"]) == 1
        assert sum(x * x for x in answer["images"][0]) == pytest.approx(1)
        assert sagemaker.requests == [EmbedRequest([JPEG], ["a photo of a cat"])]

    def test_texts_need_no_image(self, call: Call):
        assert call(post("/embed", {"inputs": {"texts": ["a", "b"]}})).json["images"] == []

    def test_a_bad_image_keeps_its_place(self, call: Call):
        images = ["*", base64.b64encode(JPEG).decode(), base64.b64encode(BROKEN).decode()]
        answer = call(post("/embed", {"inputs": {"images": images, "texts": ["a"]}})).json
        assert [each["status"] if isinstance(each, dict) else len(each) for each in answer["images"]] == [400, 4, 422]
        assert len(answer["texts"]) == 1
        assert call(post("/embed", {"inputs": {"images": ["*"]}})).json["images"][0]["status"] == 400


class TestWhatComesWithAnAnswer:
    def test_the_model_the_request_and_the_time_are_named(self, call: Call):
        headers = call(event("classify_raw")).headers
        assert headers["content-type"] == "application/json"
        assert headers["x-model-version"] == "tiny@1"
        assert headers["x-request-id"] == event("classify_raw")["requestContext"]["requestId"]
        assert headers["server-timing"].startswith("model;dur=3.0, endpoint;dur=")
        assert "warning" not in headers

    def test_a_text_that_was_cut_is_a_warning(self, call: Call, sagemaker: SageMaker):
        sagemaker.says = AnswerAttributes("tiny@1", truncated_prompts=2, context_tokens=77)
        assert "2 texts are longer than the 77 tokens" in call(event("classify_raw")).headers["warning"]

    def test_the_container_learns_the_request_and_when_nobody_waits_any_more(self, call: Call, sagemaker: SageMaker):
        before_ms = time.time() * 1000
        call(event("classify_raw"))
        told = InvocationAttributes.decode(sagemaker.custom_attributes[0])
        assert told.request_id == event("classify_raw")["requestContext"]["requestId"]
        assert told.deadline_epoch_ms and told.deadline_epoch_ms >= int(before_ms) + 24_000

    def test_a_function_with_little_time_left_says_so(self, sagemaker: SageMaker):
        hurried = SimpleNamespace(**{**vars(CONTEXT), "get_remaining_time_in_millis": lambda: 5_000})
        create_app(SETTINGS, sagemaker.connect).resolve(event("classify_raw"), hurried)  # type: ignore[arg-type]
        told = InvocationAttributes.decode(sagemaker.custom_attributes[0])
        assert told.deadline_epoch_ms and told.deadline_epoch_ms < time.time() * 1000 + 5_000

    def test_metrics_and_logs_hold_numbers_and_nothing_of_the_caller(
        self, call: Call, sagemaker: SageMaker, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ):
        logged = io.StringIO()
        monkeypatch.setattr(classify.logger.registered_handler, "stream", logged)
        for name in ENCODINGS:
            call(event(name))
        call(classify_list(BROKEN, "*"))
        sagemaker.failure = RuntimeError("a bug")
        assert call(event("classify_raw")).status == 500
        printed = logged.getvalue() + "".join(capfd.readouterr())
        lines = [json.loads(line) for line in printed.splitlines()]
        first = next(line for line in lines if "_aws" in line)
        assert first["Images"] == [1.0] and first["EndpointTime"][0] > 0
        assert (first["endpoint"], first["operation"]) == ("wordsight-test", "classify")
        assert any(line.get("exception_name") == "RuntimeError" and "Traceback" in line["exception"] for line in lines)
        assert API_KEY not in printed and "asleep" not in printed
        assert base64.b64encode(JPEG).decode()[:40] not in printed and repr(JPEG)[2:40] not in printed


class TestThePage:
    def test_has_a_request_id_too(self, call: Call):
        asked = event("page")
        assert call(asked).headers["x-request-id"] == asked["requestContext"]["requestId"]


class TestHealth:
    @pytest.mark.parametrize("status", ["InService", "Updating", "SystemUpdating", "RollingBack"])
    def test_an_endpoint_that_serves_is_healthy(self, call: Call, sagemaker: SageMaker, status: str):
        sagemaker.endpoint_status = status
        answer = call(event("health"))
        assert (answer.status, answer.json["status"], answer.json["endpoint"]) == (200, status, "wordsight-test")

    def test_it_says_what_the_served_model_knows_and_nothing_else_of_it(self, call: Call, sagemaker: SageMaker):
        drawings = ModelCard(knows="This model knows drawings.", languages=["en"], licence="MIT")
        sagemaker.cards = EndpointCards(served=drawings, base=ModelCard(knows="This one knows photographs."))
        told = call(event("health")).json
        assert told.keys() == {"status", "endpoint", "knows", "languages", "licence"}
        assert (told["knows"], told["languages"], told["licence"]) == ("This model knows drawings.", ["en"], "MIT")

    def test_everybody_may_ask_so_the_model_is_asked_once_in_a_while(self, call: Call, sagemaker: SageMaker):
        for _ in range(3):
            assert call(event("health")).json["knows"] == UNKNOWN
        assert len(sagemaker.requests) == 1

    def test_an_image_that_tells_nothing_of_its_model_is_healthy(self, sagemaker: SageMaker):
        class Older(SageMaker):
            def _invocation(self, request: Any) -> Any:
                return model_error(400, json.dumps({"detail": "operation 'describe' is unknown"}))

        answer = Answer(create_app(SETTINGS, Older().connect).resolve(event("health"), CONTEXT))
        assert (answer.status, answer.json["knows"], answer.json["licence"]) == (200, None, None)

    @pytest.mark.parametrize("status", ["Creating", "Failed", "Deleting", "OutOfService", "UpdateRollbackFailed"])
    def test_any_other_is_not_and_its_state_is_named(self, call: Call, sagemaker: SageMaker, status: str):
        sagemaker.endpoint_status = status
        answer = call(event("health"))
        assert answer.status == 503 and answer.detail == f"the endpoint wordsight-test is {status}"
        assert int(answer.headers["retry-after"]) > 0

    def test_an_absent_endpoint_is_not_healthy(self, call: Call, sagemaker: SageMaker, bucket: Any):
        sagemaker.failure = (400, "ValidationException", {"message": 'Could not find endpoint "wordsight-test".'})
        assert "not in service" in call(event("health")).detail

    @pytest.mark.parametrize("name", ["health", "classify_raw"])
    def test_a_paused_one_is_told_of_with_the_way_back(self, call: Call, sagemaker: SageMaker, bucket: Any, name: str):
        since = "2026-11-29T18:00:00+00:00"
        at = {"created": since, "updated": since, "paused_since": since, "paused_by": "schedule"}
        paused = EndpointChange(id="one", action="pause", by="schedule", state="paused", **at)
        bucket.put_object(Key=CHANGE_KEY, Body=paused.model_dump_json())
        sagemaker.failure = (400, "ValidationException", {"message": 'Could not find endpoint "wordsight-test".'})
        answer = call(event(name))
        assert (answer.status, answer.headers["retry-after"], answer.json["state"]) == (503, "60", "paused")
        assert f"the stage is paused since {since}, by its schedule (office_hours)" in answer.detail
        assert "POST /endpoint/resume" in answer.detail and Problem.model_validate(answer.json).state


class TestBadRequests:
    def test_an_unknown_path_is_answered_with_the_routes(self, call: Call):
        answer = call(event("unknown_route"))
        assert answer.status == 404
        assert answer.detail.startswith("no route GET /classfy: there are POST /classify, ")

    def test_a_known_path_with_a_wrong_method_too(self, call: Call):
        answer = call(event("wrong_method"))
        assert answer.status == 404 and "no route GET /classify" in answer.detail

    def test_curls_own_content_type_is_answered_with_the_header_to_add(self, call: Call):
        answer = call(event("classify_urlencoded"))
        assert answer.status == 415 and "-H 'content-type: image/jpeg'" in answer.detail

    @pytest.mark.parametrize("encoding", ["raw", "json"])
    def test_a_huge_image_is_too_large(self, call: Call, sagemaker: SageMaker, encoding: str):
        image = JPEG_START + bytes(MAX_INLINE_IMAGE_BYTES)
        query = "candidate_labels=a,b"
        raw = proxy_event("POST", "/classify", headers={"content-type": "image/jpeg"}, body=image, query=query)
        answer = call(raw if encoding == "raw" else classify_list(image))
        assert answer.status == 413 and "1024 px" in answer.detail
        assert sagemaker.calls == 0

    def test_the_next_good_request_works(self, call: Call):
        for name in ("unknown_route", "wrong_method", "classify_urlencoded"):
            call(event(name))
        assert call(event("classify_raw")).status == 200

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        path=st.sampled_from(["/classify", "/embed"]),
        content_type=st.sampled_from(
            ["application/json", "image/png", "multipart/form-data; boundary=b", "text/x", ""]
        ),
        body=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: json.dumps({text: text}).encode()),
        query=st.dictionaries(st.text(max_size=12), st.lists(st.text(max_size=12), min_size=1), max_size=2),
    )
    def test_no_request_is_our_fault(self, resolve: Resolve, path: str, content_type: str, body: bytes, query: Any):
        made = proxy_event("POST", path, headers={"content-type": content_type}, body=body)
        made["multiValueQueryStringParameters"] = query
        answer = Answer(resolve(made))
        answer.text.encode()
        assert answer.status == 200 or (answer.status < 500 and answer.detail)


def test_the_handler_of_the_function_reads_the_environment_at_its_first_call():
    answer = Answer(classify.handler(event("openapi"), CONTEXT))  # type: ignore[arg-type]
    assert answer.status == 200 and answer.json["openapi"] == "3.1.0"
