import base64
import gzip
import hashlib
import re

from contract.limits import API_KEY_HEADER, MAX_INLINE_IMAGE_BYTES
from contract.routes import ROUTES
from lambdas.classify import page
from tests.lambdas.conftest import Call
from tests.lambdas.gateway import event

MAX_BYTES, MAX_GZIPPED_BYTES = 79_000, 26_400
"""It is loaded at once, and no gateway compresses it."""
TAGS = {"script": 'script type="module"', "style": "style"}


def test_the_page_is_html_for_everybody(call: Call):
    answer = call(event("page"))
    assert answer.status == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.startswith("<!doctype html>")


def test_it_is_small():
    content = page.html().encode()
    assert len(content) <= MAX_BYTES and len(gzip.compress(content)) <= MAX_GZIPPED_BYTES


def test_it_names_no_other_site():
    html = page.html().replace("http://www.w3.org/2000/svg", "")  # a namespace is no address
    assert not re.search(r"https?:|//[a-z]", html.replace("// ", ""))
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=(?!\"data:,)", html)


def test_its_policy_lets_only_its_own_script_and_style_run(call: Call):
    answer = call(event("page"))
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'" and policy["connect-src"] == "'self'"
    for tag, start in TAGS.items():
        (content,) = re.findall(rf"<{start}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert " style=" not in answer.text and " onclick=" not in answer.text.split("<script")[0]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_every_part_of_the_script_is_in_it():
    assert sorted(path.stem for path in (page.FOLDER).glob("*.js")) == sorted(page.SCRIPTS)
    for name in page.SCRIPTS:
        assert (page.FOLDER / f"{name}.js").read_text().splitlines()[-1] in page.html()


def test_it_has_the_contracts_limits_and_names():
    (contract,) = re.findall(r"const CONTRACT = (.*);", page.html())
    assert f'"{API_KEY_HEADER}"' in contract and str(MAX_INLINE_IMAGE_BYTES) in contract


def test_it_asks_routes_of_the_api():
    """What begins a path in the script begins one in the route table."""
    first = {route.path.split("/")[1] for route in ROUTES}
    asked = set(re.findall(r'(?<![.\w])(?:api|get|once)\(["`]([a-z.]+)', page.html()))
    assert {"classify", "health", "models", "trainings"} <= asked <= first


def test_every_field_has_a_name_and_what_happens_is_announced():
    html = page.html().split("<script")[0]
    for field in re.findall(r"<(?:input|select) [^>]*>", html):
        before = html[: html.index(field)]
        assert "aria-label" in field or before.rfind("<label") > before.rfind("</label>"), field
    assert html.count('role="status"') >= 3 and '<html lang="en">' in html
