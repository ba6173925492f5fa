from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from contract.layouts.places import MAX_LINE_BYTES
from contract.problems import BadRequest, NotFound, PreconditionFailed, ServiceUnavailable, UnprocessableImage
from lambdas.aws.clients import connect
from lambdas.aws.s3 import Store
from tests.lambdas.conftest import SETTINGS
from tests.lambdas.control_plane import client_error


@pytest.fixture
def store(bucket: Any) -> Store:
    return Store(SETTINGS.data_bucket, lambda service: bucket.meta.client)


def test_a_document_is_read_as_it_was_written(store: Store) -> None:
    written = store.write("tasks/fruit.json", {"labels": ["pear", "Äpfel"]})
    assert store.read("tasks/fruit.json") == written
    assert store.read("tasks/none.json") is None


def test_a_second_writer_who_has_not_seen_the_first_is_refused(store: Store) -> None:
    seen = store.write("tasks/fruit.json", {"version": 1}).etag
    store.write("tasks/fruit.json", {"version": 2}, etag=seen)
    with pytest.raises(PreconditionFailed, match="changed meanwhile"):
        store.write("tasks/fruit.json", {"version": 3}, etag=seen)
    assert store.read("tasks/fruit.json").value == {"version": 2}  # type: ignore[union-attr]


def test_what_must_be_new_is_not_written_over_something(store: Store) -> None:
    store.write("tasks/fruit.json", {"version": 1}, absent=True)
    with pytest.raises(PreconditionFailed):
        store.write("tasks/fruit.json", {"version": 2}, absent=True)


def test_an_update_of_what_was_deleted_is_refused(store: Store) -> None:
    seen = store.write("tasks/fruit.json", {}).etag
    store.delete("tasks/fruit.json")
    store.delete("tasks/fruit.json")
    with pytest.raises(PreconditionFailed):
        store.write("tasks/fruit.json", {}, etag=seen)


def test_what_was_changed_since_it_was_seen_is_not_removed(store: Store) -> None:
    seen = store.write("tasks/fruit.json", {"version": 1}).etag
    newest = store.write("tasks/fruit.json", {"version": 2})
    with pytest.raises(PreconditionFailed):
        store.delete("tasks/fruit.json", etag=seen)
    assert store.read("tasks/fruit.json") == newest
    store.delete("tasks/fruit.json", etag=newest.etag)
    assert store.read("tasks/fruit.json") is None


def test_keys_come_in_order_from_behind_a_key(store: Store) -> None:
    for name in ("b", "c", "a", "d"):
        store.write(f"tasks/{name}.json", {"name": name})
    store.write("other/e.json", {})
    assert list(store.keys("tasks/", after="tasks/b.json")) == ["tasks/c.json", "tasks/d.json"]
    assert [found.value["name"] for found in store.read_all(["tasks/c.json", "tasks/x.json", "tasks/a.json"])] == [
        "c",
        "a",
    ]


def test_a_silent_store_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    connect.cache_clear()
    with pytest.raises(ServiceUnavailable, match="try again"):
        Store("wordsight-data", connect).read("tasks/fruit.json")
    connect.cache_clear()


def test_bytes_are_kept_once_under_the_name_that_only_they_have(store: Store, bucket: Any) -> None:
    bucket.Versioning().enable()
    for _ in range(2):
        store.keep("images/1", b"picture", "image/png")
    (version,) = bucket.object_versions.all()
    assert version.get()["Body"].read() == b"picture" and version.get()["ContentType"] == "image/png"
    bucket.object_versions.delete()


def test_what_is_erased_has_no_former_version_either(store: Store, bucket: Any) -> None:
    bucket.Versioning().enable()
    for name in ("a/1", "a/1", "a/2", "b/1"):
        store.write(name, {"name": name})
    store.delete("a/2")
    assert store.erase("a/") == 1
    assert [version.object_key for version in bucket.object_versions.all()] == ["b/1"]
    assert store.erase("a/") == 0
    bucket.object_versions.delete()


def test_lines_are_read_from_any_of_them_on(store: Store) -> None:
    store.put("uploads/list", "eins\nzwei ü\n\nvier".encode(), "application/jsonl")
    one, two, four = store.lines("uploads/list")
    assert [one.content.decode(), two.content.decode(), four.content] == ["eins\n", "zwei ü\n", b"vier"]
    assert [one.number, two.number, four.number] == [1, 2, 4]
    assert [*store.lines("uploads/list", two.number, two.end_bytes)] == [four]
    assert [*store.lines("uploads/list", 9, 10_000)] == [*store.lines("uploads/none")] == []


def test_a_line_ends_at_a_line_feed_and_at_nothing_else(store: Store) -> None:
    text = "".join(f"line {n}\u2028\r\x0b\u0085 ends\r\n" for n in range(20_000))
    store.put("uploads/list", text.encode(), "application/jsonl")
    found = [*store.lines("uploads/list")]
    assert [line.number for line in found] == [*range(1, 20_001)]
    assert b"".join(line.content for line in found).decode() == text
    assert next(store.lines("uploads/list", 15_000, found[14_999].end_bytes)) == found[15_000]


