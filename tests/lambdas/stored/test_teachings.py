import threading

import pytest

from contract.idempotency import now
from contract.problems import Conflict, ServiceUnavailable
from contract.taught import Head, HeadImages, Teaching, head_key, taught_key
from contract.teaching import Worth
from lambdas.aws.s3 import Store
from lambdas.stored.teachings import ATTEMPTS, LEASE_S, Teachings
from tests.lambdas.object_store import ObjectStore

ONE, TWO = "1" * 64, "2" * 64
IMAGE, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def objects() -> ObjectStore:
    return ObjectStore()


@pytest.fixture
def store(objects: ObjectStore) -> Store:
    return Store("data", lambda service: objects)


@pytest.fixture
def teachings(store: Store) -> Teachings:
    return Teachings(store)


def head(sha256: str) -> Head:
    worth = Worth(accuracy=0.5, calibration_error=0.1)
    return Head(sha256=sha256, model_version="v", created=now(), images=2, before=worth, after=worth, gain=0.1)


def learnt(teachings: Teachings, **heads: str) -> None:
    """A task that has these heads, each made of an image; the first one answers."""
    for sha256, image in ((ONE, heads["one"]), (TWO, heads["two"])):
        teachings.keep_head("pet", b"head", head(sha256), HeadImages(annotations=[image[:24] + "0" * 12]))
    state = {"head": ONE, "heads": [head(ONE), head(TWO)], "digest": "seen"}
    teachings.update("pet", lambda now: now.model_copy(update=state))


def test_one_worker_at_a_time_has_a_task_until_it_lets_go_or_is_heard_of_no_more(store: Store) -> None:
    time_s = 1000.0
    teachings = Teachings(store, lambda: time_s)
    assert teachings.take("pet") and not teachings.take("pet") and teachings.take("other")
    teachings.release("pet")
    assert teachings.take("pet")
    time_s += LEASE_S - 1
    teachings.tell("pet")
    time_s += LEASE_S - 1
    assert not teachings.take("pet"), "it was heard of since"
    time_s += 2
    assert teachings.take("pet")


def test_what_is_gone_is_not_made_again_by_who_lets_go(teachings: Teachings) -> None:
    teachings.take("pet"), teachings.forget("pet"), teachings.release("pet"), teachings.tell("pet")
    assert teachings.find("pet") is None


def test_twenty_writers_at_once_lose_nothing(teachings: Teachings) -> None:
    threads = [threading.Thread(target=teachings.ask, args=["pet"]) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert teachings.find("pet") == Teaching(asked=20)


def test_a_document_that_never_rests_is_given_up(teachings: Teachings, objects: ObjectStore) -> None:
    asked = 0

    def raced(now: Teaching) -> Teaching:
        nonlocal asked
        asked += 1
        objects.put(taught_key("pet"), Teaching(asked=asked).model_dump_json().encode())
        return now.model_copy(update={"erased": 1})

    with pytest.raises(ServiceUnavailable, match="too many change what 'pet' has learnt"):
        teachings.update("pet", raced)
    assert asked == ATTEMPTS


def test_an_earlier_head_is_brought_back_and_one_that_is_not_kept_is_refused(teachings: Teachings) -> None:
    learnt(teachings, one=IMAGE, two=OTHER)
    paused = teachings.pause("pet")
    assert (paused.head, paused.paused, [each.sha256 for each in paused.heads]) == (None, True, [ONE, TWO])
    back = teachings.restore("pet", TWO)
    assert (back.head, back.paused, back.restored, back.asked) == (TWO, False, True, 1)
    with pytest.raises(Conflict, match="has no head 333"):
        teachings.restore("pet", "3" * 64)
    assert teachings.ask("pet").restored is False


def test_heads_that_were_made_of_an_image_are_forgotten_with_it(teachings: Teachings, store: Store) -> None:
    learnt(teachings, one=IMAGE, two=OTHER)
    assert teachings.forget_image(IMAGE) == ["pet"]
    left = teachings.find("pet")
    assert left and (left.head, left.erased, left.digest) == (None, 1, "")
    assert [each.sha256 for each in left.heads] == [TWO]
    assert store.read_file(head_key("pet", ONE)) is None and store.read_file(head_key("pet", TWO)) == b"head"
    assert teachings.forget_image(IMAGE) == [] and teachings.find("pet").erased == 2  # type: ignore[union-attr]


def test_a_head_that_is_not_listed_is_removed(teachings: Teachings, store: Store) -> None:
    learnt(teachings, one=IMAGE, two=OTHER)
    teachings.keep_head("pet", b"third", head("3" * 64), HeadImages(annotations=[]))
    teachings.forget_unlisted("pet", [ONE, "3" * 64])
    assert store.read_file(head_key("pet", ONE)) == b"head" and store.read_file(head_key("pet", "3" * 64)) is None
