import base64
import hashlib
import re

from contract.limits import API_KEY_HEADER, MAX_INLINE_IMAGE_BYTES
from contract.routes import CLASSIFY, HEALTH, OPENAPI
from lambdas.classify import page
from tests.lambdas.conftest import Call
from tests.lambdas.gateway import event


def test_the_page_is_html_for_everybody(call: Call):
    answer = call(event("page"))
    assert answer.status == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.startswith("<!doctype html>")


def test_it_names_no_other_site():
    assert not re.search(r"https?:|//[a-z]", page.html().replace("// ", ""))
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=(?!\"data:,)", page.html())


def test_its_policy_lets_only_its_own_script_and_style_run(call: Call):
    answer = call(event("page"))
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'" and policy["connect-src"] == "'self'"
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert " style=" not in answer.text and " onclick=" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_it_asks_the_routes_of_the_api():
    assert f'base + "{CLASSIFY.path[1:]}?"' in page.html()
    assert f'base + "{OPENAPI.path[1:]}"' in page.html()
    assert f'headers["{API_KEY_HEADER}"]' in page.html()


def test_it_shrinks_what_the_api_would_refuse():
    assert f"MAX_BYTES = {MAX_INLINE_IMAGE_BYTES};" in page.html()


def test_it_says_that_it_cannot_sign():
    """The sentence of stacks/api/gateway_responses.py about a request without a signature names SigV4."""
    assert 'answer.status === 403 && body.detail?.includes("SigV4")' in page.html()
    assert "signed with AWS credentials" in page.html()


def test_every_field_has_a_label_and_the_answer_is_announced():
    html = page.html()
    for field in re.findall(r"<input [^>]*>", html):
        before = html[: html.index(field)]
        assert before.rfind("<label") > before.rfind("</label>")
    assert 'aria-live="polite"' in html and '<html lang="en">' in html


def test_it_shows_what_the_model_knows_and_on_ones_own_machine_how_to_have_another():
    html = page.html()
    assert f'fetch(base + "{HEALTH.path[1:]}")' in html and 'id="knows"' in html
    assert "make local MODEL=openai/clip-vit-base-patch32" in html
    assert html.index('"127.0.0.1"') < html.index("make local MODEL")