def test_a_folder_has_files_and_folders(store: Store) -> None:
    for name in ("a", "b/c", "b/d/e", "f/g"):
        store.put(f"uploads/{name}", b"-", "text/plain")
    assert [*store.files("uploads/")] == ["uploads/a"]
    assert [*store.folders("uploads/")] == ["b", "f"]


class Fruit(BaseModel):
    name: str
    ripe: bool = False


def test_documents_are_read_as_the_model_that_was_written(store: Store) -> None:
    pear = Fruit(name="pear", ripe=True)
    written = store.write("tasks/pear.json", pear)
    assert written.value is pear and store.find(Fruit, "tasks/pear.json") == pear
    assert store.load(Fruit, "tasks/pear.json", "no pear") == written
    assert store.find_all(Fruit, ["tasks/none.json", "tasks/pear.json"]) == [pear]
    assert store.find(Fruit, "tasks/none.json") is None
    with pytest.raises(NotFound, match="no pear"):
        store.load(Fruit, "tasks/none.json", "no pear")


def test_what_is_created_is_not_created_again(store: Store) -> None:
    assert store.create("tasks/fruit.json", Fruit(name="pear"))
    assert not store.create("tasks/fruit.json", Fruit(name="plum"))
    assert store.find(Fruit, "tasks/fruit.json") == Fruit(name="pear")


def test_lines_are_put_and_parsed_one_by_one(store: Store) -> None:
    content = store.put_lines("uploads/lines", ['{"a": 1}', "{"])
    assert content == b'{"a": 1}\n{\n'
    good, bad = store.lines("uploads/lines")
    assert good.json() == {"a": 1}
    with pytest.raises(BadRequest, match="the line is not JSON: "):
        bad.json()


def test_an_image_is_not_read_if_it_is_too_large(store: Store) -> None:
    store.put("uploads/1", b"12345", "image/png")
    sizes: list[int] = []
    assert store.read_image("uploads/1", sizes.append) == b"12345" and sizes == [5]
    assert store.read_image("uploads/2", sizes.append) is None
    with pytest.raises(ZeroDivisionError):
        store.read_image("uploads/1", lambda size_bytes: 1 // (size_bytes - 5))


def test_of_two_who_keep_the_same_at_the_same_moment_both_have_kept_it(bucket: Any) -> None:
    class Undecided:
        """S3 that can't tell which of two conditional writes came first."""

        def put_object(self, **request: Any) -> Any:
            if "IfNoneMatch" in request:
                raise client_error("PutObject", "ConditionalRequestConflict", "a conflict occurred", 409)
            return bucket.meta.client.put_object(**request)

    Store(bucket.name, lambda _: Undecided()).keep("images/1", b"picture", "image/png")
    assert bucket.Object("images/1").get()["Body"].read() == b"picture"
    with pytest.raises(PreconditionFailed):
        Store(bucket.name, lambda _: Undecided()).write("tasks/a.json", {}, absent=True)


def test_a_line_ends_with_a_line_feed_wherever_it_is_read_in_parts(store: Store) -> None:
    long = b"x" * (256 * 1024 - 1)
    store.put("uploads/list", long + b"\r\n" + b"a\rb\xe2\x80\xa8c\n" + long * 9 + b"\nlast", "application/jsonl")
    first, second, huge, last = store.lines("uploads/list")
    assert [first.number, second.number, huge.number, last.number] == [1, 2, 3, 4]
    assert (first.content, second.content, last.content) == (long + b"\r\n", b"a\rb\xe2\x80\xa8c\n", b"last")
    assert MAX_LINE_BYTES < len(huge.content) <= MAX_LINE_BYTES + 2
    with pytest.raises(BadRequest, match="more than the 1,000,000 bytes"):
        huge.json()
    assert [*store.lines("uploads/list", huge.number, huge.end_bytes)] == [last]


@pytest.mark.parametrize(
    ("code", "status"), [("InvalidObjectState", 403), ("AccessDenied", 403), ("KeyTooLongError", 400)]
)
def test_an_image_that_s3_does_not_hand_out_is_no_fault_of_ours(code: str, status: int) -> None:
    def refused(**_: Any) -> None:
        raise client_error("GetObject", code, "because", status)

    with pytest.raises(UnprocessableImage, match="the object 'uploads/1' can't be read"):
        Store("bucket", lambda _: SimpleNamespace(get_object=refused)).read_image("uploads/1", lambda _: None)


def test_half_a_character_is_no_key(store: Store) -> None:
    with pytest.raises(UnprocessableImage, match="half a character"):
        store.read_image("uploads/\ud800", lambda _: None)
